"""Number expressions, compiled: how to compute them, between what bounds they lie, where they are NULL."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from archindex.core.errors import FilterError
from archindex.queries import tree
from archindex.queries.columns import INT64_MAX, INT64_MIN
from archindex.queries.table import Array, Attribute, Bools, Rows, Table
from archindex.queries.truth import Step, Truth, all_of, any_of

Compute = Callable[[Rows], Array]

# Bounds where there is no value.
NOTHING = math.inf, -math.inf
_DOUBLE: dict[str, Callable[..., Array]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
}
_DOUBLE_FUNCTION: dict[tree.MathFunction, Callable[..., Array]] = {
    "-": np.negative,
    "abs": np.abs,
    "ln": np.log,
    "sqrt": np.sqrt,
}
_WHOLE: dict[str, Callable[..., Array]] = {"+": np.add, "-": np.subtract, "*": np.multiply}
_COST = {"ln": 3.0, "sqrt": 2.5, "/": 1.5}
# Bounds of ln reach so much further than computed: its last bits are not to be relied on.
LN_SLACK = 1e-12


@dataclass(frozen=True, slots=True)
class Number:
    """A compiled number expression.

    Attributes
    ----------
    compute : callable
        Gives the values on some rows. DOUBLE: float64, NaN is NULL. BIGINT: of type `dtype`, and anything
        where it is NULL.
    low, high : float
        No value is less or greater (int for BIGINT); low > high where there is none.
    null : Truth
        Where it is NULL.
    cost : float
        Relative time for a row, as `Step.cost`.
    fresh : bool
        Whether `compute` gives an array that may be written to.
    attribute : Attribute or None
        The column, where it is nothing else.
    dtype : numpy type
        BIGINT: the type it is computed in; holds all values from `low` to `high`.
    """

    compute: Compute
    low: float
    high: float
    null: Truth
    cost: float
    fresh: bool = False
    attribute: Attribute | None = None
    dtype: Any = np.float64

    @property
    def constant(self) -> bool:
        """Whether all rows have the same value, and none is NULL."""
        return self.null is False and self.low == self.high and math.isfinite(self.low)


class Numbers:
    """Compiles number expressions over one table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def double(self, node: tree.Node) -> Number:
        """Compile a DOUBLE."""
        match node:
            case tree.Constant():
                if node.value is None:
                    return Number(_same(np.nan), *NOTHING, True, 0.0)
                value = float(node.value)
                return Number(_same(value), value, value, False, 0.0)
            case tree.ColumnRef():
                attribute = self._table[node.name]
                low, high = attribute.bounds or NOTHING
                values, null = attribute.values, absent(attribute)
                return Number(lambda rows: rows.of(values), low, high, null, 0.8, False, attribute)
            case tree.ToDouble():
                return _to_double(self.whole(node.operand))
            case tree.Math():
                return _double_function(node.function, self.double(node.operand))
            case tree.Arithmetic():
                return _double_arithmetic(node.op, self.double(node.left), self.double(node.right))
            case tree.Coalesce():
                return _coalesce([self.double(item) for item in node.items], np.float64)
        raise AssertionError(f"{node} is no DOUBLE")

    def whole(self, node: tree.Node) -> Number:
        """Compile a BIGINT; that no value overflows is for `overflows` to tell."""
        match node:
            case tree.Constant():
                value = int(node.value or 0)
                bounds = (1, 0) if node.value is None else (value, value)
                dtype = _narrow(value, value)
                return Number(_same(dtype(value)), *bounds, node.value is None, 0.0, dtype=dtype)
            case tree.ColumnRef():
                return self._whole_column(self._table[node.name])
            case tree.Math():
                number = self.whole(node.operand)
                low, high = _function_bounds(node.function, number)
                return _whole_result(_DOUBLE_FUNCTION[node.function], low, high, number)
            case tree.Arithmetic():
                left, right = self.whole(node.left), self.whole(node.right)
                low, high = _corners(node.op, left, right)
                return _whole_result(_WHOLE[node.op], low, high, left, right)
            case tree.Coalesce():
                items = [self.whole(item) for item in node.items]
                return _coalesce(items, _narrow(min(i.low for i in items), max(i.high for i in items)))
        raise AssertionError(f"{node} is no BIGINT")

    def _whole_column(self, attribute: Attribute) -> Number:
        low, high = attribute.bounds or (1, 0)
        dtype = _narrow(low, high)
        null = absent(attribute)
        codes, base = attribute.codes, attribute.low
        if codes is None:
            values = attribute.values
            return Number(lambda rows: rows.of(values), low, high, null, 0.8, False, attribute, np.int64)

        def compute(rows: Rows) -> Array:
            found = rows.of(codes).astype(dtype)
            found += dtype(base)
            return found

        return Number(compute, low, high, null, 0.6, True, attribute, dtype)

    def overflows(self, node: tree.Arithmetic | tree.Math) -> Callable[[Rows], None] | None:
        """Return what checks that `node`, a BIGINT, stays within 64 bits; None where it cannot leave them.

        The check assumes that the operands do, and raises FilterError.
        """
        if isinstance(node, tree.Math):
            operands = [self.whole(node.operand)]
            low, high = _function_bounds(node.function, operands[0])
        else:
            operands = [self.whole(node.left), self.whole(node.right)]
            low, high = _corners(node.op, *operands)
        if low > high or (low >= INT64_MIN and high <= INT64_MAX):
            return None
        there = all_of(known(number) for number in operands)

        def check(rows: Rows) -> None:
            parts = [np.asarray(number.compute(rows), dtype=np.int64) for number in operands]
            beyond = parts[0] == INT64_MIN if isinstance(node, tree.Math) else _BEYOND[node.op](*parts)
            if there is not True:
                beyond = beyond & (there(rows) if isinstance(there, Step) else False)
            if beyond.any():
                raise FilterError(
                    "expected BIGINT arithmetic within 64 bits on every row",
                    fix="multiply a column by 1e0 first to compute in DOUBLE",
                )

        return check


