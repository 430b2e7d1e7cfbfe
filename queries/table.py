"""Columns made ready for evaluation: plain arrays, narrow codes, bounds; each made when first asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArgumentError, UnknownNameError
from archindex.queries.columns import Column, Kind
from archindex.queries.motif import is_motif
from archindex.queries.text import LikePattern

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]
T = TypeVar("T")

# Whole numbers that a DOUBLE holds exactly reach so far.
EXACT = 2**53
# Compiled conditions that a table keeps.
MAX_MADE = 256
# LIKE over fewer names than these takes no time; of more, a table keeps the answers to so many patterns.
MANY_NAMES = 256
MAX_LIKES = 64
# Columns about motifs that a table keeps open.
MAX_MOTIFS = 64


class Attribute:
    """One column, with what evaluation knows about all of its rows.

    Attributes
    ----------
    kind : Kind
        The type of the values.
    values : ndarray of shape (n,)
        As in `Column`, and never a memory map by type: slices of those are slow to make.
    valid : ndarray of bool, shape (n,), or None
        As in `Column`.
    categories : tuple of str
        As in `Column`.
    """

    def __init__(self, column: Column) -> None:
        self.kind: Kind = column.kind
        self.values: Array = np.asarray(column.values).view(np.ndarray)
        self.valid = column.valid
        self.categories = column.categories

    @cached_property
    def bounds(self) -> tuple[float, float] | None:
        """Least and greatest value of a number column, int for BIGINT; None where all are NULL."""
        values = self.values
        if self.kind == "DOUBLE":
            if values.size == 0:
                return None
            low, high = float(np.fmin.reduce(values)), float(np.fmax.reduce(values))
            return None if math.isnan(low) else (low, high)
        if self.valid is not None:
            values = values[self.valid]
        return (int(values.min()), int(values.max())) if values.size else None

    @cached_property
    def absent(self) -> Bools | None:
        """Where the value is NULL; None where none is."""
        if self.kind == "DOUBLE":
            null: Bools = np.isnan(self.values)
        elif self.kind == "VARCHAR":
            null = self.values < 0
        elif self.valid is None:
            return None
        else:
            return ~self.valid
        return null if null.any() else None

    @cached_property
    def low(self) -> int:
        """The value that the code 0 stands for."""
        return int(self.bounds[0]) if self.kind == "BIGINT" and self.bounds is not None else 0

    @cached_property
    def codes(self) -> Array | None:
        """The values less `low` as the narrowest whole numbers that hold them, -1 for NULL.

        Codes of a VARCHAR are positions in its categories. None for a DOUBLE, and a BIGINT too far spread.
        """
        if self.kind == "DOUBLE":
            return None
        if self.kind == "BIGINT":
            span = 0 if self.bounds is None else int(self.bounds[1]) - int(self.bounds[0])
        else:
            span = 1 if self.kind == "BOOLEAN" else len(self.categories)
        if span > np.iinfo(np.int32).max:
            return None
        narrow = next(t for t in (np.int8, np.int16, np.int32) if span <= np.iinfo(t).max)
        codes: Array
        if self.kind == "BIGINT":
            codes = (self.values - self.low).astype(narrow)
        else:
            codes = self.values.astype(narrow, copy=False)
        if self.valid is not None:
            # All ones where the value is NULL, which is -1.
            codes |= np.negative((~self.valid).view(np.int8)).astype(narrow)
        return codes

    @cached_property
    def exact(self) -> bool:
        """Whether a BIGINT column has codes, and a DOUBLE holds each of its values."""
        return self.codes is not None and max(abs(end) for end in self.bounds or (0,)) <= EXACT

    @property
    def code_count(self) -> int:
        """How many codes a column of codes may have."""
        if self.kind == "BOOLEAN":
            return 2
        if self.kind == "VARCHAR":
            return len(self.categories)
        return 0 if self.bounds is None else int(self.bounds[1]) - int(self.bounds[0]) + 1

    @cached_property
    def frequencies(self) -> Array:
        """How many rows have each code, from 0 to the greatest; int64."""
        codes = self.codes
        assert codes is not None
        return np.bincount(codes[codes >= 0], minlength=self.code_count)


class Table:
    """The columns of one immutable set of rows, opened as they are used.

    Parameters
    ----------
    columns : mapping of str to Column
        The columns; it may open them one by one.
    rows : int, optional
        How many rows there are, where no column needs to say.
    """

    def __init__(self, columns: Mapping[str, Column], rows: int | None = None) -> None:
        self._columns = columns
        self._opened: dict[str, Attribute] = {}
        self._rows = rows
        self._made: dict[int, tuple[object, object]] = {}
        self._likes: dict[tuple[str, int], tuple[Sequence[str], Bools]] = {}

    def forget(self) -> None:
        """Let go of the conditions kept: they lead back here, and a ring is freed some time later only."""
        self._made.clear()

    def __getitem__(self, name: str) -> Attribute:
        """Return a column.

        Raises
        ------
        UnknownNameError
            If it is missing.
        ArgumentError
            If it is not as long as the others.
        """
        found = self._opened.get(name)
        if found is None:
            if name not in self._columns:
                raise UnknownNameError.of("column", name, self._columns)
            found = Attribute(self._columns[name])
            if self._rows is None:
                self._rows = len(found.values)
            if len(found.values) != self._rows:
                raise ArgumentError("expected columns of one length", got=[self._rows, len(found.values)])
            if is_motif(name):
                self._forget_motifs()
            self._opened[name] = found
        return found

    def _forget_motifs(self) -> None:
        """Make room for one more column that says which rows contain a motif: there may be any number."""
        opened = [name for name in list(self._opened) if is_motif(name)]
        for name in opened[: max(0, len(opened) - MAX_MOTIFS + 1)]:
            self._opened.pop(name, None)  # another thread may have been here

    @property
    def rows(self) -> int:
        """How many rows there are."""
        if self._rows is None:
            first = next(iter(self._columns), None)
            if first is None:
                raise ArgumentError("expected one or more columns of one length", got=[])
            self[first]
        return int(self._rows or 0)

    def once(self, key: object, make: Callable[[], T]) -> T:
        """Return what `make` gave for this very `key` the first time, for as long as there is room."""
        found = self._made.get(id(key))
        if found is None:
            if len(self._made) >= MAX_MADE:
                self._made.clear()
            # With the key itself, so that no other gets its id.
            found = self._made[id(key)] = (key, make())
        return cast(T, found[1])

    def like(self, pattern: LikePattern, names: Sequence[str]) -> Bools:
        """Return which of `names` match a pattern; remembered for the many categories of a column."""
        if len(names) < MANY_NAMES:
            return pattern.match(names)
        key = (pattern.regex.pattern, id(names))
        found = self._likes.get(key)
        if found is None:
            if len(self._likes) >= MAX_LIKES:
                self._likes.clear()
            # With the names themselves, so that no others get their id.
            found = self._likes[key] = (names, pattern.match(names))
        return found[1]

    def take(self, positions: Positions | slice) -> Table:
        """Return the rows at `positions` as a table of its own; only columns used are touched."""
        return Table(_Taken(self._columns, positions))


class _Taken(Mapping[str, Column]):
    def __init__(self, columns: Mapping[str, Column], positions: Positions | slice) -> None:
        self._columns = columns
        self._positions = positions

    def __getitem__(self, name: str) -> Column:
        column = self._columns[name]
        valid = None if column.valid is None else column.valid[self._positions]
        return Column(column.kind, column.values[self._positions], valid, column.categories)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


class Rows:
    """Some rows of a table, which conditions are asked about.

    Parameters
    ----------
    at : slice or ndarray of int64
        Which rows; a slice has step 1 and no open end.
    """

    __slots__ = ("_taken", "at", "memory", "size")

    def __init__(self, at: slice | Positions) -> None:
        self.at = at
        self.size: int = at.stop - at.start if isinstance(at, slice) else at.size
        self.memory: dict[int, Bools] = {}
        self._taken: dict[int, Array] = {}

    def of(self, array: Array) -> Array:
        """Return what a column's `array` holds on these rows; not to be written to."""
        if isinstance(self.at, slice):
            part: Array = array[self.at]
            return part
        taken = self._taken.get(id(array))
        if taken is None:
            taken = self._taken[id(array)] = array.take(self.at)
        return taken

    def among(self, chosen: Positions) -> Rows:
        """Return the rows at positions `chosen` of these."""
        return Rows(chosen + self.at.start if isinstance(self.at, slice) else self.at.take(chosen))


def positions_of(mask: Bools, count: int) -> Positions:
    """Return where `mask` is true; `count` says how often."""
    if mask.size < 28 * count and 9 * count <= mask.size:
        # Up to a tenth true, NumPy branches on each entry, and the processor foresees little; above that, it
        # does not branch. So this makes it more: those added at the end are cut off again.
        more = mask.size // 8
        return np.flatnonzero(np.concatenate([mask, np.ones(more, dtype=np.bool_)]))[:count].copy()
    return np.flatnonzero(mask)
