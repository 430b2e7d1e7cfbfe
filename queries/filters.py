"""Filters of one immutable set of columns, and all that makes them fast: the planner's way to predicates."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from archindex.core.ranges import ranges
from archindex.queries.columns import Column, Schema, schema_of
from archindex.queries.evaluate import Program
from archindex.queries.memory import HELD, Matches, Memory
from archindex.queries.orders import Orders
from archindex.queries.prepared import Prepared
from archindex.queries.table import Positions, Table
from archindex.queries.where import Predicate
from archindex.queries.zones import Zones

# Bytes of answers kept: at a million rows, 100 filters or more.
BUDGET = 64 << 20
# Filters kept compiled.
MAX_FILTERS = 256
# Uses from which a filter is evaluated on all rows, and its answer remembered.
OFTEN = 3
# Matches that a sorted column has side by side are copied out before lists are searched, up to so many.
FEW = 1 << 14
# In how many lists are so many of the matches? Where in less than this share of what it would be of any rows,
# they lie side by side (measured: .3 to .67 where they are far from a query, .76 around it, else 1).
SAMPLE = 256
CLUSTERED = 0.7
# Where the lists that may hold a match have less than this share of the rows, only their rows are read.
MAX_SHARE = 0.1


class Filters:
    """What is known about the columns of one version of an index, shared by all searches in it.

    Safe to use from several threads at once.

    Parameters
    ----------
    columns : mapping of str to Column
        The attribute columns, rows in the order of the lists; it may open them one by one. They must not
        change.
    starts : ndarray of int64, shape (L + 1,)
        Where each list of rows begins, ascending from 0 to the number of rows. Lists may be empty.
    schema : mapping of str to Kind, optional
        The columns' types, where they are known without opening them.
    budget : int
        Most bytes of answers that are kept.
    """

    def __init__(
        self,
        columns: Mapping[str, Column],
        starts: npt.NDArray[np.int64],
        schema: Schema | None = None,
        *,
        budget: int = BUDGET,
    ) -> None:
        self.schema = schema_of(columns) if schema is None else schema
        self.table = Table(columns, int(starts[-1]))
        self.zones = Zones(self.table, starts)
        self.orders = Orders(self.table)
        self.memory = Memory(budget)
        self._prepared = Prepared(self.schema)
        self._filters: OrderedDict[str, Filter] = OrderedDict()
        self._lock = threading.Lock()

    def filter(self, text: str) -> Filter:
        """Return the filter of a ``where`` expression.

        Raises
        ------
        FilterError
            If `text` is anything but one boolean expression of the dialect.
        UnknownNameError
            If it names an unknown column; the message names the nearest.
        """
        with self._lock:
            found = self._filters.get(text) if isinstance(text, str) else None
            if found is not None:
                self._filters.move_to_end(text)
                found.uses += 1
                return found
        made = Filter(self._prepared.compile(text), self)
        with self._lock:
            self._filters[text] = made
            while len(self._filters) > MAX_FILTERS:
                self._filters.popitem(last=False)
        return made

    def forget(self) -> None:
        """Let go of the filters kept, and with them of the columns' files; others are made when asked for."""
        with self._lock:
            self._filters.clear()
        self.table.forget()


