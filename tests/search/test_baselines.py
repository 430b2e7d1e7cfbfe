"""The baselines do what their papers say, move by move, on pools whose neighbours are written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from archindex.search.base import Strategy
from archindex.search.baselines import LocalSearch, RandomSearch, RegularizedEvolution
from archindex.search.pool import Pool
from archindex.spaces.base import Architecture
from archindex.spaces.nasbench201 import NASBench201


class Graph(Pool):
    """Numbered architectures with given neighbours."""

    def __init__(self, n: int, edges: Mapping[int, Sequence[int]]) -> None:
        self._all = list(dict.fromkeys(NASBench201().sample(2 * n, seed=0)))[:n]
        self._edges = edges

    def __len__(self) -> int:
        return len(self._all)

    def architecture(self, position: int) -> Architecture:
        return self._all[position]

    def position(self, architecture: Architecture) -> int | None:
        return self._all.index(architecture) if architecture in self._all else None

    def admit(self, architectures: Sequence[Architecture]) -> None:
        """Nothing comes in."""

    def neighbors(self, position: int) -> npt.NDArray[np.int64]:
        return np.array(self._edges.get(position, ()), dtype=np.int64)


def ask(strategy: Strategy, n: int = 1) -> list[int]:
    """Ask for numbers."""
    positions = [strategy.pool.position(a) for a in strategy.ask(n)]
    return [p for p in positions if p is not None]


def tell(strategy: Strategy, values: Mapping[int, float]) -> None:
    strategy.tell([strategy.pool.architecture(i) for i in values], list(values.values()))


def disjoint(n: int, around: int = 4) -> dict[int, range]:
    """A tree: nobody shares a child with another, so that a child tells its parent."""
    return {i: range(around * i + 1, min(around * i + around + 1, n)) for i in range(n // around)}


def ring(n: int = 400, strides: Sequence[int] = (1, 7, 60, 211)) -> dict[int, list[int]]:
    """Everybody has as many neighbours, none of which is a neighbour of another."""
    return {i: [(i + stride) % n for stride in strides] for i in range(n)}


@pytest.fixture
def population(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three alive, all of them in each tournament: evolution without chance in the choice of a parent."""
    monkeypatch.setattr("archindex.search.baselines.POPULATION", 3)
    monkeypatch.setattr("archindex.search.baselines.SAMPLE", 3)


@pytest.mark.usefixtures("population")
class TestEvolution:
    def test_the_best_of_the_living_has_the_child(self) -> None:
        """The oldest dies however good it was."""
        edges = disjoint(400)
        evolution = RegularizedEvolution(Graph(400, edges), "score", maximize=True)
        tell(evolution, {1: 10.0, 2: 1.0, 3: 2.0})
        children = []
        for parent, value in ((1, 0.5), (3, 0.3), (3, 0.1)):
            (child,) = ask(evolution)
            assert child in edges[parent]
            tell(evolution, {child: value})
            children.append(child)
        # None of the first three is left; the eldest child is the best of the living.
        (grandchild,) = ask(evolution)
        assert grandchild in edges[children[0]]

    def test_the_first_population_is_random(self) -> None:
        evolution = RegularizedEvolution(Graph(400, {}), "score", maximize=True, seed=1)
        assert len(set(ask(evolution, 3))) == 3

    def test_failures_have_no_children_and_push_nobody_out(self) -> None:
        edges = disjoint(400)
        evolution = RegularizedEvolution(Graph(400, edges), "score", maximize=True)
        tell(evolution, {1: 10.0, 2: 1.0, 3: 2.0})
        tell(evolution, dict.fromkeys(range(50, 60), np.nan))
        (child,) = ask(evolution)
        assert child in edges[1]

    def test_a_corrected_value_counts_in_the_tournament(self) -> None:
        edges = disjoint(400)
        evolution = RegularizedEvolution(Graph(400, edges), "score", maximize=True)
        tell(evolution, {1: 5.0, 2: 99.0, 3: 2.0})
        tell(evolution, {2: 0.5})
        (child,) = ask(evolution)
        assert child in edges[1]
        # One that turns out a failure has no children; one that turns out none may.
        tell(evolution, {1: np.nan, 2: np.nan})
        (child,) = ask(evolution)
        assert child in edges[3]
        tell(evolution, {2: 50.0})
        (child,) = ask(evolution)
        assert child in edges[2]

    def test_a_child_that_was_asked_before_is_mutated_again(self) -> None:
        pool = Graph(400, {1: [2], 2: [3], 3: [4]})
        evolution = RegularizedEvolution(pool, "score", maximize=True)
        tell(evolution, {1: 10.0, 2: 1.0, 3: 2.0})
        assert ask(evolution) == [4]

    def test_where_all_around_was_asked_it_goes_elsewhere(self) -> None:
        evolution = RegularizedEvolution(Graph(40, {1: [2], 2: [1]}), "score", maximize=True)
        tell(evolution, {1: 10.0, 2: 1.0, 3: 2.0})
        assert set(ask(evolution, 5)).isdisjoint({1, 2, 3})


