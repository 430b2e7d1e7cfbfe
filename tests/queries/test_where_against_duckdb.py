"""What a ``where`` selects is what DuckDB selects: random expressions of every operator, type and NULL.

Each expression is made twice, in our dialect and in SQL that says the same to DuckDB in two details: NaN is
NULL also when it is computed, and a literal is a DOUBLE or a BIGINT.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import NamedTuple

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from archindex.core.errors import FilterError
from archindex.queries import Column, Schema, compile_where, evaluate
from archindex.queries.columns import Value

SCHEMA: Schema = {
    "d": "DOUBLE",
    "e": "DOUBLE",
    "i": "BIGINT",
    "j": "BIGINT",
    "p": "BOOLEAN",
    "q": "BOOLEAN",
    "s": "VARCHAR",
    "t": "VARCHAR",
}
COMPARISONS = ["=", "<>", "!=", "<", "<=", ">", ">="]
NEGATION = ["", "NOT "]
FORMS = ["compare", "and", "not", "null", "truth", "between", "in", "like", "coalesce", "compare", "and"]
WORDS = ["", "a", "b", "ab", "aab", "b%", "a_b", "%", "é", "ée", "it's", "B", "\U0001f600", "a\nb"]


class Sql(NamedTuple):
    """An expression in our dialect and in DuckDB's."""

    ours: str
    duckdb: str


