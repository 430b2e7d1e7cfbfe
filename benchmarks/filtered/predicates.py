"""Expressions of ``where``: that they select what DuckDB selects, and how long both take."""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt

from archindex.core.errors import FilterError
from archindex.queries import Column, compile_where, schema_of
from archindex.queries.table import Table
from archindex.testing import filter_tables
from archindex.testing.expressions import USED, Expressions, Sql
from benchmarks.filtered.attributes import PATTERNS, SEED, attributes, literals, to_duckdb

ROWS: Final = 1_000_000
EXPRESSIONS: Final = 10_000
TIMED: Final = 200
REPEATS: Final = 5
TARGET: Final = 5.0

PROTOCOL: Final = f"""
Expressions come from one generator (archindex.testing.expressions), seed {SEED}, depth 1 to 5 in turn:
every operator, type and form of the dialect, NULL literals, and nothing left out because it is constant.

equality: {EXPRESSIONS:,} expressions, over three tables in turn: 2,000 rows of small values that meet
often, 200 rows of extreme ones (infinities, 2**53 + 1, the ends of BIGINT), and 4,000 rows of the
attributes below; of every column, a fourteenth to a third is NULL. DuckDB gets the same expression but
for two details that the dialect documents: nullif(x, NaN) around computed DOUBLE, and typed literals.
Where BIGINT arithmetic overflows, the expression is an error here on every row, while DuckDB may pass
over that row: such are counted apart, and replaced. ln is NumPy's, whose last bit may differ from
DuckDB's.

speed: {TIMED} expressions over {ROWS:,} rows of attributes: columns of nb101 (all 423,624 rows in their
order, then sampled), nb201_help_latency, accel_nasbench_mnasnet and timm_infer_benchmark, sampled with
replacement, a tenth of each NULL besides, seed {SEED}. The text is the same on both sides, literals of
DOUBLE with an exponent. DuckDB: a table in a file, checkpointed and warm, threads=1, "SELECT rowid FROM
t WHERE ..." and fetchnumpy; once as a prepared statement (EXECUTE), once from text. Ours: all positions
as int64, ascending, one thread, every row read: no answer remembered, no column sorted, no list ruled
out; once compiled before, once from text. Both have seen the columns before: what ours learns of a
column at its first use (bounds, narrow codes) is in neither time. Each is the least of {REPEATS} runs,
in turn; the ratio of an expression is DuckDB's time over ours. "conjunctions" are {TIMED} more
expressions of a kind that people write: one to five conditions on single columns joined by AND.
""".strip()


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Compare what is selected, and how long it takes."""
    with tempfile.TemporaryDirectory() as folder:
        large = attributes(data, 60_000 if quick else ROWS)
        return [
            *_equality(data, 300 if quick else EXPRESSIONS, quick),
            *_speed(large, Path(folder), 12 if quick else TIMED, 2 if quick else REPEATS),
        ]


def _equality(data: Path, wanted: int, quick: bool) -> list[dict[str, Any]]:
    small = {
        "ordinary": filter_tables.rows_of(filter_tables.ORDINARY, 2000),
        "extreme": filter_tables.rows_of(filter_tables.EXTREME, 200),
    }
    tables = {name: filter_tables.columns_of(values) for name, values in small.items()}
    tables["attributes"] = attributes(data, 4000)
    draw = random.Random(SEED)
    sources = {name: Expressions(filter_tables.SCHEMA, filter_tables.LITERALS, draw.choice) for name in small}
    real = tables["attributes"]
    sources["attributes"] = Expressions(schema_of(real), literals(real), draw.choice, PATTERNS)
    outcome: Counter[str] = Counter()
    used: Counter[str] = Counter()
    with duckdb.connect(config={"threads": "1"}) as connection:
        for name, values in small.items():
            filter_tables.to_duckdb(connection, name, values)
        to_duckdb(connection, "attributes", real)
        while outcome["equal"] + outcome["different"] < wanted:
            done = outcome["equal"] + outcome["different"]
            name = list(tables)[done % 3]
            source = sources[name]
            before = source.used.copy()
            found = _same(connection, name, tables[name], source.condition(1 + done // 3 % 5))
            outcome[found] += 1
            if found == "overflow":
                source.used = before
    for source in sources.values():
        used += source.used
    never = [form for form in USED if used[form] == 0]
    rows: list[dict[str, Any]] = [
        {
            "expressions": wanted,
            "equal to DuckDB": outcome["equal"],
            "different": outcome["different"],
            "BIGINT overflow, replaced": outcome["overflow"],
            "forms": len(USED),
            "forms that never occurred": len(never),
        }
    ]
    if never and not quick:
        raise AssertionError(f"never occurred: {never}")
    return [*rows, *({"form": form, "times": used[form]} for form in USED)]


def _same(connection: duckdb.DuckDBPyConnection, table: str, columns: dict[str, Column], sql: Sql) -> str:
    try:
        mask = compile_where(sql.ours, schema_of(columns)).mask(columns)
    except FilterError as error:
        if "64 bits" not in str(error):
            raise
        return "overflow"
    found = connection.execute(f"SELECT rowid FROM {table} WHERE {sql.duckdb}").fetchnumpy()["rowid"]
    return "equal" if np.array_equal(np.flatnonzero(mask), found) else "different"


def _speed(columns: dict[str, Column], folder: Path, wanted: int, repeats: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    with duckdb.connect(folder / "attributes.duckdb", config={"threads": "1"}) as connection:
        to_duckdb(connection, "attributes", columns)
        connection.execute("CHECKPOINT")
        for kind, texts in (("random", _random(columns)), ("conjunctions", _conjunctions(columns))):
            rows += _timed(kind, columns, connection, texts, wanted, repeats)
    return rows


def _random(columns: dict[str, Column]) -> Iterator[str]:
    source = Expressions(schema_of(columns), literals(columns), random.Random(SEED).choice, PATTERNS)
    depth = 0
    while True:
        yield source.condition(1 + depth % 5).ours
        depth += 1


def _conjunctions(columns: dict[str, Column]) -> Iterator[str]:
    draw = random.Random(SEED)
    known = literals(columns)
    while True:
        parts = []
        for name in draw.sample(sorted(columns), draw.randint(1, 5)):
            kind = columns[name].kind
            if kind == "BOOLEAN":
                parts.append(draw.choice([name, f"NOT {name}", f"{name} IS NOT NULL"]))
                continue
            one, other = (draw.choice(known[name]) for _ in range(2))
            if kind == "VARCHAR":
                like = draw.choice(PATTERNS[:9])
                parts.append(
                    draw.choice([f"{name} = {one}", f"{name} IN ({one}, {other})", f"{name} LIKE '{like}'"])
                )
                continue
            low, high = sorted((one, other), key=float)
            parts.append(
                draw.choice([f"{name} < {one}", f"{name} >= {one}", f"{name} BETWEEN {low} AND {high}"])
            )
        yield " AND ".join(parts)


def _timed(
    kind: str,
    columns: dict[str, Column],
    connection: duckdb.DuckDBPyConnection,
    texts: Iterator[str],
    wanted: int,
    repeats: int,
) -> list[dict[str, Any]]:
    schema = schema_of(columns)
    table = Table(columns)
    n = table.rows
    each: list[dict[str, float]] = []
    overflowed = 0
    while len(each) < wanted:
        text = next(texts)
        query = f"SELECT rowid FROM attributes WHERE {text}"
        try:
            # Opens the columns and learns their bounds, as the first query of a column does.
            predicate = compile_where(text, schema)
            selected = predicate.positions(table)
            connection.execute(f"PREPARE query AS {query}")
            found = connection.execute("EXECUTE query").fetchnumpy()["rowid"]
        except (FilterError, duckdb.OutOfRangeException):
            overflowed += 1
            continue
        ways: dict[str, Callable[[], npt.NDArray[np.int64]]] = {
            "duckdb": lambda: connection.execute("EXECUTE query").fetchnumpy()["rowid"],
            "ours": lambda predicate=predicate: predicate.positions(table),  # type: ignore[misc]
            "duckdb text": lambda query=query: connection.execute(query).fetchnumpy()["rowid"],  # type: ignore[misc]
            "ours text": lambda text=text: compile_where(text, schema).positions(table),  # type: ignore[misc]
        }
        # In turn, so that whatever else the machine does falls on all of them.
        runs = [{way: _seconds(call) for way, call in ways.items()} for _ in range(repeats)]
        seconds = {way: min(run[way] for run in runs) for way in ways}
        connection.execute("DEALLOCATE query")
        each.append({**seconds, "selected": selected.size, "same": float(np.array_equal(selected, found))})
    rows = []
    for form, suffix in (("compiled", ""), ("from text", " text")):
        theirs, own = ([one[way + suffix] for one in each] for way in ("duckdb", "ours"))
        ratios = sorted(a / b for a, b in zip(theirs, own, strict=True))
        rows.append(
            {
                "expressions": kind,
                "form": form,
                "rows": n,
                "timed": len(each),
                "same rows": int(sum(one["same"] for one in each)),
                "overflow, left out": overflowed,
                "selected median": int(median(one["selected"] for one in each)),
                "duckdb ms median": 1e3 * median(theirs),
                "ours ms median": 1e3 * median(own),
                "ratio of medians": median(theirs) / median(own),
                "median ratio": median(ratios),
                "ratio p10": ratios[len(ratios) // 10],
                "share at least 5x": sum(ratio >= TARGET for ratio in ratios) / len(ratios),
                "share slower": sum(ratio < 1 for ratio in ratios) / len(ratios),
            }
        )
    return rows


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
