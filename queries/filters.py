"""Filters of one immutable set of columns, and all that makes them fast: the planner's way to predicates."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from archindex.queries.columns import Column, Schema, schema_of
from archindex.queries.where import Predicate, compile_where


class Filters:
    """What is known about the columns of one version of an index, shared by all searches in it.

    Safe to use from several threads at once.

    Parameters
    ----------
    columns : mapping of str to Column
        The attribute columns, rows in the order of the lists; it may open them one by one. They
        must not change.
    starts : ndarray of int64, shape (L + 1,)
        Where each list of rows begins, ascending from 0 to the number of rows. Lists may be empty.
    schema : mapping of str to Kind, optional
        The columns' types, where they are known without opening them.
    """

    def __init__(
        self, columns: Mapping[str, Column], starts: npt.NDArray[np.int64], schema: Schema | None = None
    ) -> None:
        self.columns = columns
        self.starts = starts
        self.schema = schema_of(columns) if schema is None else schema
        self._filters: dict[str, Filter] = {}

    def filter(self, text: str) -> Filter:
        """Return the filter of a ``where`` expression.

        Raises
        ------
        FilterError
            If `text` is anything but one boolean expression of the dialect.
        UnknownNameError
            If it names an unknown column; the message names the nearest.
        """
        if text not in self._filters:
            self._filters[text] = Filter(compile_where(text, self.schema), self)
        return self._filters[text]


class Filter:
    """A ``where`` expression over the columns of a `Filters`. Made by `Filters.filter`.

    Every method raises FilterError if BIGINT arithmetic of the expression, on any row of the columns, goes
    beyond 64 bits.

    Attributes
    ----------
    predicate : Predicate
        The checked expression.
    """

    def __init__(self, predicate: Predicate, filters: Filters) -> None:
        self.predicate = predicate
        self._filters = filters

    @cached_property
    def possible(self) -> npt.NDArray[np.bool_]:
        """Which lists may hold a match, shape (L,): False is proved. Costs microseconds, reads no row."""
        return np.diff(self._filters.starts) > 0

    @cached_property
    def expected(self) -> npt.NDArray[np.float64]:
        """Estimated matches of each list, shape (L,), 0 where impossible. Reads no row."""
        return np.diff(self._filters.starts).astype(np.float64)

    @property
    def count(self) -> int | None:
        """The exact number of matches where it is known, or two binary searches find it; else None."""
        return None

    def positions(self) -> npt.NDArray[np.int64]:
        """Return the positions of all matches, ascending. The array is shared and read-only."""
        return self._positions

    def selected(self, positions: npt.NDArray[np.int64] | slice) -> npt.NDArray[np.bool_]:
        """Return which of the rows at `positions` match, in their order. A slice has step 1."""
        return self._mask[positions]

    @cached_property
    def _mask(self) -> npt.NDArray[np.bool_]:
        return self.predicate.mask(self._filters.columns)

    @cached_property
    def _positions(self) -> npt.NDArray[np.int64]:
        found = np.flatnonzero(self._mask)
        found.flags.writeable = False
        return found
