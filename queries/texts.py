"""VARCHAR expressions, compiled: tests of single strings, and ranks by which two of them compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from archindex.queries import tree
from archindex.queries.numbers import absent, present
from archindex.queries.table import Array, Attribute, Bools, Rows, Table
from archindex.queries.text import places
from archindex.queries.truth import Step, Truth, all_of, any_of

# A test that so many runs of codes pass is made of comparisons; of more, a look-up table.
MAX_RUNS = 2
Test = Callable[[Sequence[str]], Bools]


def passes(table: Table, node: tree.Node, test: Test) -> Truth:
    """Return where the string of `node` is there and passes `test`, which is asked about all categories."""
    match node:
        case tree.Constant():
            return node.value is not None and bool(test((str(node.value),))[0])
        case tree.ColumnRef():
            attribute = table[node.name]
            return coded(attribute, test(attribute.categories))
        case tree.Coalesce():
            found = passes(table, node.items[-1], test)
            for item in reversed(node.items[:-1]):
                found = any_of((passes(table, item, test), all_of((missing(table, item), found))))
            return found
    raise AssertionError(f"{node} is no VARCHAR")


def missing(table: Table, node: tree.Node) -> Truth:
    """Return where the string of `node` is NULL."""
    match node:
        case tree.Constant():
            return node.value is None
        case tree.ColumnRef():
            return absent(table[node.name])
        case tree.Coalesce():
            return all_of(missing(table, item) for item in node.items)
    raise AssertionError(f"{node} is no VARCHAR")


def coded(attribute: Attribute, chosen: Bools) -> Truth:
    """Return where the code of a column is one of those `chosen`, a truth value for each code."""
    codes = attribute.codes
    assert codes is not None
    edges = np.flatnonzero(np.diff(chosen, prepend=False, append=False))
    if edges.size == 0:
        return False
    if edges.size == 2 and edges[0] == 0 and edges[1] == chosen.size:
        return present(attribute)
    if edges.size <= 2 * MAX_RUNS:
        runs = edges.reshape(-1, 2).tolist()
        return any_of(_between(codes, first, stop - 1, chosen.size - 1) for first, stop in runs)
    look = np.append(chosen, False)
    return Step(lambda rows: look.take(rows.of(codes), mode="wrap"), 2.0)


def _between(codes: Array, low: int, high: int, last: int) -> Step:
    """Return where ``low <= codes <= high``; NULL, as code -1, is less than all or, unsigned, more."""
    if low == high:
        return Step(lambda rows: np.equal(rows.of(codes), low), 0.2)
    if high == last:
        return Step(lambda rows: np.greater_equal(rows.of(codes), low), 0.2)
    unsigned = np.dtype(f"u{codes.itemsize}")
    if low == 0:
        return Step(lambda rows: np.less_equal(rows.of(codes).view(unsigned), high), 0.2)
    start, span = codes.dtype.type(low), high - low
    return Step(lambda rows: np.less_equal(np.subtract(rows.of(codes), start).view(unsigned), span), 0.4)


def ordered(table: Table, operator: Callable[..., Bools], left: tree.Node, right: tree.Node) -> Truth:
    """Return where the strings of two expressions are there and compare."""
    absentees = [missing(table, side) for side in (left, right)]
    if True in absentees:
        return False
    names = sorted({*_columns(left), *_columns(right)})
    words = {*_words(left), *_words(right)}
    merged: Sequence[str] = table[names[0]].categories if names else ()
    if len(names) > 1 or not words.issubset(merged):
        merged = sorted(words.union(*(table[name].categories for name in names)))
    ranks = [_rank(table, side, merged) for side in (left, right)]

    def run(rows: Rows) -> Bools:
        a, b = (rank(rows) for rank in ranks)
        found = np.asarray(operator(a, b))
        for values, gone in zip((a, b), absentees, strict=True):
            if gone is not False:
                found = found & (values >= 0)
        return found if found.ndim else np.full(rows.size, found)

    return Step(run, 4.0)


def _columns(node: tree.Node) -> set[str]:
    if isinstance(node, tree.ColumnRef):
        return {node.name}
    return set().union(*map(_columns, node.items)) if isinstance(node, tree.Coalesce) else set()


def _words(node: tree.Node) -> set[str]:
    if isinstance(node, tree.Constant):
        return set() if node.value is None else {str(node.value)}
    return set().union(*map(_words, node.items)) if isinstance(node, tree.Coalesce) else set()


def _rank(table: Table, node: tree.Node, merged: Sequence[str]) -> Callable[[Rows], Array]:
    """Return what gives numbers that compare as the strings do, -1 for NULL."""
    match node:
        case tree.Constant():
            place = -1 if node.value is None else places((str(node.value),), merged)[0]
            constant = np.asarray(place, dtype=np.int32)
            return lambda rows: constant
        case tree.ColumnRef():
            attribute = table[node.name]
            codes = attribute.codes
            look = np.array([*places(attribute.categories, merged), -1], dtype=np.int32)
            return lambda rows: look.take(rows.of(cast(Array, codes)), mode="wrap")
        case tree.Coalesce():
            parts = []
            for item in node.items:
                gone = missing(table, item)
                if gone is not True:
                    parts.append(_rank(table, item, merged))
                if gone is False:
                    break

            def first(rows: Rows) -> Array:
                result = parts[-1](rows)
                for part in reversed(parts[:-1]):
                    values = part(rows)
                    # All ones where the number is negative, which is NULL.
                    result = values ^ ((values ^ result) & (values >> 31))
                return result

            return first
    raise AssertionError(f"{node} is no VARCHAR")
