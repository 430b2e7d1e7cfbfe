"""Candidates: the classes of aliases that a walk considers, with the features of its surrogate."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.encoders.feature_groups import FLOW, feature_groups
from archindex.search.pool import Pool

MAX_CLASSES: Final = 16_384
"""Classes considered from the start. A smaller pool is considered whole, of a larger one a random part."""

COSTS: Final = "costs"
"""Group of the logarithms of computed costs."""

STANDARDISED: Final = frozenset({FLOW, COSTS})
"""Groups whose columns have units of their own, so that each is scaled by itself."""

Groups = dict[str, npt.NDArray[np.float32]]


class Candidates:
    """Classes of a pool by place: those that are considered, in the order in which they came in.

    Aliases share a latent value, so a class is what the surrogate models; each of its members has a label
    of its own, so a member is what is asked.

    Parameters
    ----------
    pool : Pool
        The candidates of the search.
    rng : numpy.random.Generator
        Draws the part of a large pool that is considered from the start.

    Attributes
    ----------
    classes : list of int
        Class (as in ``pool.classes``) at each place.
    """

    def __init__(self, pool: Pool, rng: np.random.Generator) -> None:
        self._pool = pool
        self.classes: list[int] = []
        self._place: dict[int, int] = {}
        there = np.unique(pool.classes)
        if len(there) > MAX_CLASSES:
            there = np.sort(rng.choice(there, MAX_CLASSES, replace=False))
        self.groups = self.consider(there)

    def __len__(self) -> int:
        return len(self.classes)

    def place(self, position: int) -> int | None:
        """Return the place of the class of a pool position, or None if it is not considered."""
        return self._place.get(int(self._pool.classes[position]))

    def members(self, place: int) -> npt.NDArray[np.int64]:
        """Return the pool positions of all members of the class at a place."""
        return np.flatnonzero(self._pool.classes == self.classes[place])

    def consider(self, classes: npt.NDArray[np.int64]) -> Groups:
        """Consider further classes and return the features of those that are new, by group."""
        new = [int(c) for c in classes if int(c) not in self._place]
        self._place.update({c: len(self.classes) + i for i, c in enumerate(new)})
        self.classes.extend(new)
        return self._features(np.array(new, dtype=np.int64))

    def _features(self, classes: npt.NDArray[np.int64]) -> Groups:
        pool = self._pool
        first = np.full(int(pool.classes.max(initial=-1)) + 1, len(pool), dtype=np.int64)
        np.minimum.at(first, pool.classes, np.arange(len(pool)))
        positions = first[classes]
        groups = feature_groups(pool.graphs(positions)) if len(classes) else {}
        if pool.costs.shape[1]:
            # The member with the fewest dead ops is the class's own cost.
            least = np.full((len(first), pool.costs.shape[1]), np.inf)
            np.minimum.at(least, pool.classes, pool.costs)
            groups[COSTS] = np.nan_to_num(least[classes], posinf=0.0).astype(np.float32)
        return groups
