"""What no ``where`` may be: injections, other SQL, wrong types, garbage. Every refusal is an InputError."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archindex.core.errors import FilterError, InputError, UnknownNameError
from archindex.queries import Column, Predicate, Schema, compile_where

SCHEMA: Schema = {"d": "DOUBLE", "i": "BIGINT", "p": "BOOLEAN", "s": "VARCHAR", "latency_ms": "DOUBLE"}
COLUMNS = {
    "d": Column.of("DOUBLE", [1.5, None]),
    "i": Column.of("BIGINT", [2**62, None]),
    "p": Column.of("BOOLEAN", [True, None]),
    "s": Column.of("VARCHAR", ["a%", None]),
    "latency_ms": Column.of("DOUBLE", [0.0, None]),
}

INJECTIONS = [
    "1=1; DROP TABLE x",
    "1=1;",
    ";",
    "TRUE UNION SELECT 1",
    "d IN (SELECT d FROM x)",
    "d = (SELECT 1)",
    "EXISTS (SELECT 1)",
    "(SELECT 1)",
    "SELECT 1",
    "DROP TABLE x",
    "COPY x TO 'file'",
    "ATTACH 'file'",
    "PRAGMA version",
    "read_text('/etc/passwd') = ''",
    "read_csv('/etc/passwd') IS NULL",
    "s IN (read_text('/etc/passwd'))",
    "s LIKE read_text('/etc/passwd')",
    "glob('*') = ''",
    "getenv('HOME') = ''",
    "coalesce(getenv('HOME'), s) = ''",
    "1=1 -- d",
    "--",
    "-- d > 1\nd > 2",
    "d > 1 /* x */",
    "/* d */ p",
    "d >/**/1",
    "{# x #} p",
    "p # x",
    "i--1 = 1",
    "p OR TRUE LIMIT 1",
    "p ORDER BY d",
    "p AS x",
    "p x",
]
OTHER_SQL = [
    "CAST(d AS BIGINT) = 1",
    "TRY_CAST(d AS BIGINT) = 1",
    "d::BIGINT = 1",
    "row_number() OVER () = 1",
    "abs(d) OVER () = 1",
    "sum(d) > 1",
    "count(*) = 1",
    "abs(*) = 1",
    "* = 1",
    "d = ?",
    "d = $1",
    "d = :x",
    "d = @x",
    "{d} = 1",
    "d[1] = 1",
    "d.d = 1",
    "(d, i) = (1, 2)",
    "CASE WHEN p THEN p END",
    "d = INTERVAL '1' DAY",
    "s = DATE '2020-01-01'",
    "s || 'a' = 'b'",
    "i % 2 = 1",
    "d ^ 2 = 1",
    "d ** 2 = 1",
    "i // 2 = 1",
    "i & 1 = 1",
    "~i = 1",
    "s ILIKE 'a'",
    "s SIMILAR TO 'a'",
    "s GLOB 'a'",
    "s ~ 'a'",
    "d = ANY(1)",
    "d IS DISTINCT FROM 1",
    "s COLLATE NOCASE = 'a'",
    "s = $$a$$",
    "s = E'a'",
    "s = x'ab'",
    "s = 'a' 'b'",
    "i = 0x10",
    "ifnull(d, 1) = 1",
    '"abs"(d) = 1',
    "d > .5",
    "lambda x: x",
    "NOT",
    "(",
    ")",
    "p)",
    "p) OR (p",
    "d >",
    "d > 'x",
    'd > "x',
    "",
    " \n\t",
    "d > 1 AND",
    "1a = 1",
    "1.5.5 = 1",
    "\x00",
]
WRONG_TYPES = [
    "d",
    "1",
    "'a'",
    "d + 1",
    "s = 1",
    "s < d",
    "p = 1",
    "p + 1 = 2",
    "-p = 1",
    "-s = 'a'",
    "NOT d",
    "p AND s",
    "d IS TRUE",
    "s BETWEEN 1 AND 2",
    "i IN (1, 'a')",
    "i LIKE '1'",
    "s LIKE 1",
    "s LIKE s",
    "s LIKE 'a' ESCAPE 'xx'",
    "s LIKE 'a$' ESCAPE '$'",
    "s LIKE 'a' ESCAPE s",
    "p ESCAPE 'x'",
    "like('a', s)",
    "NOT LIKE('a', s)",
    "IN",
    "IN = IN",
    "NOT IN (1)",
    "d IS NOT IN (1)",
    "i IN ()",
    "i IN (i)",
    "i IN (1 + 1)",
    "i IN d",
    "d IS i",
    "abs(s) = 1",
    "ln(p) = 1",
    "ln(d, 2) = 1",
    "abs() = 1",
    "coalesce() = 1",
    "coalesce(d, s) = 1",
    "d > 1e999",
    "i > 9223372036854775808",
    "i > 99999999999999999999999999999999999999999999999",
]
TWO_COMPARISONS = ["d < 1 < 2", "d = 1 IS NULL", "p = d IN (1)", "p IS NULL IS NULL", "p = i BETWEEN 1 AND 2"]


@pytest.mark.parametrize("where", INJECTIONS + OTHER_SQL + WRONG_TYPES + TWO_COMPARISONS)
def test_refuses(where: str) -> None:
    with pytest.raises((FilterError, UnknownNameError)) as caught:
        compile_where(where, SCHEMA)
    assert "expected" in str(caught.value)


@pytest.mark.parametrize("where", [text for text in INJECTIONS if "--" not in text and "#" not in text])
def test_an_injection_inside_a_string_is_only_a_string(where: str) -> None:
    quoted = "s = '" + where.replace("'", "''") + "'"
    assert not compile_where(quoted, SCHEMA).mask(COLUMNS).any()


def test_comment_signs_inside_a_string_are_text() -> None:
    columns = {"s": Column.of("VARCHAR", ["--", "/* */", "# ;", "a"])}
    mask = compile_where("s IN ('--', '/* */', '# ;')", {"s": "VARCHAR"}).mask(columns)
    assert mask.tolist() == [True, True, True, False]


def test_says_what_to_do() -> None:
    def message(where: str) -> str:
        with pytest.raises(InputError) as caught:
            compile_where(where, SCHEMA)
        return str(caught.value)

    assert "did you mean 'latency_ms'?" in message("latncy_ms < 5")
    assert "without comments, got '-- x'" in message("p -- x")
    assert "second statement" in message("p; p")
    assert "did you mean 'coalesce'?" in message("coalesc(d, 1) = 1")
    assert "compare it with something" in message("d + 1")
    assert "one type on both sides of =, got BIGINT and VARCHAR" in message("s = 1")
    assert "parentheses around one side of 'IS'" in message("d = 1 IS NULL")
    assert "character 7" in message("d > 1 d")


@pytest.mark.parametrize(
    "nest",
    [
        lambda n: "(" * n + "p" + ")" * n,
        lambda n: "NOT " * n + "p",
        lambda n: "- " * n + "d > 1",
        lambda n: "abs(" * n + "d" + ")" * n + " > 1",
        lambda n: "d" + "+d" * n + " > 1",
        lambda n: "NOT (" * n + "p" + ")" * n,
        lambda n: "coalesce(d, (" * n + "d" + "))" * n + " > 1",
    ],
)
def test_nesting_is_limited(nest: Callable[[int], str]) -> None:
    assert compile_where(nest(9), SCHEMA).mask(COLUMNS).shape == (2,)
    for n in (101, 700, 2400):
        with pytest.raises(FilterError):
            compile_where(nest(n), SCHEMA)


def test_long_chains_of_and_are_not_nested() -> None:
    where = " AND ".join(["p"] * 1200) + " OR " + " OR ".join(["p"] * 400)
    assert compile_where(where, SCHEMA).mask(COLUMNS).tolist() == [True, False]
    with pytest.raises(FilterError, match="10000 characters"):
        compile_where(" AND ".join(["p"] * 2000), SCHEMA)


def test_a_caller_deep_in_its_own_stack_gets_a_filter_error() -> None:
    def descend(left: int) -> object:
        return compile_where("(" * 15 + "p" + ")" * 15, SCHEMA) if left == 0 else descend(left - 1)

    compile_where("p", SCHEMA)  # imports the parser, which needs stack of its own
    depth, frame = 0, sys._getframe()
    while frame.f_back is not None:
        depth, frame = depth + 1, frame.f_back
    with pytest.raises(FilterError, match="less deep"):
        descend(sys.getrecursionlimit() - depth - 120)


PIECES = """
d i p s latency_ms D nope "d" in escape
abs( ln( sqrt( coalesce( read_text( like( ( ) ( ) ,
= <> != < <= > >= + - * /
AND OR NOT IN BETWEEN IS NULL TRUE FALSE LIKE ESCAPE SELECT FROM CASE
1 0 2.5 1e3 9223372036854775807 'a' '%' '' ' "
; -- /* */ :: . [ ] { } ? $1 @ \\ # | % ^ ~ & ! é \x00
"""


@settings(max_examples=600, deadline=None)
@given(
    text=st.one_of(st.text(max_size=40), st.lists(st.sampled_from(PIECES.split()), max_size=14).map(" ".join))
)
def test_random_text_gives_a_predicate_or_an_input_error(text: str) -> None:
    try:
        predicate = compile_where(text, SCHEMA)
        mask = predicate.mask(COLUMNS)
    except InputError:
        return
    assert isinstance(predicate, Predicate)
    assert mask.dtype == np.bool_
    assert mask.shape == (2,)