def absent(attribute: Attribute) -> Truth:
    """Return where a column is NULL."""
    codes = attribute.codes
    null = attribute.absent
    if null is None:
        return False
    if attribute.kind != "DOUBLE" and codes is not None:
        return Step(lambda rows: np.less(rows.of(codes), 0), 0.2)
    return Step(lambda rows: rows.of(null), 0.1)


def present(attribute: Attribute) -> Truth:
    """Return where a column is not NULL."""
    codes = attribute.codes
    null = attribute.absent
    if null is None:
        return True
    if attribute.kind != "DOUBLE" and codes is not None:
        return Step(lambda rows: np.greater_equal(rows.of(codes), 0), 0.2)
    return Step(lambda rows: np.logical_not(rows.of(null)), 0.2)


def known(number: Number) -> Truth:
    """Return where a number is not NULL."""
    if number.attribute is not None:
        return present(number.attribute)
    null = number.null
    return Step(lambda rows: np.logical_not(null(rows)), null.cost) if isinstance(null, Step) else not null


def select(null: Bools, values: Array, others: Array) -> Array:
    """Return `others` where `null` and `values` elsewhere; both of one type, `others` may be one number.

    Bit by bit: a choice that the processor cannot foresee costs it more than computing both.
    """
    bits = np.dtype(f"i{values.dtype.itemsize}")
    chosen = np.negative(null.view(np.int8)).astype(bits)
    old = values.view(bits)
    chosen &= old ^ others.view(bits)
    chosen ^= old
    return chosen.view(values.dtype)


def _same(value: Any) -> Compute:
    # One number for all rows: arithmetic spreads it.
    array = np.asarray(value)
    return lambda rows: array


def _narrow(low: float, high: float) -> Any:
    inside = np.iinfo(np.int32).min <= low and high <= np.iinfo(np.int32).max
    return np.int32 if inside or low > high else np.int64


def _full(values: Array, rows: Rows) -> Array:
    return values if values.ndim else np.full(rows.size, values)


def _coalesce(items: list[Number], dtype: Any) -> Number:
    used: list[Number] = []
    for item in items:
        if item.null is not True:
            used.append(item)
        if item.null is False:
            break
    used = used or items[:1]
    low, high = min(item.low for item in used), max(item.high for item in used)

    def compute(rows: Rows) -> Array:
        result = _full(used[-1].compute(rows).astype(dtype, copy=False), rows)
        for item in reversed(used[:-1]):
            values = _full(item.compute(rows).astype(dtype, copy=False), rows)
            asks = item.attribute is not None or dtype is not np.float64
            null = item.null(rows) if asks and isinstance(item.null, Step) else np.isnan(values)
            result = select(null, values, result)
        return result

    null = all_of(item.null for item in used)
    return Number(compute, low, high, null, sum(i.cost + 1.0 for i in used), len(used) > 1, dtype=dtype)


def _to_double(number: Number) -> Number:
    low, high = (float(number.low), float(number.high)) if number.low <= number.high else NOTHING
    null, attribute = number.null, number.attribute
    codes = None if attribute is None else attribute.codes
    if attribute is not None and codes is not None and codes.dtype != np.int32:
        # One look-up gives the value, or NaN at the end of the table, where the code -1 leads.
        span = 0 if attribute.bounds is None else int(attribute.bounds[1]) - attribute.low
        doubles = np.append(attribute.low + np.arange(span + 1, dtype=np.float64), np.nan)
        look = cast(Compute, lambda rows: doubles.take(rows.of(codes), mode="wrap"))
        return Number(look, low, high, null, 1.8, True)
    nan = np.array([0.0, np.nan])

    def compute(rows: Rows) -> Array:
        values = np.asarray(number.compute(rows)).astype(np.float64)
        if isinstance(null, Step):
            values = values + nan.take(null(rows).view(np.int8))
        return values if null is not True else np.asarray(np.nan)

    return Number(compute, low, high, null, number.cost + 2.0, True)


