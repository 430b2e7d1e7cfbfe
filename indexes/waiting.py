"""The lists that a search has not read yet, and which of them are worth reading next."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.indexes._best import ROUNDING
from archindex.indexes._tables import Floats, Ints
from archindex.indexes.curve import HitCurve
from archindex.indexes.lists import Lists

Doubles = npt.NDArray[np.float64]

HOPELESS: Final = 0.02
"""Lists that together are expected to hold less than this share of the misses a search may have are put
aside: there are thousands, and their odds only fall as the k-th row comes nearer."""

_ALL: Final = slice(None)

LEAST_LISTS: Final = 4
"""Lists of a first look at least."""

_NEAREST: Final = 128
"""Lists sorted first: all are, only where these hold too little."""


class Waiting:
    """Lists not read yet, in the order of the last ``by_`` method called.

    Parameters
    ----------
    lists : Lists
    query : float32[dim]
    weight : float64[n_lists]
        About how many allowed rows each list holds, 0 where it can hold none. Changed here.
    curve : HitCurve
        How likely their rows are to be near.

    Attributes
    ----------
    missed : float
        Neighbours expected in what is left, as `by_hits` last found.
    """

    def __init__(self, lists: Lists, query: Floats, weight: Doubles, curve: HitCurve) -> None:
        self._lists, self._weight, self._curve = lists, weight, curve
        self._squared, self._error = lists.squared(query)
        self._first: Ints = np.empty(0, dtype=np.int64)
        # The lists that are worth a look, once most are seen not to be, and what those others may hold.
        self._worth: Ints | None = None
        self._hits_aside = self.missed = 0.0

    def by_distance(self, wanted: float) -> int:
        """Order lists by the distance of their centroids; return how many hold `wanted` allowed rows."""
        squared = np.where(self._weight > 0, self._squared, np.float32(np.inf))
        if len(squared) > 4 * _NEAREST:
            nearest = np.argpartition(squared, _NEAREST)[:_NEAREST]
            nearest = nearest[np.argsort(squared[nearest])]
            number = self._enough(nearest, wanted)
            if number < _NEAREST:
                return number
        return self._enough(np.argsort(squared), wanted)

    def _enough(self, order: npt.NDArray[np.intp], wanted: float) -> int:
        total = np.cumsum(self._weight[order])
        there = int(np.searchsorted(total, total[-1]))  # those behind it hold nothing
        self._first = order[: there + (total[-1] > 0)]
        return min(max(int(np.searchsorted(total, wanted)) + 1, LEAST_LISTS), len(self._first))

    def by_bound(self, reach: float) -> int:
        """Order lists by the least distance that their rows can have; return how many are within `reach`."""
        within = np.flatnonzero((self._weight > 0) & (self._closest <= reach * (1 + ROUNDING)))
        self._first = within[np.argsort(self._closest[within])]
        return len(self._first)

    @cached_property
    def _closest(self) -> Floats:
        return self._lists.closest(self._squared, self._error)

    def by_hits(self, reach: float, misses: float, more: float) -> int:
        """Order lists by the neighbours expected in them; return how many to read so that `misses` are left.

        Parameters
        ----------
        reach : float
            Distance of the k-th row found so far.
        misses : float
            Neighbours that may be expected in the lists that are not read.
        more : float
            Factor by which estimates of allowed rows proved too low so far.
        """
        misses /= more
        if self._worth is None or self._hits_aside > 2 * HOPELESS * misses:
            hits = self._hits(reach)
            self._worth = np.flatnonzero(hits > HOPELESS * misses / len(hits))
            all_hits, hits = hits.sum(), hits[self._worth]
            self._hits_aside = max(0.0, float(all_hits - hits.sum()))
        else:
            hits = self._hits(reach, self._worth)
        order = np.argsort(hits)
        left = np.cumsum(hits[order])  # in this list and all that are worth less
        enough = int(np.searchsorted(left, misses - self._hits_aside, side="right"))
        self.missed = (self._hits_aside + (float(left[enough - 1]) if enough else 0.0)) * more
        self._first = self._worth[order[enough:][::-1]]
        return len(self._first)

    def _hits(self, reach: float, of: Ints | slice = _ALL) -> Doubles:
        """Return the neighbours expected in some lists."""
        hits = self._curve(self._lists.beyond(self._squared, reach, of))
        hits *= self._weight[of]
        # The curve has a tail, of lists that are not round; what their balls rule out is none of it.
        hits *= self._closest[of] <= reach * (1 + ROUNDING)
        return hits

    def rows(self, number: int) -> Ints:
        """Return the rows in the first lists, summed up; int64[number]."""
        total: Ints = np.cumsum(self._lists.sizes[self._first[:number]])
        return total

    def take(self, number: int) -> tuple[Ints, float]:
        """Take the first lists away; return them, and the allowed rows expected in them."""
        taken = self._first[:number]
        weight = float(self._weight[taken].sum())
        self._weight[taken] = 0
        return taken, weight
