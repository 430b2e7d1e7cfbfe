"""SPANN through the conformance suite, and what is particular to it."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import numpy as np
import pytest

from archindex.core.errors import ArgumentError, CorruptIndexError, StorageError
from archindex.indexes import ExactIndex, Metric, VectorIndex, make_index
from archindex.indexes import spann as module
from archindex.indexes.postings import Coder, RecordFile, run_of
from archindex.indexes.spann import SpannIndex
from archindex.indexes.spann_lists import Centroids
from archindex.testing.index_case import IndexCase, both_metrics
from archindex.testing.vectors import clustered, true_distances

N, DIM = 6_000, 32


class TestSpann(IndexCase):
    recall = 0.98
    planned_within = 0.2  # how many lists there will be depends on how the vectors lie

    def make(self, dim: int, metric: Metric) -> VectorIndex:
        return SpannIndex(dim, metric)

    def test_memory_is_counted(self) -> None:
        """Vectors are on disk; in memory are centroids, and rows that were added since."""
        index, vectors, _ = self.filled("l2", n=3000, dim=64)
        assert isinstance(index, SpannIndex)
        assert index.memory_bytes() < vectors.nbytes / 4
        assert index.disk_bytes() > vectors.nbytes
        before = index.memory_bytes()
        index.add(vectors[:100], np.arange(100))
        assert index.memory_bytes() >= before + vectors[:100].nbytes


class TestSpannOfManyLists(TestSpann):
    """As a large index is: many more lists than are read."""

    def make(self, dim: int, metric: Metric) -> VectorIndex:
        return SpannIndex(dim, metric, list_rows=12, probes=20)


class TestSpannOfPrefixes(TestSpann):
    """Lists and codes of the first entries alone; these vectors hold as much in any others."""

    recall = 0.97

    def make(self, dim: int, metric: Metric) -> VectorIndex:
        return SpannIndex(dim, metric, prefix=max(1, 3 * dim // 4), rerank=30, bits=32)


def filled(metric: Metric = "l2", **parameters: int | None) -> tuple[SpannIndex, np.ndarray]:
    vectors = clustered(N, DIM)
    index = SpannIndex(DIM, metric, **parameters)  # type: ignore[arg-type]
    index.build(vectors, np.arange(N))
    return index, vectors


def missed(index: SpannIndex, vectors: np.ndarray) -> float:
    exact = ExactIndex(DIM, index.metric)
    exact.build(vectors, np.arange(N))
    queries = vectors[::40] + 0.01 * clustered(N // 40, DIM, seed=9)
    truth, found = exact.search(queries, 10), index.search(queries, 10)
    return float((found.distances > truth.distances[:, -1:] * (1 + 1e-5)).mean())


@both_metrics
def test_recall_and_what_each_part_is_for(metric: Metric) -> None:
    index, vectors = filled(metric, list_rows=24, probes=24)
    assert missed(index, vectors) <= 0.02
    index.effort = 4
    few = missed(index, vectors)
    assert few > 0.02
    open_lists, _ = filled(metric, list_rows=24, probes=4, copies=1)
    assert missed(open_lists, vectors) > few
    index.effort = 24
    before = index.search(vectors[:100], 10).distance_computations
    index.slack = 20
    assert index.search(vectors[:100], 10).distance_computations < 0.8 * before
    index.slack = None
    assert index.search(vectors[:100], 10).distance_computations > before


def test_lists_are_balanced_and_closed() -> None:
    index, _ = filled(list_rows=24, copies=3)
    disk = index._disk
    assert disk is not None
    sizes = np.diff(disk.starts)
    assert sizes.max() <= 4 * 24
    held = disk.postings.read(np.array([0]), np.array([len(disk.postings)]))["position"].copy()
    copies = np.bincount(held, minlength=N)
    assert copies.min() == 1
    assert 1 < copies.max() <= 3
    owner = np.repeat(np.arange(len(sizes)), sizes)
    assert len(set(zip(owner.tolist(), held.tolist(), strict=True))) == len(held)
    # Rows lie list by list, each in one of the lists that are hardly farther than its nearest.
    rows = disk.rows.read(np.array([0]), np.array([N]))
    points, places = rows["vector"] - disk.origin, disk.centroids.points()
    away = np.linalg.norm(points[held] - places[owner], axis=1)
    nearest = np.full(N, np.inf)
    np.minimum.at(nearest, held, away)
    assert (away <= 1.1001 * nearest[held] + 1e-5).all()
    own = np.repeat(np.arange(len(sizes)), disk.members)
    assert np.allclose(np.linalg.norm(points - places[own], axis=1), nearest, atol=1e-4)


def test_equal_rows_make_lists_of_their_own_size() -> None:
    index = SpannIndex(4, list_rows=16)
    vectors = np.repeat(np.eye(4, dtype=np.float32)[:2], 300, axis=0)
    index.build(vectors, np.arange(600))
    assert index._disk is not None
    assert np.diff(index._disk.starts).max() <= 24
    assert (index.search(vectors[:1], 300).distances == 0).all()


@pytest.mark.parametrize("bits", [8, 32])
def test_codes_tell_distances(bits: int) -> None:
    random = np.random.default_rng(0)
    sizes = np.array([5, 1, 30])
    centroids = random.normal(size=(3, 12)).astype(np.float32)
    owner = np.repeat(np.arange(3), sizes)
    points = centroids[owner] + 0.1 * random.normal(size=(36, 12)).astype(np.float32)
    coder, query = Coder(12, bits), random.normal(size=12).astype(np.float32)
    postings, scales = coder.encode(points, np.arange(36), centroids, sizes)
    away = ((centroids - query) ** 2).sum(axis=1)
    told = coder.squared(postings, query, away, scales, sizes)
    truth = true_distances(points, query, "l2") ** 2
    assert np.allclose(told, truth, atol=0.03 if bits == 8 else 1e-4)
    assert postings["position"].tolist() == list(range(36))


def test_runs_are_read_together_and_in_their_order() -> None:
    file = RecordFile.new(np.dtype([("number", "<i8")]))
    records = np.zeros(100_000, dtype=file.dtype)
    records["number"] = np.arange(100_000)
    file.append(records)
    rows = np.array([3, 4, 5, 900, 901, 50_000, 99_999])
    starts, sizes = run_of(rows)
    assert starts.tolist() == [3, 900, 50_000, 99_999]
    assert sizes.tolist() == [3, 2, 1, 1]
    assert file.read(starts, sizes)["number"].tolist() == rows.tolist()
    assert file.reads == 3  # the first two runs in one
    every_other = np.arange(0, 6_000, 2)
    assert file.read(every_other, np.ones(3_000, dtype=np.int64))["number"].tolist() == every_other.tolist()
    assert file.read(rows[:0], rows[:0]).tolist() == []
    with pytest.raises(CorruptIndexError):
        file.read(np.array([99_999]), np.array([2]))


def test_added_rows_are_folded_into_the_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TAIL", 150)
    index, vectors = filled(list_rows=24)
    index.remove(np.arange(0, N, 3))
    more = clustered(600, DIM, seed=4)
    for start in range(0, 600, 100):
        index.add(more[start : start + 100], np.arange(N + start, N + start + 100))
    assert len(index._tail) < 200
    assert len(index) == N - N // 3 + 600
    kept = np.arange(N)[np.arange(N) % 3 > 0]
    exact = ExactIndex(DIM)
    exact.build(np.concatenate([vectors[kept], more]), np.concatenate([kept, np.arange(N, N + 600)]))
    queries = np.concatenate([vectors[:60], more[::10]])
    truth, found = exact.search(queries, 10), index.search(queries, 10)
    assert (found.distances <= truth.distances[:, -1:] * (1 + 1e-5)).mean() >= 0.98
    assert not np.isin(found.ids, np.arange(0, N, 3)).any()
    assert index.remove(np.arange(N + 600)) == len(kept) + 600
    assert index.search(queries, 3).counts.tolist() == [0] * len(queries)


def test_filters_near_and_far_are_never_short() -> None:
    index, vectors = filled(list_rows=24, probes=4)
    order = np.argsort(true_distances(vectors, vectors[0], "l2"))
    random = np.random.default_rng(1)
    for rows in (order[-3000:], order[-900:], order[-20:], random.permutation(N)[:2500], order[:2500]):
        found = index.search(vectors[:3], 10, rows)
        assert (found.counts == 10).all()
        assert np.isin(found.ids, rows).all()
        truth = np.sort(true_distances(vectors[rows], vectors[0], "l2"))[:10]
        assert (found.distances[0] <= truth[-1] * (1 + 1e-5)).mean() >= 0.9


def test_a_mapped_array_is_read_where_it_lies(tmp_path: Path) -> None:
    vectors = clustered(N, DIM)
    np.save(tmp_path / "v.npy", vectors)
    told: list[tuple[str, int, int]] = []
    index = SpannIndex(DIM)
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    index.build(mapped, np.arange(N), progress=lambda *state: told.append(state))
    other = SpannIndex(DIM)
    other.build(vectors, np.arange(N))
    one, two = index.search(vectors[:50], 10), other.search(vectors[:50], 10)
    np.testing.assert_array_equal(one.ids, two.ids)
    assert {stage for stage, _, _ in told} >= {"close lists", "write rows", "write lists"}
    assert all(0 < done <= total for _, done, total in told)


def test_saved_where_it_was_loaded_from(tmp_path: Path) -> None:
    index, vectors = filled()
    index.save(tmp_path)
    loaded = SpannIndex.load(tmp_path)
    loaded.add(vectors[:5] + 1, np.arange(N, N + 5))
    loaded.save(tmp_path)
    again = SpannIndex.load(tmp_path)
    assert again.search(vectors[:5] + 1, 1).ids[:, 0].tolist() == list(range(N, N + 5))
    assert len(again) == N + 5


def test_a_full_disk_is_told_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TAIL", 10)
    index, vectors = filled()
    before = index.search(vectors[:20], 5)
    new = np.arange(N, N + 300)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        with pytest.raises(StorageError):
            index.build(vectors, np.arange(N))
        with pytest.raises(StorageError):
            index.save(tmp_path)
        with pytest.raises(StorageError):
            index.add(vectors[:300], new)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    np.testing.assert_array_equal(index.search(vectors[:20], 5).ids, before.ids)
    index.add(vectors[:300], new)
    assert len(index) == N + 300


def test_settings_are_kept_and_checked(tmp_path: Path) -> None:
    index = make_index("spann", 8, "cosine", 3, list_rows=50, prefix=4, slack=None)
    index.build(clustered(300, 8), np.arange(300))
    index.save(tmp_path)
    loaded = SpannIndex.load(tmp_path)
    assert (loaded.slack, loaded.effort, loaded.metric, loaded.dim) == (None, 64, "cosine", 8)
    assert loaded._disk is not None
    assert loaded._disk.plan.prefix == 4
    for name, value in (("bits", 4), ("prefix", 9), ("copies", 0), ("slack", -1), ("list_rows", 0)):
        with pytest.raises(ArgumentError):
            make_index("spann", 8, **{name: value})  # type: ignore[arg-type]


def test_centroids_are_found_where_the_graph_does_not_reach_them() -> None:
    places = np.concatenate([np.zeros((200, 3)), clustered(20, 3)]).astype(np.float32)
    centroids = Centroids.of(places, seed=0)
    found, squared = centroids.nearest(places[-2:], 220)
    assert [sorted(row.tolist()) for row in found] == [list(range(220))] * 2
    for row, away, place in zip(found, squared, places[-2:], strict=True):
        np.testing.assert_allclose(away, ((places[row] - place) ** 2).sum(axis=1), rtol=1e-5)
        assert (np.diff(away) >= 0).all()
