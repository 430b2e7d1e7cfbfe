"""StrategyCase: what every search strategy must do, as tests to inherit.

::

    class TestMyStrategy(StrategyCase):
        @staticmethod
        def make(pool, objective, seed, maximize):
            return MyStrategy(pool, objective, seed=seed, maximize=maximize)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import pytest

from archindex.api import build
from archindex.core.errors import ArchitectureError, ArgumentError
from archindex.core.metrics import MeasurementSpec, Series
from archindex.datasets import Table
from archindex.datasets.nasbench201 import computed_costs
from archindex.search.base import Strategy
from archindex.search.pool import Pool
from archindex.spaces.base import Architecture
from archindex.spaces.nasbench201 import NASBench201
from archindex.store.snapshot import Snapshot

OBJECTIVE: Final = "toy_score"
"""Measured column of the default index, larger is better: `toy_score` of each row."""

_built: Final[dict[Callable[[Path], Snapshot], Snapshot]] = {}


def toy_score(architecture: Architecture) -> float:
    """Return a figure that any string has and that differs between most, aliases included."""
    return float(sum(i * ord(c) for i, c in enumerate(architecture.native)) % 1009)


def small_table(n: int = 160, seed: int = 0) -> Table:
    """Return about `n` NAS-Bench-201 cells with computed costs and `toy_score`; needs no data set."""
    drawn = list(dict.fromkeys(NASBench201().sample(n, seed=seed)))
    natives = tuple(a.native for a in drawn)
    scores = np.array([toy_score(a) for a in drawn])
    series = (*computed_costs(natives), Series(MeasurementSpec("score", "toy"), scores))
    return Table("toy", "nasbench201", natives, series)


class StrategyCase:
    """Inherit, name the class ``Test...`` and override :meth:`make`.

    For another search space override :meth:`index`, with :attr:`where`, :meth:`allows` and :attr:`few`.

    Attributes
    ----------
    where : str
        Constraint on computed columns that part of the rows satisfy.
    few : str
        Constraint that 4 to 20 rows of the index and no other architecture satisfy.
    """

    where: ClassVar[str] = "cifar10_flops_m < 60"
    few: ClassVar[str] = f"{OBJECTIVE} < 60"

    @staticmethod
    def make(pool: Pool, objective: str, seed: int, maximize: bool | None) -> Strategy:
        """Return a fresh strategy."""
        raise NotImplementedError

    @staticmethod
    def index(folder: Path) -> Snapshot:
        """Return an index of at least 100 architectures, not a whole space, built in an empty folder."""
        return build(folder, small_table(), engine="exact").snapshot

    @staticmethod
    def allows(architecture: Architecture) -> bool:
        """Return whether an architecture satisfies :attr:`where`, without asking the index."""
        return bool(NASBench201().costs([architecture.native], "cifar10").flops[0] < 60e6)

    @pytest.fixture
    def snapshot(self, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
        """The index, built once for all classes with the same hook: not to be written to."""
        if self.index not in _built:
            _built[self.index] = self.index(tmp_path_factory.mktemp("strategy") / "index")
        return _built[self.index]

    def fresh(
        self, snapshot: Snapshot, where: str | None = None, *, seed: int = 0, maximize: bool | None = True
    ) -> Strategy:
        """Return a strategy with a pool of its own: pools grow."""
        return self.make(Pool(snapshot, where), OBJECTIVE, seed, maximize)

    @staticmethod
    def search(strategy: Strategy, queries: int, batch: int) -> list[Architecture]:
        """Ask and tell `toy_score`; return what was asked."""
        asked: list[Architecture] = []
        while len(asked) < queries:
            architectures = strategy.ask(min(batch, queries - len(asked)))
            strategy.tell(architectures, [toy_score(a) for a in architectures])
            asked.extend(architectures)
        return asked

    @pytest.mark.parametrize("batch", [1, 7, 50])
    def test_nothing_is_asked_twice_and_the_best_is_kept(self, snapshot: Snapshot, batch: int) -> None:
        """A batch is as large as wanted, all different; what was told is kept in order."""
        strategy = self.fresh(snapshot)
        asked = self.search(strategy, 50, batch)
        assert len(set(asked)) == len(asked) == 50
        assert strategy.told == [(a, toy_score(a)) for a in asked]
        assert strategy.best is not None
        assert strategy.best[1] == toy_score(strategy.best[0]) == max(toy_score(a) for a in asked)

    def test_nothing_is_known_before_the_first_value(self, snapshot: Snapshot) -> None:
        """Asking alone tells nothing."""
        strategy = self.fresh(snapshot)
        strategy.ask(3)
        assert strategy.best is None
        assert strategy.told == []

    def test_the_seed_decides(self, snapshot: Snapshot) -> None:
        """The same seed and values give the same search, another seed another."""
        one, same, other = (self.search(self.fresh(snapshot, seed=s), 36, 4) for s in (5, 5, 6))
        assert one == same
        assert one != other

    def test_the_direction_follows_from_the_column(self, snapshot: Snapshot) -> None:
        """Unless it is given."""
        named = self.fresh(snapshot, maximize=None)
        assert named.objective.maximize
        batch = named.ask(4)
        named.tell(batch, [3.0, 9.0, 5.0, 7.0])
        assert named.best == (batch[1], 9.0)

    def test_minimizing_is_maximizing_the_negative(self, snapshot: Snapshot) -> None:
        """Direction is a matter of sign alone."""
        up, down = self.fresh(snapshot, seed=2), self.fresh(snapshot, seed=2, maximize=False)
        for _ in range(9):
            batch = up.ask(4)
            assert down.ask(4) == batch
            up.tell(batch, [toy_score(a) for a in batch])
            down.tell(batch, [-toy_score(a) for a in batch])
        assert up.best is not None
        assert down.best == (up.best[0], -up.best[1])

    def test_everything_asked_satisfies_the_constraint(self, snapshot: Snapshot) -> None:
        """In the index or not; and what does not is not taken when told."""
        strategy = self.fresh(snapshot, self.where)
        assert all(self.allows(a) for a in self.search(strategy, 40, 4))
        everything = Pool(snapshot)
        strangers = (everything.architecture(i) for i in range(len(everything)))
        outside = next(a for a in strangers if not self.allows(a))
        told = strategy.told
        with pytest.raises(ArchitectureError, match="constraint"):
            strategy.tell([told[0][0], outside], [1.0, 1.0])
        assert strategy.told == told

    @pytest.mark.parametrize("batch", [1, 3, 1000])
    def test_a_search_ends_when_no_candidate_is_left(self, snapshot: Snapshot, batch: int) -> None:
        """The last batch is shorter, then comes an empty one."""
        pool = Pool(snapshot, self.few)
        strategy = self.make(pool, OBJECTIVE, 0, True)
        asked: list[Architecture] = []
        while architectures := strategy.ask(batch):
            strategy.tell(architectures, [toy_score(a) for a in architectures])
            asked.extend(architectures)
        assert len(set(asked)) == len(asked) == len(pool)
        assert 4 <= len(asked) <= 20
        assert strategy.ask(1) == []

    def test_what_the_index_lacks_is_asked_before_a_search_ends(self, snapshot: Snapshot) -> None:
        """Where the index has no more rows under the constraint, the space may have."""
        strategy = self.fresh(snapshot, self.where)
        known = Pool(snapshot, self.where)
        strategy.tell([known.architecture(i) for i in range(len(known))], np.arange(len(known)))
        batch = strategy.ask(5)
        assert len(batch) == 5
        assert all(self.allows(a) and known.position(a) is None for a in batch)

    def test_no_candidate_at_all(self, snapshot: Snapshot) -> None:
        """A constraint that no row satisfies ends the search at once."""
        strategy = self.fresh(snapshot, f"({self.where}) AND NOT ({self.where})")
        assert strategy.ask(3) == []
        assert strategy.best is None

    def test_an_index_without_a_match_can_still_be_told_one(self, snapshot: Snapshot) -> None:
        """Strangers that satisfy the constraint are candidates, and the search goes on around them."""
        known = Pool(snapshot, self.where)
        start = known.architecture(0)
        around = [a for a in start.space.neighbors(start) if self.allows(a) and known.position(a) is None]
        none_of_index = f"({self.where}) AND {OBJECTIVE} IS NULL"
        strategy = self.fresh(snapshot, none_of_index)
        assert strategy.ask(1) == []
        strategy.tell(around[:1], [1.0])
        for _ in range(12):
            batch = strategy.ask(2)
            assert len(batch) == 2
            assert all(self.allows(a) for a in batch)
            strategy.tell(batch, [toy_score(a) for a in batch])
        assert len(strategy.told) == 25

    def test_failures_are_told_as_nan(self, snapshot: Snapshot) -> None:
        """They are kept, never asked again and never the best."""
        strategy = self.fresh(snapshot, seed=3)
        for i in range(12):
            batch = strategy.ask(3)
            strategy.tell(batch, [np.nan if (i + j) % 2 else toy_score(a) for j, a in enumerate(batch)])
        told = strategy.told
        assert len({a for a, _ in told}) == 36
        assert sum(np.isnan(value) for _, value in told) == 18
        assert strategy.best is not None
        assert strategy.best[1] == max(value for _, value in told if not np.isnan(value))

    def test_nothing_but_failures(self, snapshot: Snapshot) -> None:
        """A search without a single value goes on."""
        strategy = self.fresh(snapshot, seed=3)
        for _ in range(6):
            batch = strategy.ask(4)
            strategy.tell(batch, [np.nan] * 4)
        assert len({a for a, _ in strategy.told}) == 24
        assert strategy.best is None

    def test_equal_values(self, snapshot: Snapshot) -> None:
        """A search that learns nothing goes on; the first of equals is the best."""
        strategy = self.fresh(snapshot)
        first = strategy.ask(1)
        strategy.tell(first, [2.5])
        for _ in range(6):
            batch = strategy.ask(4)
            strategy.tell(batch, [2.5] * 4)
        assert strategy.best == (first[0], 2.5)

    def test_what_was_never_asked_can_be_told(self, snapshot: Snapshot) -> None:
        """Rows and strangers alike, before the first question too; they are not asked then."""
        strategy, known = self.fresh(snapshot), Pool(snapshot)
        home = known.architecture(0).space
        strangers = [a for a in home.sample(50, seed=99) if known.position(a) is None][:2]
        given = [*strangers, known.architecture(3)]
        strategy.tell(given, [1e6, 3e6, 2e6])
        assert strategy.best == (given[1], 3e6)
        assert not set(given) & set(self.search(strategy, 30, 3))

    def test_batches_may_be_told_late_and_in_parts(self, snapshot: Snapshot) -> None:
        """As parallel workers do: nothing that is out is asked again."""
        strategy = self.fresh(snapshot)
        out: list[Architecture] = []
        told: list[Architecture] = []
        for i in range(16):
            out.extend(strategy.ask(3))
            assert len(set(told + out)) == 3 * (i + 1)
            if i % 3 == 2:
                back, out = out[::-2], out[-2::-2]
                strategy.tell(back, [toy_score(a) for a in back])
                told.extend(back)
        assert [a for a, _ in strategy.told] == told
        assert out

    def test_a_value_told_again_replaces_the_first(self, snapshot: Snapshot) -> None:
        """A second measurement stands; the search goes on."""
        strategy = self.fresh(snapshot)
        asked = self.search(strategy, 12, 4)
        strategy.tell(asked[:1], [5000.0])
        assert strategy.best == (asked[0], 5000.0)
        strategy.tell(asked[:1], [-1.0])
        assert dict(strategy.told)[asked[0]] == -1.0
        assert len(strategy.told) == 12
        assert not set(asked) & set(strategy.ask(4))

    def test_a_corrected_value_leaves_no_trace(self, snapshot: Snapshot) -> None:
        """What follows is as if the latest value had been the only one."""
        strategy, twin = self.fresh(snapshot), self.fresh(snapshot)
        for _ in range(6):
            batch = strategy.ask(4)
            assert batch == twin.ask(4)
            for value in (5000.0, -5000.0):
                strategy.tell(batch[:1], [value])
            for each in (strategy, twin):
                each.tell(batch, [toy_score(a) for a in batch])
        batch = [a for a, _ in strategy.told[:8]]
        for value in (5000.0, -5000.0):
            strategy.tell(batch, [value] * 8)
        for each in (strategy, twin):
            each.tell(batch, [toy_score(a) for a in batch])
        assert self.search(strategy, 12, 4) == self.search(twin, 12, 4)
        assert strategy.told == twin.told

    def test_refused_values_change_nothing(self, snapshot: Snapshot) -> None:
        """Bad calls are refused with ArgumentError, and the search goes on as if they had not been."""
        strategy, twin = self.fresh(snapshot), self.fresh(snapshot)
        for _ in range(4):
            batch = strategy.ask(4)
            assert batch == twin.ask(4)
            for values in ([1.0], [1.0] * 5, [[1.0] * 4], [1.0, 2.0, 3.0, np.inf], [-np.inf, 1.0, 2.0, 3.0]):
                with pytest.raises(ArgumentError):
                    strategy.tell(batch, values)
            no_batches: list[Any] = [[a.native for a in batch], batch[0], batch[0].native, None, [5] * 4]
            for wrong in no_batches:
                with pytest.raises(ArgumentError, match="expected a list of architectures"):
                    strategy.tell(wrong, [1.0] * 4)
            no_values: list[Any] = [["a"] * 4, [None, "x", 1, 2], [10**400] * 4, object()]
            for no_numbers in no_values:
                with pytest.raises(ArgumentError, match="expected numbers"):
                    strategy.tell(batch, no_numbers)
            for n in (0, -1, 1.5, True):
                with pytest.raises(ArgumentError):
                    strategy.ask(n)  # type: ignore[arg-type]
            strategy.tell([], [])
            assert strategy.told == twin.told
            for each in (strategy, twin):
                each.tell(batch, [toy_score(a) for a in batch])

    def test_a_replayed_search_goes_on_as_before(self, snapshot: Snapshot) -> None:
        """Asked again and told what came back, a fresh strategy stands where the first one stood."""
        strategy, again = self.fresh(snapshot, seed=7), self.fresh(snapshot, seed=7)
        past = []
        for _ in range(5):
            batch = strategy.ask(5)
            values = [np.nan if i == 2 else toy_score(a) for i, a in enumerate(batch)]
            strategy.tell(batch, values)
            past.append((batch, values))
        for batch, values in past:
            assert again.ask(5) == batch
            again.tell(batch, values)
        assert self.search(again, 15, 5) == self.search(strategy, 15, 5)
        assert repr(again.told) == repr(strategy.told)
