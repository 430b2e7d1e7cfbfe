"""Comparisons of two compiled numbers: settled by their bounds where these say enough, else row by row."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from archindex.queries import tree
from archindex.queries.numbers import Number, known
from archindex.queries.table import Array, Bools, Rows
from archindex.queries.truth import Step, Truth, all_of, any_of

OPERATORS: dict[tree.CompareOp, Callable[..., Bools]] = {
    "=": np.equal,
    "<>": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
MIRRORED: dict[tree.CompareOp, tree.CompareOp] = {
    "=": "=",
    "<>": "<>",
    "<": ">",
    ">": "<",
    "<=": ">=",
    ">=": "<=",
}


def _settled(op: tree.CompareOp, a: Number, b: Number) -> bool | None:
    """Return whether the comparison holds for all values between the bounds, or for none; else None."""
    if a.low > a.high or b.low > b.high:
        return False
    if op == "<>":
        equal = _settled("=", a, b)
        return None if equal is None else not equal
    if op in (">", ">="):
        a, b, op = b, a, MIRRORED[op]
    if op == "=":
        if a.high < b.low or b.high < a.low:
            return False
        return True if a.low == a.high == b.low == b.high else None
    if op == "<":
        return True if a.high < b.low else False if a.low >= b.high else None
    return True if a.high <= b.low else False if a.low > b.high else None


def compare_doubles(op: tree.CompareOp, a: Number, b: Number) -> Truth:
    """Compare two DOUBLE."""
    settled = _settled(op, a, b)
    if settled is False or a.null is True or b.null is True:
        return False
    if settled:
        return all_of((known(a), known(b)))
    # On NaN, which is NULL, less and greater are false; np.not_equal would be true.
    unlike = op == "<>" and not (a.null is False and b.null is False)
    operator = _unlike if unlike else OPERATORS[op]

    def run(rows: Rows) -> Bools:
        found = operator(a.compute(rows), b.compute(rows))
        return found if found.ndim else np.full(rows.size, found)

    return Step(run, a.cost + b.cost + 0.2)


def _unlike(a: Array, b: Array) -> Bools:
    return np.less(a, b) | np.greater(a, b)


def compare_wholes(op: tree.CompareOp, a: Number, b: Number) -> Truth:
    """Compare two BIGINT."""
    settled = _settled(op, a, b)
    if settled is False or a.null is True or b.null is True:
        return False
    if settled:
        return all_of((known(a), known(b)))
    attribute = a.attribute
    if attribute is not None and attribute.codes is not None and b.constant:
        return _compare_codes(op, a, int(b.low))
    operator = OPERATORS[op]

    def run(rows: Rows) -> Bools:
        found = operator(a.compute(rows), b.compute(rows))
        return found if found.ndim else np.full(rows.size, found)

    return all_of((Step(run, a.cost + b.cost + 0.2), known(a), known(b)))


def _compare_codes(op: tree.CompareOp, a: Number, value: int) -> Truth:
    """Compare a column with a number between its bounds, by codes: NULL, the code -1, never holds."""
    attribute = a.attribute
    assert attribute is not None and attribute.codes is not None
    codes: Array = attribute.codes
    limit = value - attribute.low
    if op == "<>":
        return any_of((_compare_codes("<", a, value), _compare_codes(">", a, value)))
    operator = OPERATORS[op]
    if op in ("<", "<="):
        unsigned = np.dtype(f"u{codes.itemsize}")
        return Step(lambda rows: operator(rows.of(codes).view(unsigned), limit), 0.2)
    return Step(lambda rows: operator(rows.of(codes), limit), 0.2)


def compare_rounded(op: tree.CompareOp, a: Number, value: float) -> Truth:
    """Compare whole numbers, exact as DOUBLE, with any number: the next whole one decides as well."""
    if math.isinf(value):
        return known(a) if op == "<>" or (op != "=" and (value > 0) == (op in ("<", "<="))) else False
    if op in ("=", "<>") and not value.is_integer():
        return False if op == "=" else known(a)
    limit = math.ceil(value) if op in ("<", ">=") else math.floor(value)
    bound = Number(lambda rows: np.asarray(np.int64(limit)), limit, limit, False, 0.0, dtype=np.int64)
    return compare_wholes(op, a, bound)
