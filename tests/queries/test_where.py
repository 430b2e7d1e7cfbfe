"""What a ``where`` means, row by row, also where that differs from DuckDB, which is asked beside it."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from operator import add, mul, sub
from time import perf_counter

import duckdb
import numpy as np
import pytest

from archindex.core.errors import ArgumentError, FilterError, UnknownNameError
from archindex.queries import Column, compile_where, schema_of
from archindex.queries.evaluate import BLOCK

COLUMNS = {
    "d": Column.of("DOUBLE", [1.5, None, 0.0, -1.0]),
    "i": Column.of("BIGINT", [3, None, 2**53 + 1, 2**63 - 1]),
    "p": Column.of("BOOLEAN", [True, None, False, True]),
    "s": Column.of("VARCHAR", ["abc", None, "é", "B"]),
    "rank": Column.of("DOUBLE", [1.0, 2.0, 3.0, 4.0]),
}
SCHEMA = schema_of(COLUMNS)


def selected(where: str) -> list[int]:
    return np.flatnonzero(compile_where(where, SCHEMA).mask(COLUMNS)).tolist()


def selected_by_duckdb(where: str) -> list[int]:
    with duckdb.connect() as connection:
        # It would move constants to the other side, away from an overflow.
        connection.execute("PRAGMA disable_optimizer")
        kinds = ", ".join(f"{name} {kind}" for name, kind in SCHEMA.items())
        connection.execute(f"CREATE TABLE rows (n INTEGER, {kinds})")
        rows = zip(range(4), *(column.to_list() for column in COLUMNS.values()), strict=True)
        connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", [list(row) for row in rows])
        found = connection.execute(f"SELECT n FROM rows WHERE {where} ORDER BY n").fetchall()
        return [n for (n,) in found]


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("d > 0", [0]),
        ("NOT d > 0", [2, 3]),
        ("d > 0 OR d <= 0", [0, 2, 3]),
        ("d IS NULL", [1]),
        ("NULL IS NULL", [0, 1, 2, 3]),
        ("NULL", []),
        ("NOT NULL", []),
        ("1 = 1", [0, 1, 2, 3]),
        ("p", [0, 3]),
        ("NOT p = FALSE", [0, 3]),
        ("p IS NOT TRUE", [1, 2]),
        ("(d > 0) = p", [0, 2]),
        ('D > 0 AND "RANK" = 1', [0]),
        ("rank BETWEEN 2 AND 3", [1, 2]),
        ("rank NOT BETWEEN 2 AND 3 AND TRUE", [0, 3]),
        ("i IN (3, NULL)", [0]),
        ("i NOT IN (3, NULL)", []),
        ("i NOT IN (3)", [2, 3]),
        ("i = 9007199254740993", [2]),
        ("i IN (9007199254740992)", []),
        ("i > -9223372036854775808", [0, 2, 3]),
        ("-i < -4", [2, 3]),
        ("abs(d) = 1", [3]),
        ("i / 2 = 1.5e0", [0]),
        ("1 / d > 1e308", [2]),
        ("ln(d) < -1e308", [2]),
        ("sqrt(rank) = 2", [3]),
        ("coalesce(d, rank, 7) = 2", [1]),
        ("coalesce(s, 'none') >= 'none'", [1, 2]),
        ("coalesce(p, d IS NULL)", [0, 1, 3]),
        ("s LIKE 'a%'", [0]),
        ("s NOT LIKE 'a%'", [2, 3]),
        ("s LIKE '_'", [2, 3]),
        ("s LIKE 'a!%' ESCAPE '!'", []),
        ("s NOT LIKE 'a!b%' ESCAPE '!'", [2, 3]),
        ("s LIKE NULL", []),
        ("s < 'b'", [0, 3]),
        ("'b' > s", [0, 3]),
        ("s = s", [0, 2, 3]),
        ("s IN ('B', 'nowhere')", [3]),
        ("s = 'it''s'", []),
    ],
)
def test_selects_the_rows_where_the_expression_is_true(where: str, rows: list[int]) -> None:
    assert selected(where) == rows
    assert selected_by_duckdb(where) == rows


@pytest.mark.parametrize(
    ("where", "ours", "theirs"),
    [
        # A NaN that is computed is NULL; DuckDB keeps it, larger than every number.
        ("ln(d) > 100", [], [3]),
        ("ln(d) IS NULL", [1, 3], [1]),
        ("sqrt(d) >= 0", [0, 2], [0, 2, 3]),
        ("d / d > 100", [], [2]),
        ("1e308 * 10 - 1e308 * 10 IS NULL", [0, 1, 2, 3], []),
        # A number with a point is a DOUBLE; DuckDB makes it a DECIMAL.
        ("0.1 + 0.2 = 0.3", [], [0, 1, 2, 3]),
        ("i = 9007199254740992.0", [2], []),
    ],
)
def test_differs_from_duckdb_where_it_says_so(where: str, ours: list[int], theirs: list[int]) -> None:
    assert selected(where) == ours
    assert selected_by_duckdb(where) == theirs


@pytest.mark.parametrize(
    "where", ["i + 1 > 0", "i * 4 > 0", "-i - 3 < 0", "abs(-i - 1) > 0", "-(-i - 1) > 0"]
)
def test_bigint_overflow_is_an_error_as_in_duckdb(where: str) -> None:
    with pytest.raises(FilterError, match="64 bits"):
        selected(where)
    with pytest.raises(duckdb.OutOfRangeException):
        selected_by_duckdb(where)


def test_bigint_overflow_is_an_error_on_rows_that_another_part_leaves_out() -> None:
    with pytest.raises(FilterError, match="64 bits"):
        selected("d > 0 AND i + 1 > 0")
    assert selected("d > 0 AND i + 1e0 > 0") == [0]


EDGES = [
    0,
    1,
    -1,
    2,
    3,
    2**31,
    2**32 + 1,
    3037000499,
    3037000500,
    2**53 + 1,
    2**62,
    -(2**62),
    2**63 - 1,
    -(2**63),
]


@pytest.mark.parametrize("op", ["+", "-", "*"])
def test_bigint_arithmetic_is_exact_or_an_error(op: str) -> None:
    functions: dict[str, Callable[[int, int], int]] = {"+": add, "-": sub, "*": mul}
    predicate = compile_where(f"a {op} b = c", {"a": "BIGINT", "b": "BIGINT", "c": "BIGINT"})
    for a, b in product(EDGES, EDGES):
        truth = functions[op](a, b)
        fits = -(2**63) <= truth < 2**63
        columns = {
            "a": Column.bigint([a]),
            "b": Column.bigint([b]),
            "c": Column.bigint([truth if fits else 0]),
        }
        if fits:
            assert predicate.mask(columns).tolist() == [True], (a, b)
        else:
            with pytest.raises(FilterError, match="64 bits"):
                predicate.mask(columns)


def test_like_takes_a_line_break_for_a_character() -> None:
    columns = {"s": Column.of("VARCHAR", ["\n", "a\nb", "a\n"])}
    for pattern, expected in [("_", [0]), ("a_b", [1]), ("a%b", [1]), ("a", [])]:
        mask = compile_where(f"s LIKE '{pattern}'", schema_of(columns)).mask(columns)
        assert np.flatnonzero(mask).tolist() == expected, pattern


def test_a_null_never_overflows() -> None:
    columns = {"i": Column.bigint(np.array([2**63 - 1, 1]), np.array([False, True]))}
    assert compile_where("i + 1 = 2", schema_of(columns)).mask(columns).tolist() == [False, True]


@pytest.mark.parametrize("where", ["i = '3'", "s = 1", "p = 1", "i", "p AND 1"])
def test_types_are_not_converted_as_duckdb_does(where: str) -> None:
    with pytest.raises(FilterError):
        selected(where)


def test_a_column_may_bear_the_name_of_a_keyword() -> None:
    names = ["date", "order", "group", "select", "case", "interval", "values", "end", "left", "abs"]
    columns = {name: Column.of("BIGINT", [0, at]) for at, name in enumerate(names, start=1)}
    for at, name in enumerate(names, start=1):
        mask = compile_where(f"{name} + 0 = {at}", schema_of(columns)).mask(columns)
        assert mask.tolist() == [False, True], name


def test_a_column_named_like_an_operator_is_quoted() -> None:
    columns = {"in": Column.of("BIGINT", [0, 1]), "null": Column.of("BOOLEAN", [True, None])}
    assert compile_where('"in" IN (1) AND "null" IS NULL', schema_of(columns)).mask(columns).tolist() == [
        False,
        True,
    ]
    with pytest.raises(FilterError):
        compile_where("in = 1", schema_of(columns))


def test_infinity_and_blocks() -> None:
    n = 2 * BLOCK + 5
    values = np.arange(n, dtype=np.float64)
    values[::7] = np.nan
    values[-1] = np.inf
    codes = (np.arange(n) % 3 - 1).astype(np.int32)
    columns = {"x": Column.double(values), "s": Column.varchar(codes, ["a", "b"])}
    mask = compile_where("x > 70000 AND s LIKE 'b' OR x / 2 > 1e308", schema_of(columns)).mask(columns)
    assert np.array_equal(mask, (values > 70000) & (codes == 1) | np.isposinf(values))


def test_compares_columns_of_different_categories() -> None:
    left, right = ["a", "c", None, "b", "d"], ["b", "b", "b", None, "d"]
    columns = {"l": Column.of("VARCHAR", left), "r": Column.of("VARCHAR", right)}
    for where, expected in [
        ("l < r", [0]),
        ("l > r", [1]),
        ("l = r", [4]),
        ("l <> r", [0, 1]),
        ("r >= l", [0, 4]),
    ]:
        mask = compile_where(where, schema_of(columns)).mask(columns)
        assert np.flatnonzero(mask).tolist() == expected, where


def test_a_column_of_nothing_but_null() -> None:
    columns = {"s": Column.of("VARCHAR", [None, None]), "i": Column.of("BIGINT", [None, None])}
    for where in (
        "s = 'a'",
        "s LIKE '%'",
        "s IN ('a')",
        "s < s",
        "coalesce(s, NULL) = 'a'",
        "i < 1",
        "i NOT IN (1)",
    ):
        assert not compile_where(where, schema_of(columns)).mask(columns).any(), where
    assert compile_where("s IS NULL AND i IS NULL", schema_of(columns)).mask(columns).all()


def test_predicate_names_its_text_and_columns() -> None:
    predicate = compile_where('RANK > 1 AND "d" < 2 OR d IS NULL', SCHEMA)
    assert predicate.columns == ("d", "rank")
    assert predicate.text == 'RANK > 1 AND "d" < 2 OR d IS NULL'


def test_mask_refuses_columns_that_do_not_fit() -> None:
    predicate = compile_where("d > 0", SCHEMA)
    with pytest.raises(UnknownNameError, match="did you mean 'dd'"):
        predicate.mask({"dd": COLUMNS["d"]})
    with pytest.raises(ArgumentError, match="column d must be DOUBLE"):
        predicate.mask({"d": COLUMNS["i"]})
    with pytest.raises(ArgumentError, match="one length"):
        compile_where("d > rank", SCHEMA).mask({"d": COLUMNS["d"], "rank": Column.double([1.0])})
    with pytest.raises(ArgumentError, match="one length"):
        compile_where("TRUE", {}).mask({})


def test_only_the_columns_used_are_opened() -> None:
    opened: list[str] = []

    class Folder(dict[str, Column]):
        def __getitem__(self, name: str) -> Column:
            opened.append(name)
            return super().__getitem__(name)

    assert compile_where("d > 0 AND rank < 9", SCHEMA).mask(Folder(COLUMNS)).tolist() == [True] + [False] * 3
    assert sorted(opened) == ["d", "rank"]
    assert compile_where("TRUE", SCHEMA).mask(Folder(COLUMNS)).all()


def test_a_pattern_of_many_percent_signs_takes_no_longer() -> None:
    columns = {"s": Column.of("VARCHAR", ["a" * 3000, "a" * 3000 + "b"])}
    started = perf_counter()
    mask = compile_where(f"s LIKE '{'%a' * 40}%b'", schema_of(columns)).mask(columns)
    assert mask.tolist() == [False, True]
    assert perf_counter() - started < 5


def test_conditions_inside_conditions_are_evaluated_once_each() -> None:
    where = "p"
    for _ in range(18):
        where = f"({where} = TRUE)"
    assert selected(where) == [0, 3]


def test_importing_the_package_loads_no_parser() -> None:
    code = "import sys, archindex.queries; print({'sqlglot', 'duckdb', 'pandas'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


def test_ln_is_that_of_the_c_library_to_the_last_bit_or_next_to_it() -> None:
    values = np.random.default_rng(0).lognormal(0, 50, 10_000)
    ours = np.log(values)
    theirs = np.array([math.log(x) for x in values])
    assert (np.abs(ours - theirs) <= np.spacing(np.abs(theirs))).all()


def test_literals_that_no_column_holds_compare_with_each_other() -> None:
    columns = {"s": Column.of("VARCHAR", [None, "z", "a"]), "t": Column.of("VARCHAR", [None, "k", None])}
    predicate = compile_where("coalesce(s, 'm') > coalesce(t, 'l')", schema_of(columns))
    assert predicate.mask(columns).tolist() == [True, True, False]
