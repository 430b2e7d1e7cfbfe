"""The walk: a search around the best of what it knows, with the index as its memory.

Each round: the best architectures told are the elites. What lies near them comes into view: their
neighbours in the space, and the rows of the index nearest to them and between them. A Gaussian process on
structural features and computed costs scores all that is in view; the architecture with the
highest expected improvement is asked, then the next one as if the first had come back as expected.

Two things set it apart from the usual Bayesian optimisation. The surrogate's unit is the class of aliases,
the query's unit is the string: expected improvement counts the label noise, so that an alias of a strong
class is asked exactly when another draw of noise is worth more than another class. And the posterior is
widened while labels are few, because the fitted relevances are then more certain than they should be.

References
----------
Jones et al., "Efficient Global Optimization of Expensive Black-Box Functions", 1998 (expected improvement).
Arthur and Vassilvitskii, "k-means++", 2007 (the spread of the first queries).
"""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from archindex.search.base import Strategy
from archindex.search.candidates import STANDARDISED, Candidates
from archindex.search.pool import Pool
from archindex.search.surrogate import Surrogate, gaussianised

INITIAL: Final = 8
"""Architectures asked before the surrogate is used."""

WIDENING: Final = 2.0
"""The latent standard deviation is multiplied by 1 + WIDENING * INITIAL / labels."""

ELITES: Final = 5
"""Best classes around which further candidates are brought into view."""

NEAREST: Final = 32
"""Rows of the index that each elite, and each midpoint between two, brings into view."""


class Walk(Strategy):
    """Latent-space search around the top performers.

    Examples
    --------
    >>> walk = index.walk("cifar10_valid_acc", where="cifar10_latency_ms < 14", seed=0)  # doctest: +SKIP
    >>> for _ in range(10):  # doctest: +SKIP
    ...     batch = walk.ask(8)
    ...     walk.tell(batch, [evaluate(a) for a in batch])
    >>> walk.best  # doctest: +SKIP
    """

    name: ClassVar[str] = "walk"

    def __init__(self, pool: Pool, objective: str, *, seed: int = 0, maximize: bool | None = None) -> None:
        super().__init__(pool, objective, seed=seed, maximize=maximize)
        self._candidates = Candidates(pool, self._rng)
        # A pool that is empty has no features yet: the first architecture told brings them.
        if len(self._candidates):
            self._surrogate = Surrogate(self._candidates.groups, STANDARDISED)
        self._observed: set[int] = set()
        self._expanded: set[int] = set()

    def _propose(self, n: int) -> list[int]:
        if not self._free().any():
            self._bring_in(np.arange(len(self.pool)))
        if len(self._asked) < INITIAL or len(self._observed) < 2:
            return [self._member(self._spread())]
        self._expand()
        labels = self._labels()
        posterior = self._surrogate.posterior(labels)
        for position in self._asked - self._told.keys():
            place = self._candidates.place(position)
            if place is not None:
                posterior.believe(place)
        best = float(labels.max())
        free = self._free()
        widening = 1 + WIDENING * INITIAL / len(self._observed)
        chosen: list[int] = []
        while len(chosen) < n and free.any():
            deviation = np.sqrt(posterior.variance * widening**2 + self._surrogate.noise)
            score = _log_expected_improvement(posterior.mean, deviation, best)
            score += 1e-9 * self._rng.standard_normal(len(score))
            place = int(np.where(free, score, -np.inf).argmax())
            left = self._fresh_members(place, chosen)
            chosen.append(int(self._rng.choice(left)))
            free[place] = len(left) > 1
            if len(chosen) < n:
                posterior.believe(place)
        return chosen

    def _learn(self, positions: list[int]) -> None:
        for position in positions:
            if position in self._observed:
                continue  # corrected: `_labels` reads the latest value
            place = self._candidates.place(position)
            if place is None:
                self._bring_in(np.array([position]))
                place = self._candidates.place(position)
                assert place is not None
            self._surrogate.observe(place)
            self._observed.add(position)

    def _labels(self) -> npt.NDArray[np.float64]:
        """Return the label of everything told, in the order in which the surrogate observed it."""
        # That is the order of `_told`, in which what is corrected keeps its place.
        scores = np.array(list(self._told.values()))
        failed = np.isnan(scores)
        # A failure tells that the architecture is bad, not how bad: it counts as the worst seen.
        scores[failed] = 0.0 if failed.all() else scores[~failed].min()
        return gaussianised(scores)

    def _spread(self) -> int:
        """Draw a class far from what was asked, as k-means++ does; the first one uniformly."""
        weight = self._free().astype(np.float64)
        asked = {self._candidates.place(i) for i in self._asked} - {None}
        if asked:
            near = np.min([self._surrogate.distances(c).sum(axis=0) for c in asked if c is not None], axis=0)
            if (weight * near).sum() > 0:
                weight = weight * near
        return int(self._rng.choice(len(weight), p=weight / weight.sum()))

    def _expand(self) -> None:
        """Bring into view what lies around the elites, and between them."""
        ranked = sorted(self._told, key=lambda i: -np.nan_to_num(self._told[i], nan=-np.inf))
        best_of_class: dict[int, int] = {}
        for position in ranked:
            best_of_class.setdefault(int(self.pool.classes[position]), position)
        elites = list(best_of_class.values())[:ELITES]
        new = [i for i in elites if i not in self._expanded]
        if not new:
            return
        self._expanded.update(new)
        around = [self.pool.neighbors(i) for i in new]
        if len(self._candidates) < len(np.unique(self.pool.classes)):
            points = self.pool.vectors[elites]
            between = (points[:, None] + points[None])[np.triu_indices(len(elites))] / np.float32(2)
            around.append(self.pool.nearest(between, NEAREST))
        self._bring_in(np.concatenate(around))

    def _bring_in(self, positions: npt.NDArray[np.int64]) -> None:
        before = len(self._candidates)
        groups = self._candidates.consider(np.unique(self.pool.classes[positions]))
        if before == 0:
            self._surrogate = Surrogate(groups, STANDARDISED)
        elif len(self._candidates) > before:
            self._surrogate.add_classes(groups)

    def _free(self) -> npt.NDArray[np.bool_]:
        """Mark the classes with a member that was not asked."""
        counts = np.bincount(self.pool.classes, minlength=max(self._candidates.classes, default=-1) + 1)
        asked = np.bincount(self.pool.classes[list(self._asked)], minlength=len(counts)) if self._asked else 0
        return np.asarray((counts - asked)[self._candidates.classes] > 0)

    def _member(self, place: int) -> int:
        return int(self._rng.choice(self._fresh_members(place, [])))

    def _fresh_members(self, place: int, chosen: list[int]) -> npt.NDArray[np.int64]:
        members = self._fresh(self._candidates.members(place))
        return members[~np.isin(members, chosen)]


def _log_expected_improvement(
    mean: npt.NDArray[np.float64], deviation: npt.NDArray[np.float64], best: float
) -> npt.NDArray[np.float64]:
    z = (mean - best) / deviation
    density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    return np.asarray(np.log(np.maximum(deviation * (density + z * ndtr(z)), 1e-30)))