def _double_function(function: tree.MathFunction, number: Number) -> Number:
    low, high = _function_bounds(function, number)
    cost = number.cost + _COST.get(function, 0.6)

    def compute(rows: Rows) -> Array:
        values = number.compute(rows)
        out = values if number.fresh and values.ndim else None
        # Looked up here and not above: tests put the ln of the C library in its place.
        return _DOUBLE_FUNCTION[function](values, out=out)

    total = function in ("-", "abs") or number.low >= 0
    return Number(compute, low, high, number.null if total else _is_nan(compute, cost), cost, True)


def _double_arithmetic(op: tree.ArithmeticOp, left: Number, right: Number) -> Number:
    low, high = _corners(op, left, right)
    cost = left.cost + right.cost + _COST.get(op, 0.8)
    function = _DOUBLE[op]

    def compute(rows: Rows) -> Array:
        a, b = left.compute(rows), right.compute(rows)
        if left.fresh and a.ndim:
            return function(a, b, out=a)
        return function(a, b, out=b if right.fresh and b.ndim else None)

    # NaN comes of infinities and of 0 / 0 only.
    total = all(math.isfinite(x) for n in (left, right) for x in (n.low, n.high) if n.low <= n.high)
    total = total and (op != "/" or right.low > 0 or right.high < 0)
    null = any_of((left.null, right.null)) if total else _is_nan(compute, cost)
    if left.null is True or right.null is True:
        null = True
    return Number(compute, low, high, null, cost, True)


def _is_nan(compute: Compute, cost: float) -> Truth:
    return Step(lambda rows: np.isnan(_full(compute(rows), rows)), cost + 1.0)


def _whole_result(function: Callable[..., Array], low: float, high: float, *operands: Number) -> Number:
    low, high = max(low, INT64_MIN), min(high, INT64_MAX)
    dtypes = [_narrow(low, high), *(number.dtype for number in operands)]
    dtype = np.int64 if np.int64 in dtypes else np.int32

    def compute(rows: Rows) -> Array:
        parts = [np.asarray(number.compute(rows)).astype(dtype, copy=False) for number in operands]
        return function(*parts)

    cost = sum(number.cost for number in operands) + 0.6
    return Number(compute, low, high, any_of(number.null for number in operands), cost, True, dtype=dtype)


def _function_bounds(function: tree.MathFunction, number: Number) -> tuple[float, float]:
    low, high = number.low, number.high
    if low > high:
        return low, high
    if function == "-":
        return -high, -low
    if function == "abs":
        return (0 if low <= 0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))
    if high < 0:
        return NOTHING
    low = max(low, 0.0)
    if function == "sqrt":
        return math.sqrt(low), math.sqrt(high)
    bounds = [-math.inf if x == 0 else math.log(x) for x in (low, high)]
    return bounds[0] - LN_SLACK * abs(bounds[0]) - LN_SLACK, bounds[1] + LN_SLACK * abs(bounds[1]) + LN_SLACK


def _corners(op: tree.ArithmeticOp, left: Number, right: Number) -> tuple[float, float]:
    if left.low > left.high or right.low > right.high:
        return NOTHING if op == "/" or isinstance(left.low, float) else (1, 0)
    if op == "+":
        found = [left.low + right.low, left.high + right.high]
    elif op == "-":
        found = [left.low - right.high, left.high - right.low]
    elif op == "/" and right.low <= 0 <= right.high:
        return -math.inf, math.inf
    else:
        pairs = [(a, b) for a in (left.low, left.high) for b in (right.low, right.high)]
        found = [a * b if op == "*" else a / b for a, b in pairs]
    if any(x != x for x in found):
        return -math.inf, math.inf
    return min(found), max(found)


def _beyond_sum(a: Array, b: Array) -> Bools:
    total = a + b
    found: Bools = np.less((a ^ total) & (b ^ total), 0)
    return found


def _beyond_difference(a: Array, b: Array) -> Bools:
    total = a - b
    found: Bools = np.less((a ^ b) & (a ^ total), 0)
    return found


def _beyond_product(a: Array, b: Array) -> Bools:
    # What overflows is off by a multiple of 2**64, far more than what float64 rounds.
    about = a.astype(np.float64) * b.astype(np.float64)
    return np.greater(np.abs((a * b).astype(np.float64) - about), 2.0**62)


_BEYOND = {"+": _beyond_sum, "-": _beyond_difference, "*": _beyond_product}
