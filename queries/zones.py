"""What each list of rows can hold, by column: bounds, NULLs, categories. Read once, it spares reading rows.

Small materialized aggregates, as Moerkotte called them (VLDB 1998); here a list of an index is the unit.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArgumentError
from archindex.queries.columns import Column
from archindex.queries.table import EXACT, Array, Attribute, Table

Counts = npt.NDArray[np.int32]
Doubles = npt.NDArray[np.float64]

# Of a column of at most so many different codes, the rows of each code are counted in each list.
MAX_COUNTED = 64
# Quantiles are taken of a sample of so many rows.
SAMPLE = 4096
QUANTILES = 128


class Spread:
    """How the values of a number column are spread: their quantiles in a sample.

    Parameters
    ----------
    attribute : Attribute
        The column; it must hold a value.
    unit : float
        How far around a value lies what it stands for.
    """

    def __init__(self, attribute: Attribute, unit: float) -> None:
        step = max(1, attribute.values.size // SAMPLE)
        values = attribute.values[::step]
        values = values[~np.isnan(values)] if attribute.valid is None else values[attribute.valid[::step]]
        limits = np.finfo(np.float64)
        ends = np.clip(np.array(attribute.bounds, dtype=np.float64), limits.min, limits.max)
        sample = np.sort(np.clip(values.astype(np.float64), *ends))
        ends += (-unit, unit)
        inner = np.quantile(sample, np.linspace(0, 1, QUANTILES + 1)) if sample.size else ends
        self._knots: Doubles = np.unique(np.concatenate([ends, inner]))
        sides = [np.searchsorted(sample, self._knots, side=side) for side in ("left", "right")]
        # Half of what is equal lies below. A little more at each knot, so that ranks always ascend.
        ranks = (sides[0] + sides[1]) / (2.0 * max(sample.size, 1)) + 1e-9 * np.arange(self._knots.size)
        ranks[0] = 0.0
        self._ranks: Doubles = ranks

    def rank(self, values: Array | float) -> Doubles:
        """Return which share of all values is less, about."""
        return np.asarray(np.interp(values, self._knots, self._ranks))


class Zone:
    """What is known of one column in each list that has rows, K of them.

    Attributes
    ----------
    low, high : ndarray of float64, shape (K,)
        Bounds of the values, or of the codes of a VARCHAR or BOOLEAN; low > high where all are NULL.
        Whole numbers beyond 2**53 are widened to the next DOUBLE, so that the bounds hold.
    null : ndarray of float64, shape (K,)
        Share of the rows that is NULL.
    known, gone, there : ndarray of shape (K,)
        Share that is not NULL; whether something is NULL; whether something is not.
    whole : bool
        Whether nothing at all is NULL.
    before : ndarray of int32, shape (C + 1, K), or None
        Rows of all lesser codes, for each code and after the last, where the codes are few.
    spread : Spread or None
        Of a number that is not counted: how the values of all rows are spread.
    base, slope : ndarray of float64, shape (K,)
        With a `spread`: about ``(spread.rank(x) - base) * slope`` of what is not NULL is less than x.
    """

    def __init__(self, attribute: Attribute, cuts: Array, sizes: Array) -> None:
        self.before: Counts | None = None
        codes = attribute.codes
        absent = attribute.absent
        self.null: Doubles = np.zeros(sizes.size)
        if absent is not None:
            self.null = np.add.reduceat(absent, cuts, dtype=np.int32) / sizes
        if codes is not None:
            self._of_codes(attribute, codes, cuts, sizes)
        elif attribute.kind == "DOUBLE":
            # fmin and fmax pass over NaN, which is NULL; where there is nothing else, no comparison holds.
            self.low, self.high = (f.reduceat(attribute.values, cuts) for f in (np.fmin, np.fmax))
            nothing = np.isnan(self.low)
            self.low[nothing], self.high[nothing] = np.inf, -np.inf
        else:
            self._of_wide(attribute, cuts)
        self.known: Doubles = 1.0 - self.null
        self.gone = self.null > 0
        self.whole = not self.gone.any()
        self.there = self.low <= self.high
        self.spread: Spread | None = None
        if attribute.kind in ("DOUBLE", "BIGINT") and self.before is None and self.there.any():
            # A whole number stands for the unit around it, and one DOUBLE for next to nothing.
            unit = 0.5 if attribute.kind == "BIGINT" else 0.0
            self.spread = Spread(attribute, unit)
            self.base = self.spread.rank(self.low - unit)
            width = self.spread.rank(self.high + unit) - self.base
            self.slope = 1.0 / np.maximum(width, np.finfo(np.float64).tiny)

    def _of_codes(self, attribute: Attribute, codes: Array, cuts: Array, sizes: Array) -> None:
        # As an unsigned number the code -1, NULL, is the largest, and as a signed one the smallest.
        unsigned = np.dtype(f"u{codes.itemsize}")
        low = np.minimum.reduceat(codes.view(unsigned), cuts).astype(np.float64)
        high = np.maximum.reduceat(codes, cuts).astype(np.float64)
        nothing = high < 0
        self.low = np.where(nothing, np.inf, low + attribute.low)
        self.high = np.where(nothing, -np.inf, high + attribute.low)
        if attribute.kind == "BIGINT" and max(abs(x) for x in attribute.bounds or (0, 0)) > EXACT:
            self.low, self.high = widened(self.low, self.high)
        kinds = attribute.code_count
        if kinds <= MAX_COUNTED:
            lists = np.repeat(np.arange(sizes.size) * (kinds + 1) + 1, sizes)
            counted = np.bincount(lists + codes, minlength=sizes.size * (kinds + 1))
            by_code = counted.reshape(sizes.size, kinds + 1)[:, 1:].T
            self.before = np.zeros((kinds + 1, sizes.size), dtype=np.int32)
            np.cumsum(by_code, axis=0, out=self.before[1:])

    def _of_wide(self, attribute: Attribute, cuts: Array) -> None:
        low = high = attribute.values
        gone = np.zeros(cuts.size, dtype=np.bool_)
        if attribute.valid is not None:
            limits = np.iinfo(np.int64)
            low, high = (np.where(attribute.valid, attribute.values, x) for x in (limits.max, limits.min))
            gone = self.null == 1
        least = np.minimum.reduceat(low, cuts).astype(np.float64)
        most = np.maximum.reduceat(high, cuts).astype(np.float64)
        self.low, self.high = widened(np.where(gone, np.inf, least), np.where(gone, -np.inf, most))


class Zones:
    """What each list of rows can hold; of each column when it is first asked for.

    Parameters
    ----------
    columns : mapping of str to Column, or Table
        The columns; they must not change.
    starts : ndarray of int64, shape (L + 1,)
        Where each list begins, ascending from 0 to the number of rows. Lists may be empty.

    Attributes
    ----------
    filled : ndarray of int64, shape (K,)
        The lists that have rows.
    sizes : ndarray of int64, shape (K,)
        Their rows.
    shares : ndarray of float64, shape (K,)
        Which share of its list a row is.

    Raises
    ------
    ArgumentError
        If `starts` does not cut rows into lists.
    """

    def __init__(self, columns: Mapping[str, Column] | Table, starts: npt.NDArray[np.int64]) -> None:
        starts = np.asarray(starts, dtype=np.int64)
        lengths = np.diff(starts)
        if starts.ndim != 1 or starts.size == 0 or starts[0] != 0 or (lengths < 0).any():
            raise ArgumentError("starts must ascend from 0", got=starts)
        self.table = columns if isinstance(columns, Table) else Table(columns, int(starts[-1]))
        self.starts = starts
        self.filled = np.flatnonzero(lengths)
        self.sizes = lengths[self.filled]
        self.shares: Doubles = 1.0 / self.sizes
        self._zones: dict[str, Zone] = {}

    def __len__(self) -> int:
        """Return the number of lists."""
        return self.starts.size - 1

    def __getitem__(self, name: str) -> Zone:
        """Return what is known of a column.

        Raises
        ------
        UnknownNameError
            If it is missing.
        ArgumentError
            If it has not as many rows as the lists.
        """
        found = self._zones.get(name)
        if found is None:
            attribute = self.table[name]
            if len(attribute.values) != self.starts[-1]:
                raise ArgumentError(f"expected a column of {self.starts[-1]} rows", got=len(attribute.values))
            if self.filled.size == 0:
                raise ArgumentError("expected rows", got=0)
            found = self._zones[name] = Zone(attribute, self.starts[self.filled], self.sizes)
        return found


def widened(low: Array, high: Array) -> tuple[Doubles, Doubles]:
    """Return bounds that hold although whole numbers were rounded."""
    beyond = (np.abs(low) > EXACT) | (np.abs(high) > EXACT)
    wide = (
        np.where(beyond, np.nextafter(low, -np.inf), low),
        np.where(beyond, np.nextafter(high, np.inf), high),
    )
    return np.where(low > high, low, wide[0]), np.where(low > high, high, wide[1])
