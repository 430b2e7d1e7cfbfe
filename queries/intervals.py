"""Number expressions asked of lists: between what bounds the values lie, by interval arithmetic."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from archindex.queries import tree
from archindex.queries.numbers import LN_SLACK
from archindex.queries.table import Array
from archindex.queries.zones import Zones, widened


class Interval(NamedTuple):
    """The values of a number expression: arrays with an entry for each list, or one for all."""

    low: Array
    """No value is less. Greater than `high` where there is no value."""
    high: Array
    unknown: Array
    """Whether some row may be NULL."""
    null: Array
    """Estimated share of NULL."""
    whole: bool
    """Whether all values are whole numbers."""


class Intervals:
    """Bounds of number expressions in the lists that have rows."""

    def __init__(self, zones: Zones) -> None:
        self._zones = zones

    def of(self, node: tree.Node) -> Interval:
        """Return the bounds of a DOUBLE or BIGINT."""
        match node:
            case tree.Constant():
                gone = np.asarray(node.value is None)
                if node.value is None or isinstance(node.value, str):
                    return Interval(
                        np.asarray(np.inf), np.asarray(-np.inf), gone, gone.astype(np.float64), True
                    )
                low, high = (np.asarray(float(node.value)) for _ in range(2))
                if node.kind == "BIGINT":
                    low, high = widened(low, high)
                whole = float(node.value).is_integer()
                return Interval(low, high, gone, gone.astype(np.float64), whole)
            case tree.ColumnRef():
                zone = self._zones[node.name]
                return Interval(zone.low, zone.high, zone.gone, zone.null, node.kind == "BIGINT")
            case tree.ToDouble():
                return self.of(node.operand)
            case tree.Math():
                return _function(node.function, self.of(node.operand))
            case tree.Arithmetic():
                return _arithmetic(node.op, self.of(node.left), self.of(node.right))
            case tree.Coalesce():
                found = self.of(node.items[-1])
                for item in reversed(node.items[:-1]):
                    found = _first(self.of(item), found)
                return found
        raise AssertionError(f"{node} is no number")


def _first(item: Interval, rest: Interval) -> Interval:
    low = np.minimum(item.low, np.where(item.unknown, rest.low, np.inf))
    high = np.maximum(item.high, np.where(item.unknown, rest.high, -np.inf))
    return Interval(low, high, item.unknown & rest.unknown, item.null * rest.null, item.whole and rest.whole)


def _function(function: tree.MathFunction, of: Interval) -> Interval:
    low, high = of.low, of.high
    if function == "-":
        return Interval(-high, -low, of.unknown, of.null, of.whole)
    gone = low > high
    if function == "abs":
        ends = np.abs(low), np.abs(high)
        least = np.where((low <= 0) & (high >= 0), 0.0, np.minimum(*ends))
        least, most = np.where(gone, np.inf, least), np.where(gone, -np.inf, np.maximum(*ends))
        return Interval(least, most, of.unknown, of.null, of.whole)
    negative = (low < 0) & ~gone
    gone = gone | (high < 0)
    below_zero = np.where(negative, _share_below(of, np.asarray(0.0)), 0.0)
    null = of.null + (1.0 - of.null) * below_zero
    ends = np.maximum(low, 0.0), np.maximum(high, 0.0)
    if function == "sqrt":
        least, most = np.sqrt(ends[0]), np.sqrt(ends[1])
    else:
        least, most = np.log(ends[0]), np.log(ends[1])
        least, most = least - LN_SLACK * (1 + np.abs(least)), most + LN_SLACK * (1 + np.abs(most))
        # Minus infinity less something of minus infinity is no number.
        least, most = np.where(ends[0] == 0, -np.inf, least), np.where(ends[1] == 0, -np.inf, most)
        most = np.where(np.isinf(ends[1]), np.inf, most)
        least = np.where(np.isinf(ends[0]), np.finfo(np.float64).max, least)
    least, most = np.where(gone, np.inf, least), np.where(gone, -np.inf, most)
    return Interval(least, most, of.unknown | negative, null, False)


def _arithmetic(op: tree.ArithmeticOp, a: Interval, b: Interval) -> Interval:
    if op == "+":
        found = [a.low + b.low, a.high + b.high]
    elif op == "-":
        found = [a.low - b.high, a.high - b.low]
    else:
        operate = np.multiply if op == "*" else np.divide
        found = [operate(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    low, high = np.minimum.reduce(np.broadcast_arrays(*found)), np.maximum.reduce(np.broadcast_arrays(*found))
    # Infinities, and zero as a divisor: any value, or none.
    wild = np.isnan(low) | np.isnan(high)
    if op == "/":
        wild = wild | ((b.low <= 0) & (b.high >= 0))
    open_ended = ~(np.isfinite(a.low) & np.isfinite(a.high) & np.isfinite(b.low) & np.isfinite(b.high))
    low, high = np.where(wild, -np.inf, low), np.where(wild, np.inf, high)
    whole = a.whole and b.whole and op != "/"
    if whole:
        low, high = widened(low, high)
    gone = (a.low > a.high) | (b.low > b.high)
    unknown = a.unknown | b.unknown | ((wild | open_ended) & ~gone)
    null = 1.0 - (1.0 - a.null) * (1.0 - b.null)
    return Interval(np.where(gone, np.inf, low), np.where(gone, -np.inf, high), unknown, null, whole)


def meet(a: Interval, b: Interval, few: Array) -> tuple[Array, Array, Array]:
    """Return whether some values may be equal, whether some may differ, and the share that is equal.

    `few` is the share where nothing says more: that of one row.
    """
    can = (a.low <= b.high) & (b.low <= a.high)
    single = (a.low == a.high) & (b.low == b.high) & (a.low == b.low)
    width = np.maximum(a.high - a.low, b.high - b.low)
    share = 1.0 / (width + 1.0) if a.whole and b.whole else few
    share = np.where(np.isfinite(width), share, few)
    return can, ~single, np.where(single, 1.0, share * can)


def below(a: Interval, b: Interval, strict: bool) -> tuple[Array, Array, Array]:
    """Return whether a value of `a` may be less than one of `b`, or not be so, and the share that is.

    If not `strict`, less or equal.
    """
    can = a.low < b.high if strict else a.low <= b.high
    cannot = a.high >= b.low if strict else a.high > b.low
    if a.whole and b.whole:
        # Whole numbers stand for the unit around them; half of one is between < and <=.
        shift = -0.5 if strict else 0.5
        one = (b.low == b.high) | (a.low == a.high)
        low, high = a.low - 0.5, a.high + 0.5
        a = a._replace(low=low, high=high)
        wide = np.where(one, shift, 0.0)
        b = b._replace(low=b.low + wide, high=b.high + wide)
    share = _share_under(a, b)
    share = np.where(can, np.where(cannot, share, 1.0), 0.0)
    return can, cannot, share


def _share_below(a: Interval, value: Array) -> Array:
    share: Array = np.nan_to_num((value - a.low) / (a.high - a.low), nan=0.5)
    return share.clip(0.0, 1.0)


def _share_under(a: Interval, b: Interval) -> Array:
    """Return how likely an even draw from `a` is less than one from `b`."""
    width = np.maximum(a.high - a.low, 0.0)

    def integral(x: Array) -> Array:
        inside = np.clip(x - a.low, 0.0, width)
        area: Array = inside * inside / (2.0 * width) + np.maximum(x - a.high, 0.0)
        return area

    span = b.high - b.low
    point = np.where(width > 0, np.clip((b.low - a.low) / width, 0.0, 1.0), 0.5)
    steep = np.clip((b.high - a.low) / span, 0.0, 1.0)
    spread = np.where(width > 0, (integral(b.high) - integral(b.low)) / span, steep)
    share = np.where(span > 0, spread, point)
    return np.where(np.isfinite(share), share, 0.5)
