"""Lists: what they hold, searches of them against brute force, and what is learned from the rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archindex.core.errors import ArgumentError, CorruptIndexError
from archindex.core.recall import LEVELS
from archindex.indexes import ExactIndex, HnswIndex, Metric
from archindex.indexes.calibrate import MaskFilter, calibrate
from archindex.indexes.curve import BINS, HitCurve
from archindex.indexes.dimension import intrinsic_dimension
from archindex.indexes.list_files import FILE, load_lists, save_lists
from archindex.indexes.lists import Lists
from archindex.indexes.probe import ListSearch

N, DIM, TAIL = 6_000, 8, 50

Floats = npt.NDArray[np.float32]


def clustered(n: int, seed: int) -> Floats:
    """Points of 20 clusters, some of them twice, one of them zero, far from the origin in one direction."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(20, DIM)) * 3
    points = centres[rng.integers(20, size=n)] + rng.normal(size=(n, DIM)) * rng.random((n, 1))
    points[:, 0] += 50
    points[n // 2 : n // 2 + 10] = points[:10]
    points[7] = 0
    return points.astype(np.float32)


class Case:
    """Rows in list order, with a tail in no list, and their search."""

    def __init__(self, metric: Metric) -> None:
        given = clustered(N, 0)
        self.lists, order = Lists.of(given, metric, seed=0)
        self.vectors = np.concatenate([given[order], clustered(TAIL, 1)])
        self.ids = np.random.default_rng(2).permutation(10 * N)[: len(self.vectors)]
        self.engine = HnswIndex(DIM, metric)
        self.engine.build(given[order], self.ids[:N])
        self.calibration = calibrate(self.lists, self.vectors[:N], self.ids[:N], self.engine, seed=0)
        self.search = ListSearch(self.lists, self.vectors, self.ids, self.calibration)
        self.exact = ExactIndex(DIM, metric)
        self.exact.build(self.vectors, self.ids)


@pytest.fixture(scope="module", params=["l2", "cosine"])
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def test_lists_hold_every_row_once_within_their_radius(case: Case) -> None:
    lists = case.lists
    assert len(lists) == round(N / 256)
    assert lists.sizes.sum() == N
    owner = np.repeat(np.arange(len(lists)), lists.sizes)
    points = case.vectors[:N].astype(np.float64)
    if lists.metric == "cosine":
        norms = np.linalg.norm(points, axis=1, keepdims=True)
        points = np.hstack([points / np.where(norms == 0, 1, norms), norms == 0])
    away = np.linalg.norm(points - lists.centroids[owner], axis=1)
    assert (away <= lists.radii[owner]).all()
    nearest = np.linalg.norm(points[:, None] - lists.centroids[None], axis=2).min(axis=1)
    assert np.allclose(away, nearest, rtol=1e-3, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    k=st.sampled_from([1, 3, 10, 200, N + 100]),
    share=st.sampled_from([0.0, 0.001, 0.02, 0.3, 1.0]),
    contiguous=st.booleans(),
)
def test_a_proof_gives_what_comparing_all_gives(
    case: Case, data: st.DataObject, k: int, share: float, contiguous: bool
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n = len(case.vectors)
    mask = rng.random(n) < share
    if contiguous:
        start = int(rng.integers(n))
        mask = (np.arange(n) >= start) & (np.arange(n) < start + share * n)
    query = case.vectors[rng.integers(n)] + np.float32(rng.choice([0, 0.01, 5])) * rng.normal(size=DIM)
    query = query.astype(np.float32)
    found = case.search.nearest(query, k, MaskFilter(mask, case.search.starts), recall=1)
    among = case.search.among(query, k, np.flatnonzero(mask))
    truth = case.exact.search(query, k, case.ids[mask])
    count = int(truth.counts[0])
    assert found is not None
    assert found.missed == 0
    for one in (found, among):
        assert one.ids.tolist() == truth.ids[0, :count].tolist()
        assert np.allclose(one.distances, truth.distances[0, :count], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["independent", "far", "none"])
def test_levels_keep_their_word_and_read_less(case: Case, level: str, kind: str) -> None:
    rng = np.random.default_rng(5)
    hits, read = 0.0, 0
    attribute = case.vectors[:, 1] + rng.normal(size=len(case.vectors)).astype(np.float32)
    rows = rng.choice(len(case.vectors), 60, replace=False)
    for row in rows:
        mask = rng.random(len(case.vectors)) < 0.1
        if kind == "far":
            mask = attribute > np.quantile(attribute, 0.9) if attribute[row] < 0 else attribute < -3
        allowed = None if kind == "none" else MaskFilter(mask, case.search.starts)
        found = case.search.nearest(case.vectors[row], 10, allowed, recall=LEVELS[level])
        truth = case.exact.search(case.vectors[row], 10, None if allowed is None else case.ids[mask])
        assert found is not None
        hits += (found.distances <= truth.distances[0, truth.counts[0] - 1]).sum() / truth.counts[0]
        read += found.rows
    assert hits / len(rows) >= LEVELS[level]
    assert read < (1.0 if level == "high" else 0.7) * len(rows) * N


class TooFew(MaskFilter):
    """A filter that is believed to let a hundredth of the rows through that it does."""

    def __init__(self, mask: npt.NDArray[np.bool_], starts: npt.NDArray[np.int64]) -> None:
        super().__init__(mask, starts)
        self.lists = self.expected > 0
        self.expected = self.expected / 100

    def judged(self, lists: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        return self.lists[lists], self.expected[lists]


def test_wrong_estimates_cost_no_recall(case: Case) -> None:
    rng = np.random.default_rng(6)
    hits = 0.0
    rows = rng.choice(len(case.vectors), 60, replace=False)
    for row in rows:
        mask = rng.random(len(case.vectors)) < 0.3
        found = case.search.nearest(case.vectors[row], 10, TooFew(mask, case.search.starts), recall=0.95)
        truth = case.exact.search(case.vectors[row], 10, case.ids[mask])
        assert found is not None
        hits += (found.distances <= truth.distances[0, -1]).sum() / 10
    assert hits / len(rows) >= 0.95


def test_a_search_gives_up_where_it_would_read_too_much(case: Case) -> None:
    mask = np.arange(len(case.vectors)) % 100 == 0
    allowed = MaskFilter(mask, case.search.starts)
    assert case.search.nearest(case.vectors[0], 10, allowed, recall=1, most=300) is None


def test_removed_rows_and_new_ones(case: Case) -> None:
    kept = np.random.default_rng(3).random(N) < 0.7
    vectors, ids = case.vectors[:N][kept], case.ids[:N][kept]
    search = ListSearch(case.lists.keeping(kept), vectors, ids, case.calibration)
    exact = ExactIndex(DIM, case.lists.metric)
    exact.build(vectors, ids)
    for query in case.vectors[::977]:
        found = search.nearest(query, 5, None, recall=1)
        assert found is not None
        assert found.ids.tolist() == exact.search(query, 5).ids[0].tolist()
    grown, order = case.lists.with_tail(case.vectors)
    assert sorted(order.tolist()) == list(range(N + TAIL))
    assert grown.sizes.sum() == N + TAIL
    assert grown.trained == N
    assert (grown.radii >= case.lists.radii * (1 - 1e-6)).all()


def test_efforts_rise_with_the_level(case: Case) -> None:
    for k in (1, 10, 40, 100, 300):
        efforts = [case.search.effort(recall, k) for recall in (0.5, 0.9, 0.95, 0.99)]
        assert None not in efforts
        assert efforts == sorted(efforts, key=lambda effort: effort or 0)
        assert case.search.effort(1.0, k) is None
    for recall in (0.9, 0.95, 0.99):
        efforts = [case.search.effort(recall, k) for k in (1, 10, 11, 40, 100, 101, 300)]
        assert efforts == sorted(efforts, key=lambda effort: effort or 0)


def test_files(case: Case, tmp_path: Path) -> None:
    assert load_lists(tmp_path) is None
    save_lists(tmp_path / "lists", case.lists, case.calibration)
    found = load_lists(tmp_path / "lists")
    assert found is not None
    lists, calibration = found
    for name in ("centroids", "starts", "radii", "spreads", "dimensions"):
        assert np.array_equal(getattr(lists, name), getattr(case.lists, name))
    assert (lists.metric, lists.trained) == (case.lists.metric, N)
    assert calibration.misses == case.calibration.misses
    assert calibration.misses_of_many == case.calibration.misses_of_many
    assert all(calibration.misses_of_many[level] <= calibration.misses[level] for level in LEVELS)
    assert calibration.efforts == case.calibration.efforts
    assert calibration.efforts_of_many == case.calibration.efforts_of_many
    path = tmp_path / "lists" / FILE
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(CorruptIndexError, match="expected the lists"):
        load_lists(tmp_path / "lists")


@pytest.mark.parametrize("dimension", [2, 6, 12])
def test_the_intrinsic_dimension_is_that_of_the_data(dimension: int) -> None:
    rng = np.random.default_rng(0)
    flat = np.zeros((20_000, 32), dtype=np.float32)
    flat[:, :dimension] = rng.random((20_000, dimension))
    lists, order = Lists.of(flat, "l2", seed=0)
    learned = calibrate(lists, flat[order], np.arange(len(flat)), seed=0)
    assert abs(learned.intrinsic_dimension - dimension) < 0.25 * dimension


def test_dimension_from_distances() -> None:
    reaches = np.sort(np.random.default_rng(0).random((500, 100)) ** (1 / 5), axis=1)
    assert abs(intrinsic_dimension(reaches) - 5) < 0.5


def test_the_curve_falls_and_stays_positive() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 1000, size=BINS).astype(np.float64)
    hits = np.minimum(rows, rng.integers(0, 3, size=BINS) * (np.arange(BINS) < 60))
    curve = HitCurve.counted(hits, rows)
    assert (np.diff(curve.share) <= 0).all()
    assert 0 < curve.share[-1] < curve.share[0] <= 1
    close, far = curve(np.array([-1.0, 5.0], dtype=np.float32))
    assert close > far


def test_a_query_of_another_dimension_is_refused(case: Case) -> None:
    short = case.vectors[0, :-1]
    with pytest.raises(ArgumentError, match=f"{DIM} entries"):
        case.search.among(short, 3, np.arange(10))


def test_lists_of_format_1_are_as_if_they_were_not_there(case: Case, tmp_path: Path) -> None:
    save_lists(tmp_path, case.lists, case.calibration)
    file = tmp_path / "lists.npz"
    with np.load(file) as stored:
        content = {name: stored[name] for name in stored.files if name != "dimensions"}
    np.savez(file, **content)
    assert load_lists(tmp_path) is None


def test_how_far_out_a_ball_lies() -> None:
    rng = np.random.default_rng(0)
    cloud = np.concatenate([rng.normal(size=(4000, 8)), 40 + rng.normal(size=(4000, 8))]).astype(np.float32)
    lists, order = Lists.of(cloud, "l2", seed=0)
    assert abs(np.median(lists.dimensions) - 7.5) < 1
    query = cloud[order[5]]
    squared, _ = lists.squared(query)
    everywhere = np.arange(len(lists))
    further = [lists.beyond(squared, reach, everywhere) for reach in (0.5, 1.0, 2.0)]
    assert (np.diff(further, axis=0) < 0).all()
    some, out = np.array([3, 1]), lists.beyond(squared, 1.0, everywhere)
    assert np.array_equal(lists.beyond(squared[some], 1.0, some), out[some])
    other = (lists.centroids.mean(axis=1) > 20) != (query.mean() > 20)
    assert out[other].min() > out[~other].max()