def _quote(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"


def _join(template: str, *parts: Sql) -> Sql:
    return Sql(template.format(*(p.ours for p in parts)), template.format(*(p.duckdb for p in parts)))


def _may_be_nan(sql: Sql) -> Sql:
    return Sql(sql.ours, f"nullif({sql.duckdb}, 'nan'::DOUBLE)")


def columns(kind: str) -> st.SearchStrategy[Sql]:
    """A column of the kind, in either case, sometimes quoted."""
    names = [name for name, k in SCHEMA.items() if k == kind]
    return st.sampled_from([Sql(form, form) for n in names for form in (n, n.upper(), f'"{n}"')])


def literals(kind: str) -> st.SearchStrategy[Sql]:
    """A literal of the kind, NULL included."""
    if kind == "DOUBLE":
        forms = ["0.5", "1.0", "2.", "1e300", "2e-3", "9007199254740993.0", "1E2", "-1.5"]
        return st.sampled_from([Sql(f, f"({f})::DOUBLE") for f in forms] + [Sql("NULL", "NULL::DOUBLE")])
    if kind == "BIGINT":
        numbers = [0, 1, 2, 3, -1, -4, 2**53 + 1]
        return st.sampled_from(
            [Sql(str(n), f"({n})::BIGINT") for n in numbers] + [Sql("NULL", "NULL::BIGINT")]
        )
    if kind == "BOOLEAN":
        return st.sampled_from([Sql("TRUE", "TRUE"), Sql("false", "false"), Sql("NULL", "NULL::BOOLEAN")])
    return st.sampled_from([Sql(_quote(w), _quote(w)) for w in WORDS] + [Sql("NULL", "NULL::VARCHAR")])


@st.composite
def values(draw: st.DrawFn, kind: str, depth: int) -> Sql:
    """An expression of the kind with at most `depth` operators one inside the other."""
    if kind == "BOOLEAN":
        return draw(conditions(depth))
    if depth <= 0 or draw(st.integers(0, 3)) == 0:
        return draw(columns(kind)) if draw(st.integers(0, 3)) else draw(literals(kind))
    inner = values(kind, depth - 1)
    if kind == "VARCHAR" or draw(st.integers(0, 3)) == 0:
        return _join("coalesce({}, {})", draw(inner), draw(inner))
    if kind == "BIGINT":
        if draw(st.booleans()):
            return _join(draw(st.sampled_from(["abs({})", "(- {})"])), draw(inner))
        return _join("({} " + draw(st.sampled_from("+-*")) + " {})", draw(inner), draw(inner))
    form = draw(st.sampled_from(["ln({})", "sqrt({})", "abs({})", "(- {})", "+", "-", "*", "/"]))
    if "{" in form:
        operand = values(draw(st.sampled_from(["DOUBLE", "BIGINT"])), depth - 1)
        made = _join(form, draw(operand))
        # abs and minus of a BIGINT are a BIGINT, which arithmetic with a DOUBLE turns into one.
        return _may_be_nan(_join("({} + {})", made, Sql("0.0", "0::DOUBLE")))
    left = draw(inner)
    right = draw(values(draw(st.sampled_from(["DOUBLE", "BIGINT"])), depth - 1))
    left, right = draw(st.sampled_from([(left, right), (right, left)]))
    return _may_be_nan(_join("({} " + form + " {})", left, right))


@st.composite
def conditions(draw: st.DrawFn, depth: int) -> Sql:
    """A condition with at most `depth` operators one inside the other."""
    if depth <= 0:
        return draw(columns("BOOLEAN")) if draw(st.integers(0, 3)) else draw(literals("BOOLEAN"))
    inner = conditions(depth - 1)
    form = draw(st.sampled_from(FORMS))
    negated = draw(st.sampled_from(NEGATION))
    if form == "and":
        return _join("({} " + draw(st.sampled_from(["AND", "or"])) + " {})", draw(inner), draw(inner))
    if form == "not":
        return _join("(NOT {})", draw(inner))
    if form == "coalesce":
        return _join("coalesce({}, {})", draw(inner), draw(inner))
    if form == "truth":
        return _join("({} IS " + negated + draw(st.sampled_from(["TRUE", "FALSE"])) + ")", draw(inner))
    if form == "like":
        pattern, escape = (
            draw(st.sampled_from(["", "a", "%", "_", "a%", "%b", "_%a", "a%b%", "x%x_", "%xx%"])),
            "",
        )
        if "x" in pattern:
            escape = " ESCAPE 'x'"
        operand = draw(values("VARCHAR", depth - 1))
        return _join("({} " + negated + f"LIKE {_quote(pattern)}{escape})", operand)
    kind = draw(st.sampled_from(["DOUBLE", "BIGINT", "BOOLEAN", "VARCHAR"]))
    other = draw(st.sampled_from(["DOUBLE", "BIGINT"])) if kind in ("DOUBLE", "BIGINT") else kind
    one = draw(values(kind, depth - 1))
    if form == "null":
        return _join("({} IS " + negated + "NULL)", one)
    if form == "in":
        listed = draw(st.lists(literals(other), min_size=1, max_size=4))
        return _join("({} " + negated + "IN (" + ", ".join(["{}"] * len(listed)) + "))", one, *listed)
    if form == "between":
        low, high = draw(values(other, depth - 1)), draw(values(kind, depth - 1))
        return _join("({} " + negated + "BETWEEN {} AND {})", one, low, high)
    return _join("({} " + draw(st.sampled_from(COMPARISONS)) + " {})", one, draw(values(other, depth - 1)))


ORDINARY: dict[str, list[Value]] = {
    "DOUBLE": [None, 0.0, -0.0, 0.5, 1.0, -1.5, 2.0, 3.25, 4.0, 1e-300],
    "BIGINT": [None, *range(-4, 5)],
    "BOOLEAN": [None, True, False],
    "VARCHAR": [None, *WORDS],
}
EXTREME: dict[str, list[Value]] = {
    "DOUBLE": [None, 1e300, -1e300, math.inf, -math.inf, 2.0**53, 2.0**53 + 2, 2.0**63, -(2.0**63)],
    "BIGINT": [None, 2**53, 2**53 + 1, 2**62, 2**63 - 1, -(2**63), 1],
    "BOOLEAN": [None, True, False],
    "VARCHAR": [None, "\u07ff", "\uffff", "\U00010000", "a\x00", "a"],
}


def _table(pool: dict[str, list[Value]], rows: int) -> dict[str, list[Value]]:
    draw = random.Random(0)
    return {name: draw.choices(pool[kind], k=rows) for name, kind in SCHEMA.items()}


TABLES = {"ordinary": _table(ORDINARY, 400), "extreme": _table(EXTREME, 24)}
COLUMNS = {
    table: {name: Column.of(SCHEMA[name], values) for name, values in data.items()}
    for table, data in TABLES.items()
}


@pytest.fixture(scope="module")
def oracle() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"enable_external_access": "false", "threads": "1"}) as connection:
        kinds = ", ".join(f"{name} {kind}" for name, kind in SCHEMA.items())
        for table, data in TABLES.items():
            connection.execute(f"CREATE TABLE {table} (n INTEGER, {kinds})")
            rows = [[n, *row] for n, row in enumerate(zip(*data.values(), strict=True))]
            connection.executemany(f"INSERT INTO {table} VALUES (?,?,?,?,?,?,?,?,?)", rows)
        yield connection


@pytest.fixture
def libm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute ln with the C library, as DuckDB does: NumPy's own may differ in the last bit."""

    def log(x: float) -> float:
        if x > 0:
            return math.log(x)
        return -math.inf if x == 0 else math.nan

    monkeypatch.setitem(evaluate._DOUBLE_FUNCTION, "ln", np.vectorize(log, otypes=[np.float64]))


@settings(
    max_examples=800,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(sql=st.integers(1, 5).flatmap(conditions), table=st.sampled_from(["ordinary", "ordinary", "extreme"]))
def test_selects_what_duckdb_selects(
    oracle: duckdb.DuckDBPyConnection, libm: None, sql: Sql, table: str
) -> None:
    predicate = compile_where(sql.ours, SCHEMA)
    try:
        mask = predicate.mask(COLUMNS[table])
    except FilterError as error:
        # DuckDB may pass over the row that overflows, we do not.
        assert "64 bits" in str(error)
        assume(False)
    selected = np.flatnonzero(mask).tolist()
    event("none" if not selected else "all" if len(selected) == mask.size else "some")
    found = oracle.execute(f"SELECT n FROM {table} WHERE {sql.duckdb} ORDER BY n").fetchall()
    assert selected == [n for (n,) in found]