class Filter:
    """A ``where`` expression over the columns of a `Filters`. Made by `Filters.filter`.

    `count`, `positions`, `mask` and `selected` raise FilterError if BIGINT arithmetic of the expression goes
    beyond 64 bits on any row of the columns, also one that they are not asked about.

    Attributes
    ----------
    predicate : Predicate
        The checked expression.
    uses : int
        How often it was asked for: often, and all its matches are worth knowing.
    """

    def __init__(self, predicate: Predicate, filters: Filters) -> None:
        self.predicate = predicate
        self.uses = 1
        self._asked_all = False
        self._count: int | None = None
        self._filters = filters

    @property
    def possible(self) -> npt.NDArray[np.bool_]:
        """Which lists may hold a match, shape (L,): False is proved. Reads no row."""
        counts = self._counts
        return self._judged[0] if counts is None else self._held

    @property
    def expected(self) -> npt.NDArray[np.float64]:
        """Estimated matches of each list, shape (L,), 0 where none is possible. Reads no row."""
        counts = self._counts
        return self._judged[1] if counts is None else counts.astype(np.float64)

    @property
    def estimated(self) -> float:
        """Estimated matches in all, the exact number where it is known. Reads no row."""
        count = self.count
        return float(self.expected.sum() if count is None else count)

    @property
    def clustered(self) -> bool:
        """Whether a sorted column shows that the matches lie in few lists, side by side."""
        some, starts = self.predicate.sample(self._filters.orders, SAMPLE), self._filters.zones.starts
        if some is None or not some.size:
            return False
        lists = np.unique(np.searchsorted(starts, some, side="right")).size
        # As many as so many rows of any lists lie in.
        expected = (starts.size - 1) * -np.expm1(some.size * np.log1p(-1.0 / starts.size))
        return bool(lists < CLUSTERED * expected)

    def judged(self, lists: Positions) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """Return `possible` and `expected` of some lists, shape (len(lists),) each."""
        counts = self._counts
        if counts is not None:
            held = counts[lists]
            return held > 0, held.astype(np.float64)
        if "_judged" in self.__dict__ or 2 * len(lists) > len(self._filters.zones):
            return self._judged[0][lists], self._judged[1][lists]
        return self.predicate.judged(self._filters.zones.part(lists))

    @property
    def count(self) -> int | None:
        """The exact number of matches where it is known, or two binary searches find it; else None."""
        matches = self._known
        return self._found_count if matches is None else matches.count

    def positions(self) -> npt.NDArray[np.int64]:
        """Return the positions of all matches, ascending."""
        return self._matches().positions()

    def mask(self) -> npt.NDArray[np.bool_]:
        """Return for each row whether it matches."""
        return self._matches().mask()

    def selected(self, positions: npt.NDArray[np.int64] | slice) -> npt.NDArray[np.bool_]:
        """Return which of the rows at `positions` match, in their order. A slice has step 1 and both ends."""
        matches = self._known
        return self._program.run(positions) if matches is None else matches.selected(positions)

    def within(self, lists: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
        """Return the positions of all matches in some lists, and how many rows were looked at for them."""
        matches, starts = self._known, self._filters.zones.starts
        if matches is not None and matches.few:
            held = self._exact[lists]
            return matches.part(ranges(self._ends[lists], held)), int(held.sum())
        rows = ranges(starts[lists], starts[lists + 1] - starts[lists])
        return rows[self.selected(rows)], len(rows)

    @cached_property
    def _key(self) -> str:
        # As written: 0.0 and -0.0 are equal, and not the same.
        return f"{self.predicate.text} {self.predicate.values}"

    @cached_property
    def _program(self) -> Program:
        return self.predicate.program(self._filters.table)

    @property
    def _known(self) -> Matches | None:
        """The answer if it is at hand or soon got; it must be where a row might overflow."""
        found = self.__dict__.get("_few_matches") or self._filters.memory.get(self._key)
        if found is None and self.uses > 1 and self._few:
            return self._few_matches
        if found is None and (self._program.checked or (self.uses >= OFTEN and not self._asked_all)):
            # Once: where they do not fit in the memory, each time would be dear.
            self._asked_all = True
            found = self._matches()
        return found

    @property
    def _few(self) -> bool:
        """Whether a sorted column has all matches side by side, and no more than take little time to copy."""
        if self._program.checked or self._program.constant is not None:
            return False
        count = self._found_count
        return count is not None and count <= FEW and count * HELD <= self._filters.table.rows

    @cached_property
    def _few_matches(self) -> Matches:
        return self._matches()

    @property
    def _found_count(self) -> int | None:
        if self._count is None:
            # Asked again: a column may have been sorted since.
            constant = self._program.constant
            everyone = self._filters.table.rows if constant else 0
            self._count = self.predicate.count(self._filters.orders) if constant is None else everyone
        return self._count

    @cached_property
    def _judged(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        return self.predicate.judged(self._filters.zones)

    @property
    def _counts(self) -> npt.NDArray[np.int64] | None:
        """Matches of each list, where the answer is at hand."""
        if "_exact" in self.__dict__:
            return self._exact
        return None if self._known is None else self._exact

    @cached_property
    def _ends(self) -> npt.NDArray[np.int64]:
        """Matches before each list, and in all."""
        return np.searchsorted(self.positions(), self._filters.zones.starts)

    @cached_property
    def _exact(self) -> npt.NDArray[np.int64]:
        return np.diff(self._ends)

    @cached_property
    def _held(self) -> npt.NDArray[np.bool_]:
        return self._exact > 0

    def _matches(self) -> Matches:
        memory = self._filters.memory
        found = memory.get(self._key)
        if found is None:
            found = self._evaluated()
            memory.put(self._key, found)
        return found

    def _evaluated(self) -> Matches:
        rows = self._filters.table.rows
        program = self._program
        if not program.checked:
            if program.constant is False:
                return Matches(rows, np.zeros(0, dtype=np.int64))
            some = self._candidates()
            if some is not None:
                return Matches(rows, some if len(some) == self._found_count else some[program.run(some)])
        return Matches(rows, mask=program.run(slice(0, rows)))

    def _candidates(self) -> Positions | None:
        """Return positions, ascending, with all matches among them, where they are known to be few."""
        found = self.predicate.candidates(self._filters.orders)
        if found is not None or "_judged" not in self.__dict__:
            return found
        zones = self._filters.zones
        lists = np.flatnonzero(self._judged[0])
        sizes = zones.starts[lists + 1] - zones.starts[lists]
        if sizes.sum() > MAX_SHARE * self._filters.table.rows:
            return None
        return ranges(zones.starts[lists], sizes)
