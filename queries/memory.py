"""Answers of filters that were evaluated before, within a budget; the least recently used go first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from archindex.queries.table import Bools, Positions, positions_of

T = TypeVar("T")

# Positions are held of up to one row in so many: they take 32 bits a match, and a mask one bit a row, so five
# times as much at most; but the matches of a list are found without asking about its other rows.
HELD = 6


class Matches:
    """The rows of one table that a filter selects: positions where they are few, else one bit for each row.

    Parameters
    ----------
    rows : int
        Rows of the table.
    positions : ndarray of int64, optional
        Those of all matches, ascending.
    mask : ndarray of bool, shape (rows,), optional
        True for each match; needed where `positions` are not given.

    Attributes
    ----------
    count : int
        How many rows match.
    """

    def __init__(self, rows: int, positions: Positions | None = None, mask: Bools | None = None) -> None:
        self.rows = rows
        self._positions: npt.NDArray[np.int32] | None = None
        self._bits: npt.NDArray[np.uint8] | None = None
        self.count = int(np.count_nonzero(_there(mask))) if positions is None else positions.size
        if self.count * HELD <= rows:
            found = positions_of(_there(mask), self.count) if positions is None else positions
            self._positions = found.astype(np.int32)
            return
        if mask is None:
            mask = np.zeros(rows, dtype=np.bool_)
            mask[positions] = True
        self._bits = np.packbits(mask, bitorder="little")

    @property
    def few(self) -> bool:
        """Whether positions are held, and not a bit for each row."""
        return self._bits is None

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(array.nbytes for array in (self._positions, self._bits) if array is not None)

    def positions(self) -> Positions:
        """Return the positions of all matches, ascending."""
        if self._bits is None:
            return _there(self._positions).astype(np.int64)
        return positions_of(self.mask(), self.count)

    def part(self, places: Positions) -> Positions:
        """Return the positions of some matches, by their places among all; where there are `few` only."""
        return _there(self._positions)[places].astype(np.int64)

    def mask(self) -> Bools:
        """Return for each row whether it matches, shape (rows,)."""
        if self._bits is not None:
            return np.unpackbits(self._bits, count=self.rows, bitorder="little").view(np.bool_)
        mask = np.zeros(self.rows, dtype=np.bool_)
        mask[self._positions] = True
        return mask

    def selected(self, at: Positions | slice) -> Bools:
        """Return which of the rows at some positions match, in their order. A slice has step 1."""
        if isinstance(at, slice):
            at = np.arange(at.start, at.stop)
        if self._bits is not None:
            chosen = self._bits.take(at >> 3) >> (at & 7).astype(np.uint8)
            return (chosen & np.uint8(1)).view(np.bool_)
        matches = _there(self._positions)
        if matches.size == 0:
            return np.zeros(at.size, dtype=np.bool_)
        # Of one type: another would be made of all matches.
        place = np.minimum(matches.searchsorted(at.astype(np.int32)), matches.size - 1)
        return np.equal(matches.take(place), at)


def _there(array: T | None) -> T:
    assert array is not None
    return array


class Memory:
    """Answers by expression; safe to use from several threads at once.

    Parameters
    ----------
    budget : int
        Most bytes that the answers kept take together.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._held: OrderedDict[str, Matches] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._bytes

    def __len__(self) -> int:
        """Return the number of answers held."""
        return len(self._held)

    def get(self, key: str) -> Matches | None:
        """Return the answer to an expression if it is held."""
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
            return found

    def put(self, key: str, matches: Matches) -> None:
        """Hold an answer, unless it takes more than the whole budget, for as long as there is room."""
        if matches.nbytes > self._budget:
            return
        with self._lock:
            old = self._held.pop(key, None)
            self._bytes += matches.nbytes - (0 if old is None else old.nbytes)
            self._held[key] = matches
            while self._bytes > self._budget:
                _, gone = self._held.popitem(last=False)
                self._bytes -= gone.nbytes
