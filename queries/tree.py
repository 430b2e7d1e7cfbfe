"""The typed tree that a ``where`` expression becomes: what is left when everything has been checked.

Every node has a `kind`; operands of one node are of one kind, conversions are explicit (`ToDouble`).
BETWEEN has become two comparisons, ``IS NOT``, ``NOT IN`` and ``NOT LIKE`` a `Not`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Literal

from archindex.queries.columns import Kind, Value
from archindex.queries.text import LikePattern

CompareOp = Literal["=", "<>", "<", "<=", ">", ">="]
ArithmeticOp = Literal["+", "-", "*", "/"]
MathFunction = Literal["-", "abs", "ln", "sqrt"]


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal; its `kind` is NULL only where nothing around it gives NULL a type."""

    kind: Kind | Literal["NULL"]
    value: Value


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """The values of a column."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Motif(ColumnRef):
    """Whether an architecture contains a motif: a BOOLEAN column that is worked out when it is asked for."""


@dataclass(frozen=True, slots=True)
class QueryRef:
    """The value that the row asked from has in a column; it is put in before the filter is evaluated."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``left op right`` on two BIGINT or two DOUBLE."""

    kind: Kind
    op: ArithmeticOp
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Math:
    """A function of one number that keeps its kind (ln and sqrt take and give DOUBLE)."""

    kind: Kind
    function: MathFunction
    operand: Node


@dataclass(frozen=True, slots=True)
class ToDouble:
    """A BIGINT as DOUBLE."""

    operand: Node
    kind: Kind = "DOUBLE"


@dataclass(frozen=True, slots=True)
class Coalesce:
    """The first of `items` that is not NULL."""

    kind: Kind
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """``left op right`` on operands of one kind."""

    op: CompareOp
    left: Node
    right: Node
    kind: Kind = "BOOLEAN"


@dataclass(frozen=True, slots=True)
class In:
    """Whether the operand is one of `values`; `null` says that the list held NULL, too."""

    operand: Node
    values: tuple[float | int | bool | str, ...]
    null: bool
    kind: Kind = "BOOLEAN"


@dataclass(frozen=True, slots=True)
class Like:
    """Whether the whole string matches `pattern`."""

    operand: Node
    pattern: LikePattern
    kind: Kind = "BOOLEAN"


@dataclass(frozen=True, slots=True)
class IsNull:
    """Whether the operand is NULL; never NULL itself."""

    operand: Node
    kind: Kind = "BOOLEAN"


@dataclass(frozen=True, slots=True)
class IsTruth:
    """Whether the operand is `value`; never NULL itself."""

    operand: Node
    value: bool
    kind: Kind = "BOOLEAN"


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; NULL stays NULL."""

    operand: Node
    kind: Kind = "BOOLEAN"


@dataclass(frozen=True, slots=True)
class Junction:
    """All (`op` "and") or any (`op` "or") of `items`, in three-valued logic."""

    op: Literal["and", "or"]
    items: tuple[Node, ...]
    kind: Kind = "BOOLEAN"


Node = (
    Constant
    | ColumnRef
    | QueryRef
    | Arithmetic
    | Math
    | ToDouble
    | Coalesce
    | Compare
    | In
    | Like
    | IsNull
    | IsTruth
    | Not
    | Junction
)


def field_names(of: object) -> tuple[str, ...]:
    """Return the names of a node's fields; none of what is no node."""
    kind = type(of)
    names = _NAMES.get(kind)
    if names is None:
        names = _NAMES[kind] = tuple(part.name for part in fields(of)) if is_dataclass(of) else ()
    return names


_NAMES: dict[type, tuple[str, ...]] = {}