def test_a_tournament_is_among_a_sample_of_the_living(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two of three the worst never wins, the second at times."""
    monkeypatch.setattr("archindex.search.baselines.POPULATION", 3)
    monkeypatch.setattr("archindex.search.baselines.SAMPLE", 2)
    edges = {i: range(100 * i, 100 * i + 100) for i in (1, 2, 3)}
    pool, parents = Graph(400, edges), []
    for seed in range(60):
        evolution = RegularizedEvolution(pool, "score", maximize=True, seed=seed)
        tell(evolution, {1: 3.0, 2: 2.0, 3: 1.0})
        parents.append(ask(evolution)[0] // 100)
    assert set(parents) == {1, 2}
    assert parents.count(1) > parents.count(2) > 9


@pytest.fixture
def one_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archindex.search.baselines.STARTS", 1)


@pytest.mark.usefixtures("one_start")
class TestLocalSearch:
    def test_it_moves_to_the_first_better_neighbour(self) -> None:
        """Not to the best of them: the rest of the neighbourhood is left alone."""
        edges = ring()
        local = LocalSearch(Graph(400, edges), "score", maximize=True, seed=0)
        (start,) = ask(local)
        tell(local, {start: 5.0})
        (worse,) = ask(local)
        tell(local, {worse: 4.0})
        (equal,) = ask(local)
        tell(local, {equal: 5.0})
        (better,) = ask(local)
        tell(local, {better: 6.0})
        assert len({worse, equal, better} & set(edges[start])) == 3
        (then,) = ask(local)
        assert then in edges[better]

    def test_neighbours_come_in_random_order(self) -> None:
        strides = range(50, 70)
        orders = set()
        for seed in range(3):
            local = LocalSearch(Graph(400, ring(400, strides)), "score", maximize=True, seed=seed)
            (start,) = ask(local)
            tell(local, {start: 5.0})
            orders.add(tuple((i - start) % 400 for i in ask(local, 20)))
        assert len(orders) == 3
        assert {frozenset(order) for order in orders} == {frozenset(strides)}

    def test_a_local_optimum_is_left_for_a_random_start(self) -> None:
        edges = ring()
        local = LocalSearch(Graph(400, edges), "score", maximize=True, seed=0)
        (top,) = ask(local)
        tell(local, {top: 9.0})
        for _ in range(4):
            (neighbour,) = ask(local)
            assert neighbour in edges[top]
            tell(local, {neighbour: 1.0})
        (fresh,) = ask(local)
        assert fresh not in edges[top]
        tell(local, {fresh: 2.0})  # lower than the old top, and all the same where the search goes on
        (next_one,) = ask(local)
        assert next_one in edges[fresh]

    def test_what_is_known_is_compared_without_asking(self) -> None:
        local = LocalSearch(Graph(10, {i: [9] for i in range(9)} | {9: [8]}), "score", maximize=True, seed=3)
        tell(local, {9: 50.0})
        (start,) = ask(local)
        assert start not in (8, 9)
        tell(local, {start: 1.0})
        assert ask(local) == [8]

    def test_any_neighbour_is_better_than_a_start_that_failed(self) -> None:
        edges = ring()
        local = LocalSearch(Graph(400, edges), "score", maximize=True, seed=0)
        (start,) = ask(local)
        tell(local, {start: np.nan})
        (first,) = ask(local)
        tell(local, {first: -100.0})
        (then,) = ask(local)
        assert first in edges[start]
        assert then in edges[first]

    def test_a_failed_neighbour_is_not_moved_to(self) -> None:
        edges = ring()
        local = LocalSearch(Graph(400, edges), "score", maximize=True, seed=0)
        (start,) = ask(local)
        tell(local, {start: 1.0})
        tell(local, {ask(local)[0]: np.nan})
        assert ask(local)[0] in edges[start]


def test_a_climb_starts_from_the_best_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure is the worst of them."""
    monkeypatch.setattr("archindex.search.baselines.STARTS", 3)
    edges = ring()
    local = LocalSearch(Graph(400, edges), "score", maximize=True, seed=1)
    a, b, c = ask(local, 3)
    tell(local, {a: np.nan, b: 7.0, c: 2.0})
    assert set(ask(local, 4)) == set(edges[b])


def test_random_search_is_uniform() -> None:
    """Each of ten is the first as often as the others, and each of the pairs of a batch."""
    first = np.zeros(10)
    pairs = np.zeros((10, 10))
    for seed in range(2000):
        one, two = ask(RandomSearch(Graph(10, {}), "score", maximize=True, seed=seed), 2)
        first[one] += 1
        pairs[one, two] += 1
    assert np.diag(pairs).sum() == 0
    assert (np.abs(first - 200) < 60).all()  # more than four standard deviations
    assert (pairs[~np.eye(10, dtype=bool)] > 0).all()
