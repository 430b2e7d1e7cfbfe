"""Strategy: what asks for architectures and learns from their values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from archindex.core.checks import check_int
from archindex.core.errors import ArchitectureError, ArgumentError
from archindex.core.rng import generator
from archindex.search.oracle import Objective
from archindex.search.pool import Pool
from archindex.spaces.base import Architecture


class Strategy(ABC):
    """Base of all search strategies: ``ask`` for architectures, ``tell`` their values.

    No architecture is asked twice; aliases (other strings of the same function) count as others. The same
    seed and the same values give the same search. A subclass implements `_propose`, and `_learn` if it
    keeps more than what is kept here.

    Parameters
    ----------
    pool : Pool
        The candidates.
    objective : str
        What is searched for: an attribute column, or any name.
    seed : int
        Seed of everything random.
    maximize : bool, optional
        Which way is better; None: as the metric of the column says.

    Examples
    --------
    >>> walk = index.walk("cifar10_valid_acc", seed=0)  # doctest: +SKIP
    >>> batch = walk.ask(8)  # doctest: +SKIP
    >>> walk.tell(batch, [train(a) for a in batch])  # doctest: +SKIP
    """

    name: ClassVar[str]

    def __init__(self, pool: Pool, objective: str, *, seed: int = 0, maximize: bool | None = None) -> None:
        self.pool = pool
        self.objective = Objective.of(objective, maximize)
        self.seed = check_int("seed", seed, low=0)
        self._rng = generator(seed, self.name)
        self._asked: set[int] = set()
        self._told: dict[int, float] = {}
        self._grown: set[int] = set()

    @property
    def told(self) -> list[tuple[Architecture, float]]:
        """All architectures told so far with their values, in order; NaN where an evaluation failed."""
        sign = 1.0 if self.objective.maximize else -1.0
        return [(self.pool.architecture(i), sign * score) for i, score in self._told.items()]

    @property
    def best(self) -> tuple[Architecture, float] | None:
        """The best architecture told so far and its value; None before the first."""
        valid = [(a, value) for a, value in self.told if not np.isnan(value)]
        if not valid:
            return None
        return (max if self.objective.maximize else min)(valid, key=lambda pair: pair[1])

    def ask(self, n: int = 1) -> list[Architecture]:
        """Return up to `n` architectures to evaluate; fewer, or none, when no other candidate is left.

        Raises
        ------
        ArgumentError
            If `n` is less than 1.
        """
        chosen: list[int] = []
        self._grow(check_int("n", n, low=1))
        wanted = min(n, len(self.pool) - len(self._asked))
        while len(chosen) < wanted:
            proposed = self._propose(wanted - len(chosen))
            chosen.extend(proposed)
            self._asked.update(proposed)
            if not proposed:
                break
        return [self.pool.architecture(i) for i in chosen]

    def tell(self, architectures: Sequence[Architecture], values: npt.ArrayLike) -> None:
        """Learn the values of architectures, asked for or not; the latest value of each counts.

        Parameters
        ----------
        architectures : sequence of Architecture
            What was evaluated.
        values : array_like of float64, shape (n,)
            Their values; NaN where the evaluation failed.

        Raises
        ------
        ArgumentError
            If something else than architectures or numbers is given, the lengths differ, or a value is
            infinite.
        ArchitectureError
            If an architecture does not satisfy the constraint of the search.
        """
        if not isinstance(architectures, Sequence) or not all(
            isinstance(a, Architecture) for a in architectures
        ):
            raise ArgumentError("expected a list of architectures, as `ask` returns them", got=architectures)
        try:
            array = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            raise ArgumentError("expected numbers, or NaN where an evaluation failed", got=values) from None
        if array.shape != (len(architectures),):
            raise ArgumentError(
                f"expected one value for each of {len(architectures)} architectures", got=array.shape
            )
        if np.isinf(array).any():
            raise ArgumentError("expected finite values, or NaN where an evaluation failed", got="inf")
        self.pool.admit(architectures)
        positions = []
        for architecture in architectures:
            position = self.pool.position(architecture)
            if position is None:
                raise ArchitectureError(
                    "expected an architecture that satisfies the constraint of this search",
                    got=str(architecture),
                )
            positions.append(position)
        scores = array if self.objective.maximize else -array
        self._asked.update(positions)
        self._told.update(zip(positions, scores.tolist(), strict=True))
        self._learn(positions)

    @abstractmethod
    def _propose(self, n: int) -> list[int]:
        """Return 1 to `n` positions of the pool that were not asked, all different; none if there is none."""

    def _learn(self, positions: list[int]) -> None:  # noqa: B027
        """Take note that positions have a score in ``_told``, new or corrected; nothing by default.

        Larger is better, NaN is a failure.
        """

    def _grow(self, n: int) -> None:
        """Where fewer than `n` candidates are left, admit the neighbours of what was asked."""
        for position in sorted(self._asked - self._grown):
            if len(self.pool) - len(self._asked) >= n:
                break
            self.pool.neighbors(position)
            self._grown.add(position)

    def _fresh(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return those of `positions` that were not asked."""
        return np.array([i for i in positions.tolist() if i not in self._asked], dtype=np.int64)

    def _random(self, n: int) -> list[int]:
        """Return up to `n` positions that were not asked, uniformly at random."""
        left = len(self.pool) - len(self._asked)
        if left > len(self.pool) // 2:
            drawn: dict[int, None] = {}
            while len(drawn) < min(n, left):
                position = int(self._rng.integers(len(self.pool)))
                if position not in self._asked:
                    drawn[position] = None
            return list(drawn)
        free = np.setdiff1d(np.arange(len(self.pool)), np.fromiter(self._asked, np.int64))
        chosen: list[int] = self._rng.permutation(free)[:n].tolist()
        return chosen
