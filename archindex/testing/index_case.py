"""IndexCase: what every vector engine must do, as tests to inherit.

::

    class TestMyIndex(IndexCase):
        def make(self, dim, metric):
            return MyIndex(dim, metric, seed=0)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archindex.core.errors import ArchindexError, ArgumentError, CorruptIndexError
from archindex.indexes.base import (
    DISTANCE_ATOL,
    DISTANCE_RTOL,
    METRICS,
    Capabilities,
    MemoryPlanned,
    Metric,
    SearchResult,
    VectorIndex,
)
from archindex.testing.vectors import clustered, true_distances

Vectors = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

both_metrics = pytest.mark.parametrize("metric", METRICS)

_steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "remove", "search", "within"]),
        st.lists(st.integers(0, 24), min_size=1, max_size=8, unique=True),
        st.integers(1, 30),
    ),
    min_size=3,
    max_size=14,
)


class IndexCase:
    """Inherit, name the class ``Test...`` and override :meth:`make`.

    Attributes
    ----------
    recall : float
        Share of true neighbours, ties counted, that the engine must find; 1 for an exact one.
    planned_within : float
        Share by which the memory that it plans may be off.
    """

    recall, planned_within = 1.0, 0.1

    def make(self, dim: int, metric: Metric) -> VectorIndex:
        """Return an empty engine; the same each time, seed included."""
        raise NotImplementedError

    def filled(self, metric: Metric, n: int = 600, dim: int = 16) -> tuple[VectorIndex, Vectors, Ids]:
        """Return an engine with n rows, their vectors, and their ids: scattered and in no order."""
        vectors = clustered(n, dim)
        ids = np.random.default_rng(1).permutation(7 * n)[:n].astype(np.int64) + 2**40
        index = self.make(dim, metric)
        index.build(vectors, ids)
        return index, vectors, ids

    def verify(
        self, found: SearchResult, queries: npt.ArrayLike, k: int, vectors: Vectors, ids: Ids, metric: Metric
    ) -> None:
        """Compare an answer with all of `ids`, the rows that were searched, by value."""
        wanted = np.atleast_2d(np.asarray(queries))
        m, width = len(wanted), min(k, len(ids))
        assert found.ids.shape == found.distances.shape == (m, k)
        assert found.ids.dtype == found.counts.dtype == np.int64
        assert found.distances.dtype == np.float32
        assert found.counts.tolist() == [width] * m
        assert (found.ids[:, width:] == -1).all()
        assert np.isposinf(found.distances[:, width:]).all()
        place = {int(row): at for at, row in enumerate(ids)}
        hits = 0
        for query, row, distance in zip(
            wanted, found.ids[:, :width], found.distances[:, :width], strict=True
        ):
            truth = true_distances(vectors, query, metric) if width else np.empty(0)
            own = truth[[place[int(i)] for i in row]]
            np.testing.assert_allclose(distance, own, rtol=DISTANCE_RTOL, atol=DISTANCE_ATOL)
            assert list(zip(distance, row, strict=True)) == sorted(zip(distance, row, strict=True))
            assert len(set(row.tolist())) == width
            last = np.sort(truth)[width - 1] if width else 0.0
            hits += int((own <= last * (1 + DISTANCE_RTOL) + DISTANCE_ATOL).sum())
        assert hits >= self.recall * m * width

    @both_metrics
    def test_answers_agree_by_value(self, metric: Metric) -> None:
        """Distances, order and recall are those of float64; a row's own vector finds it first."""
        index, vectors, ids = self.filled(metric)
        queries = np.concatenate([vectors[:30], clustered(10, 16, seed=5)])
        found = index.search(queries, 10)
        self.verify(found, queries, 10, vectors, ids, metric)
        assert found.distance_computations >= 10 * len(queries)
        assert found.ids[:30, 0].tolist() == ids[:30].tolist()

    @both_metrics
    def test_one_query_answers_as_in_a_batch(self, metric: Metric) -> None:
        """A single vector of shape (dim,) is a query."""
        index, vectors, ids = self.filled(metric)
        for query in vectors[:3]:
            self.verify(index.search(query, 5), query, 5, vectors, ids, metric)

    @both_metrics
    def test_far_and_large_vectors_keep_their_digits(self, metric: Metric) -> None:
        """A cloud far from the origin loses nothing to cancellation."""
        vectors = clustered(400, 8) + np.float32(300)
        ids = np.arange(400)
        index = self.make(8, metric)
        index.build(vectors, ids)
        self.verify(index.search(vectors[:20], 10), vectors[:20], 10, vectors, ids, metric)

    @both_metrics
    def test_equal_vectors(self, metric: Metric) -> None:
        """Rows of equal vectors are all found, added and removed one by one."""
        # As aliases of one architecture: more equal rows than a graph node has links.
        vectors = np.repeat(clustered(20, 8), 60, axis=0)
        ids = np.random.default_rng(0).permutation(len(vectors)).astype(np.int64)
        index = self.make(8, metric)
        index.build(vectors, ids)
        queries = vectors[::60]
        self.verify(index.search(queries, 90), queries, 90, vectors, ids, metric)
        again = clustered(20, 8)[:1]
        index.add(again, [5000])
        own = [*ids[:60].tolist(), 5000]
        assert sorted(index.search(again, 61).ids[0].tolist()) == sorted(own)
        assert index.remove(own[:-1]) == 60
        assert index.search(again, 1).ids[0, 0] == 5000

    @both_metrics
    def test_zero_vectors(self, metric: Metric) -> None:
        """Under cosine a zero vector is at 1 from everything, itself included."""
        vectors = np.concatenate([clustered(30, 6), np.zeros((2, 6), dtype=np.float32)])
        ids = np.arange(32)
        index = self.make(6, metric)
        index.build(vectors, ids)
        queries = vectors[-3:]
        self.verify(index.search(queries, 32), queries, 32, vectors, ids, metric)

    @both_metrics
    def test_allowed(self, metric: Metric) -> None:
        """Only allowed rows come, k of them when k are allowed, also far from the query."""
        index, vectors, ids = self.filled(metric)
        queries = vectors[:10]
        far = np.argsort(true_distances(vectors, queries[0], metric))
        some = np.random.default_rng(3).permutation(len(ids))
        choices = [some[:1], some[:7], some[:60], some[:300], far[-6:], far[-60:], far[-300:], some]
        for choice in choices:
            allowed = np.concatenate([ids[choice], [3, 3]])  # 3 is no row
            found = index.search(queries, 10, allowed)
            self.verify(found, queries, 10, vectors[choice], ids[choice], metric)

    @both_metrics
    def test_nothing_allowed(self, metric: Metric) -> None:
        """An empty or unknown selection gives an empty answer."""
        index, vectors, ids = self.filled(metric, n=50)
        for allowed in ([], [3]):
            self.verify(index.search(vectors[:2], 4, allowed), vectors[:2], 4, vectors[:0], ids[:0], metric)

    @both_metrics
    def test_k_beyond_the_rows(self, metric: Metric) -> None:
        """Fewer than k rows give short answers."""
        index, vectors, ids = self.filled(metric, n=40)
        self.verify(index.search(vectors[:3], 100), vectors[:3], 100, vectors, ids, metric)
        found = index.search(vectors[:3], 100, ids[:5])
        self.verify(found, vectors[:3], 100, vectors[:5], ids[:5], metric)

    @both_metrics
    def test_empty(self, metric: Metric) -> None:
        """An index without rows answers, and can be filled and emptied again."""
        index = self.make(4, metric)
        none, no_ids = np.empty((0, 4), dtype=np.float32), np.empty(0, dtype=np.int64)
        query = np.ones((2, 4), dtype=np.float32)
        for _ in range(2):
            self.verify(index.search(query, 3), query, 3, none, no_ids, metric)
            assert index.remove([1]) == 0
            index.build(none, no_ids)
        index.add(query[:1], [9])
        self.verify(index.search(query, 3), query, 3, query[:1], np.array([9]), metric)
        assert index.remove([9]) == 1
        self.verify(index.search(query, 3), query, 3, none, no_ids, metric)
        assert index.search(none, 3).ids.shape == (0, 3)

    @both_metrics
    def test_build_replaces(self, metric: Metric) -> None:
        """A second build leaves nothing of the first."""
        index, vectors, ids = self.filled(metric, n=80)
        index.build(vectors[:9], ids[20:29])
        self.verify(index.search(vectors[:2], 20), vectors[:2], 20, vectors[:9], ids[20:29], metric)

    @both_metrics
    def test_add_remove_and_add_again(self, metric: Metric) -> None:
        """Added rows are found, removed ones are not, and an id can be used again."""
        index, vectors, ids = self.filled(metric)
        more, new = clustered(200, 16, seed=8), np.arange(200)
        index.add(more, new)
        vectors, ids = np.concatenate([vectors, more]), np.concatenate([ids, new])
        self.verify(index.search(more, 5), more, 5, vectors, ids, metric)
        assert index.search(more[:50], 1).ids[:, 0].tolist() == new[:50].tolist()
        gone = np.concatenate([new[:150], ids[:400], [2**50]])  # the last was never there
        assert index.remove(gone) == 550
        assert index.remove(gone) == 0
        left = ~np.isin(ids, gone)
        self.verify(index.search(more, 5), more, 5, vectors[left], ids[left], metric)
        index.add(vectors[:10], new[:10])  # an old id with another vector
        rest = np.concatenate([vectors[left], vectors[:10]])
        rest_ids = np.concatenate([ids[left], new[:10]])
        self.verify(index.search(rest[-20:], 5), rest[-20:], 5, rest, rest_ids, metric)

    @both_metrics
    def test_refused_arguments_change_nothing(self, metric: Metric) -> None:
        """What cannot be used is refused with ArgumentError, and the answers stay."""
        index, vectors, ids = self.filled(metric, n=60)
        before = index.search(vectors, 7)
        row = vectors[:1]
        for bad in (np.nan, np.inf):
            broken = row.copy()
            broken[0, 3] = bad
            for act in (index.build, index.add):
                with pytest.raises(ArgumentError):
                    act(broken, [1])
            with pytest.raises(ArgumentError):
                index.search(broken, 3)
        refused: list[tuple[Any, Any]] = [
            (row[:, :-1], [1]),  # wrong dim
            (row, [1, 2]),  # wrong count
            (np.repeat(row, 2, axis=0), [1, 1]),  # twice
            (row, [-1]),
            (row, [0.5]),
        ]
        for wrong, names in refused:
            for act in (index.build, index.add):
                with pytest.raises(ArgumentError):
                    act(wrong, names)
        with pytest.raises(ArgumentError):
            index.add(np.repeat(row, 2, axis=0), [1, ids[4]])  # there already
        for k in (0, -1, 1.5, True):
            with pytest.raises(ArgumentError):
                index.search(row, k)  # type: ignore[arg-type]
        with pytest.raises(ArgumentError):
            index.search(row[:, :-1], 3)
        with pytest.raises(ArgumentError):
            index.search(row, 3, [-4])
        with pytest.raises(ArgumentError):
            index.remove([-4])
        self.same(index.search(vectors, 7), before)

    @both_metrics
    def test_later_writes_to_the_callers_array_change_nothing(self, metric: Metric) -> None:
        """The index does not lie in an array that the caller may write to."""
        vectors, ids = clustered(50, 8), np.arange(50)
        index = self.make(8, metric)
        index.build(vectors, ids)
        before = index.search(vectors.copy(), 4)
        queries = vectors.copy()
        vectors[:] = 0
        ids[:] = 0
        self.same(index.search(queries, 4), before)

    @both_metrics
    def test_loaded_answers_the_same(self, metric: Metric, tmp_path: Path) -> None:
        """Saved and loaded, the answers are equal bit by bit, and rows come and go as before."""
        index, vectors, ids = self.filled(metric)
        index.remove(ids[:50])
        index.add(vectors[:20], np.arange(20))
        index.save(tmp_path / "a" / "b")
        loaded = type(index).load(tmp_path / "a" / "b")
        for allowed in (None, ids[100:130], ids[50:550]):
            self.same(loaded.search(vectors, 6, allowed), index.search(vectors, 6, allowed))
        assert loaded.capabilities == index.capabilities
        rows = np.concatenate([vectors[50:], vectors[:20]])
        names = np.concatenate([ids[50:], np.arange(20)])
        assert loaded.remove(names[:5]) == 5
        loaded.add(rows[:3], [700, 701, 702])
        rows, names = np.concatenate([rows[5:], rows[:3]]), np.concatenate([names[5:], [700, 701, 702]])
        self.verify(loaded.search(vectors[:30], 6), vectors[:30], 6, rows, names, metric)

    def test_empty_is_saved_too(self, tmp_path: Path) -> None:
        """An index without rows can be saved and loaded."""
        self.make(5, "l2").save(tmp_path)
        loaded = type(self.make(5, "l2")).load(tmp_path)
        assert loaded.search(np.ones((1, 5)), 2).counts.tolist() == [0]
        loaded.add(np.ones((1, 5)), [4])
        assert loaded.search(np.ones((1, 5)), 2).ids.tolist() == [[4, -1]]

    def test_damaged_files_are_refused(self, tmp_path: Path) -> None:
        """Any cut, longer, altered or missing file is noticed before it is used."""
        index, _, _ = self.filled("l2", n=60)
        index.save(tmp_path)
        random = np.random.default_rng(0)
        files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
        assert files
        for path in files:
            whole = path.read_bytes()
            damaged = [whole[: len(whole) // 2], whole[:-1], b"", whole + b"\0"]
            for at in random.integers(len(whole), size=12):
                flipped = bytearray(whole)
                flipped[at] ^= 1 << int(random.integers(8))
                damaged.append(bytes(flipped))
            for content in damaged:
                path.write_bytes(content)
                with pytest.raises(ArchindexError):
                    type(index).load(tmp_path)
            path.unlink()
            with pytest.raises(CorruptIndexError):
                type(index).load(tmp_path)
            path.write_bytes(whole)
        type(index).load(tmp_path)

    def test_a_missing_folder_is_refused(self, tmp_path: Path) -> None:
        """Loading from nowhere is a typed error."""
        with pytest.raises(ArchindexError):
            type(self.make(4, "l2")).load(tmp_path / "none")

    @both_metrics
    def test_the_same_seed_gives_the_same_answers(self, metric: Metric) -> None:
        """Two engines of one seed and one history answer alike."""
        (one, vectors, _), (two, _, _) = self.filled(metric), self.filled(metric)
        more = clustered(100, 16, seed=4)
        for index in (one, two):
            index.add(more, np.arange(100))
        self.same(one.search(more, 9), two.search(more, 9))
        self.same(one.search(vectors, 9), two.search(vectors, 9))

    def test_memory_is_counted(self) -> None:
        """The bytes reported hold the vectors and are not absurd."""
        small, _, _ = self.filled("l2", n=200)
        large, vectors, _ = self.filled("l2", n=800)
        assert vectors.nbytes <= large.memory_bytes() <= 20 * vectors.nbytes
        assert small.memory_bytes() < large.memory_bytes()

    @both_metrics
    @pytest.mark.parametrize(("n", "dim"), [(1500, 64), (4000, 24)])
    def test_memory_is_known_before_building(self, metric: Metric, n: int, dim: int, tmp_path: Path) -> None:
        """An engine that plans says beforehand what it takes once saved and loaded."""
        index = self.make(dim, metric)
        if not isinstance(index, MemoryPlanned):
            pytest.skip("this engine makes no plan of its memory")
        planned = index.expected_memory(n)
        index.build(clustered(n, dim), np.arange(n))
        index.save(tmp_path)
        assert abs(planned / type(index).load(tmp_path).memory_bytes() - 1) <= self.planned_within
        with pytest.raises(ArgumentError):
            index.expected_memory(-1)

    def test_capabilities_are_stated(self) -> None:
        """An engine that claims to be exact is tested for full recall."""
        stated = self.make(4, "l2").capabilities
        assert isinstance(stated, Capabilities)
        assert stated.exact == (self.recall == 1)

    @settings(
        max_examples=30,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
    )
    @given(steps=_steps, metric=st.sampled_from(METRICS), seed=st.integers(0, 1000))
    def test_any_sequence_agrees_with_a_plain_dict(
        self, steps: list[tuple[str, list[int], int]], metric: Metric, seed: int
    ) -> None:
        """Whatever is added, removed and searched, the rows and distances are those of a plain dict."""
        random = np.random.default_rng(seed)
        index = self.make(3, metric)
        model: dict[int, Vectors] = {}
        for act, rows, k in steps:
            vectors = random.integers(-2, 3, size=(len(rows), 3)).astype(np.float32)  # many ties, some zeros
            if act == "add":
                new = [at for at, row in enumerate(rows) if row not in model]
                index.add(vectors[new], [rows[at] for at in new])
                model |= {rows[at]: vectors[at] for at in new}
            elif act == "remove":
                assert index.remove(rows) == sum(row in model for row in rows)
                model = {row: vector for row, vector in model.items() if row not in rows}
            else:
                allowed = None if act == "search" else rows
                names = [row for row in model if allowed is None or row in allowed]
                held = np.array([model[row] for row in names], dtype=np.float32).reshape(-1, 3)
                found = index.search(vectors, k, allowed)
                self.verify(found, vectors, k, held, np.array(names, dtype=np.int64), metric)

    def same(self, one: SearchResult, two: SearchResult) -> None:
        """Require two answers to be equal, bit by bit."""
        np.testing.assert_array_equal(one.ids, two.ids)
        np.testing.assert_array_equal(one.distances, two.distances)
        np.testing.assert_array_equal(one.counts, two.counts)
