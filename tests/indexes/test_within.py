"""All rows within a distance, by the balls of lists, against comparing all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archindex.core.errors import ArgumentError
from archindex.indexes import ExactIndex, Metric
from archindex.indexes.calibrate import MaskFilter, calibrate
from archindex.indexes.lists import Lists
from archindex.indexes.probe import ListSearch
from archindex.queries.searched import Searched
from archindex.queries.within import FEW, range_search

N, DIM, TAIL = 6_000, 6, 40

Floats = npt.NDArray[np.float32]


class Allowed(MaskFilter):
    """A filter that knows its positions, and their number or not."""

    def __init__(self, mask: npt.NDArray[np.bool_], starts: npt.NDArray[np.int64], *, known: bool) -> None:
        super().__init__(mask, starts)
        self.count = int(mask.sum()) if known else None

    clustered = False

    @property
    def estimated(self) -> float:
        return float(self.expected.sum())

    @property
    def possible(self) -> npt.NDArray[np.bool_]:
        return self.expected > 0

    def positions(self) -> npt.NDArray[np.int64]:
        return np.flatnonzero(self._mask)

    def selected(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        return self._mask[positions]


class Case:
    def __init__(self, metric: Metric) -> None:
        rng = np.random.default_rng(3)
        centres = rng.normal(size=(12, DIM)) * 3
        rows = centres[rng.integers(12, size=N + TAIL)] + rng.normal(size=(N + TAIL, DIM))
        rows[:, 0] += 20
        rows[100:140] = rows[:40]
        rows[7] = 0
        given = rows.astype(np.float32)
        self.lists, order = Lists.of(given[:N], metric, seed=0)
        self.vectors = np.concatenate([given[:N][order], given[N:]])
        self.ids = rng.permutation(10 * N)[: len(self.vectors)]
        calibration = calibrate(self.lists, self.vectors[:N], self.ids[:N], seed=0)
        self.search = ListSearch(self.lists, self.vectors, self.ids, calibration)
        self.exact = ExactIndex(DIM, metric)
        self.exact.build(self.vectors, self.ids)

    def searched(self, *, lists: bool) -> Searched:
        return Searched(
            lambda: self.exact, lambda: self.exact, True, self.ids, self.search if lists else None
        )


@pytest.fixture(scope="module", params=["l2", "cosine"])
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    share=st.sampled_from([None, 0.0, 0.01, 0.4, 1.0]),
    reach=st.sampled_from([0.0, 1e-7, 0.01, 0.2, 0.8, 1e6]),
    known=st.booleans(),
    lists=st.booleans(),
    limit=st.sampled_from([1, 17, N]),
)
def test_finds_what_comparing_all_finds(
    case: Case, seed: int, share: float | None, reach: float, known: bool, lists: bool, limit: int
) -> None:
    rng = np.random.default_rng(seed)
    query = case.vectors[rng.integers(len(case.vectors))] + np.float32(rng.choice([0, 0.3])) * rng.normal(
        size=DIM
    ).astype(np.float32)
    mask = rng.random(len(case.vectors)) < (1 if share is None else share)
    allowed = None if share is None else Allowed(mask, case.search.starts, known=known)
    truth = case.exact.search(query[None], max(1, int(mask.sum())), case.ids[mask])
    far = truth.distances[0, : truth.counts[0]]
    # Up to the distance of some row, so that one lies just on the edge.
    radius = float(far[int(reach * (len(far) - 1))]) if len(far) and reach < 1 else reach
    inside = int((far <= radius).sum())
    ranged = range_search(query[None], radius, case.searched(lists=lists), allowed, limit=limit)
    assert ranged.totals.tolist() == [inside]
    assert ranged.found.counts.tolist() == [min(inside, limit)]
    assert ranged.found.ids[0].tolist() == truth.ids[0, : min(inside, limit)].tolist()
    assert np.allclose(ranged.found.distances[0], far[: min(inside, limit)], rtol=1e-6, atol=1e-12)
    assert ranged.plan.proved


def test_reads_only_lists_that_reach_into_the_ball(case: Case) -> None:
    away = case.exact.search(case.vectors[:1], 20).distances[0, -1]
    ranged = range_search(case.vectors[:1], float(away), case.searched(lists=True), limit=100)
    assert 0 < ranged.plan.lists_read < len(case.lists) / 2
    assert ranged.plan.rows_read < N / 2
    assert "lists" in ranged.plan.explain()


def test_a_batch_has_rows_of_its_own(case: Case) -> None:
    queries = case.vectors[[0, 50, 7]]
    batch = range_search(queries, 0.05, case.searched(lists=True), limit=FEW)
    for i, query in enumerate(queries):
        one = range_search(query[None], 0.05, case.searched(lists=True), limit=FEW)
        assert batch.totals[i] == one.totals[0]
        assert batch.found.ids[i, : batch.found.counts[i]].tolist() == one.found.ids[0].tolist()


@pytest.mark.parametrize("bad", [{"radius": -1.0}, {"radius": float("nan")}, {"limit": 0}])
def test_refuses_what_makes_no_sense(case: Case, bad: dict[str, float]) -> None:
    asked = {"radius": 1.0, "limit": 10, **bad}
    with pytest.raises(ArgumentError):
        range_search(case.vectors[:1], asked["radius"], case.searched(lists=True), limit=int(asked["limit"]))
