"""Hops along nearest-neighbour edges against a breadth-first search over a written-out graph."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archindex.core.errors import ArgumentError
from archindex.indexes import ExactIndex
from archindex.queries.hops import Reach, reach
from archindex.queries.searched import Searched

N = 80
RNG = np.random.default_rng(1)
VECTORS = RNG.normal(size=(N, 3)).astype(np.float32)
IDS = RNG.permutation(1000)[:N]
EXACT = ExactIndex(3, "l2")
EXACT.build(VECTORS, IDS)
SEARCHED = Searched(lambda: EXACT, lambda: EXACT, True, IDS)
PLACE = {int(i): at for at, i in enumerate(IDS)}


class Some:
    """A filter that lets some positions through."""

    def __init__(self, positions: npt.NDArray[np.int64]) -> None:
        self._positions = positions
        self.count = len(positions)
        self.expected = np.array([float(len(positions))])
        self.possible = self.expected > 0
        self.estimated = float(len(positions))
        self.clustered = False

    def judged(self, lists: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        return self.possible[lists], self.expected[lists]

    def positions(self) -> npt.NDArray[np.int64]:
        return self._positions

    def selected(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        return np.isin(positions, self._positions)

    def within(self, lists: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
        return self._positions, N


def vectors_of(ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    return VECTORS[[PLACE[int(i)] for i in ids]]


def edges(point: npt.NDArray[np.float32], own: int | None, among: list[int], k: int) -> list[int]:
    far = {i: float(np.linalg.norm(VECTORS[PLACE[i]] - point)) for i in among if i != own}
    return sorted(far, key=lambda i: (far[i], i))[:k]


def follow(start: int | None, point: npt.NDArray[np.float32], allowed: Some | None, **asked: int) -> Reach:
    return reach(point, start, vectors_of, SEARCHED, allowed, **asked, recall="exact")


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    share=st.sampled_from([None, 0.1, 0.5]),
    hops=st.integers(1, 4),
    k=st.integers(1, 5),
    stranger=st.booleans(),
)
def test_it_is_a_breadth_first_search(
    seed: int, share: float | None, hops: int, k: int, stranger: bool
) -> None:
    rng = np.random.default_rng(seed)
    own = None if stranger else int(rng.choice(IDS))
    point = rng.normal(size=3).astype(np.float32) if own is None else VECTORS[PLACE[own]]
    allowed = None if share is None else Some(np.flatnonzero(rng.random(N) < share))
    among = [int(i) for i in (IDS if allowed is None else IDS[allowed.positions()])]
    depth: dict[int, int] = {} if own is None else {own: 0}
    met: list[int] = []
    front: list[int | None] = [own]
    for hop in range(1, hops + 1):
        following: list[int | None] = []
        for one in front:
            for i in edges(point if one is None else VECTORS[PLACE[one]], one, among, k):
                if i not in depth:
                    depth[i] = hop
                    met.append(i)
                    following.append(i)
        front = following
    found = follow(own, point, allowed, hops=hops, k=k, limit=N)
    assert found.ids.tolist() == met
    assert found.hops.tolist() == [depth[i] for i in met]
    assert not found.cut
    for i, row_id in enumerate(met):
        path = found.path(i)
        assert path[-1] == row_id
        assert len(path) == depth[row_id]
        steps: list[int | None] = [own, *path]
        for a, b in pairwise(steps):
            here = point if a is None else VECTORS[PLACE[a]]
            assert b in edges(here, a, among, k)
        last = point if steps[-2] is None else VECTORS[PLACE[steps[-2]]]
        assert found.lengths[i] == pytest.approx(np.linalg.norm(VECTORS[PLACE[row_id]] - last), abs=1e-5)


def test_the_limit_bounds_the_work() -> None:
    whole = follow(int(IDS[0]), VECTORS[0], None, hops=5, k=4, limit=N)
    part = follow(int(IDS[0]), VECTORS[0], None, hops=5, k=4, limit=10)
    assert part.cut
    assert part.ids.tolist() == whole.ids[:10].tolist()
    assert part.distance_computations < whole.distance_computations


def test_nothing_allowed_reaches_nothing() -> None:
    found = follow(int(IDS[0]), VECTORS[0], Some(np.empty(0, dtype=np.int64)), hops=3, k=4, limit=10)
    assert len(found.ids) == 0
    assert not found.cut


@pytest.mark.parametrize("bad", [{"hops": 0}, {"k": 0}, {"limit": 0}])
def test_what_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ArgumentError):
        follow(None, VECTORS[0], None, **{"hops": 1, "k": 1, "limit": 1, **bad})
