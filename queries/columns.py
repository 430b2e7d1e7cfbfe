"""Attribute columns: typed arrays in which a value may be missing (NULL)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from archindex.core.checks import check_choice
from archindex.core.errors import ArgumentError

Kind = Literal["DOUBLE", "BIGINT", "BOOLEAN", "VARCHAR"]
Schema = Mapping[str, Kind]
Value = float | int | bool | str | None

KINDS: tuple[Kind, ...] = ("DOUBLE", "BIGINT", "BOOLEAN", "VARCHAR")
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column of n values of one kind.

    Make one with `Column.of`, or from arrays, uncopied, with `double`, `bigint`, `boolean`, `varchar`.

    Parameters
    ----------
    kind : Kind
        The type of the values.
    values : ndarray of shape (n,)
        DOUBLE: float64, NaN is NULL; it may be a memory map. BIGINT: int64. BOOLEAN: bool.
        VARCHAR: int32 positions in `categories`, -1 is NULL.
    valid : ndarray of bool, shape (n,), optional
        BIGINT and BOOLEAN only: False where the value is NULL; None when nothing is.
    categories : tuple of str
        VARCHAR only: the distinct strings in ascending order.
    """

    kind: Kind
    values: npt.NDArray[np.generic]
    valid: npt.NDArray[np.bool_] | None = None
    categories: tuple[str, ...] = ()

    @classmethod
    def double(cls, values: npt.ArrayLike) -> Column:
        """Wrap numbers as DOUBLE; NaN is NULL. A float64 array, also a memory map, is not copied."""
        return cls("DOUBLE", _array("DOUBLE", values, np.float64, "fiu"))

    @classmethod
    def bigint(cls, values: npt.ArrayLike, valid: npt.ArrayLike | None = None) -> Column:
        """Wrap whole numbers as BIGINT; `valid` is False where the value is NULL."""
        array = np.asanyarray(values)
        if array.dtype.kind == "u" and array.size and int(array.max()) > INT64_MAX:
            raise ArgumentError("BIGINT values must fit 64 bits with a sign", got=int(array.max()))
        whole = _array("BIGINT", array, np.int64, "iu")
        return cls("BIGINT", whole, _mask(valid, whole.size))

    @classmethod
    def boolean(cls, values: npt.ArrayLike, valid: npt.ArrayLike | None = None) -> Column:
        """Wrap truth values as BOOLEAN; `valid` is False where the value is NULL."""
        array = _array("BOOLEAN", values, np.bool_, "b")
        return cls("BOOLEAN", array, _mask(valid, array.size))

    @classmethod
    def varchar(cls, codes: npt.ArrayLike, categories: Sequence[str]) -> Column:
        """Wrap positions in `categories` (distinct, ascending) as VARCHAR; -1 is NULL."""
        names = tuple(categories)
        if any(a >= b for a, b in pairwise(names)):
            raise ArgumentError("categories must be distinct and in ascending order", got=names[:8])
        array = _array("VARCHAR", codes, np.int32, "iu")
        if array.size and (array.min() < -1 or array.max() >= len(names)):
            raise ArgumentError(f"codes must lie from -1 to {len(names) - 1}", got=int(array.max()))
        return cls("VARCHAR", array, None, names)

    @classmethod
    def of(cls, kind: Kind, values: Iterable[Value]) -> Column:
        """Build a column from Python values or an array; None and NaN become NULL.

        Raises
        ------
        UnknownNameError
            If there is no such kind.
        ArgumentError
            If a value is not of the kind. Whole floats are accepted as BIGINT.
        """
        check_choice("column type", kind, KINDS)
        items = values.tolist() if isinstance(values, np.ndarray) else list(values)
        items = [None if isinstance(x, float) and math.isnan(x) else x for x in items]
        valid = np.array([x is not None for x in items], dtype=np.bool_)
        some = None if valid.all() else valid
        for row, item in enumerate(items):
            if item is not None and not _fits(kind, item):
                raise ArgumentError(f"expected {kind} values", got=item, fix=f"look at row {row}")
        if kind == "DOUBLE":
            return cls(kind, np.array([math.nan if x is None else float(x) for x in items], dtype=np.float64))
        if kind == "BIGINT":
            return cls(kind, np.array([int(x or 0) for x in items], dtype=np.int64), some)
        if kind == "BOOLEAN":
            return cls(kind, np.array([bool(x) for x in items], dtype=np.bool_), some)
        names = tuple(sorted({str(x) for x in items if x is not None}))
        place = {name: i for i, name in enumerate(names)}
        codes = np.array([-1 if x is None else place[str(x)] for x in items], dtype=np.int32)
        return cls(kind, codes, None, names)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: npt.NDArray[np.int64]) -> Column:
        """Return the column of the given row positions, in their order."""
        valid = None if self.valid is None else self.valid[rows]
        return Column(self.kind, np.asarray(self.values[rows]), valid, self.categories)

    def to_list(self) -> list[Value]:
        """Return the values as Python objects, None for NULL."""
        items: list[Value] = self.values.tolist()
        if self.kind == "DOUBLE":
            return [None if x != x else x for x in items]
        if self.kind == "VARCHAR":
            return [None if code < 0 else self.categories[code] for code in self.values.tolist()]
        if self.valid is None:
            return items
        return [x if ok else None for x, ok in zip(items, self.valid.tolist(), strict=True)]


def schema_of(columns: Mapping[str, Column]) -> dict[str, Kind]:
    """Return the kind of each column."""
    return {name: column.kind for name, column in columns.items()}


def _fits(kind: Kind, item: object) -> bool:
    if kind == "VARCHAR":
        return isinstance(item, str)
    if kind == "BOOLEAN":
        return isinstance(item, (bool, np.bool_))
    if isinstance(item, (bool, np.bool_)):
        return False
    if kind == "DOUBLE":
        return isinstance(item, (int, float, np.integer, np.floating))
    whole = isinstance(item, (int, np.integer)) or (
        isinstance(item, (float, np.floating)) and math.isfinite(item) and float(item).is_integer()
    )
    return whole and INT64_MIN <= int(item) <= INT64_MAX  # type: ignore[call-overload]


def _array(kind: Kind, values: npt.ArrayLike, dtype: npt.DTypeLike, accepted: str) -> npt.NDArray[np.generic]:
    array = np.asanyarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in accepted):
        raise ArgumentError(f"{kind} values must be a one-dimensional array of that type", got=values)
    return array.astype(dtype, copy=False)


def _mask(valid: npt.ArrayLike | None, size: int) -> npt.NDArray[np.bool_] | None:
    if valid is None:
        return None
    mask = np.asarray(valid)
    if mask.shape != (size,) or mask.dtype != np.bool_:
        raise ArgumentError(f"valid must be {size} truth values", got=valid)
    return None if mask.all() else mask
