"""``query.NAME`` in a filter: what it means, against writing the value out, and where it is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archindex.core.errors import FilterError, UnknownNameError
from archindex.queries import Column, Filters, Schema, compile_where
from archindex.queries.columns import Value
from archindex.queries.filters import Filter
from archindex.queries.relative import compile_relative, may_be_relative

SCHEMA: Schema = {"x": "DOUBLE", "n": "BIGINT", "s": "VARCHAR", "b": "BOOLEAN"}
N = 60
RNG = np.random.default_rng(0)
COLUMNS = {
    "x": Column.of("DOUBLE", [None if i % 7 == 0 else float(v) for i, v in enumerate(RNG.normal(size=N))]),
    "n": Column.of("BIGINT", [None if i % 5 == 0 else int(v) for i, v in enumerate(RNG.integers(-3, 9, N))]),
    "s": Column.of("VARCHAR", [None if i % 6 == 0 else "abc"[i % 3] for i in range(N)]),
    "b": Column.of("BOOLEAN", [None if i % 4 == 0 else i % 3 == 0 for i in range(N)]),
}
TEXTS = (
    "x < 0.5 * query.x",
    "x > query.x / 3 AND n >= query.n - 1",
    "n BETWEEN query.n - 2 AND query.n * 2",
    "s = query.s OR b = query.b",
    "NOT (n = query.n)",
    "coalesce(query.x, x, 1) + abs(query.n) > coalesce(n, query.n)",
    "query.x IS NULL AND query.b IS NOT TRUE",
    "query.b",
    "sqrt(query.n) < n OR ln(query.x) > x",
    "x * query.n <= -query.x",
    'query."N" = n AND QUERY.s <> s',
)


def written(value: Value) -> str:
    """Return a value as a literal of the dialect."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, str):
        return f"'{value}'"
    return f"({value!r}e0)" if isinstance(value, float) and "e" not in repr(value) else f"({value!r})"


def typed(kind: str, value: Value) -> str:
    """Return a value with its type, which a bare NULL has not."""
    if value is not None:
        return written(value)
    # A NULL of the kind, whatever the row.
    return {"DOUBLE": "(NULL + 0e0)", "BIGINT": "(NULL + 0)"}.get(kind, "NULL")


@settings(max_examples=200, deadline=None)
@given(
    text=st.sampled_from(TEXTS),
    x=st.none() | st.floats(-4, 4) | st.sampled_from([0.0, -0.0, math.nan, 1e300]),
    n=st.none() | st.integers(-5, 10),
    s=st.none() | st.sampled_from("abcd"),
    b=st.none() | st.booleans(),
)
def test_it_is_the_value_written_out(
    text: str, x: float | None, n: int | None, s: str | None, b: bool | None
) -> None:
    row: dict[str, Value] = {"x": x, "n": n, "s": s, "b": b}
    relative = compile_relative(text, SCHEMA)
    bound = relative.bind(row)
    out = text.replace('"N"', "n").replace("QUERY", "query")
    for name, value in row.items():
        value = None if isinstance(value, float) and math.isnan(value) else value
        out = out.replace(f"query.{name}", typed(SCHEMA[name], value))
    expected = compile_where(out, SCHEMA).mask(COLUMNS)
    assert bound.mask(COLUMNS).tolist() == expected.tolist()
    # As the planner asks: by lists, from memory.
    filters = Filters(COLUMNS, np.array([0, 13, 13, 40, N]))
    found = Filter(bound, filters)
    assert found.positions().tolist() == np.flatnonzero(expected).tolist()
    possible = np.add.reduceat(expected, [0, 13, 40]) > 0
    assert not (possible & ~found.possible[[0, 2, 3]]).any()


def test_it_says_which_columns_it_needs() -> None:
    relative = compile_relative("x < query.x AND n = query.n AND s = 'query.b'", SCHEMA)
    assert relative.asked == ("n", "x")
    assert relative.bind({"x": 1.0, "n": 2}).columns == ("n", "s", "x")
    assert compile_relative("s = 'query.b'", SCHEMA).asked == ()


def test_arithmetic_on_its_values_is_done_once() -> None:
    bound = compile_relative("x < 0.5 * query.x + query.n", SCHEMA).bind({"x": 3.0, "n": 1})
    assert bound._tree == compile_where("x < 2.5", SCHEMA)._tree


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x < query.y", "did you mean"),
        ("query.s < x", "one type"),
        ("s LIKE query.s", "a string after LIKE"),
        ("n IN (1, query.n)", "list after IN"),
        ("query.x(1) < 2", "functions"),
        ("query . x < 2", "column"),
        ("query./**/x < 2", "column"),
        ("query.x.n < 2", "expected"),
        ("other.x < 2", "expected"),
        ("query. < 2", "expected"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    schema: Schema = {**SCHEMA, "yy": "DOUBLE"}
    with pytest.raises((FilterError, UnknownNameError), match=message):
        compile_relative(text, schema)


def test_a_filter_that_stands_by_itself_has_no_query() -> None:
    with pytest.raises(FilterError, match=r"without 'query\.'"):
        compile_where("x < query.x", SCHEMA)
    assert may_be_relative("x < Query.x")
    assert not may_be_relative("my_query = 1")
    assert not may_be_relative(None)


def test_whole_numbers_beyond_64_bits_are_an_error() -> None:
    relative = compile_relative("n < query.n * 4000000000", SCHEMA)
    with pytest.raises(FilterError, match="64 bits"):
        relative.bind({"n": 4_000_000_000})
    assert not relative.bind({"n": None}).mask(COLUMNS).any()


def test_a_column_may_be_called_query() -> None:
    schema: Schema = {"query": "DOUBLE"}
    relative = compile_relative("query < 2 * query.query", schema)
    assert relative.asked == ("query",)
    assert relative.bind({"query": 1.0}).mask({"query": Column.of("DOUBLE", [1.5, 2.5, None])}).tolist() == [
        True,
        False,
        False,
    ]
