"""Sorted columns: the rows of a range are a slice of them, and two binary searches count it."""

from __future__ import annotations

import math
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from archindex.queries import tree
from archindex.queries.columns import Column
from archindex.queries.compare import MIRRORED, OPERATORS
from archindex.queries.spans import Span, Spans, chosen_codes, span_of
from archindex.queries.table import EXACT, Array, Attribute, Bools, Positions, Table
from archindex.queries.text import among, places

# A column is sorted when so many expressions ask for it: sorting takes as long as tens of evaluations.
WORTH_SORTING = 3
# Where a larger share of the rows than this meets the condition, reading all rows takes less time.
MAX_SHARE = 0.05
_EACH = 1024


class Order:
    """The rows of one column by ascending value, those that are NULL last.

    Attributes
    ----------
    rows : ndarray of int32, shape (n,)
        Positions.
    known : int
        How many are not NULL.
    """

    def __init__(self, attribute: Attribute) -> None:
        self._keys: Array = attribute.values if attribute.codes is None else attribute.codes
        self._base = 0 if attribute.codes is None else attribute.low
        # Radix sort where the keys are short, and what the processor does best where not.
        rows = np.argsort(self._keys, kind="stable" if self._keys.itemsize < 4 else None).astype(np.int32)
        absent = attribute.absent
        self.known = rows.size
        if absent is not None:
            gone = absent[rows]
            self.known -= int(np.count_nonzero(gone))
            rows = np.concatenate([rows[~gone], rows[gone]])
        self.rows: npt.NDArray[np.int32] = rows
        # Side by side: in order, keys lie all over memory.
        self._some: list[float] = self._keys[rows[: self.known : _EACH]].tolist()

    def part(self, span: Span) -> slice:
        """Return the part of `rows` whose values, or codes of a VARCHAR or BOOLEAN, lie in `span`."""
        first = self._place(span.low, bisect_left if span.with_low else bisect_right)
        last = self._place(span.high, bisect_right if span.with_high else bisect_left)
        return slice(first, max(first, last))

    def _place(self, value: float, bisect: Callable[..., int]) -> int:
        value -= self._base
        block = bisect(self._some, value)
        first, end = max(0, (block - 1) * _EACH), min(self.known, block * _EACH)
        return bisect(self.rows, value, first, end, key=self._keys.item)


class Condition(NamedTuple):
    """What holds where one column lies in one of some spans, which are apart; or just where it is NULL."""

    column: str
    spans: tuple[Span, ...]
    null: bool = False


class Orders:
    """The sorted columns among those of a table; safe to use from several threads at once.

    Parameters
    ----------
    columns : mapping of str to Column, or Table
        The columns; they must not change.
    """

    def __init__(self, columns: Mapping[str, Column] | Table) -> None:
        self.table = columns if isinstance(columns, Table) else Table(columns)
        self._orders: dict[str, Order] = {}
        self._asked: dict[str, dict[int, object]] = {}
        self._lock = threading.Lock()

    def get(self, name: str, node: object) -> Order | None:
        """Return a column sorted, or None where too few expressions have asked for it; `node` is one."""
        found = self._orders.get(name)
        if found is not None:
            return found
        with self._lock:
            # With the expressions themselves, so that no other gets the id of one.
            asked = self._asked.setdefault(name, {})
            asked[id(node)] = node
            if len(asked) < WORTH_SORTING:
                return None
        return self.sort(name)

    def sort(self, name: str) -> Order:
        """Return a column sorted, whether it is worth it or not."""
        with self._lock:
            if name not in self._orders:
                self._orders[name] = Order(self.table[name])
            return self._orders[name]


def counted(node: tree.Node | Spans, orders: Orders) -> int | None:
    """Return for how many rows `node` is TRUE, where it is one condition on a sorted column; else None."""
    conditions = _conditions(node, orders.table)
    if conditions is None or len(conditions) != 1:
        return None
    order = orders.get(conditions[0].column, node)
    return None if order is None else _size(_parts(order, conditions[0]))


