"""A template with other numbers put in selects what the text itself does, and refuses what that refuses."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from archindex.core.errors import ArchindexError, FilterError
from archindex.queries import Column, compile_where
from archindex.queries.prepared import Prepared
from archindex.testing.expressions import Sql
from archindex.testing.filter_cases import conditions
from archindex.testing.filter_tables import ORDINARY, SCHEMA, columns_of, rows_of
from archindex.testing.strategies import unhurried

COLUMNS = columns_of(rows_of(ORDINARY, 60, 3))
NUMBERS = st.sampled_from(
    ["0", "1", "7", "0.5", "1e-3", "2.", "99999999999999999999", "1e999", "003", "9" * 18]
)


def _outcome(compiled: object) -> object:
    try:
        return compiled().mask(COLUMNS).tolist()  # type: ignore[operator]
    except ArchindexError as error:
        return type(error)


@unhurried
@given(sql=conditions(), numbers=st.lists(NUMBERS, min_size=1, max_size=6))
def test_same_rows_as_the_text(sql: Sql, numbers: list[str]) -> None:
    prepared = Prepared(SCHEMA)
    texts = [sql.ours]
    for shift in range(3):
        at = iter(range(10**6))
        texts.append(
            re.sub(
                r"'[^']*'|\b\d+(\.\d*)?([eE][+-]?\d+)?\b",
                lambda found, shift=shift, at=at: (  # type: ignore[misc]
                    found[0] if found[0][0] == "'" else numbers[(next(at) + shift) % len(numbers)]
                ),
                sql.ours,
            )
        )
    for text in texts:
        expected = _outcome(lambda text=text: compile_where(text, SCHEMA))
        event("refused" if isinstance(expected, type) else "selects")
        assert _outcome(lambda text=text: prepared.compile(text)) == expected


@unhurried
@given(text=st.text(st.sampled_from("ab1.50 e<>=-+*/()'\"querynotandin,_x!"), max_size=30))
@example("x < 1 -- 2")
@example("x < /* 3 */ 1")
@example("x1 < 1")
@example("'1' = '1'")
@example("text LIKE '1%' AND x < 1")
def test_texts_of_any_kind(text: str) -> None:
    prepared = Prepared(SCHEMA)
    for _ in range(3):
        assert _outcome(lambda: prepared.compile(text)) == _outcome(lambda: compile_where(text, SCHEMA))


@pytest.mark.parametrize(
    "text",
    [
        "text IN ('a', 'b') AND x < 1",
        "text = 'a' AND text in('b')",
        "text NOT IN ('a', 'b')",
        "NOT text IN ('a') OR text IN ('b', 'a')",
        "text = 'it''s' OR text IN ('it''s', 'b')",
        "coalesce(text, 'b') IN ('a', 'b')",
        "coalesce(text, 'b') = 'b'",
        "text >= 'a' AND text <> 'b' AND 'a' < text",
        "'a' IN ('a', 'b') AND 'b' = 'b'",
        "text IN ('a', NULL) OR text IN ()",
        "x IN ('a', 'b')",
        "text IN ('', ' ', 'IN (1)')",
        "text !IN ('a')",
        "text !IN ('a', 'b') AND x < 1",
        "text >IN ('a')",
        "text =IN ('a')",
        "text = 'a'b",
        "text = 'a'AND x < 1",
        "_s0 = 'a'",
        "_w0 IN ('a')",
        "_D0 < 1.5",
        "x < \u0663",
        "text \u0130N ('a')",
        "900000000000000000 * 100 > x",
    ],
)
def test_words_are_put_in_as_numbers_are(text: str) -> None:
    name = next(name for name, kind in SCHEMA.items() if kind == "VARCHAR")
    number = next(name for name, kind in SCHEMA.items() if kind == "DOUBLE")
    words = sorted({word for word in COLUMNS[name].categories if "'" not in word})
    prepared = Prepared(SCHEMA)
    for shift in range(4):
        a, b = words[shift % len(words)], words[-1 - shift % len(words)]
        other = re.sub(r"\btext\b", name, re.sub(r"\bx\b", number, text))
        other = other.replace("'a'", f"'{a}'").replace("'b'", f"'{b}'")
        expected = _outcome(lambda other=other: compile_where(other, SCHEMA))
        assert _outcome(lambda other=other: prepared.compile(other)) == expected


def test_the_text_and_the_message_are_those_of_the_text() -> None:
    name = next(name for name, kind in SCHEMA.items() if kind == "DOUBLE")
    prepared = Prepared(SCHEMA)
    for number in ("1.5", "2.5", "3.5"):
        assert prepared.compile(f"{name} < {number}").text == f"{name} < {number}"
    assert prepared.compile(f"{name} < 1.5") != prepared.compile(f"{name} < 2.5")
    assert prepared.compile(f"{name} < 1.5")._tree == compile_where(f"{name} < 1.5", SCHEMA)._tree
    with pytest.raises(FilterError, match="1e999"):
        prepared.compile(f"{name} < 1e999")
    with pytest.raises(ArchindexError, match="nonsense"):
        prepared.compile("nonsense < 3")


def test_a_template_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    name = next(name for name, kind in SCHEMA.items() if kind == "DOUBLE")
    prepared = Prepared(SCHEMA)
    for number in ("1.5", "3.5"):
        prepared.compile(f"{name} < {number} AND {name} > -3")

    def refuse(*_: object) -> None:
        raise AssertionError("was read again")

    monkeypatch.setattr("archindex.queries.parse.parse", refuse)
    found = prepared.compile(f"{name} < 2.25 AND {name} > -4")
    monkeypatch.undo()
    plain = compile_where(f"{name} < 2.25 AND {name} > -4", SCHEMA)
    assert np.array_equal(found.mask(COLUMNS), plain.mask(COLUMNS))


def test_columns_called_as_placeholders_are() -> None:
    prepared = Prepared({"_d0": "VARCHAR", "x": "DOUBLE"})
    columns = {"_d0": Column.of("VARCHAR", ["a", "b"]), "x": Column.of("DOUBLE", [1.0, 2.0])}
    for number in ("1.5", "2.5", "0.5"):
        expected = [False, float(number) > 2]
        assert prepared.compile(f"x < {number} AND _d0 = 'b'").mask(columns).tolist() == expected
