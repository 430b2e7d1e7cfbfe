"""The ``where`` dialect: one boolean SQL expression over attribute columns.

::

    cifar10_test_acc >= 93 AND pixel3_latency_ms < 5
    params_m BETWEEN 0.2 AND 0.5 OR cell LIKE '%nor_conv_3x3%'
    coalesce(edge_energy_mj, pi5_energy_mj) / edge_latency_ms < 2 AND NOT (pruned IS TRUE)

Allowed are ``= <> != < <= > >=``, AND, OR, NOT, BETWEEN, IN with a list of literals, LIKE with ESCAPE, all
three also with NOT, ``IS [NOT] NULL``, ``IS [NOT] TRUE``, ``IS [NOT] FALSE``, ``+ - * /``, unary minus, abs,
ln, sqrt, coalesce, contains with a motif (`archindex.queries.motif`), and the literals: numbers, strings
in single quotes, TRUE, FALSE and NULL. The types are DOUBLE, BIGINT, BOOLEAN and VARCHAR. Names of columns
are read in any case, and may stand in double quotes; ``query.NAME`` is the value that the row asked from has
in a column (`archindex.queries.relative`), where there is such a row. A row is selected where the expression
is TRUE; NULL is not TRUE.

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

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArgumentError, FilterError
from archindex.queries import tree
from archindex.queries.columns import Column, Schema, Value
from archindex.queries.evaluate import Program
from archindex.queries.judge import judge, judge_spans
from archindex.queries.motif import is_motif
from archindex.queries.orders import Orders, candidates, counted, sampled
from archindex.queries.spans import Spans, Words, bounds_of, plain, spans_of
from archindex.queries.table import Table, positions_of
from archindex.queries.zones import Zones


@dataclass(frozen=True)
class Predicate:
    """A checked ``where`` expression. Made by `compile_where`.

    Attributes
    ----------
    text : str
        The expression as it was given.
    columns : tuple of str
        The names of the columns used, in ascending order.
    values : tuple of value
        Those of the row asked from that the text does not show; see `archindex.queries.relative`.
    """

    text: str
    columns: tuple[str, ...]
    values: tuple[Value | Words, ...]
    _schema: Schema = field(repr=False)
    _spans: Spans | None = field(repr=False)
    _build: Callable[[], tree.Node] = field(repr=False, compare=False)

    @cached_property
    def _tree(self) -> tree.Node:
        return self._build()

    def _for(self, table: Table) -> tree.Node | Spans:
        """Return what to ask of a table: mere spans where that is all there is."""
        spans = plain(self._spans, table)
        return self._tree if spans is None else spans

    def mask(self, columns: Mapping[str, Column] | Table) -> npt.NDArray[np.bool_]:
        """Return the rows for which the expression is TRUE.

        Parameters
        ----------
        columns : mapping of str to Column, or Table
            At least the columns used, and at least one; each of n values. A `Table` of them keeps what it
            learns about them for the next call.

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
        table = columns if isinstance(columns, Table) else Table(columns)
        program = self.program(table)
        return program.run(slice(0, table.rows))

    def positions(self, columns: Mapping[str, Column] | Table) -> npt.NDArray[np.int64]:
        """Return the positions of the rows for which the expression is TRUE, ascending; as `mask`."""
        table = columns if isinstance(columns, Table) else Table(columns)
        program = self.program(table)
        if program.constant is not None and not program.checked:
            return np.arange(table.rows if program.constant else 0)
        mask = program.run(slice(0, table.rows))
        return positions_of(mask, int(np.count_nonzero(mask)))

    def selected(
        self, columns: Mapping[str, Column] | Table, positions: npt.NDArray[np.int64] | slice
    ) -> npt.NDArray[np.bool_]:
        """Return for the rows at some positions whether the expression is TRUE.

        Parameters
        ----------
        columns : mapping of str to Column, or Table
            As for `mask`; no other rows are read. A call with a `Table` takes microseconds, but the first.
        positions : ndarray of int64 or slice
            Which rows; a slice has step 1 and both its ends within the table.

        Returns
        -------
        ndarray of bool, shape (len(positions),)

        Raises
        ------
        FilterError
            If BIGINT arithmetic on one of these rows goes beyond 64 bits.
        UnknownNameError, ArgumentError
            As `mask`.
        """
        if isinstance(columns, Table):
            return self.program(columns).run(positions)
        table = Table(columns).take(positions)
        size = positions.stop - positions.start if isinstance(positions, slice) else len(positions)
        return self.program(table).run(slice(0, size))

    def possible(self, zones: Zones) -> npt.NDArray[np.bool_]:
        """Return which lists may hold a match, shape (L,): False is proved by what the lists hold."""
        return self.judged(zones)[0]

    def expected(self, zones: Zones) -> npt.NDArray[np.float64]:
        """Return the estimated matches of each list, shape (L,); 0 where none is possible."""
        return self.judged(zones)[1]

    def judged(self, zones: Zones) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """Return what `possible` and `expected` do, in the time of one of them."""
        asked = self._for(zones.table)
        return judge_spans(asked, zones) if isinstance(asked, Mapping) else judge(asked, zones)

    def count(self, orders: Orders) -> int | None:
        """Return how many rows match where one condition on one sorted column is all there is; else None."""
        return counted(self._for(orders.table), orders)

    def sample(self, orders: Orders, most: int) -> npt.NDArray[np.int64] | None:
        """Return the positions of about so many matches at most, where `count` is known; else None."""
        return sampled(self._for(orders.table), orders, most)

    def candidates(self, orders: Orders) -> npt.NDArray[np.int64] | None:
        """Return row positions, ascending, with all matches among them, from one sorted column; else None.

        Where the expression is a conjunction, they are those of its most selective condition on a sorted
        column, and `selected` decides among them.
        """
        return candidates(self._for(orders.table), orders)

    def program(self, table: Table) -> Program:
        """Return the expression compiled for a table, the same for every call.

        Raises
        ------
        UnknownNameError
            If a column used is missing.
        ArgumentError
            If a column is not of the type it was compiled for, or the columns used differ in length.
        """
        return table.once(self, lambda: self._compile(table))

    def _compile(self, table: Table) -> Program:
        for name in self.columns:
            kind = table[name].kind
            if kind != self._schema[name]:
                raise ArgumentError(f"column {name} must be {self._schema[name]}", got=kind)
        return Program(self._for(table), table)


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
    asked = query_names(node)
    if asked:
        raise FilterError(
            "expected a filter without 'query.': no row is asked from here", got=f"query.{min(asked)}"
        )
    bounds = bounds_of(node)
    spans = None if bounds is None else spans_of(bounds, {})
    return Predicate(text, tuple(sorted(column_names(node))), (), dict(schema), spans, lambda: node)


def query_names(node: object) -> set[str]:
    """Return the columns of which an expression uses the value of the row asked from."""
    return _names(node, tree.QueryRef)


def column_names(node: object) -> set[str]:
    """Return the columns that an expression uses, but for motifs."""
    return {name for name in _names(node, tree.ColumnRef) if not is_motif(name)}


def _names(node: object, kind: type[tree.ColumnRef] | type[tree.QueryRef]) -> set[str]:
    found: set[str] = set()
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, kind):
            found.add(part.name)
        elif isinstance(part, tuple):
            waiting += part
        else:
            waiting += [getattr(part, name) for name in tree.field_names(part)]
    return found
