"""Filters relative to the row asked from: ``pixel3_latency_ms < 0.5 * query.pixel3_latency_ms``.

``query.NAME`` is the value that the row asked from has in a column, NULL where it has none. Such a filter is
checked once and completed for each row: `Relative.bind` puts the values in as literals and works out what is
arithmetic on literals, so that the rest is a filter like any other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Final, cast

import numpy as np

from archindex.core.errors import FilterError
from archindex.queries import tree
from archindex.queries.columns import INT64_MAX, INT64_MIN, Kind, Schema, Value
from archindex.queries.spans import Bound, Words, bounds_of, spans_of
from archindex.queries.where import Predicate, column_names, query_names

_OF_QUERY: Final = re.compile(r"\bquery\.", re.IGNORECASE)


@dataclass(frozen=True)
class Relative:
    """A checked ``where`` expression that uses values of the row asked from. Made by `compile_relative`.

    Attributes
    ----------
    text : str
        The expression as it was given.
    columns : tuple of str
        The columns used, of either side, in ascending order.
    asked : tuple of str
        The columns of which it uses the value, in ascending order; none: it stands by itself.
    """

    text: str
    columns: tuple[str, ...]
    asked: tuple[str, ...]
    _tree: tree.Node = field(repr=False)
    _schema: Schema = field(repr=False)

    def bind(self, row: Mapping[str, Value | Words], text: str | None = None) -> Predicate:
        """Return the filter for one row asked from.

        Parameters
        ----------
        row : mapping of str to value
            At least the columns `asked`; None is NULL. To be equal to several words is to be one of them.
        text : str, optional
            What the filter is to be called; None: the expression as it was given.

        Raises
        ------
        FilterError
            If BIGINT arithmetic on the values goes beyond 64 bits.
        """
        values = tuple(row[name] for name in self.asked) if text is None else ()
        name = self.text if text is None else text
        spans = None if self._bounds is None else spans_of(self._bounds, row)

        def build() -> tree.Node:
            with np.errstate(all="ignore"):
                return self._build(row, {})

        if spans is not None:
            return Predicate(name, self._columns, values, self._schema, spans, build)
        node = build()  # at once: it may go beyond 64 bits
        return Predicate(name, self._columns, values, self._schema, None, lambda: node)

    @cached_property
    def _build(self) -> _Builder:
        return _builder(self._tree) or (lambda row, made: self._tree)

    @cached_property
    def _bounds(self) -> tuple[Bound, ...] | None:
        return bounds_of(self._tree)

    @cached_property
    def _columns(self) -> tuple[str, ...]:
        return tuple(sorted(column_names(self._tree)))


def may_be_relative(text: object) -> bool:
    """Return whether an expression may use values of the row asked from, by a look at its text."""
    return isinstance(text, str) and _OF_QUERY.search(text) is not None


def compile_relative(text: str, schema: Schema) -> Relative:
    """Check a ``where`` expression in which ``query.NAME`` may stand wherever a column may.

    Parameters
    ----------
    text : str
        The expression.
    schema : mapping of str to Kind
        The columns that may be used, in lower case; the row asked from has the same.

    Raises
    ------
    FilterError, UnknownNameError
        As `archindex.queries.where.compile_where`.
    """
    if not isinstance(text, str):
        raise FilterError("expected a filter as text", got=text)
    return _compiled(text, tuple(schema.items()))


@lru_cache(maxsize=64)
def _compiled(text: str, columns: tuple[tuple[str, Kind], ...]) -> Relative:
    # Here and not above, as in `compile_where`.
    from archindex.queries.parse import parse

    schema = dict(columns)
    node = parse(text, schema)
    asked = query_names(node)
    return Relative(text, tuple(sorted(asked | column_names(node))), tuple(sorted(asked)), node, schema)


_Builder = Callable[[Mapping[str, Value | Words], dict[int, tree.Node]], tree.Node]
"""Puts the values of one row into a node; what it made of each is kept: one may stand in several places."""


def _builder(node: tree.Node) -> _Builder | None:
    """Return what completes a node, or None where there is nothing to complete."""
    if isinstance(node, tree.QueryRef):
        return lambda row, made: _constant(node, row[node.name])
    names = [part.name for part in fields(node)]
    plain = [getattr(node, name) for name in names]
    builders: list[tuple[int, _Builder | tuple[_Builder, ...]]] = []
    for at, value in enumerate(plain):
        if isinstance(value, tuple) and value and all(map(is_dataclass, value)):
            inner = [_builder(item) for item in value]
            if any(inner):
                each = tuple(one or _same(item) for one, item in zip(inner, value, strict=True))
                builders.append((at, each))
        elif names[at] in ("left", "right", "operand"):
            one = _builder(value)
            if one is not None:
                builders.append((at, one))
    if not builders:
        return None
    kind = cast(Callable[..., tree.Node], type(node))

    def build(row: Mapping[str, Value | Words], made: dict[int, tree.Node]) -> tree.Node:
        found = made.get(id(node))
        if found is None:
            values = plain.copy()
            for at, one in builders:
                values[at] = (
                    tuple(item(row, made) for item in one) if isinstance(one, tuple) else one(row, made)
                )
            found = made[id(node)] = _folded(kind(*values))
        return found

    return build


def _same(node: tree.Node) -> _Builder:
    return lambda row, made: node


def _constant(node: tree.QueryRef, value: Value | Words) -> tree.Constant:
    if isinstance(value, tuple):
        return tree.Constant(node.kind, cast(Value, value))  # until `_folded` sees what is compared with it
    return tree.Constant(node.kind, None if isinstance(value, float) and math.isnan(value) else value)


def _folded(node: tree.Node) -> tree.Node:
    """Return a number made of literals as a literal, and equality with several words as IN."""
    match node:
        case tree.Compare(op=op, left=left, right=tree.Constant(value=value)):
            words = cast(object, value)
            if not isinstance(words, tuple):
                return node
            if op != "=":
                raise FilterError("expected to be equal to one of several words", got=op)
            return tree.In(left, words, False)
        case tree.ToDouble(operand=tree.Constant(value=value)):
            return tree.Constant("DOUBLE", None if value is None else float(value))
        case tree.Math(function=name, operand=tree.Constant(value=value)):
            return _literal(node.kind, _FUNCTIONS[name], value)
        case tree.Arithmetic(op=op, left=tree.Constant(value=a), right=tree.Constant(value=b)):
            return _literal(node.kind, _OPERATIONS[op], a, b)
        case tree.Coalesce(items=items):
            return _first(node, items)
    return node


def _first(node: tree.Coalesce, items: tuple[tree.Node, ...]) -> tree.Node:
    """Return coalesce without literals that are NULL, nor what stands behind one that is not."""
    kept: list[tree.Node] = []
    for item in items:
        if not isinstance(item, tree.Constant):
            kept.append(item)
        elif item.value is not None:
            kept.append(item)
            break
    if not kept:
        return tree.Constant(node.kind, None)
    return kept[0] if len(kept) == 1 else replace(node, items=tuple(kept))


def _literal(kind: str, function: Callable[..., Any], *operands: Value) -> tree.Constant:
    if any(value is None for value in operands):
        return tree.Constant(cast(Any, kind), None)
    if kind == "BIGINT":
        whole = int(function(*(int(cast(int, value)) for value in operands)))
        if not INT64_MIN <= whole <= INT64_MAX:
            raise FilterError("expected BIGINT arithmetic within 64 bits", got=whole)
        return tree.Constant("BIGINT", whole)
    number = float(function(*(np.float64(cast(float, value)) for value in operands)))
    return tree.Constant("DOUBLE", None if math.isnan(number) else number)


_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "-": lambda x: -x,
    "abs": abs,
    "ln": np.log,
    "sqrt": np.sqrt,
}
_OPERATIONS: Final[dict[str, Callable[..., Any]]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}
