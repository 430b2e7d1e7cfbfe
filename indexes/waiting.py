"""The lists that a search has not read yet, and which of them are worth reading next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.indexes._best import ROUNDING
from archindex.indexes._tables import Floats, Ints
from archindex.indexes.curve import HitCurve
from archindex.indexes.lists import Lists

Doubles = npt.NDArray[np.float64]

NEAREST: Final = 512
"""Lists looked at first, those whose balls are nearest: all are, only where these do not settle it."""

NEAR: Final = 16
"""Lists that say what there is near a query."""

Weigh = Callable[[Ints], Doubles]


class Waiting:
    """Lists not read yet, in the order of the last ``by_`` method called.

    A filter is asked only about lists that may matter: most are too far away to.

    Parameters
    ----------
    lists : Lists
    query : float32[dim]
    weigh : callable
        Gives about how many allowed rows each of some lists int64[n] holds, 0 where it can hold none;
        float64[n].
    curve : HitCurve
        How likely their rows are to be near.

    Attributes
    ----------
    missed : float
        Neighbours expected in what is left, as `by_hits` last found.
    """

    def __init__(self, lists: Lists, query: Floats, weigh: Weigh, curve: HitCurve) -> None:
        self._lists, self._weigh, self._curve = lists, weigh, curve
        self._all_squared, error = lists.squared(query)
        self._all_closest = lists.closest(self._all_squared, error)
        # Rows of the lists outside are no nearer than this.
        self._outside = np.inf
        some = np.arange(len(lists))
        if len(lists) > 2 * NEAREST:
            some = np.argpartition(self._all_closest, NEAREST)
            self._outside = float(self._all_closest[some[NEAREST]])
            some = some[:NEAREST]
        self._looked = some, weigh(some)
        self._look_at(*self._looked)
        self._first: Ints = some[:0]
        self.missed = 0.0

    @property
    def share(self) -> float:
        """About which share of the rows near the query are allowed ones."""
        some, weights = self._looked
        near: Ints = np.arange(len(some))
        if len(some) > NEAR:
            near = np.argpartition(self._all_squared[some], NEAR)[:NEAR]
        return float(weights[near].sum() / max(1, self._lists.sizes[some[near]].sum()))

    def _look_at(self, some: Ints, weights: Doubles) -> None:
        held = np.flatnonzero(weights)
        self._some = some = some[held]
        self._weights = weights[held]
        self._squared, self._closest = self._all_squared[some], self._all_closest[some]

    def _look_at_all(self) -> None:
        some = np.arange(len(self._lists))
        weights = self._weigh(some)
        weights[np.isinf(self._all_closest)] = 0  # taken
        self._outside = np.inf
        self._look_at(some, weights)

    def by_distance(self, wanted: float, least: int) -> int:
        """Order lists by the distance of their centroids; return how many hold `wanted` allowed rows.

        At least so many lists, if there are.
        """
        order = self._squared.argsort()
        order = order[self._weights[order] > 0]
        held = self._weights[order].cumsum()
        enough = int(held.searchsorted(wanted)) + 1
        if enough > len(order) and self._outside < np.inf:
            self._look_at_all()
            return self.by_distance(wanted, least)
        self._first = order
        return min(max(enough, least), len(order))

    def by_bound(self, reach: float) -> int:
        """Order lists by the least distance that their rows can have; return how many are within `reach`."""
        within = self._within(reach)
        self._first = within[np.argsort(self._closest[within])]
        return len(self._first)

    def _within(self, reach: float) -> Ints:
        """Return places of the lists whose balls reach so near."""
        reach *= 1 + ROUNDING
        if reach >= self._outside:
            self._look_at_all()
        return np.flatnonzero(self._closest <= reach)

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
        # The curve has a tail, of lists that are not round; what their balls rule out is none of it.
        within = self._within(reach)
        hits = self._curve(self._lists.beyond(self._squared[within], reach, self._some[within]))
        hits *= self._weights[within]
        order = hits.argsort()
        left = hits[order].cumsum()  # in this list and all that are worth less
        enough = int(left.searchsorted(misses, side="right"))
        self.missed = float(left[enough - 1]) * more if enough else 0.0
        self._first = within[order[enough:][::-1]]
        return len(self._first)

    def rows(self, number: int) -> Ints:
        """Return the rows in the first lists, summed up; int64[number]."""
        total: Ints = self._lists.sizes[self._some[self._first[:number]]].cumsum()
        return total

    def take(self, number: int) -> tuple[Ints, float]:
        """Take the first lists away; return them, and the allowed rows expected in them."""
        first = self._first[:number]
        taken, weight = self._some[first], float(self._weights[first].sum())
        self._weights[first] = 0
        self._closest[first] = self._all_closest[taken] = np.inf
        return taken, weight
