"""Small tables of every type, with NULLs and the values that go wrong, and literals to compare them with."""

from __future__ import annotations

import math
import random

import duckdb

from archindex.queries import Column, Schema
from archindex.queries.columns import Value
from archindex.testing.expressions import quote

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
WORDS = ["", "a", "b", "ab", "aab", "b%", "a_b", "%", "é", "ée", "it's", "B", "\U0001f600", "a\nb"]


LITERALS = {
    "DOUBLE": ["0.5", "1.0", "2.", "1e300", "2e-3", "9007199254740993.0", "1E2", "-1.5"],
    "BIGINT": [str(n) for n in (0, 1, 2, 3, -1, -4, 2**53 + 1)],
    "BOOLEAN": ["TRUE", "false"],
    "VARCHAR": [quote(word) for word in WORDS],
}


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


def rows_of(pool: dict[str, list[Value]], rows: int, seed: int = 0) -> dict[str, list[Value]]:
    """Return `rows` values for each column of `SCHEMA`, drawn from those of its kind in `pool`."""
    draw = random.Random(seed)
    return {name: draw.choices(pool[kind], k=rows) for name, kind in SCHEMA.items()}


def columns_of(values: dict[str, list[Value]]) -> dict[str, Column]:
    """Return values as columns of `SCHEMA`."""
    return {name: Column.of(SCHEMA[name], column) for name, column in values.items()}


def to_duckdb(connection: duckdb.DuckDBPyConnection, table: str, values: dict[str, list[Value]]) -> None:
    """Write values as a table with their position as column ``n``."""
    kinds = ", ".join(f"{name} {kind}" for name, kind in SCHEMA.items())
    connection.execute(f"CREATE TABLE {table} (n INTEGER, {kinds})")
    rows = [[n, *row] for n, row in enumerate(zip(*values.values(), strict=True))]
    connection.executemany(f"INSERT INTO {table} VALUES (?,?,?,?,?,?,?,?,?)", rows)
