"""Second gate of a ``where`` text: its syntax tree, checked node by node and typed.

sqlglot reads the tokens; each node of its tree must be on the list here, and becomes a node of
`archindex.queries.tree` whose operands have fitting types.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NoReturn, cast

from sqlglot import Dialect, exp
from sqlglot.errors import ParseError

from archindex.core.errors import FilterError
from archindex.queries import tree
from archindex.queries.columns import INT64_MAX, INT64_MIN, Kind, Schema
from archindex.queries.lex import DIALECT, QUERY, tokens_of
from archindex.queries.motif import parse_motif
from archindex.queries.text import like_pattern
from archindex.queries.tree import Node

MAX_DEPTH = 100

_COMPARE: dict[str, tree.CompareOp] = {"EQ": "=", "NEQ": "<>", "LT": "<", "LTE": "<=", "GT": ">", "GTE": ">="}
_ARITHMETIC: dict[str, tree.ArithmeticOp] = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/"}
_MATH: dict[str, tree.MathFunction] = {"Neg": "-", "Abs": "abs", "Ln": "ln", "Sqrt": "sqrt"}
_NUMBER = re.compile(r"(\d+)|\d+\.?\d*(?:[eE][+-]?\d+)?", re.ASCII)


def parse(text: str, schema: Schema) -> Node:
    """Return the typed tree of `text`, a BOOLEAN.

    Raises
    ------
    FilterError
        If `text` is not one boolean expression of the dialect, or its types do not fit.
    UnknownNameError
        If it names a column that `schema` has not.
    """
    tokens = tokens_of(text, schema)
    try:
        parsed = Dialect.get_or_raise(None).parser().parse_into(exp.Condition, tokens, text)
        if len(parsed) != 1 or parsed[0] is None:
            raise FilterError(f"expected {DIALECT}", got=text)
        node = _Typer(schema).node(parsed[0], 0)
    except ParseError as error:
        raise FilterError(f"expected {DIALECT}", got=text, fix=_where_it_broke(error)) from None
    except RecursionError:
        # The gates bound the depth, but the caller may stand deep in its own stack.
        raise FilterError("expected a filter that is nested less deep", got=text) from None
    if node.kind not in ("BOOLEAN", "NULL"):
        raise FilterError(
            f"expected a condition that is true or false, got a {node.kind}", fix="compare it with something"
        )
    return _as(node, "BOOLEAN")


def _where_it_broke(error: Exception) -> str | None:
    errors: list[dict[str, object]] = getattr(error, "errors", [])
    if not errors or not errors[0].get("highlight"):
        return "is it complete?"
    return f"look at {str(errors[0]['highlight'])[:40]!r}, character {errors[0].get('col')}"


class _Typer:
    """Turns nodes of sqlglot into typed nodes."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def node(self, found: exp.Expr, depth: int) -> Node:
        """Return the typed node of `found`, which lies `depth` below the top."""
        if depth > MAX_DEPTH:
            raise FilterError(f"expected at most {MAX_DEPTH} operators one inside the other")
        name = type(found).__name__

        def operand(key: str = "this") -> Node:
            value = found.args.get(key)
            return _refuse(found) if value is None else self.node(value, depth + 1)

        if name == "Paren":
            return operand()
        if name in _COMPARE:
            left, right = _unify([operand(), operand("expression")], f"on both sides of {_COMPARE[name]}")
            return tree.Compare(_COMPARE[name], left, right)
        if name in _ARITHMETIC:
            return _arithmetic(_ARITHMETIC[name], operand(), operand("expression"))
        if name == "Neg" and _is_number(found.this):
            # As one literal: the smallest BIGINT has no positive counterpart.
            return _number(str(found.this.this), "-")
        if name in _MATH:
            return _math(_MATH[name], operand())
        return _BUILDERS[name](self, found, depth) if name in _BUILDERS else _refuse(found)

    def _column(self, found: exp.Expr, depth: int) -> Node:
        # Names that the first gate settled are quoted; what else the parser takes for a name is none.
        if not found.this.args.get("quoted"):
            _refuse(found)
        if found.name.startswith(QUERY):
            name = found.name.removeprefix(QUERY)
            return tree.QueryRef(self._schema[name], name)
        return tree.ColumnRef(self._schema[found.name], found.name)

    def _motif(self, found: exp.Expr, depth: int) -> Node:
        given = found.args.get("expressions") or []
        if found.this != "motif" or len(given) != 1 or not given[0].args.get("is_string"):
            raise FilterError(
                "expected a motif in single quotes for contains", fix="contains('conv3x3 -> skip -> conv1x1')"
            )
        return tree.Motif("BOOLEAN", parse_motif(str(given[0].this)).name)

    def _literal(self, found: exp.Expr, depth: int) -> Node:
        if _is_number(found):
            return _number(str(found.this), "")
        return tree.Constant("VARCHAR", str(found.this))

    def _boolean(self, found: exp.Expr, depth: int) -> Node:
        return tree.Constant("BOOLEAN", bool(found.this))

    def _null(self, found: exp.Expr, depth: int) -> Node:
        return tree.Constant("NULL", None)

    def _and(self, found: exp.Expr, depth: int) -> Node:
        # A chain of a thousand AND is a tree of that depth on its left side: walked in a loop.
        parts: list[exp.Expr] = []
        kind = type(found)
        while type(found) is kind:
            parts.append(found.args["expression"])
            found = found.args["this"]
        parts.append(found)
        items = tuple(_boolean_of(self.node(part, depth + 1)) for part in reversed(parts))
        return tree.Junction("and" if kind.__name__ == "And" else "or", items)

    def _not(self, found: exp.Expr, depth: int) -> Node:
        return tree.Not(_boolean_of(self.node(found.this, depth + 1)))

    def _is(self, found: exp.Expr, depth: int) -> Node:
        operand = self.node(found.this, depth + 1)
        kind = type(found.args["expression"]).__name__
        if kind == "Null":
            return tree.IsNull(operand)
        if kind == "Boolean":
            return tree.IsTruth(_boolean_of(operand), bool(found.args["expression"].this))
        raise FilterError("expected NULL, NOT NULL, TRUE or FALSE after IS")

    def _between(self, found: exp.Expr, depth: int) -> Node:
        sides = [self.node(found.args[key], depth + 1) for key in ("this", "low", "high")]
        value, low, high = _unify(sides, "for the three parts of BETWEEN")
        return tree.Junction("and", (tree.Compare(">=", value, low), tree.Compare("<=", value, high)))

    def _in(self, found: exp.Expr, depth: int) -> Node:
        listed: list[exp.Expr] = found.args.get("expressions") or []
        if not listed or any(found.args.get(key) for key in ("query", "field", "unnest")):
            raise FilterError("expected a list of values after IN, such as (1, 2)")
        items = [self.node(item, depth + 1) for item in listed]
        if not all(isinstance(item, tree.Constant) for item in items):
            raise FilterError("expected only numbers, strings, TRUE, FALSE and NULL in the list after IN")
        operand, *items = _unify([self.node(found.this, depth + 1), *items], "for IN and its list")
        values = [item.value for item in cast(list[tree.Constant], items)]
        return tree.In(operand, tuple(v for v in values if v is not None), None in values)

    def _like(self, found: exp.Expr, depth: int, escape: str = "") -> Node:
        operand = _as(self.node(found.this, depth + 1), "VARCHAR", "before LIKE")
        pattern = self.node(found.args["expression"], depth + 1)
        if not isinstance(pattern, tree.Constant) or pattern.kind not in ("VARCHAR", "NULL"):
            raise FilterError("expected a string after LIKE")
        if pattern.value is None:
            return tree.Constant("BOOLEAN", None)
        like = tree.Like(operand, like_pattern(str(pattern.value), escape))
        return tree.Not(like) if found.args.get("negate") else like

    def _escape(self, found: exp.Expr, depth: int) -> Node:
        # ESCAPE stands around LIKE or, when that was denied, around NOT LIKE.
        like, sign = found.this, found.args["expression"]
        denied = type(like).__name__ == "Not"
        like = like.this if denied else like
        if type(like).__name__ != "Like" or not sign.args.get("is_string"):
            raise FilterError("expected ESCAPE and a string after a LIKE only")
        node = self._like(like, depth + 1, str(sign.this))
        return tree.Not(node) if denied else node

    def _coalesce(self, found: exp.Expr, depth: int) -> Node:
        listed: list[exp.Expr] = [found.this, *found.args.get("expressions", [])]
        items = _unify([self.node(item, depth + 1) for item in listed], "for coalesce", keep_null=True)
        kind = items[0].kind
        return items[0] if kind == "NULL" else _first_of(kind, items)


