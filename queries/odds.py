"""Answers of lists to a condition, and how those to its parts make those to the whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from archindex.queries import tree
from archindex.queries.compare import MIRRORED
from archindex.queries.intervals import Interval
from archindex.queries.table import Array
from archindex.queries.zones import Spread, Zone

Part = Array | Callable[[], Array]


class Odds:
    """Answers of lists to one condition: arrays with an entry for each list, or one for all.

    Each is given as an array, or as what works it out when it is first asked for: most never are.

    Attributes
    ----------
    can, cannot, unknown : ndarray of bool
        Whether some row may be TRUE, FALSE, NULL.
    true, false : ndarray of float64
        Estimated share of TRUE and of FALSE; the rest is NULL.
    """

    __slots__ = ("_parts",)

    def __init__(self, can: Part, cannot: Part, unknown: Part, true: Part, false: Part) -> None:
        self._parts: list[Part] = [can, cannot, unknown, true, false]

    def _part(self, number: int) -> Array:
        part = self._parts[number]
        if callable(part):
            part = self._parts[number] = part()
        return part

    can = property(lambda self: self._part(0))
    cannot = property(lambda self: self._part(1))
    unknown = property(lambda self: self._part(2))
    true = property(lambda self: self._part(3))
    false = property(lambda self: self._part(4))

    @property
    def null(self) -> Array:
        """Estimated share of NULL."""
        share: Array = (1.0 - self.true - self.false).clip(0.0, 1.0)
        return share

    def opposite(self) -> Odds:
        """Return the answers to NOT."""
        return Odds(
            lambda: self.cannot,
            lambda: self.can,
            lambda: self.unknown,
            lambda: self.false,
            lambda: self.true,
        )


def always(value: bool | None) -> Odds:
    """Return the answers to a literal."""
    can, cannot = np.asarray(value is True), np.asarray(value is False)
    return Odds(can, cannot, np.asarray(value is None), can.astype(np.float64), cannot.astype(np.float64))


def never_null(can: Array, unknown: Array, share: Array) -> Odds:
    """Return the answers of a condition that is never NULL: TRUE is in `can`, FALSE is in `unknown`."""
    return Odds(can, unknown, np.asarray(False), share, 1.0 - share)


def compared(a: Interval, b: Interval, can: Array, cannot: Array, share: Array) -> Odds:
    """Return the answers to a comparison of two numbers, from where it can hold and how often it does."""
    known = (1.0 - a.null) * (1.0 - b.null)
    there = (a.low <= a.high) & (b.low <= b.high)
    share = np.clip(share, 0.0, 1.0) * known * there
    return Odds(can & there, cannot & there, a.unknown | b.unknown, share, known * there - share)


def bounded(op: tree.CompareOp, zone: Zone, value: float, whole: bool) -> Odds:
    """Return the answers to a comparison of a column with a number."""
    if op in (">", ">="):
        opposite = bounded("<=" if op == ">" else "<", zone, value, whole)
        return opposite.opposite()
    rank = cast(Spread, zone.spread).rank(value + (0.5 if op == "<=" else -0.5) * whole)

    def true() -> Array:
        share: Array = rank - zone.base
        share *= zone.slope
        share.clip(0.0, 1.0, out=share)
        # The rank of a value does not tell it from the next ones, and a list may hold one value only.
        share[zone.high < value if op == "<" else zone.high <= value] = 1.0
        return share if zone.whole else share * zone.known

    odds = Odds(
        lambda: (zone.low < value if op == "<" else zone.low <= value) & zone.there,
        lambda: (zone.high >= value if op == "<" else zone.high > value) & zone.there,
        zone.gone,
        true,
        lambda: zone.known - odds.true,
    )
    return odds


def both(a: Odds, b: Odds) -> Odds:
    """Return the answers to AND of two conditions that know nothing of each other."""
    return Odds(
        lambda: a.can & b.can,
        lambda: a.cannot | b.cannot,
        lambda: a.unknown | b.unknown,
        lambda: a.true * b.true,
        lambda: a.false + b.false - a.false * b.false,
    )


def tighter(a: Odds, b: Odds) -> Odds:
    """Return the answers to two bounds of one column from one side: the tighter decides."""
    return Odds(
        lambda: a.can & b.can,
        lambda: a.cannot | b.cannot,
        lambda: a.unknown | b.unknown,
        lambda: np.minimum(a.true, b.true),
        lambda: np.maximum(a.false, b.false),
    )


def between(a: Odds, b: Odds) -> Odds:
    """Return the answers to a bound of one column from below and one from above."""

    def true() -> Array:
        # What is neither too small, too large nor NULL.
        found: Array = (a.true - b.false).clip(0.0, 1.0)
        return found

    odds = Odds(
        lambda: a.can & b.can,
        lambda: a.cannot | b.cannot,
        lambda: a.unknown | b.unknown,
        true,
        lambda: (1.0 - a.null) - odds.true,
    )
    return odds


def first_of(item: Odds, rest: Odds) -> Odds:
    """Return the answers to coalesce of two conditions."""
    null = item.null
    return Odds(
        item.can | (item.unknown & rest.can),
        item.cannot | (item.unknown & rest.cannot),
        item.unknown & rest.unknown,
        item.true + null * rest.true,
        item.false + null * rest.false,
    )


def compare_truth(op: tree.CompareOp, a: Odds, b: Odds) -> Odds:
    """Return the answers to a comparison of two conditions; FALSE is less than TRUE."""
    if op in (">", ">="):
        a, b, op = b, a, MIRRORED[op]
    equal = (a.can & b.can) | (a.cannot & b.cannot), a.true * b.true + a.false * b.false
    less = a.cannot & b.can, a.false * b.true
    more = a.can & b.cannot, a.true * b.false
    sides = {
        "=": (equal[0], less[0] | more[0], equal[1]),
        "<>": (less[0] | more[0], equal[0], less[1] + more[1]),
        "<": (less[0], equal[0] | more[0], less[1]),
        "<=": (less[0] | equal[0], more[0], less[1] + equal[1]),
    }
    can, cannot, share = sides[op]
    known = (a.true + a.false) * (b.true + b.false)
    return Odds(can, cannot, a.unknown | b.unknown, share, known - share)
