"""Filter-aware list search: lists are read nearest first until what is still missed is known to be little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from archindex.core.deadline import check_time
from archindex.core.ranges import ranges
from archindex.core.recall import LEVELS
from archindex.indexes._best import Best
from archindex.indexes._scan import distances, rows_per_block
from archindex.indexes._tables import Floats, Ints
from archindex.indexes.curve import FEW, MANY, Calibration
from archindex.indexes.lists import Lists
from archindex.indexes.waiting import Waiting

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]

FIRST_ROWS: Final = 4
"""Allowed rows that the first round is to find, for each of the k: then the k-th distance means something."""

LEAST_ROWS: Final = 64

FIRST_LISTS: Final = 12
"""Lists of the first round at least: a round takes as long as reading so many."""

LEAST_EXPECTED: Final = 0.05
"""Allowed rows that a list is believed to hold at least where it may hold one: estimates are not proofs."""

GROWTH: Final = 4
"""Rows of a round over those of all before it, at most: the k-th distance falls as rows are read, and with it
what is still to be read."""

_UNIT_ROUNDING: Final = 1e-5


class Allowed(Protocol):
    """Which rows a filter lets through, as far as a list search asks."""

    def judged(self, lists: Ints) -> tuple[Bools, Doubles]:
        """Return whether each of some lists may hold such rows, and about how many; bool[n], float64[n]."""

    def within(self, lists: Ints) -> tuple[Ints, int]:
        """Return the positions of the rows in some lists let through, and how many were looked at."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What a list search found for one query, and what it read.

    Attributes
    ----------
    ids : int64[c]
        The nearest rows found, c <= k, nearest first; equal distances by rising id.
    distances : float32[c]
    lists, rows, compared : int
        Lists read, rows in them that the filter was asked about, and rows whose distance was computed.
    missed : float
        Neighbours expected in the lists that were not read; 0 where bounds prove that there are none.
    """

    ids: Ints
    distances: Floats
    lists: int
    rows: int
    compared: int
    missed: float


class ListSearch:
    """Searches rows that lie in list order.

    Parameters
    ----------
    lists : Lists
        Where the lists are.
    vectors : float32[n, dim]
        The rows in list order; those after the last list are in none, and are always read.
    ids : int64[n]
        What to call them in the answer.
    calibration : Calibration
        When a search may stop.
    first_lists : int
        Lists of the first round at least.
    """

    def __init__(
        self,
        lists: Lists,
        vectors: Floats,
        ids: Ints,
        calibration: Calibration,
        *,
        first_lists: int = FIRST_LISTS,
    ) -> None:
        self.lists = lists
        self._vectors = np.asarray(vectors)  # of a memory map: its plain array, which is faster to index
        self._ids = np.asarray(ids)
        self.calibration = calibration
        self._first_lists = first_lists
        listed = int(lists.starts[-1])
        self._rest = np.arange(listed, len(vectors))
        self._after = np.array([len(lists)])  # as a filter counts them

    @property
    def starts(self) -> Ints:
        """Starts of the lists and of the rows in none of them, as a filter has to count them."""
        rest = [len(self._vectors)] if len(self._rest) else []
        return np.concatenate([self.lists.starts, np.array(rest, dtype=np.int64)])

    def nearest(
        self,
        query: Floats,
        k: int,
        allowed: Allowed | None,
        *,
        recall: float,
        most: float = np.inf,
        begun: Waiting | None = None,
    ) -> Reading | None:
        """Find the rows nearest to one query among those that a filter lets through.

        Parameters
        ----------
        query : float32[dim]
        k : int
            How many.
        allowed : Allowed, optional
            The filter; None lets all rows through.
        recall : float
            Share of the k to be found in the mean; above the highest level of the calibration, all are, and
            the radii prove it.
        most : float
            Rows to read at most.
        begun : Waiting, optional
            What `begin` returned for this query and filter.

        Returns
        -------
        Reading or None
            None where more than `most` rows would have to be read.
        """
        level = self._level(recall)
        learned = self.calibration.misses if k <= FEW else self.calibration.misses_of_many
        misses = None if level is None else learned[level] * k
        waiting = begun or self.begin(query, allowed)
        found = Best(query, k, self._vectors, self._ids, self.lists.metric)
        n_read = in_lists = rounds = 0
        rest, n_rows = self._in_no_list(allowed)
        found.read(rest)
        outside, expected = found.compared, 0.0
        while True:
            check_time()
            reach = found.reach
            if np.isinf(reach):
                wanted = max(FIRST_ROWS * k, LEAST_ROWS) * 2.0**rounds
                number = waiting.by_distance(wanted, self._first_lists)
            else:
                if misses is None:
                    number = waiting.by_bound(reach)
                else:
                    # More than expected in what was read: the same is believed of the rest.
                    more = max(1.0, (found.compared - outside + 1) / (expected + 1))
                    number = waiting.by_hits(reach, misses, more)
                sizes = waiting.rows(number)
                if rounds > 1 and number and n_rows + sizes[-1] > most:
                    return None
                number = min(number, int(sizes.searchsorted(max(GROWTH * in_lists, LEAST_ROWS))) + 1)
            if not number:
                break
            taken, weighed = waiting.take(number)
            positions, asked = self._rows(taken, allowed)
            n_read += len(taken)
            expected += weighed
            in_lists += int(self.lists.sizes[taken].sum())
            n_rows += asked
            if n_rows > most:
                return None
            found.read(positions)
            rounds += 1
        nearest, away = found.result()
        return Reading(nearest, away, n_read, n_rows, found.compared, waiting.missed)

    def begin(self, query: Floats, allowed: Allowed | None) -> Waiting:
        """Look at where the lists lie from a query float32[dim], and at what they hold under a filter."""

        def weigh(some: Ints) -> Doubles:
            if allowed is None:
                return self.lists.sizes[some].astype(np.float64)
            possible, expected = allowed.judged(some)
            weight: Doubles = np.maximum(expected, LEAST_EXPECTED) * possible
            return weight

        return Waiting(self.lists, query, weigh, self.calibration.curve)

    def among(self, query: Floats, k: int, positions: Ints) -> Reading:
        """Find the rows nearest to one query float32[dim] among those at some positions; proved."""
        found = Best(query, k, self._vectors, self._ids, self.lists.metric)
        step = rows_per_block(len(query))
        for start in range(0, len(positions), step):
            check_time()
            found.read(positions[start : start + step])
        nearest, away = found.result()
        return Reading(nearest, away, 0, 0, found.compared, 0.0)

    def within(self, query: Floats, radius: float, allowed: Allowed | None = None) -> Reading:
        """Find all rows within a distance of one query float32[dim], nearest first; proved.

        Parameters
        ----------
        query : float32[dim]
        radius : float
            Largest distance, in the metric of the lists.
        allowed : Allowed, optional
            The filter; None lets all rows through.

        Returns
        -------
        Reading
            Only lists were read whose ball may reach into that of the query.
        """
        metric = self.lists.metric
        # Points of the cosine metric are rounded, and closer than this they say little.
        reach = radius if metric == "l2" else np.sqrt(2 * radius) + _UNIT_ROUNDING
        waiting = self.begin(query, allowed)
        taken, _ = waiting.take(waiting.by_bound(reach))
        positions, n_rows = self._rows(taken, allowed)
        rest, asked = self._in_no_list(allowed)
        positions, n_rows = np.concatenate([positions, rest]), n_rows + asked
        away = np.empty(len(positions), dtype=np.float32)
        step = rows_per_block(len(query))
        for start in range(0, len(positions), step):
            check_time()
            rows = self._vectors[positions[start : start + step]]
            away[start : start + step] = distances(query[None], rows, metric)
        inside = away <= radius
        ids, away = self._ids[positions[inside]], away[inside]
        order = np.lexsort((ids, away))
        return Reading(ids[order], away[order], len(taken), n_rows, len(positions), 0.0)

    def _in_no_list(self, allowed: Allowed | None) -> tuple[Ints, int]:
        if allowed is None or not len(self._rest):
            return self._rest, len(self._rest)
        return allowed.within(self._after)

    def _rows(self, lists: Ints, allowed: Allowed | None) -> tuple[Ints, int]:
        if allowed is not None:
            return allowed.within(lists)
        positions = ranges(self.lists.starts[lists], self.lists.sizes[lists])
        return positions, len(positions)

    def effort(self, recall: float, k: int) -> int | None:
        """Return how hard the engine has to try for a recall of k; None if it does not reach it."""
        level = self._level(recall) or ""
        few, many = self.calibration.efforts.get(level), self.calibration.efforts_of_many.get(level)
        if few is None or k <= FEW:
            return few
        if many is None:
            return None
        if k > MANY:
            return max(few, many) * k // MANY
        return few + max(0, many - few) * (k - FEW) // (MANY - FEW)

    @staticmethod
    def _level(recall: float) -> str | None:
        """Return the lowest level that promises a recall; None above all."""
        return next((level for level, reached in LEVELS.items() if reached >= recall), None)
