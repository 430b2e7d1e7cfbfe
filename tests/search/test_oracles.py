"""Oracles keep their contract, and each wrapper does the one thing that it is for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import archindex as ax
from archindex.core.errors import ArgumentError, BudgetExhaustedError, UnknownNameError
from archindex.search.oracle import Budgeted, Cached, ColumnOracle, Counting, Noisy, Objective, Oracle
from archindex.spaces.base import Architecture
from archindex.testing.oracle_case import OracleCase
from archindex.testing.strategy_case import toy_score


class Scores(Oracle):
    """Gives every architecture its toy score, but for failures, and keeps what it was asked."""

    def __init__(self, *failing: Architecture) -> None:
        self.calls: list[list[Architecture]] = []
        self._failing = failing

    @property
    def objective(self) -> Objective:
        return Objective("toy_score", True)

    def evaluate(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.float64]:
        self.calls.append(list(architectures))
        return np.array([np.nan if a in self._failing else toy_score(a) for a in architectures])


@pytest.fixture
def some() -> list[Architecture]:
    return list(dict.fromkeys(ax.space("nasbench201").sample(9, seed=1)))[:8]


class TestColumnOracle(OracleCase):
    @pytest.fixture(autouse=True)
    def _index(self, built_index: Path) -> None:
        self.index = ax.open(built_index)

    def make(self) -> Oracle:
        return ColumnOracle(self.index.snapshot, Objective.of("cifar10_valid_acc"))

    def architectures(self) -> list[Architecture]:
        return [hit.architecture for hit in self.index.query(0, k=12)]

    def test_values_are_those_of_the_column(self) -> None:
        hits = self.index.query(0, k=30)
        for name in ("cifar10_valid_acc", "n_ops"):
            oracle = ColumnOracle(self.index.snapshot, Objective(name, True))
            assert oracle.evaluate(hits.architectures).tolist() == [h.attributes[name] for h in hits]

    def test_what_has_no_value_is_a_failure(self, index_path: Path) -> None:
        index = ax.open(index_path)
        stranger = next(
            a for a in ax.space("nasbench201").sample(50, seed=3) if not index.snapshot.find(a.native)
        )
        index.add([stranger])
        values = ColumnOracle(index.snapshot, Objective.of("cifar10_valid_acc")).evaluate([stranger])
        assert np.isnan(values).tolist() == [True]

    def test_what_cannot_be_looked_up_is_refused(self) -> None:
        with pytest.raises(UnknownNameError, match="cifar10_valid_acc"):
            ColumnOracle(self.index.snapshot, Objective("cifar10_valid_ac", True))
        with pytest.raises(ArgumentError, match="numbers"):
            ColumnOracle(self.index.snapshot, Objective("space", True))
        known = {a.native for a in self.index.query(0, k=400).architectures}
        stranger = next(a for a in ax.space("nasbench201").sample(50, seed=3) if a.native not in known)
        with pytest.raises(UnknownNameError, match="row in the index"):
            self.make().evaluate([stranger])


class TestCounting(OracleCase):
    def make(self) -> Oracle:
        return Counting(Scores())

    def test_queries_and_distinct_architectures_are_counted(self, some: list[Architecture]) -> None:
        counting = Counting(Scores())
        counting.evaluate(some[:3])
        counting.evaluate([some[0], some[3], some[3]])
        assert counting.queries == 6
        assert counting.distinct == set(some[:4])

    def test_aliases_count_apart(self) -> None:
        space = ax.space("nasbench201")
        dead = "|{}~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
        aliases = [space.parse(dead.format(op)) for op in ("none", "nor_conv_3x3")]
        assert aliases[0].arch_id == aliases[1].arch_id
        counting = Counting(Scores())
        counting.evaluate(aliases)
        assert counting.distinct == set(aliases)


class TestCached(OracleCase):
    def make(self) -> Oracle:
        return Cached(Scores(*self.architectures()[:2]))

    def test_each_architecture_is_evaluated_once(self, some: list[Architecture]) -> None:
        inner = Scores(some[1])
        cached = Cached(inner)
        cached.evaluate([some[0], some[1], some[0]])
        values = cached.evaluate([some[2], some[1], some[0], some[2]])
        cached.evaluate(some[:3])
        assert inner.calls == [some[:2], some[2:3]]
        np.testing.assert_array_equal(values, Scores(some[1]).evaluate([some[2], some[1], some[0], some[2]]))


class TestBudgeted(OracleCase):
    def make(self) -> Oracle:
        return Budgeted(Scores(), 1000)

    def test_a_batch_beyond_the_budget_is_refused_whole(self, some: list[Architecture]) -> None:
        inner = Scores()
        budgeted = Budgeted(inner, 5)
        budgeted.evaluate(some[:3])
        with pytest.raises(BudgetExhaustedError, match="at most 2 more"):
            budgeted.evaluate(some[3:6])
        assert inner.calls == [some[:3]]
        budgeted.evaluate(some[3:5])
        assert budgeted.left == 0
        with pytest.raises(BudgetExhaustedError):
            budgeted.evaluate(some[:1])
        assert len(budgeted.evaluate([])) == 0

    def test_what_the_cache_knows_costs_nothing(self, some: list[Architecture]) -> None:
        cached = Cached(Budgeted(Scores(), 4))
        for _ in range(3):
            cached.evaluate(some[:4])
        with pytest.raises(BudgetExhaustedError):
            cached.evaluate(some[:5])

    def test_an_evaluation_that_raises_is_not_charged(self, some: list[Architecture]) -> None:
        class Broken(Scores):
            def evaluate(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.float64]:
                raise RuntimeError("out of memory")

        budgeted = Budgeted(Broken(), 4)
        with pytest.raises(RuntimeError):
            budgeted.evaluate(some[:2])
        assert budgeted.left == 4

    @pytest.mark.parametrize("budget", [-1, 2.5, True])
    def test_a_budget_is_a_whole_number(self, budget: int) -> None:
        with pytest.raises(ArgumentError, match="budget"):
            Budgeted(Scores(), budget)


class TestNoisy(OracleCase):
    repeatable = False

    def make(self) -> Oracle:
        return Noisy(Scores(self.architectures()[0]), 3.0, seed=4)

    def test_the_noise_is_gaussian(self, some: list[Architecture]) -> None:
        many = some * 500
        noise = Noisy(Scores(), 3.0).evaluate(many) - Scores().evaluate(many)
        assert abs(noise.mean()) < 0.2
        assert abs(noise.std() - 3.0) < 0.2
        assert 0.66 < (np.abs(noise) < 3.0).mean() < 0.71
        np.testing.assert_array_equal(Noisy(Scores(), 0.0).evaluate(some), Scores().evaluate(some))

    @pytest.mark.parametrize("deviation", [-1.0, np.nan, np.inf])
    def test_a_deviation_is_a_size(self, deviation: float) -> None:
        with pytest.raises(ArgumentError, match="deviation"):
            Noisy(Scores(), deviation)


def test_the_direction_of_an_objective() -> None:
    assert Objective.of("cifar10_valid_acc").maximize
    assert not Objective.of("cifar10_latency_ms").maximize
    assert not Objective.of("cifar10_valid_acc", maximize=False).maximize
    assert Objective.of("anything", maximize=True) == Objective("anything", True)
    with pytest.raises(ArgumentError, match="--maximize"):
        Objective.of("anything")