_BUILDERS: dict[str, Callable[[_Typer, exp.Expr, int], Node]] = {
    "Column": _Typer._column,
    "Literal": _Typer._literal,
    "Boolean": _Typer._boolean,
    "Null": _Typer._null,
    "And": _Typer._and,
    "Or": _Typer._and,
    "Not": _Typer._not,
    "Is": _Typer._is,
    "Between": _Typer._between,
    "In": _Typer._in,
    "Like": _Typer._like,
    "Escape": _Typer._escape,
    "Coalesce": _Typer._coalesce,
    "Anonymous": _Typer._motif,
}


def _refuse(found: exp.Expr) -> NoReturn:
    raise FilterError(f"expected {DIALECT}", fix=f"{type(found).__name__} is not among them")


def _is_number(found: exp.Expr) -> bool:
    return type(found).__name__ == "Literal" and not found.args.get("is_string")


def _number(text: str, sign: str) -> Node:
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise FilterError("expected a number such as 12, 0.5 or 1e-3", got=text)
    if match[1] is not None:
        whole = int(sign + text) if len(text) < 40 else INT64_MAX + 1
        if not INT64_MIN <= whole <= INT64_MAX:
            raise FilterError("expected a BIGINT of 64 bits", got=text, fix="write it with a point: 1e30")
        return tree.Constant("BIGINT", whole)
    number = float(sign + text)
    if math.isinf(number):
        raise FilterError("expected a number that a DOUBLE can hold", got=text)
    return tree.Constant("DOUBLE", number)