def sampled(node: tree.Node | Spans, orders: Orders, most: int) -> Positions | None:
    """Return positions of rows for which `node` is TRUE, evenly spread by value; None as of `counted`."""
    conditions = _conditions(node, orders.table)
    if conditions is None or len(conditions) != 1:
        return None
    order = orders.get(conditions[0].column, node)
    if order is None:
        return None
    parts = _parts(order, conditions[0])
    step = max(1, -(-_size(parts) // most))
    return np.concatenate([order.rows[part][::step] for part in parts] or [order.rows[:0]]).astype(np.int64)


def candidates(node: tree.Node | Spans, orders: Orders) -> Positions | None:
    """Return positions, ascending, among which are all rows for which `node` is TRUE.

    They come from the most selective condition of a conjunction on a sorted column. None where there is no
    such condition, or it is met by more rows than are worth picking out.
    """
    best: tuple[int, Order, list[slice]] | None = None
    for condition in _conditions(node, orders.table, partly=True) or ():
        order = orders.get(condition.column, node)
        if order is None:
            continue
        parts = _parts(order, condition)
        if best is None or _size(parts) < best[0]:
            best = _size(parts), order, parts
    if best is None or best[0] > MAX_SHARE * best[1].rows.size:
        return None
    _, order, parts = best
    positions = np.concatenate([order.rows[part] for part in parts] or [order.rows[:0]])
    positions.sort()
    return positions.astype(np.int64)


def _parts(order: Order, condition: Condition) -> list[slice]:
    if condition.null:
        return [slice(order.known, order.rows.size)]
    return [order.part(span) for span in condition.spans]


def _size(parts: Iterable[slice]) -> int:
    return sum(part.stop - part.start for part in parts)


def _conditions(node: tree.Node | Spans, table: Table, *, partly: bool = False) -> list[Condition] | None:
    """Return conditions on single columns whose conjunction is `node`, or if `partly`, which it implies.

    Those on one column are drawn together where each is one span.
    """
    if isinstance(node, Mapping):
        return [
            _coded(name, chosen_codes(table[name], span))
            if isinstance(span, frozenset)
            else Condition(name, (span,))
            for name, span in node.items()
        ]
    items = node.items if isinstance(node, tree.Junction) and node.op == "and" else (node,)
    found: dict[str, Condition] = {}
    apart: list[Condition] = []
    for item in items:
        inner = item if isinstance(item, tree.Junction) and item.op == "and" and item is not node else None
        made = _conditions(inner, table, partly=partly) if inner else [_condition(item, table)]
        for condition in made or [None]:
            if condition is None:
                if partly:
                    continue
                return None
            other = found.get(condition.column)
            if other is None:
                found[condition.column] = condition
            elif len(other.spans) == 1 == len(condition.spans):
                found[condition.column] = Condition(
                    other.column, (other.spans[0].overlap(condition.spans[0]),)
                )
            else:
                apart.append(condition)
    return [*found.values(), *apart]


def _condition(node: tree.Node, table: Table) -> Condition | None:
    """Return what `node` asks of a single column; None where it is nothing that a sorted column answers."""
    match node:
        case tree.Compare():
            return _compare(node, table)
        case tree.In(operand=tree.ColumnRef() as column):
            if column.kind == "VARCHAR":
                return _coded(
                    column.name, among([str(v) for v in node.values], table[column.name].categories)
                )
            values = sorted(set(node.values), key=float)
            return Condition(column.name, tuple(Span(float_or_int(v), float_or_int(v)) for v in values))
        case tree.Like(operand=tree.ColumnRef() as column):
            names = table[column.name].categories
            return _coded(column.name, table.like(node.pattern, names))
        case tree.IsNull(operand=tree.ColumnRef() as column):
            return Condition(column.name, (), True)
        case tree.Not(operand=tree.IsNull(operand=tree.ColumnRef() as column)):
            return Condition(column.name, (Span(-math.inf, math.inf),))
        case tree.ColumnRef():
            return Condition(node.name, (Span(1, 1),))
        case tree.Not(operand=tree.ColumnRef() as column):
            return Condition(column.name, (Span(0, 0),))
        case tree.IsTruth(operand=tree.ColumnRef() as column):
            return Condition(column.name, (Span(int(node.value), int(node.value)),))
    return None


def float_or_int(value: float | int | bool | str) -> float:
    """Return a number as it is, and a truth value as its code."""
    return int(value) if isinstance(value, bool) else value  # type: ignore[return-value]


def _compare(node: tree.Compare, table: Table) -> Condition | None:
    left, right, op = node.left, node.right, node.op
    if isinstance(left, tree.Constant):
        left, right, op = right, left, MIRRORED[op]
    if not isinstance(right, tree.Constant) or right.value is None or op == "<>":
        return None
    if isinstance(left, tree.ToDouble) and isinstance(left.operand, tree.ColumnRef):
        bounds = table[left.operand.name].bounds
        if bounds is not None and max(abs(x) for x in bounds) > EXACT:
            return None
        left = left.operand
    if not isinstance(left, tree.ColumnRef):
        return None
    if left.kind == "VARCHAR":
        names = table[left.name].categories
        place = places((str(right.value),), names)[0]
        return _coded(left.name, OPERATORS[op](2 * np.arange(len(names)), place))
    value = float_or_int(right.value)
    return Condition(left.name, (span_of(op, value),))


def _coded(name: str, chosen: Bools) -> Condition:
    edges = np.flatnonzero(np.diff(chosen, prepend=False, append=False)).reshape(-1, 2).tolist()
    return Condition(name, tuple(Span(first, stop - 1) for first, stop in edges))
