"""What a ``where`` selects is what DuckDB selects: random expressions of every operator, type and NULL.

Each expression is made twice, in our dialect and in SQL that says the same to DuckDB in two details: NaN is
NULL also when it is computed, and a literal is a DOUBLE or a BIGINT.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

import duckdb
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from archindex.core.errors import FilterError
from archindex.queries import Column, Schema, compile_where, numbers
from archindex.queries.columns import Value
from archindex.testing.expressions import Expressions, Sql, quote

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
T = TypeVar("T")
WORDS = ["", "a", "b", "ab", "aab", "b%", "a_b", "%", "é", "ée", "it's", "B", "\U0001f600", "a\nb"]


LITERALS = {
    "DOUBLE": ["0.5", "1.0", "2.", "1e300", "2e-3", "9007199254740993.0", "1E2", "-1.5"],
    "BIGINT": [str(n) for n in (0, 1, 2, 3, -1, -4, 2**53 + 1)],
    "BOOLEAN": ["TRUE", "false"],
    "VARCHAR": [quote(word) for word in WORDS],
}


@st.composite
def conditions(draw: st.DrawFn) -> Sql:
    """A condition with 1 to 5 operators one inside the other."""

    def pick(items: Sequence[T]) -> T:
        return draw(st.sampled_from(items))

    return Expressions(SCHEMA, LITERALS, pick).condition(pick(range(1, 6)))


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

    def one(x: float) -> float:
        if x > 0:
            return math.log(x)
        return -math.inf if x == 0 else math.nan

    every = np.vectorize(one, otypes=[np.float64])

    def log(values: npt.NDArray[np.float64], out: npt.NDArray[np.float64] | None) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = every(values)
        if out is not None:
            out[:] = found
        return found if out is None else out

    monkeypatch.setitem(numbers._DOUBLE_FUNCTION, "ln", log)


@settings(
    max_examples=800,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(sql=conditions(), table=st.sampled_from(["ordinary", "ordinary", "extreme"]))
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
