"""The ``where`` dialect: one boolean SQL expression over attribute columns.

::

    cifar10_test_acc >= 93 AND pixel3_latency_ms < 5
    params_m BETWEEN 0.2 AND 0.5 OR cell LIKE '%nor_conv_3x3%'
    coalesce(edge_energy_mj, pi5_energy_mj) / edge_latency_ms < 2 AND NOT (pruned IS TRUE)

Allowed are ``= <> != < <= > >=``, AND, OR, NOT, BETWEEN, IN with a list of literals, LIKE with ESCAPE, all
three also with NOT, ``IS [NOT] NULL``, ``IS [NOT] TRUE``, ``IS [NOT] FALSE``, ``+ - * /``, unary minus, abs,
ln, sqrt, coalesce, and the literals: numbers, strings in single quotes, TRUE, FALSE and NULL. The types
are DOUBLE, BIGINT, BOOLEAN and VARCHAR. Names of columns are read in any case, and may stand in double
quotes. A row is selected where the expression is TRUE; NULL is not TRUE.

What is allowed means what it means in DuckDB 2, with these differences:

- NaN is NULL, also when it is computed: ``0e0 / 0``, ``ln(-1)``, ``sqrt(-1)``, infinity minus infinity.
  DuckDB keeps a NaN there, larger than every number, and selects such rows for ``>``. Infinities stay, as
  in DuckDB: ``1 / 0`` is infinity, ``ln(0)`` minus infinity.
- A number with a point is a DOUBLE, as one with an exponent is, and never a DECIMAL: ``0.1 + 0.2 = 0.3`` is
  false. A whole number is a BIGINT, not an INTEGER. A literal beyond either is an error.
- BIGINT arithmetic beyond 64 bits is an error, as in DuckDB, and it is one on every row, also on one that
  another part of the expression leaves out, and in every part of coalesce.
- Types are not converted, except BIGINT to DOUBLE, which rounds beyond 2**53 as in DuckDB: no
  ``VARCHAR = 1``, no ``BOOLEAN = 1``, no number as a condition.
- ``a = b IS NULL`` and the like need parentheses. The list of IN and the pattern of LIKE are literals.
- ln may differ from DuckDB's in the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArgumentError, FilterError, UnknownNameError
from archindex.queries import tree
from archindex.queries.columns import Column, Schema
from archindex.queries.evaluate import Block

# Rows evaluated at a time: intermediate arrays of this length stay in the cache of a core.
BLOCK = 32_768


@dataclass(frozen=True)
class Predicate:
    """A checked ``where`` expression. Made by `compile_where`.

    Attributes
    ----------
    text : str
        The expression as it was given.
    columns : tuple of str
        The names of the columns used, in ascending order.
    """

    text: str
    columns: tuple[str, ...]
    _tree: tree.Node = field(repr=False)
    _schema: Schema = field(repr=False)

    def mask(self, columns: Mapping[str, Column]) -> npt.NDArray[np.bool_]:
        """Return the rows for which the expression is TRUE.

        Parameters
        ----------
        columns : mapping of str to Column
            At least the columns used, and at least one; each of n values.

        Returns
        -------
        ndarray of bool, shape (n,)

        Raises
        ------
        FilterError
            If BIGINT arithmetic on some row goes beyond 64 bits.
        UnknownNameError
            If a column used is missing.
        ArgumentError
            If a column is not of the type it was compiled for, or the columns used differ in length.
        """
        # The mapping may open its columns one by one: only those used are touched, and once.
        used: dict[str, Column] = {}
        for name in self.columns or list(columns)[:1]:
            if name not in columns:
                raise UnknownNameError.of("column", name, columns)
            used[name] = columns[name]
            if name in self.columns and used[name].kind != self._schema[name]:
                raise ArgumentError(f"column {name} must be {self._schema[name]}", got=used[name].kind)
        lengths = {len(column) for column in used.values()}
        if len(lengths) != 1:
            raise ArgumentError("expected one or more columns of one length", got=sorted(lengths))
        selected = np.empty(lengths.pop(), dtype=np.bool_)
        tables: dict[int, npt.NDArray[np.int64]] = {}
        with np.errstate(all="ignore"):
            for start in range(0, selected.size, BLOCK):
                rows = slice(start, start + BLOCK)
                selected[rows] = Block(used, rows, tables).holds(self._tree, True)
        return selected


def compile_where(text: str, schema: Schema) -> Predicate:
    """Check a ``where`` expression against the columns there are.

    Parameters
    ----------
    text : str
        The expression, in the dialect described above.
    schema : mapping of str to Kind
        The columns that may be used, in lower case.

    Raises
    ------
    FilterError
        If `text` is anything but one boolean expression of the dialect.
    UnknownNameError
        If it names an unknown column; the message names the nearest.
    """
    if not isinstance(text, str):
        raise FilterError("expected a filter as text", got=text)
    # Here and not above: importing the parser takes longer than most queries, and not every query filters.
    from archindex.queries.parse import parse

    node = parse(text, schema)
    return Predicate(text, tuple(sorted(_names(node))), node, dict(schema))


def _names(node: object) -> set[str]:
    if isinstance(node, tree.ColumnRef):
        return {node.name}
    if isinstance(node, tuple):
        return set().union(*map(_names, node))
    if is_dataclass(node):
        return set().union(*(_names(getattr(node, part.name)) for part in fields(node)))
    return set()
