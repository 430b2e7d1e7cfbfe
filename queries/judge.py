"""Conditions asked of lists: which lists may hold a match, and about how many. Two arrays of each answer.

What a list can hold is proved from the bounds of its columns. How much of it matches is estimated: a column
is spread in each list, between its bounds there, as it is over all rows; computed numbers are spread evenly;
and conditions on different columns are independent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import cast

import numpy as np
import numpy.typing as npt

from archindex.queries import tree
from archindex.queries.columns import Kind
from archindex.queries.compare import MIRRORED, OPERATORS
from archindex.queries.intervals import Intervals, below, meet
from archindex.queries.odds import (
    Odds,
    always,
    between,
    both,
    bounded,
    compare_truth,
    compared,
    first_of,
    never_null,
    tighter,
)
from archindex.queries.spans import Span, Spans, chosen_codes, codes_in
from archindex.queries.table import EXACT, Array, Bools
from archindex.queries.text import among, places
from archindex.queries.zones import Spread, Zone, Zones

Doubles = npt.NDArray[np.float64]
Test = Callable[[Sequence[str]], Bools]


def judge(node: tree.Node, zones: Zones) -> tuple[Bools, Doubles]:
    """Return which lists may hold a row for which `node` is TRUE, and how many each is estimated to hold.

    Both have shape (L,); no list without rows, and none that is not possible, is expected to hold any.
    """
    can, rows = np.zeros(len(zones), dtype=np.bool_), np.zeros(len(zones))
    if zones.filled.size:
        with np.errstate(all="ignore"):
            found = _Judge(zones).odds(node)
            share: Array = found.true.clip(0.0, 1.0)
            can[zones.filled] = found.can
            rows[zones.filled] = found.can * share * zones.sizes
    return can, rows


class _Judge:
    def __init__(self, zones: Zones) -> None:
        self._zones = zones
        self._numbers = Intervals(zones)
        self._made: dict[int, Odds] = {}

    def odds(self, node: tree.Node) -> Odds:
        # The tree lives on while it is judged, so no two nodes have one id.
        found = self._made.get(id(node))
        if found is None:
            found = self._made[id(node)] = self._odds(node)
        return found

    def _odds(self, node: tree.Node) -> Odds:
        match node:
            case tree.Junction():
                return self._junction(node)
            case tree.Not():
                return self.odds(node.operand).opposite()
            case tree.Compare():
                return self._compare(node.op, node.left, node.right)
            case tree.In():
                return self._among(node)
            case tree.Like():
                like = self._zones.table.like
                return self._text(node.operand, lambda names: like(node.pattern, names))
            case tree.IsNull():
                return self._null(node.operand)
            case tree.IsTruth():
                of = self.odds(node.operand)
                of = of if node.value else of.opposite()
                return never_null(of.can, of.cannot | of.unknown, of.true)
            case tree.Coalesce():
                return reduce(
                    lambda rest, item: first_of(self.odds(item), rest),
                    reversed(node.items[:-1]),
                    self.odds(node.items[-1]),
                )
            case tree.ColumnRef():
                return _codes(self._zones, node.name, np.array([False, True]))
            case tree.Constant():
                return always(cast(bool | None, node.value))
        raise AssertionError(f"{node} is no condition")

    def _junction(self, node: tree.Junction) -> Odds:
        items = [self.odds(item) for item in node.items]
        if node.op == "or":
            return reduce(both, [item.opposite() for item in items]).opposite()
        # Two conditions that bound one column from below and above are not independent.
        ends: dict[tuple[str, bool], list[int]] = {}
        for i, item in enumerate(node.items):
            end = _end(item)
            if end is not None:
                ends.setdefault(end, []).append(i)
        rest = set(range(len(items)))
        parts: list[Odds] = []
        for (name, lower), first in ends.items():
            second = ends.get((name, False))
            if lower and second:
                rest -= {*first, *second}
                parts.append(between(*(reduce(tighter, [items[i] for i in end]) for end in (first, second))))
        return reduce(both, [*parts, *(items[i] for i in sorted(rest))])

    def _null(self, node: tree.Node) -> Odds:
        """Return the answers to ``node IS NULL``."""
        if node.kind in ("DOUBLE", "BIGINT"):
            number = self._numbers.of(node)
            return never_null(number.unknown, number.low <= number.high, number.null)
        if node.kind == "BOOLEAN":
            of = self.odds(node)
            return never_null(of.unknown, of.can | of.cannot, of.null)
        if node.kind == "NULL":
            return never_null(np.asarray(True), np.asarray(False), np.asarray(1.0))
        known = self._text(node, lambda names: np.ones(len(names), dtype=np.bool_))
        return never_null(known.unknown, known.can, known.null)

    def _text(self, node: tree.Node, test: Test) -> Odds:
        """Return the answers to whether the string of `node` passes `test`."""
        match node:
            case tree.Constant():
                return always(None if node.value is None else bool(test((str(node.value),))[0]))
            case tree.ColumnRef():
                return _codes(self._zones, node.name, test(self._zones.table[node.name].categories))
            case tree.Coalesce():
                items = [self._text(item, test) for item in node.items]
                return reduce(lambda rest, item: first_of(item, rest), reversed(items[:-1]), items[-1])
        raise AssertionError(f"{node} is no VARCHAR")

    def _compare(self, op: tree.CompareOp, left: tree.Node, right: tree.Node) -> Odds:
        if isinstance(left, tree.Constant) and not isinstance(right, tree.Constant):
            left, right, op = right, left, MIRRORED[op]
        if left.kind == "BOOLEAN":
            return compare_truth(op, self.odds(left), self.odds(right))
        if left.kind == "VARCHAR":
            return self._compare_text(op, left, right)
        column = left.operand if isinstance(left, tree.ToDouble) else left
        if (
            isinstance(column, tree.ColumnRef)
            and isinstance(right, tree.Constant)
            and right.value is not None
        ):
            value = right.value
            counted = self._counted(column.name, lambda values: OPERATORS[op](values, value))
            if counted is not None:
                return counted
            zone = self._zones[column.name]
            if op not in ("=", "<>") and zone.spread is not None and abs(float(value)) < EXACT:
                return bounded(op, zone, float(value), column.kind == "BIGINT")
        a, b = self._numbers.of(left), self._numbers.of(right)
        if op in ("=", "<>"):
            found = compared(a, b, *meet(a, b, 1.0 / self._zones.sizes))
            return found if op == "=" else found.opposite()
        if op in (">", ">="):
            a, b = b, a
        strict = op in ("<", ">")
        return compared(a, b, *below(a, b, strict))

    def _counted(self, name: str, test: Callable[[Array], Bools]) -> Odds | None:
        """Return exact answers about a column of few whole numbers, each asked of by `test`."""
        attribute = self._zones.table[name]
        if attribute.codes is None or self._zones[name].before is None:
            return None
        return _codes(self._zones, name, test(attribute.low + np.arange(attribute.code_count)))

    def _compare_text(self, op: tree.CompareOp, left: tree.Node, right: tree.Node) -> Odds:
        if isinstance(right, tree.Constant):
            if right.value is None:
                return always(None)
            word = str(right.value)
            operator = OPERATORS[op]
            return self._text(
                left, lambda names: operator(2 * np.arange(len(names)), places((word,), names)[0])
            )
        a, b = self._null(left), self._null(right)
        both = a.cannot & b.cannot
        known = a.false * b.false
        share = {"=": 0.1, "<>": 0.9}.get(op, 0.5) * known
        return Odds(both, both, a.can | b.can, share, known - share)

    def _among(self, node: tree.In) -> Odds:
        operand = node.operand
        if operand.kind == "VARCHAR":
            words = [str(value) for value in node.values]
            found = self._text(operand, lambda names: among(words, names))
        elif operand.kind == "BOOLEAN":
            found = self._among_truths(self.odds(operand), {bool(value) for value in node.values})
        else:
            found = self._among_numbers(operand, node.values)
        if not node.null:
            return found
        # What is none of the values may be the NULL in the list: not FALSE, but NULL.
        return Odds(found.can, np.asarray(False), found.cannot | found.unknown, found.true, np.asarray(0.0))

    def _among_truths(self, of: Odds, wanted: set[bool]) -> Odds:
        yes, no = True in wanted, False in wanted
        if yes == no:
            known = Odds(
                of.can | of.cannot, np.asarray(False), of.unknown, of.true + of.false, np.asarray(0.0)
            )
            return known if yes else known.opposite()
        return of if yes else of.opposite()

    def _among_numbers(self, operand: tree.Node, values: Sequence[object]) -> Odds:
        column = operand.operand if isinstance(operand, tree.ToDouble) else operand
        if isinstance(column, tree.ColumnRef):
            counted = self._counted(column.name, lambda held: np.isin(held, np.array(values or [np.nan])))
            if counted is not None:
                return counted
        kind = cast(Kind, operand.kind)
        compared = [self._compare("=", operand, tree.Constant(kind, cast(float, value))) for value in values]
        null = self._null(operand)
        if not compared:
            return Odds(np.asarray(False), null.cannot, null.can, np.asarray(0.0), null.false)
        can = reduce(np.logical_or, [of.can for of in compared])
        cannot = reduce(np.logical_and, [of.cannot for of in compared])
        share = np.minimum(sum(of.true for of in compared), null.false)
        return Odds(can, cannot, null.can, share, null.false - share)


def _codes(zones: Zones, name: str, chosen: Bools) -> Odds:
    """Return the answers to whether the code of a column is one of those `chosen`."""
    zone = zones[name]
    if zone.before is not None:
        edges = np.flatnonzero(np.diff(chosen, prepend=False, append=False)).reshape(-1, 2).tolist()
        runs = [zone.before[stop] - zone.before[first] for first, stop in edges]
        held = reduce(np.add, runs) if runs else np.zeros_like(zone.before[0])
        other = zone.before[-1] - held
        share = held * zones.shares
        return Odds(held > 0, other > 0, zone.gone, share, zone.known - share)
    attribute, there = zones.table[name], zone.there
    low, high = (np.where(there, end - attribute.low, 0).astype(np.int64) for end in (zone.low, zone.high))

    def within(counts: Array) -> Array:
        """Return what the codes of each list, from its least to its greatest, sum up to."""
        before = np.concatenate(([0], np.cumsum(counts)))
        summed: Array = np.where(there, before[high + 1] - before[low], 0)
        return summed

    held = within(chosen)
    # In a list, codes are as frequent as they are over all rows.
    share = zone.known * within(chosen * attribute.frequencies)
    share /= np.maximum(within(attribute.frequencies), 1)
    return Odds(held > 0, there & (held < high - low + 1), zone.gone, share, zone.known - share)


def _end(node: tree.Node) -> tuple[str, bool] | None:
    """Return the column that a comparison with a literal bounds, and whether from below; else None."""
    if not isinstance(node, tree.Compare) or node.op in ("=", "<>"):
        return None
    left, right, op = node.left, node.right, node.op
    if isinstance(left, tree.Constant):
        left, right, op = right, left, MIRRORED[op]
    left = left.operand if isinstance(left, tree.ToDouble) else left
    if isinstance(left, tree.ColumnRef) and isinstance(right, tree.Constant):
        return left.name, op in (">", ">=")
    return None


def judge_spans(spans: Spans, zones: Zones) -> tuple[Bools, Doubles]:
    """Return what `judge` does, of spans."""
    can, share = np.ones(zones.filled.size, dtype=np.bool_), zones.sizes.astype(np.float64)
    for name, span in spans.items() if can.size else ():
        possible, part = _held(zones, name, span)
        can &= possible
        share *= part
    share *= can
    if zones.filled.size == len(zones):
        return can, share
    all_can, all_share = np.zeros(len(zones), dtype=np.bool_), np.zeros(len(zones))
    all_can[zones.filled], all_share[zones.filled] = can, share
    return all_can, all_share


def _held(zones: Zones, name: str, span: Span | frozenset[str]) -> tuple[Bools, Doubles]:
    """Return which lists may hold a value in a span, or a word, and the share of their rows that does."""
    zone, attribute = zones[name], zones.table[name]
    if isinstance(span, frozenset):
        odds = _codes(zones, name, chosen_codes(attribute, span))
        return odds.can, odds.true
    low, high, with_low, with_high = span
    if zone.before is not None:
        first, last = codes_in(attribute, span)
        if first > last:
            return np.zeros(zones.sizes.size, dtype=np.bool_), np.zeros(zones.sizes.size)
        held = zone.before[last + 1] - zone.before[first]
        return held > 0, held * zones.shares
    can: Bools = zone.low <= high if with_high else zone.low < high
    can &= zone.high >= low if with_low else zone.high > low
    if not zone.whole:
        can &= zone.there
    if zone.spread is None:
        return can, can.astype(np.float64)
    half = 0.5 * (attribute.kind == "BIGINT")
    share = _below(zone, zone.spread, high + (half if with_high else -half), high)
    if low > -math.inf:
        share -= _below(zone, zone.spread, low + (-half if with_low else half), np.nextafter(low, -math.inf))
        np.maximum(share, 0.0, out=share)
    if not zone.whole:
        share *= zone.known
    if low == high:
        np.maximum(share, zones.shares, out=share)
    return can, share


def _below(zone: Zone, spread: Spread, value: float, least: float) -> Doubles:
    """Return the share of each list that is less than a value; all of it where nothing is above `least`."""
    share: Doubles = spread.rank(value) - zone.base
    share *= zone.slope
    np.minimum(np.maximum(share, 0.0, out=share), 1.0, out=share)
    # The rank of a value does not tell it from the next ones, and a list may hold one value only.
    share[zone.high <= least] = 1.0
    return share