def _arithmetic(op: tree.ArithmeticOp, left: Node, right: Node) -> Node:
    for side in (left, right):
        _check_number(side, op)
    left, right = _unify([left, right], f"on both sides of {op}")
    if op == "/":
        left, right = _as(left, "DOUBLE"), _as(right, "DOUBLE")
    return tree.Arithmetic(cast(Kind, left.kind), op, left, right)


def _math(function: tree.MathFunction, operand: Node) -> Node:
    _check_number(operand, function)
    if function in ("ln", "sqrt"):
        operand = _as(operand, "DOUBLE")
    elif operand.kind == "NULL":
        operand = _as(operand, "BIGINT")
    return tree.Math(cast(Kind, operand.kind), function, operand)


def _check_number(node: Node, what: str) -> None:
    if node.kind not in ("BIGINT", "DOUBLE", "NULL"):
        raise FilterError(f"expected numbers for {what}, got a {node.kind}")


def _first_of(kind: str, items: list[Node]) -> Node:
    """Return coalesce of `items`, one inside the other made one, and what a column repeats left out."""
    found: list[Node] = []
    for item in items:
        for part in item.items if isinstance(item, tree.Coalesce) else (item,):
            if not (isinstance(part, tree.ColumnRef) and part in found):
                found.append(part)
    return found[0] if len(found) == 1 else tree.Coalesce(cast(Kind, kind), tuple(found))


def _boolean_of(node: Node) -> Node:
    return _as(node, "BOOLEAN", "for AND, OR, NOT and IS TRUE")


def _as(node: Node, kind: Kind, what: str = "in the filter") -> Node:
    """Return `node` as `kind`: NULL takes every kind, BIGINT becomes DOUBLE; nothing else is converted."""
    if node.kind == kind:
        return node
    if isinstance(node, tree.Constant) and (node.kind == "NULL" or (node.kind, kind) == ("BIGINT", "DOUBLE")):
        return tree.Constant(kind, None if node.value is None else float(node.value))
    if (node.kind, kind) == ("BIGINT", "DOUBLE"):
        return tree.ToDouble(node)
    raise FilterError(f"expected a {kind} {what}, got a {node.kind}")


def _unify(nodes: list[Node], what: str, *, keep_null: bool = False) -> list[Node]:
    """Give all nodes the one kind that holds all of them."""
    kinds = {node.kind for node in nodes} - {"NULL"}
    if kinds == {"BIGINT", "DOUBLE"}:
        kinds = {"DOUBLE"}
    if len(kinds) > 1:
        raise FilterError(f"expected one type {what}, got {' and '.join(sorted(kinds))}")
    if not kinds:
        return nodes if keep_null else [_as(node, "BIGINT") for node in nodes]
    kind = cast(Kind, kinds.pop())
    return [_as(node, kind, what) for node in nodes]
