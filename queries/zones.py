"""What each list of rows can hold, by column: bounds, NULLs, categories. Read once, it spares reading rows.

Small materialized aggregates, as Moerkotte called them (VLDB 1998); here a list of an index is the unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArgumentError
from archindex.queries.columns import Column
from archindex.queries.table import EXACT, Array, Attribute, Table

Counts = npt.NDArray[np.int32]
Doubles = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

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
        with np.errstate(over="ignore"):  # between the largest numbers of both signs
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
    """What is known of one column in each list that has rows, K of them. Made by `Zone.of`.

    Parameters
    ----------
    facts : ndarray of float64, shape (K, 5)
        `low`, `high`, `null`, `base` and `slope` of each list side by side: some lists are taken at once.
    counts : ndarray of int32, shape (K, C + 1), or None
        `before`, the other way round.
    spread : Spread or None
        See below.

    Attributes
    ----------
    low, high : ndarray of float64, shape (K,)
        Bounds of the values, or of the codes of a VARCHAR or BOOLEAN; low > high where all are NULL.
        Whole numbers beyond 2**53 are widened to the next DOUBLE, so that the bounds hold.
    null : ndarray of float64, shape (K,)
        Share of the rows that is NULL.
    base, slope : ndarray of float64, shape (K,)
        With a `spread`: about ``(spread.rank(x) - base) * slope`` of what is not NULL is less than x.
    gone : ndarray of bool, shape (K,)
        Whether something is NULL.
    whole : bool
        Whether nothing at all is NULL.
    before : ndarray of int32, shape (C + 1, K), or None
        Rows of all lesser codes, for each code and after the last, where the codes are few.
    spread : Spread or None
        Of a number that is not counted: how the values of all rows are spread.
    """

    def __init__(self, facts: Doubles, counts: Counts | None, spread: Spread | None) -> None:
        self._facts, self._counts, self.spread = facts, counts, spread
        self.low, self.high, self.null, self.base, self.slope = np.ascontiguousarray(facts.T)
        self.before = None if counts is None else counts.T
        self.gone = self.null > 0
        self.whole = not self.gone.any()

    @cached_property
    def known(self) -> Doubles:
        """Share that is not NULL; float64[K]."""
        known: Doubles = 1.0 - self.null
        return known

    @cached_property
    def there(self) -> Array:
        """Whether something is not NULL; bool[K]."""
        return np.asarray(self.low <= self.high)

    @classmethod
    def of(cls, attribute: Attribute, cuts: Array, sizes: Array) -> Zone:
        """Read a column, whose lists begin at `cuts` int64[K]."""
        codes, absent = attribute.codes, attribute.absent
        counts: Counts | None = None
        facts = np.zeros((sizes.size, 5))
        if absent is not None:
            facts[:, 2] = np.add.reduceat(absent, cuts, dtype=np.int32) / sizes
        if codes is not None:
            low, high = _ends_of_codes(attribute, codes, cuts)
            counts = _counts_of(attribute, codes, sizes)
        elif attribute.kind == "DOUBLE":
            # fmin and fmax pass over NaN, which is NULL; where there is nothing else, no comparison holds.
            low, high = (f.reduceat(attribute.values, cuts) for f in (np.fmin, np.fmax))
            nothing = np.isnan(low)
            low[nothing], high[nothing] = np.inf, -np.inf
        else:
            low, high = _wide_ends(attribute, cuts, facts[:, 2] == 1)
        facts[:, 0], facts[:, 1] = low, high
        spread: Spread | None = None
        if attribute.kind in ("DOUBLE", "BIGINT") and counts is None and (low <= high).any():
            # A whole number stands for the unit around it, and one DOUBLE for next to nothing.
            unit = 0.5 if attribute.kind == "BIGINT" else 0.0
            spread = Spread(attribute, unit)
            facts[:, 3] = spread.rank(low - unit)
            width = spread.rank(high + unit) - facts[:, 3]
            facts[:, 4] = 1.0 / np.maximum(width, np.finfo(np.float64).tiny)
        return cls(facts, counts, spread)

    def take(self, places: Places) -> Zone:
        """Return the same of some lists only, in their order."""
        counts = None if self._counts is None else self._counts.take(places, axis=0)
        return Zone(self._facts.take(places, axis=0), counts, self.spread)


def _ends_of_codes(attribute: Attribute, codes: Array, cuts: Array) -> tuple[Doubles, Doubles]:
    # As an unsigned number the code -1, NULL, is the largest, and as a signed one the smallest.
    unsigned = np.dtype(f"u{codes.itemsize}")
    least = np.minimum.reduceat(codes.view(unsigned), cuts).astype(np.float64)
    most = np.maximum.reduceat(codes, cuts).astype(np.float64)
    nothing = most < 0
    low = np.where(nothing, np.inf, least + attribute.low)
    high = np.where(nothing, -np.inf, most + attribute.low)
    if attribute.kind == "BIGINT" and max(abs(x) for x in attribute.bounds or (0, 0)) > EXACT:
        return widened(low, high)
    return low, high


def _counts_of(attribute: Attribute, codes: Array, sizes: Array) -> Counts | None:
    """Return in each list the rows of all lesser codes, for each code and after the last; None: too many."""
    kinds = attribute.code_count
    if kinds > MAX_COUNTED:
        return None
    lists = np.repeat(np.arange(sizes.size) * (kinds + 1) + 1, sizes)
    counted = np.bincount(lists + codes, minlength=sizes.size * (kinds + 1)).reshape(-1, kinds + 1)
    counted[:, 0] = 0  # NULL
    return counted.cumsum(axis=1, dtype=np.int32)


def _wide_ends(attribute: Attribute, cuts: Array, gone: Array) -> tuple[Doubles, Doubles]:
    low = high = attribute.values
    if attribute.valid is not None:
        limits = np.iinfo(np.int64)
        low, high = (np.where(attribute.valid, attribute.values, x) for x in (limits.max, limits.min))
    least = np.minimum.reduceat(low, cuts).astype(np.float64)
    most = np.maximum.reduceat(high, cuts).astype(np.float64)
    return widened(np.where(gone, np.inf, least), np.where(gone, -np.inf, most))


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
            found = self._zones[name] = Zone.of(attribute, self.starts[self.filled], self.sizes)
        return found

    def part(self, lists: Places) -> Zones:
        """Return the same of some lists only, in their order."""
        return _Part(self, lists)

    @cached_property
    def places(self) -> Places:
        """Place of each list among those that have rows, -1 where it has none; int64[L]."""
        places = np.full(len(self), -1)
        places[self.filled] = np.arange(self.filled.size)
        return places


class _Part(Zones):
    def __init__(self, whole: Zones, lists: Places) -> None:
        self._whole, self._lists = whole, len(lists)
        self.table, self._zones = whole.table, {}
        if whole.filled.size == len(whole):
            self.filled, self._at = np.arange(len(lists)), lists
        else:
            at = whole.places[lists]
            self.filled = np.flatnonzero(at >= 0)
            self._at = at[self.filled]
        self.sizes, self.shares = whole.sizes[self._at], whole.shares[self._at]

    def __len__(self) -> int:
        return self._lists

    def __getitem__(self, name: str) -> Zone:
        found = self._zones.get(name)
        if found is None:
            found = self._zones[name] = self._whole[name].take(self._at)
        return found


def widened(low: Array, high: Array) -> tuple[Doubles, Doubles]:
    """Return bounds that hold although whole numbers were rounded."""
    beyond = (np.abs(low) > EXACT) | (np.abs(high) > EXACT)
    wide = (
        np.where(beyond, np.nextafter(low, -np.inf), low),
        np.where(beyond, np.nextafter(high, np.inf), high),
    )
    return np.where(low > high, low, wide[0]), np.where(low > high, high, wide[1])
