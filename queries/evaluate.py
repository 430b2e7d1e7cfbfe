"""Evaluation of a typed filter tree over a block of rows.

Conditions are never computed as three-valued arrays. `holds` asks of a condition either where it is TRUE
or where it is FALSE, and passes the question down: ``NOT c`` is true where ``c`` is false, ``a AND b`` is
false where ``a`` or ``b`` is. What is neither is NULL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, reduce
from typing import cast

import numpy as np
import numpy.typing as npt

from archindex.core.errors import FilterError
from archindex.queries import tree
from archindex.queries.columns import INT64_MIN, Column
from archindex.queries.text import places, table_of

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Codes = tuple[npt.NDArray[np.signedinteger], tuple[str, ...]]

_OPERATORS: dict[tree.CompareOp, Callable[..., Bools]] = {
    "=": np.equal,
    # On NaN, which is NULL, this is false as every other comparison is; np.not_equal would be true.
    "<>": lambda a, b: np.less(a, b) | np.greater(a, b),
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
_OPPOSITE: dict[tree.CompareOp, tree.CompareOp] = {
    "=": "<>",
    "<>": "=",
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
}
_MIRRORED: dict[tree.CompareOp, tree.CompareOp] = {
    "=": "=",
    "<>": "<>",
    "<": ">",
    ">": "<",
    "<=": ">=",
    ">=": "<=",
}
_DOUBLE: dict[str, Callable[..., Doubles]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
}
_DOUBLE_FUNCTION: dict[tree.MathFunction, Callable[..., Doubles]] = {
    "-": np.negative,
    "abs": np.abs,
    "ln": np.log,
    "sqrt": np.sqrt,
}


class Block:
    """The rows of one block, ready to be asked.

    All arrays it gives have as many entries as the block has rows, or none (0-d) where every row agrees.

    Parameters
    ----------
    columns : mapping of str to Column
        The columns that the tree names.
    rows : slice
        Which rows the block is.
    tables : dict
        Lookup tables over the categories of VARCHAR columns, by node; the same for all blocks of one tree,
        and filled as they are needed.
    """

    def __init__(self, columns: Mapping[str, Column], rows: slice, tables: dict[int, Ints]) -> None:
        self._columns = columns
        self._rows = rows
        self._tables = tables
        self._known: dict[tuple[int, bool], Bools] = {}

    def holds(self, node: tree.Node, truth: bool) -> Bools:
        """Return where the BOOLEAN `node` is `truth`; where it is NULL, it is neither.

        Raises
        ------
        FilterError
            If BIGINT arithmetic on some row goes beyond 64 bits.
        """
        # Whether a condition is NULL is asked as two questions, so conditions inside conditions would be
        # evaluated exponentially often without this memory.
        key = (id(node), truth)
        if key not in self._known:
            self._known[key] = self._holds(node, truth)
        return self._known[key]

    def _holds(self, node: tree.Node, truth: bool) -> Bools:
        found: Bools
        match node:
            case tree.Junction():
                both = np.logical_and if (node.op == "and") == truth else np.logical_or
                found = reduce(both, [self.holds(item, truth) for item in node.items])
            case tree.Not():
                found = self.holds(node.operand, not truth)
            case tree.Compare():
                found = self._compare(node, truth)
            case tree.In():
                found = self._among(node, truth)
            case tree.Like():
                codes, names = self._text(node.operand)
                table = self._table(node, lambda: [bool(node.pattern.match(name)) for name in names])
                found = (codes >= 0) & (table[codes] == truth)
            case tree.IsNull():
                found = self._null(node.operand) == truth
            case tree.IsTruth():
                found = self.holds(node.operand, node.value) == truth
            case tree.Coalesce():
                found = self.holds(node.items[-1], truth)
                for item in reversed(node.items[:-1]):
                    found = self.holds(item, truth) | (self._null(item) & found)
            case tree.ColumnRef():
                values, null = self._column(node)
                found = values == truth
                found = found if null is None else found & ~null
            case tree.Constant():
                found = np.asarray(node.value is truth)
            case _:
                raise AssertionError(f"{node} is no condition")
        return found

    def _null(self, node: tree.Node) -> Bools:
        """Return where `node` is NULL."""
        if node.kind == "DOUBLE":
            return np.isnan(self._double(node))
        if node.kind == "VARCHAR":
            absent: Bools = self._text(node)[0] < 0
            return absent
        if node.kind == "BOOLEAN":
            return ~(self.holds(node, True) | self.holds(node, False))
        if node.kind == "NULL":
            return np.asarray(True)
        null = self._bigint(node)[1]
        return np.asarray(False) if null is None else null

    def _compare(self, node: tree.Compare, truth: bool) -> Bools:
        op = node.op if truth else _OPPOSITE[node.op]
        kind = node.left.kind
        if kind == "DOUBLE":
            return _OPERATORS[op](self._double(node.left), self._double(node.right))
        if kind == "BIGINT":
            (a, null_a), (b, null_b) = self._bigint(node.left), self._bigint(node.right)
            found, null = _OPERATORS[op](a, b), _either(null_a, null_b)
            return found if null is None else found & ~null
        if kind == "BOOLEAN":
            known = ~(self._null(node.left) | self._null(node.right))
            return _OPERATORS[op](self.holds(node.left, True), self.holds(node.right, True)) & known
        (codes, names), (others, other_names) = self._text(node.left), self._text(node.right)
        known = (codes >= 0) & (others >= 0)
        if len(names) < len(other_names):
            # A literal is looked up in the categories of the column, not each of those in the literal.
            (codes, names), (others, other_names), op = (others, other_names), (codes, names), _MIRRORED[op]
        if names is other_names:
            return _OPERATORS[op](codes, others) & known
        table = self._table(node, lambda: places(other_names, names))
        return _OPERATORS[op](2 * codes.astype(np.int64), table[others]) & known

    def _among(self, node: tree.In, truth: bool) -> Bools:
        kind = node.operand.kind
        if kind == "BOOLEAN":
            found = np.asarray(False)
            for value in set(node.values):
                found = found | self.holds(node.operand, bool(value))
        elif kind == "VARCHAR":
            codes, names = self._text(node.operand)
            at = places(cast(tuple[str, ...], node.values), names)
            found = np.isin(codes, [place // 2 for place in at if place % 2 == 0])
        elif kind == "DOUBLE":
            found = np.isin(self._double(node.operand), np.array(node.values, dtype=np.float64))
        else:
            found = np.isin(self._bigint(node.operand)[0], np.array(node.values, dtype=np.int64))
        if not truth and node.null:
            return np.asarray(False)  # NULL in the list may have been the value
        known: Bools = (found == truth) & ~self._null(node.operand)
        return known

    def _double(self, node: tree.Node) -> Doubles:
        """Return the DOUBLE `node`, NaN where it is NULL."""
        match node:
            case tree.ColumnRef():
                return cast(Doubles, self._column(node)[0])
            case tree.Constant():
                return np.asarray(np.nan if node.value is None else node.value, dtype=np.float64)
            case tree.ToDouble():
                values, null = self._bigint(node.operand)
                numbers = values.astype(np.float64)
                return numbers if null is None else np.where(null, np.nan, numbers)
            case tree.Math():
                return _DOUBLE_FUNCTION[node.function](self._double(node.operand))
            case tree.Arithmetic():
                return _DOUBLE[node.op](self._double(node.left), self._double(node.right))
            case tree.Coalesce():
                result = self._double(node.items[0])
                for item in node.items[1:]:
                    result = np.where(np.isnan(result), self._double(item), result)
                return result
        raise AssertionError(f"{node} is no DOUBLE")

    def _bigint(self, node: tree.Node) -> tuple[Ints, Bools | None]:
        """Return the BIGINT `node` and where it is NULL (None: nowhere)."""
        match node:
            case tree.ColumnRef():
                raw, null = self._column(node)
                return cast(Ints, raw), null
            case tree.Constant():
                value = np.asarray(0 if node.value is None else node.value, dtype=np.int64)
                return value, np.asarray(True) if node.value is None else None
            case tree.Math():
                values, null = self._bigint(node.operand)
                _check_overflow(values == INT64_MIN, null)
                return (np.negative(values) if node.function == "-" else np.abs(values)), null
            case tree.Arithmetic():
                (a, null_a), (b, null_b) = self._bigint(node.left), self._bigint(node.right)
                null = _either(null_a, null_b)
                values, beyond = _WHOLE[node.op](a, b)
                _check_overflow(beyond, null)
                return values, null
            case tree.Coalesce():
                values, null = self._bigint(node.items[0])
                for item in node.items[1:]:
                    more, more_null = self._bigint(item)
                    if null is not None:
                        values = np.where(null, more, values)
                        null = None if more_null is None else null & more_null
                return values, null
        raise AssertionError(f"{node} is no BIGINT")

    def _text(self, node: tree.Node) -> Codes:
        """Return the VARCHAR `node` as codes (-1 is NULL) into ascending categories."""
        match node:
            case tree.ColumnRef():
                codes, _ = self._column(node)
                return cast(npt.NDArray[np.signedinteger], codes), self._columns[node.name].categories
            case tree.Constant():
                return (np.asarray(-1), ()) if node.value is None else (np.asarray(0), (str(node.value),))
            case tree.Coalesce():
                parts = [self._text(item) for item in node.items]
                names = tuple(sorted(set().union(*(part[1] for part in parts))))
                result: npt.NDArray[np.signedinteger] = np.asarray(-1)
                for item, (found, own) in zip(node.items, parts, strict=True):
                    table = self._table(item, partial(_positions, own, names))
                    result = np.where((result < 0) & (found >= 0), table[found], result)
                return result, names
        raise AssertionError(f"{node} is no VARCHAR")

    def _column(self, node: tree.ColumnRef) -> tuple[npt.NDArray[np.generic], Bools | None]:
        column = self._columns[node.name]
        null = None if column.valid is None else ~column.valid[self._rows]
        return np.asarray(column.values[self._rows]), null

    def _table(self, node: tree.Node, make: Callable[[], list[int] | list[bool]]) -> Ints:
        if id(node) not in self._tables:
            self._tables[id(node)] = table_of(make())
        return self._tables[id(node)]


def _positions(names: tuple[str, ...], among: tuple[str, ...]) -> list[int]:
    return [place // 2 for place in places(names, among)]


def _either(a: Bools | None, b: Bools | None) -> Bools | None:
    if a is None or b is None:
        return b if a is None else a
    return a | b


def _check_overflow(beyond: Bools, null: Bools | None) -> None:
    if null is not None:
        beyond = beyond & ~null
    if beyond.any():
        raise FilterError(
            "expected BIGINT arithmetic within 64 bits on every row",
            fix="multiply a column by 1e0 first to compute in DOUBLE",
        )


def _add(a: Ints, b: Ints) -> tuple[Ints, Bools]:
    total = np.add(a, b)
    return total, ((a ^ total) & (b ^ total)) < 0


def _subtract(a: Ints, b: Ints) -> tuple[Ints, Bools]:
    total = np.subtract(a, b)
    return total, ((a ^ b) & (a ^ total)) < 0


def _multiply(a: Ints, b: Ints) -> tuple[Ints, Bools]:
    # What overflows is off by a multiple of 2**64, far more than what float64 rounds.
    total = np.multiply(a, b)
    about = a.astype(np.float64) * b.astype(np.float64)
    return total, np.abs(total.astype(np.float64) - about) > 2.0**62


_WHOLE = {"+": _add, "-": _subtract, "*": _multiply}
