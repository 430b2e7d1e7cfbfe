"""Plain filters: bounds of numbers and choices of words, all of which hold. Most are, and take a short way.

``latency_ms < 5.31 AND space = 'darts'`` is a span and a set of words. A search loop asks with other numbers
each time, and what has to be found out about the expression is found out once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from archindex.queries import tree
from archindex.queries.columns import Value
from archindex.queries.compare import MIRRORED
from archindex.queries.numbers import present
from archindex.queries.table import EXACT, Attribute, Bools, Rows, Table
from archindex.queries.text import among
from archindex.queries.texts import coded
from archindex.queries.truth import Step, Truth


class Span(NamedTuple):
    """The numbers between two, each included or not."""

    low: float
    high: float
    with_low: bool = True
    with_high: bool = True

    def overlap(self, other: Span) -> Span:
        """Return the numbers in both."""
        low = max((self.low, not self.with_low), (other.low, not other.with_low))
        high = min((self.high, self.with_high), (other.high, other.with_high))
        return Span(low[0], high[0], not low[1], high[1])


Words = tuple[str, ...]
Spans = Mapping[str, Span | frozenset[str]]
"""What a filter asks of each of some columns: of a number a span, of a VARCHAR to be one of some words."""


class Bound(NamedTuple):
    """A comparison with `value`, or that called `name` of the row asked from; `minus`: with its negative.

    A VARCHAR is to be equal to it, or to one of several.
    """

    column: str
    op: tree.CompareOp
    value: Value | Words
    name: str | None
    minus: bool = False


def span_of(op: tree.CompareOp, value: float) -> Span:
    """Return the numbers for which a comparison with one holds; it is none of ``<>``."""
    if op == "=":
        return Span(value, value)
    if op in ("<", "<="):
        return Span(-math.inf, value, True, op == "<=")
    return Span(value, math.inf, op == ">=", True)


def bounds_of(node: tree.Node) -> tuple[Bound, ...] | None:
    """Return the comparisons that an expression consists of, or None where it is anything else."""
    if isinstance(node, tree.Junction) and node.op == "and":
        found: list[Bound] = []
        for item in node.items:
            inner = bounds_of(item)
            if inner is None:
                return None
            found += inner
        return tuple(found)
    if (
        isinstance(node, tree.In)
        and isinstance(node.operand, tree.ColumnRef)
        and node.operand.kind == "VARCHAR"
    ):
        return (Bound(node.operand.name, "=", tuple(map(str, node.values)), None),)
    if not isinstance(node, tree.Compare) or node.op == "<>":
        return None
    left, right = _bare(node.left), _bare(node.right)
    op: tree.CompareOp = node.op
    if isinstance(right, tree.ColumnRef):
        left, right, op = right, left, MIRRORED[op]
    if not isinstance(left, tree.ColumnRef) or left.kind == "BOOLEAN":
        return None
    if left.kind == "VARCHAR" and op != "=":
        return None
    minus = isinstance(right, tree.Math) and right.function == "-"
    if isinstance(right, tree.Math) and minus:
        right = _bare(right.operand)
    if isinstance(right, tree.Constant):
        return (Bound(left.name, op, right.value, None, minus),)
    return (Bound(left.name, op, None, right.name, minus),) if isinstance(right, tree.QueryRef) else None


def _bare(node: tree.Node) -> tree.Node:
    return node.operand if isinstance(node, tree.ToDouble) else node


def spans_of(bounds: Iterable[Bound], row: Mapping[str, Value | Words]) -> Spans | None:
    """Return what comparisons ask of each column; None where a number is NULL, or a DOUBLE cannot hold it."""
    found: dict[str, Span | frozenset[str]] = {}
    for column, op, constant, name, minus in bounds:
        value = constant if name is None else row[name]
        asked: Span | frozenset[str]
        if isinstance(value, str | tuple):
            asked = frozenset((value,) if isinstance(value, str) else value)
        elif isinstance(value, int | float) and abs(value) <= EXACT:
            asked = span_of(op, -value if minus else value)
        else:
            return None
        other = found.get(column)
        if isinstance(other, Span) and isinstance(asked, Span):
            asked = other.overlap(asked)
        elif isinstance(other, frozenset) and isinstance(asked, frozenset):
            asked &= other
        found[column] = asked
    return found


def plain(spans: Spans | None, table: Table) -> Spans | None:
    """Return spans where they mean in a table what the comparisons do: no number there is rounded."""
    if spans is not None:
        for name in spans:
            attribute = table[name]
            if attribute.kind == "BIGINT" and not attribute.exact:
                return None
    return spans


def inside(attribute: Attribute, span: Span | frozenset[str]) -> Truth:
    """Return where a column lies in a span, or is one of some words."""
    if isinstance(span, frozenset):
        return coded(attribute, chosen_codes(attribute, span))
    bounds, codes = attribute.bounds, attribute.codes
    low, high, with_low, with_high = span
    if bounds is None or low > high or (low == high and not (with_low and with_high)):
        return False
    if bounds[1] < low or bounds[0] > high:
        return False
    parts: list[tuple[Callable[..., Bools], float]] = []
    if not (bounds[0] > low or (bounds[0] == low and with_low)):
        parts.append((np.greater_equal if with_low else np.greater, low))
    if not (bounds[1] < high or (bounds[1] == high and with_high)):
        parts.append((np.less_equal if with_high else np.less, high))
    if not parts:
        return present(attribute)
    values = attribute.values
    if codes is not None:
        first, last = codes_in(attribute, span)
        if first > last:
            return False
        # Always from below: NULL is the code -1.
        values, parts = codes, [(np.greater_equal, first), (np.less_equal, last)]

    def run(rows: Rows) -> Bools:
        of = rows.of(values)
        found = parts[0][0](of, parts[0][1])
        for operate, end in parts[1:]:
            found &= operate(of, end)
        return found

    return Step(run, 0.3 * len(parts) if codes is not None else 0.6 + 0.4 * len(parts))


def chosen_codes(attribute: Attribute, words: frozenset[str]) -> Bools:
    """Return for each category of a VARCHAR column whether it is one of some words."""
    return among(sorted(words), attribute.categories)


def codes_in(attribute: Attribute, span: Span) -> tuple[int, int]:
    """Return the first and the last code of a BIGINT column in a span, first > last where there is none."""
    base, last = attribute.low, attribute.code_count - 1
    low, high, with_low, with_high = span
    first = 0 if low == -math.inf else math.ceil(low) + (not with_low and low == math.ceil(low)) - base
    end = last if high == math.inf else math.floor(high) - (not with_high and high == math.floor(high)) - base
    return max(0, first), min(last, end)
