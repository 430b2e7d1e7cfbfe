"""The plain Gaussian process: the peer that a search has to be at least as good as.

One isotropic Matern 5/2 kernel, its length, amplitude and noise by maximum a posteriori, on structural
features and the logarithms of params and FLOPs; rank-Gaussianised targets; upper confidence bound; batches of
five; ten random architectures first; the whole pool scored. It shares the walk's features and linear algebra,
so that what differs is the method and not the solver.
"""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from archindex.search.base import Strategy
from archindex.search.candidates import STANDARDISED, Candidates
from archindex.search.pool import Pool
from archindex.search.surrogate import Surrogate, gaussianised

INITIAL: Final = 10
BATCH: Final = 5
BETA: Final = 1.0


class PlainGP(Strategy):
    """Bayesian optimisation as one would write it in an hour."""

    name: ClassVar[str] = "plain_gp"

    def __init__(self, pool: Pool, objective: str, *, seed: int = 0, maximize: bool | None = None) -> None:
        super().__init__(pool, objective, seed=seed, maximize=maximize)
        self._candidates = Candidates(pool, self._rng)
        scaled = Surrogate(self._candidates.groups, STANDARDISED).features
        self._surrogate = Surrogate({"all": np.hstack(scaled)})
        self._labels: list[float] = []
        self._queue: list[int] = []

    def _propose(self, n: int) -> list[int]:
        if not self._queue:
            self._queue = self._random(INITIAL) if len(self._labels) < INITIAL else self._batch()
        return [self._queue.pop(0)]

    def _learn(self, positions: list[int]) -> None:
        for position in positions:
            place, score = self._candidates.place(position), self._told[position]
            if place is not None and not np.isnan(score):
                self._surrogate.observe(place)
                self._labels.append(score)

    def _batch(self) -> list[int]:
        posterior = self._surrogate.posterior(gaussianised(np.array(self._labels)))
        chosen: list[int] = []
        for _ in range(BATCH):
            score = posterior.mean + BETA * np.sqrt(posterior.variance)
            for place in np.argsort(-score, kind="stable"):
                members = self._fresh(self._candidates.members(int(place)))
                members = members[~np.isin(members, chosen)]
                if len(members):
                    chosen.append(int(self._rng.choice(members)))
                    posterior.believe(int(place))
                    break
        return chosen
