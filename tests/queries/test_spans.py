"""Plain filters take a short way to what the long one says."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archindex.queries import Column, Filters, Schema, compile_where
from archindex.queries.filters import Filter
from archindex.queries.orders import Orders
from archindex.queries.relative import compile_relative
from archindex.queries.spans import Span
from archindex.queries.table import Table
from archindex.queries.zones import Zones
from archindex.testing.strategies import unhurried

SCHEMA: Schema = {
    "x": "DOUBLE",
    "y": "DOUBLE",
    "n": "BIGINT",
    "m": "BIGINT",
    "wide": "BIGINT",
    "s": "VARCHAR",
    "many": "VARCHAR",
}
N = 400
STARTS = np.array([0, 50, 50, 51, 180, 300, N])
RNG = np.random.default_rng(0)
VALUES = [-3, -2.5, -1, -0.0, 0, 0.5, 1, 2, 3.5, 7, 1e300, 2**53, float("inf")]


def _columns() -> dict[str, Column]:
    doubles = RNG.choice([*VALUES, float("nan"), float("-inf")], size=(2, N))
    doubles[1] = np.sort(RNG.normal(size=N))
    wholes = RNG.integers(-3, 9, size=N)
    there = RNG.random(N) < 0.8
    there[:60] = False
    far = np.where(RNG.random(N) < 0.1, 2**60 + 1, wholes)
    return {
        "x": Column.of("DOUBLE", doubles[0].tolist()),
        "y": Column.of("DOUBLE", doubles[1].tolist()),
        "n": Column("BIGINT", wholes, there),
        "m": Column("BIGINT", 1000 * wholes, None),
        "wide": Column("BIGINT", far, there),
        "s": Column.of("VARCHAR", [(None, "a", "b", "c")[i] for i in RNG.integers(4, size=N)]),
        "many": Column.of("VARCHAR", [f"{i // 3:03d}" for i in range(N)]),
    }


COLUMNS = _columns()
NUMBERS = st.sampled_from(["-3", "0", "-0.5", "0.5", "2", "2.0", "3.5", "7e0", "4000", "-1e300", "1e300"])


@st.composite
def plain(draw: st.DrawFn) -> str:
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        name, a, b = draw(st.sampled_from(list(SCHEMA))), draw(NUMBERS), draw(NUMBERS)
        if SCHEMA[name] == "VARCHAR":
            words = draw(st.lists(st.sampled_from(["a", "c", "003", "099", "100", "none"]), min_size=1))
            listed = ", ".join(f"'{word}'" for word in words)
            parts.append(f"{name} = '{words[0]}'" if len(words) == 1 else f"{name} IN ({listed})")
            continue
        op = draw(st.sampled_from(["<", "<=", ">", ">=", "=", "BETWEEN", "mirrored"]))
        if op == "BETWEEN":
            parts.append(f"{name} BETWEEN {a} AND {b}")
        else:
            parts.append(f"{a} < {name}" if op == "mirrored" else f"{name} {op} {a}")
    return " AND ".join(parts)


@unhurried
@given(text=plain())
def test_both_ways_select_the_same(text: str) -> None:
    short = compile_where(text, SCHEMA)
    long = replace(short, _spans=None)
    table = Table(COLUMNS)
    assert short.mask(table).tolist() == long.mask(Table(COLUMNS)).tolist()
    some = np.array([3, 399, 17, 51])
    assert short.selected(table, some).tolist() == long.mask(table)[some].tolist()
    zones = Zones(table, STARTS)
    held = np.array([short.mask(table)[a:b].any() for a, b in pairwise(STARTS)])
    possible, expected = short.judged(zones)
    assert not (held & ~possible).any()
    assert not expected[~possible].any() and (expected <= np.diff(STARTS)).all()
    for lists in (np.array([4, 1, 0]), np.array([2])):
        part = short.judged(zones.part(lists))
        assert part[0].tolist() == possible[lists].tolist()
        assert part[1].tolist() == expected[lists].tolist()
    orders = Orders(table)
    for name in SCHEMA:
        orders.sort(name)
    count = short.count(orders)
    assert count is None or count == short.mask(table).sum()
    found = short.candidates(orders)
    assert found is None or set(np.flatnonzero(short.mask(table))) <= set(found.tolist())


@pytest.mark.parametrize("text", ["x < 1", "n BETWEEN 2 AND 3", "0.5 <= m AND y > -1", "s = 'a' AND y < 2"])
def test_these_are_plain(text: str) -> None:
    assert compile_where(text, SCHEMA)._spans is not None


@pytest.mark.parametrize(
    "text", ["x < y", "x <> 1", "x < 1 OR n = 2", "x < NULL", "NOT x < 1", "x + 1 < 2", "s < 'a'"]
)
def test_these_are_not(text: str) -> None:
    assert compile_where(text, SCHEMA)._spans is None


def test_estimates_are_of_the_right_size() -> None:
    zones = Zones(Table(COLUMNS), STARTS)
    for text in ("y < 0", "y BETWEEN -0.5 AND 1", "n >= 4", "m BETWEEN 0 AND 3000 AND y < 1"):
        one = compile_where(text, SCHEMA)
        true = one.mask(COLUMNS).sum()
        assert 0.7 * true < one.expected(zones).sum() < 1.4 * true, text


def test_zeros_of_both_signs_are_kept_apart_in_the_memory() -> None:
    filters = Filters({"x": Column.of("DOUBLE", [1.0, -1.0])}, np.array([0, 2]))
    for _ in range(4):
        assert filters.filter("x / 0.0 > 0").positions().tolist() == [0]
        assert filters.filter("x / -0.0 > 0").positions().tolist() == [1]


@pytest.mark.parametrize("kind", ["DOUBLE", "BIGINT"])
def test_a_sorted_column_finds_every_part(kind: str) -> None:
    values = RNG.integers(-50, 50, size=5000)
    there = RNG.random(5000) < 0.9
    column = Column("BIGINT", values, there)
    if kind == "DOUBLE":
        column = Column.of("DOUBLE", np.where(there, values / 4, np.nan).tolist())
    table = Table({"x": column})
    order = Orders(table).sort("x")
    held = np.where(there, values / 4 if kind == "DOUBLE" else values, np.nan)
    held[:4] = held[:4] if kind == "BIGINT" else [np.inf, -np.inf, np.inf, np.nan]
    if kind == "DOUBLE":
        order = Orders(Table({"x": Column.of("DOUBLE", held.tolist())})).sort("x")
    ends = [-np.inf, -60, -50, -12.5, -12.4, 0, 3, 12.25, 49, 60, np.inf]
    for low, high in ((a, b) for a in ends for b in ends if a <= b):
        for with_low in (True, False):
            for with_high in (True, False):
                inside = (held >= low if with_low else held > low) & (
                    held <= high if with_high else held < high
                )
                found = order.rows[order.part(Span(low, high, with_low, with_high))]
                if low < high or (with_low and with_high):
                    assert sorted(found.tolist()) == np.flatnonzero(inside).tolist()


def test_infinite_values_are_compared_as_any_other() -> None:
    columns = {"x": Column.of("DOUBLE", [1.0, np.inf, -np.inf, np.inf, np.nan, *map(float, range(200))])}
    filters = Filters(columns, np.array([0, 205]))
    filters.orders.sort("x")
    for op, value, true in ((">=", np.inf, 2), ("=", np.inf, 2), ("=", -np.inf, 1), ("<", np.inf, 202)):
        bound = compile_relative(f"x {op} query.x", filters.schema).bind({"x": value})
        assert Filter(bound, filters).count == true
        assert len(Filter(bound, filters).positions()) == true
