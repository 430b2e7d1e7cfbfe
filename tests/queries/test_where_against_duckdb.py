"""What a ``where`` selects is what DuckDB selects: random expressions of every operator, type and NULL.

Each expression is made twice, in our dialect and in SQL that says the same to DuckDB in two details: NaN is
NULL also when it is computed, and a literal is a DOUBLE or a BIGINT.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import duckdb
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from archindex.core.errors import FilterError
from archindex.queries import compile_where, numbers
from archindex.testing.expressions import Sql
from archindex.testing.filter_cases import conditions
from archindex.testing.filter_tables import EXTREME, ORDINARY, SCHEMA, columns_of, rows_of, to_duckdb

TABLES = {"ordinary": rows_of(ORDINARY, 400), "extreme": rows_of(EXTREME, 24)}
COLUMNS = {table: columns_of(values) for table, values in TABLES.items()}


@pytest.fixture(scope="module")
def oracle() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"enable_external_access": "false", "threads": "1"}) as connection:
        for table, values in TABLES.items():
            to_duckdb(connection, table, values)
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
