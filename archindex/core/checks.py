"""Argument checks, worded once for all of archindex."""

from __future__ import annotations

import math
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArgumentError, UnknownNameError

T = TypeVar("T")


def check_int(name: str, value: object, *, low: int | None = None, high: int | None = None) -> int:
    """Return `value` as an int within ``low <= value <= high``.

    Raises
    ------
    ArgumentError
        If `value` is not a whole number or is out of range. Booleans are refused.
    """
    bounds = _bounds(low, high)
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise ArgumentError(f"{name} must be a whole number{bounds}", got=value)
    number = int(value)
    if (low is not None and number < low) or (high is not None and number > high):
        raise ArgumentError(f"{name} must be a whole number{bounds}", got=number)
    return number


def check_float(name: str, value: object, *, low: float | None = None, high: float | None = None) -> float:
    """Return `value` as a finite float within ``low <= value <= high``.

    Raises
    ------
    ArgumentError
        If `value` is not a finite number or is out of range.
    """
    bounds = _bounds(low, high)
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise ArgumentError(f"{name} must be a number{bounds}", got=value)
    number = float(value)
    if (
        not math.isfinite(number)
        or (low is not None and number < low)
        or (high is not None and number > high)
    ):
        raise ArgumentError(f"{name} must be a finite number{bounds}", got=number)
    return number


def check_choice(kind: str, value: str, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`.

    Raises
    ------
    UnknownNameError
        If it is not; the message names the nearest choice.
    """
    names = list(choices)
    if not isinstance(value, str) or value not in names:
        raise UnknownNameError.of(kind, str(value), names)
    return value


def check_path(value: object) -> Path:
    """Return `value` as a path.

    Raises
    ------
    ArgumentError
        If it is neither text nor a path, or empty, which would be the current folder.
    """
    if not isinstance(value, (str, PathLike)) or not str(value):
        raise ArgumentError("expected a path", got=value)
    return Path(value)


def check_vectors(name: str, value: npt.ArrayLike, *, dim: int | None = None) -> npt.NDArray[np.float32]:
    """Return `value` as a C-contiguous float32 array of shape (n, dim), every entry finite.

    A single vector of shape (dim,) becomes (1, dim).

    Raises
    ------
    ArgumentError
        If the shape does not fit, or an entry is NaN, infinite or too large for float32.
    """
    shape = f"(n, {dim})" if dim is not None else "(n, dim)"
    try:
        raw = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(f"{name} must be numbers of shape {shape}", got=value) from None
    if raw.ndim == 1:
        raw = raw[None, :]
    if raw.ndim != 2 or (dim is not None and raw.shape[1] != dim):
        raise ArgumentError(f"{name} must have shape {shape}", got=np.shape(value))
    bad = ~(np.abs(raw) <= float(np.finfo(np.float32).max))
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ArgumentError(
            f"{name} must hold finite float32 numbers",
            got=float(raw[row, column]),
            fix=f"look at row {row}, column {column}",
        )
    return np.ascontiguousarray(raw, dtype=np.float32)


def check_ids(name: str, value: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return `value` as a 1-D int64 array of row ids, none negative.

    Raises
    ------
    ArgumentError
        If it is not one-dimensional, not whole numbers, or has a negative entry.
    """
    raw = np.asarray(value)
    if raw.size == 0:
        return np.empty(0, dtype=np.int64)
    if raw.ndim != 1 or raw.dtype.kind not in "iu":
        raise ArgumentError(f"{name} must be a one-dimensional array of whole numbers", got=value)
    ids = raw.astype(np.int64)
    if (ids < 0).any():
        raise ArgumentError(f"{name} must not be negative", got=int(ids.min()))
    return np.ascontiguousarray(ids)


def _bounds(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" of at least {low}"
    if high is not None:
        return f" of at most {high}"
    return ""
