"""The baselines that a search is compared with: random search, regularised evolution, local search."""

from __future__ import annotations

from collections import deque
from typing import ClassVar, Final

import numpy as np

from archindex.search.base import Strategy
from archindex.search.pool import Pool

POPULATION: Final = 10
SAMPLE: Final = 10
"""Population and tournament size of the evolution, tuned on NAS-Bench-101 by benchmarks/tune_baselines.py."""

STARTS: Final = 10
"""Random architectures of which a local search starts from the best; tuned likewise."""


class RandomSearch(Strategy):
    """Asks uniformly at random, without replacement."""

    name: ClassVar[str] = "random"

    def _propose(self, n: int) -> list[int]:
        return self._random(n)


class RegularizedEvolution(Strategy):
    """Aging evolution: a tournament among the youngest, one mutation, the oldest dies.

    A child that was asked before is mutated once more, so that no query is wasted.

    References
    ----------
    Real et al., "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019.
    """

    name: ClassVar[str] = "evolution"

    def __init__(self, pool: Pool, objective: str, *, seed: int = 0, maximize: bool | None = None) -> None:
        super().__init__(pool, objective, seed=seed, maximize=maximize)
        self._population: deque[int] = deque(maxlen=POPULATION)
        self._born: set[int] = set()

    def _propose(self, n: int) -> list[int]:
        if len(self._asked) < POPULATION or not self._population:
            return self._random(1)
        drawn = self._rng.choice(len(self._population), min(SAMPLE, len(self._population)), replace=False)
        child = max((self._population[i] for i in drawn), key=lambda one: (self._told[one], one))
        # Bounded, because around a parent everything may have been asked.
        for _ in range(100):
            around = self.pool.neighbors(child)
            if len(around) == 0:
                break
            child = int(self._rng.choice(around))
            if child not in self._asked:
                return [child]
        return self._random(1)

    def _learn(self, positions: list[int]) -> None:
        for position in positions:
            if np.isnan(self._told[position]):
                self._born.discard(position)
                if position in self._population:
                    self._population.remove(position)
            elif position not in self._born:
                # A value that is corrected later is no second birth.
                self._born.add(position)
                self._population.append(position)


class LocalSearch(Strategy):
    """Hill climbing by first improvement, with random restarts once a local optimum is reached.

    Neighbours whose value is known already are compared without asking again.

    References
    ----------
    White et al., "Exploring the Loss Landscape in Neural Architecture Search", UAI 2021.
    """

    name: ClassVar[str] = "local"

    def __init__(self, pool: Pool, objective: str, *, seed: int = 0, maximize: bool | None = None) -> None:
        super().__init__(pool, objective, seed=seed, maximize=maximize)
        self._starts: list[int] = []
        self._current: int | None = None
        self._left: list[int] = []  # neighbours of the current one to look at, the next one last
        self._waiting: list[int] = []  # neighbours that were asked and not told yet

    def _propose(self, n: int) -> list[int]:
        while True:
            if self._current is None:
                if len(self._starts) < STARTS:
                    drawn = self._random(1)
                    self._starts.extend(drawn)
                    return drawn
                self._move(max(self._starts, key=self._height))
            elif not self._climb():
                if self._left:
                    candidate = self._left.pop()
                    self._waiting.append(candidate)
                    if candidate not in self._asked:
                        return [candidate]
                elif self._waiting:
                    return self._random(1)  # a batch wants more than the neighbourhood has
                else:
                    self._starts, self._current = [], None

    def _climb(self) -> bool:
        """Move to a neighbour that turned out better than the current one, if there is one."""
        assert self._current is not None
        height = self._height(self._current)
        told = [i for i in self._waiting if i in self._told]
        self._waiting = [i for i in self._waiting if i not in self._told]
        better = next((i for i in told if self._told[i] > height), None)
        if better is not None:
            self._move(better)
        return better is not None

    def _height(self, position: int) -> float:
        """Return the score of a position; what failed, or was not told yet, is lower than all else."""
        score = self._told.get(position, np.nan)
        return -np.inf if np.isnan(score) else score

    def _move(self, position: int) -> None:
        self._current = position
        self._left = self._rng.permutation(self.pool.neighbors(position)).tolist()
        self._waiting = []
