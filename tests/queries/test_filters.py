"""Zones, sorted columns and remembered answers never change what an expression selects."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from archindex.core.errors import ArgumentError, FilterError
from archindex.queries import Column, Filters, Predicate, compile_where
from archindex.queries.memory import HELD, Matches, Memory
from archindex.queries.orders import Orders
from archindex.queries.zones import Zones
from archindex.testing.expressions import Sql
from archindex.testing.filter_cases import conditions
from archindex.testing.filter_tables import EXTREME, ORDINARY, SCHEMA, columns_of, rows_of
from archindex.testing.strategies import unhurried

Starts = npt.NDArray[np.int64]


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, Column], Starts]:
    """Random rows, by one column in order or not, and cuts of them into lists, of which some are empty."""
    pool = draw(st.sampled_from([ORDINARY, ORDINARY, EXTREME]))
    rows = draw(st.integers(0, 80))
    values = rows_of(pool, rows, draw(st.integers(0, 2**20)))
    if draw(st.booleans()):
        by = values[draw(st.sampled_from(sorted(SCHEMA)))]
        order = sorted(range(rows), key=lambda i: (by[i] is None, by[i]))
        values = {name: [column[i] for i in order] for name, column in values.items()}
    cuts = draw(st.lists(st.integers(0, rows), max_size=12))
    return columns_of(values), np.array(sorted([0, *cuts, rows]), dtype=np.int64)


def _matching(predicate: Predicate, columns: dict[str, Column]) -> npt.NDArray[np.bool_]:
    try:
        return predicate.mask(columns)
    except FilterError:
        assume(False)
        raise


@unhurried
@given(sql=conditions(), table=tables())
def test_every_list_that_holds_a_match_is_possible(sql: Sql, table: tuple[dict[str, Column], Starts]) -> None:
    columns, starts = table
    predicate = compile_where(sql.ours, SCHEMA)
    mask = _matching(predicate, columns)
    zones = Zones(columns, starts)
    possible, expected = predicate.possible(zones), predicate.expected(zones)
    held = np.array([mask[a:b].any() for a, b in itertools.pairwise(starts)], dtype=bool)
    event("ruled out" if (~possible & (np.diff(starts) > 0)).any() else "all possible")
    assert possible.shape == expected.shape == held.shape
    assert not (held & ~possible).any()
    assert (expected[~possible] == 0).all()
    assert ((expected >= 0) & (expected <= np.diff(starts))).all()


@unhurried
@given(sql=conditions(), table=tables(), at=st.randoms(use_true_random=False))
def test_every_way_selects_the_same_rows(
    sql: Sql, table: tuple[dict[str, Column], Starts], at: object
) -> None:
    columns, starts = table
    rows = int(starts[-1])
    predicate = compile_where(sql.ours, SCHEMA)
    mask = _matching(predicate, columns)
    positions = np.flatnonzero(mask)
    some = np.array([at.randrange(rows) for _ in range(20)] if rows else [], dtype=np.int64)  # type: ignore[attr-defined]
    part = slice(rows // 3, rows // 2)

    orders = Orders(columns)
    for name in SCHEMA:
        orders.sort(name)
    counted, among = predicate.count(orders), predicate.candidates(orders)
    event(
        "counted" if counted is not None else "candidates" if among is not None else "no sorted column helps"
    )
    assert counted in (None, positions.size)
    if among is not None:
        assert (np.diff(among) > 0).all() and np.isin(positions, among).all()

    filters = Filters(columns, starts)
    found = filters.filter(sql.ours)
    assert predicate.selected(columns, some).tolist() == mask[some].tolist()
    assert found.selected(some).tolist() == mask[some].tolist()
    assert found.selected(part).tolist() == mask[part].tolist()
    assert found.count in (None, positions.size)
    assert not (mask[starts[0] : rows].any() and not found.possible.any())
    assert found.positions().tolist() == positions.tolist()
    # From here on the answer is remembered.
    assert found.count == positions.size
    assert found.selected(some).tolist() == mask[some].tolist()
    assert found.selected(part).tolist() == mask[part].tolist()
    assert found.mask().tolist() == mask.tolist()
    assert found.expected.tolist() == [mask[a:b].sum() for a, b in itertools.pairwise(starts)]
    assert filters.filter(f" ( {sql.ours} ) ").positions().tolist() == positions.tolist()


def test_a_condition_on_a_sorted_column_is_counted() -> None:
    columns = {
        "x": Column.of("DOUBLE", [0.5, None, -1.0, 2.0, 0.5, 7.0]),
        "n": Column.of("BIGINT", [3, 1, None, 2, 1, 2]),
        "s": Column.of("VARCHAR", ["ab", "b", None, "a", "ab", "c"]),
        "p": Column.of("BOOLEAN", [True, None, False, True, True, False]),
    }
    orders = Orders(columns)
    expected = {
        "x >= 0.5": 4,
        "x > 0.5": 2,
        "x BETWEEN 0 AND 2": 3,
        "x > -0.5 AND x < 7 AND x <> 3": None,
        "x = 0.5": 2,
        "x < 0": 1,
        "x IN (0.5, 7.0, 9.0)": 3,
        "x IS NULL": 1,
        "x IS NOT NULL": 5,
        "n >= 2": 3,
        "n > 1.5 AND n < 2.5": 2,
        "5 > n": 5,
        "n IN (1, 2, NULL)": 4,
        "n > 300": 0,
        "s = 'ab'": 2,
        "s = 'zz'": 0,
        "s < 'b'": 3,
        "s LIKE 'a%'": 3,
        "s IN ('a', 'c')": 2,
        "p": 3,
        "NOT p": 2,
        "p IS FALSE": 2,
        "p = TRUE": None,
        "x > 0 OR n > 1": None,
        "x > n": None,
    }
    for text, count in expected.items():
        predicate = compile_where(text, {name: column.kind for name, column in columns.items()})
        for name in predicate.columns:
            orders.sort(name)
        if count is not None:
            assert predicate.mask(columns).sum() == count, text
        if text == "p = TRUE":
            continue
        assert predicate.count(orders) == count, text


def test_a_column_is_sorted_when_the_third_expression_asks_for_it() -> None:
    orders = Orders({"x": Column.of("DOUBLE", [float(i) for i in range(100)])})
    asking = [compile_where(f"x > {i}", {"x": "DOUBLE"}) for i in (96, 97, 98)]
    assert [predicate.count(orders) for predicate in asking[:2] * 3] == [None] * 6
    assert asking[0].candidates(orders) is None
    assert [predicate.count(orders) for predicate in reversed(asking)] == [1, 2, 3]


def test_candidates_come_from_the_most_selective_condition() -> None:
    n = 1000
    columns = {
        "x": Column.of("DOUBLE", [float(i % 100) for i in range(n)]),
        "y": Column.of("DOUBLE", [float(i) for i in range(n)]),
        "z": Column.of("DOUBLE", [float(i % 7) for i in range(n)]),
    }
    orders = Orders(columns)
    for name in columns:
        orders.sort(name)
    predicate = compile_where("x < 3 AND y < 12 AND z * x < 1e9", dict.fromkeys(columns, "DOUBLE"))
    found = predicate.candidates(orders)
    assert found is not None and found.tolist() == list(range(12)) and found.dtype == np.int64
    assert compile_where("x < 50", {"x": "DOUBLE"}).candidates(orders) is None
    assert compile_where("x * 2 < 1", {"x": "DOUBLE"}).candidates(orders) is None


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.09, 0.5, 1.0])
def test_matches_hold_positions_or_bits(share: float) -> None:
    mask = np.random.default_rng(0).random(50_000) < share
    positions = np.flatnonzero(mask)
    at = np.random.default_rng(1).integers(0, mask.size, 500)
    for matches in (Matches(mask.size, mask=mask), Matches(mask.size, positions)):
        assert matches.count == positions.size
        assert np.array_equal(matches.positions(), positions)
        assert np.array_equal(matches.mask(), mask)
        assert np.array_equal(matches.selected(at), mask[at])
        assert np.array_equal(matches.selected(slice(7, 5000)), mask[7:5000])
        assert matches.nbytes <= 32 / HELD * mask.size / 8 + 8
        if matches.few:
            some = np.arange(0, positions.size, 3)
            assert np.array_equal(matches.part(some), positions[some])
        matches.positions()[:1] = 7  # the caller's own
        assert np.array_equal(matches.positions(), positions)


def test_memory_keeps_within_its_budget() -> None:
    memory = Memory(1000)
    for i in range(20):
        memory.put(str(i), Matches(10_000, np.arange(100)))
        memory.get("0")
    assert memory.nbytes <= 1000
    assert len(memory) == 2
    assert memory.get("0") is not None and memory.get("19") is not None and memory.get("18") is None
    memory.put("large", Matches(1_000_000, mask=np.ones(1_000_000, dtype=bool)))
    assert memory.get("large") is None and len(memory) == 2


def test_expressions_that_differ_in_a_sign_or_type_are_not_taken_for_each_other() -> None:
    columns = {"x": Column.of("DOUBLE", [1.0, -1.0]), "n": Column.of("BIGINT", [1, 2])}
    filters = Filters(columns, np.array([0, 2]))
    assert filters.filter("x / 0.0 > 0").positions().tolist() == [0]
    assert filters.filter("x / -0.0 > 0").positions().tolist() == [1]


def test_an_overflow_anywhere_is_an_error_for_every_row() -> None:
    columns = {"n": Column.of("BIGINT", [1, 2**62, 3]), "p": Column.of("BOOLEAN", [True, False, True])}
    found = Filters(columns, np.array([0, 1, 3])).filter("p AND n * 4 > 5")
    for ask in (found.positions, found.mask, lambda: found.count, lambda: found.selected(np.array([0]))):
        with pytest.raises(FilterError, match="64 bits"):
            ask()


def test_starts_that_cut_nothing_are_refused() -> None:
    columns = {"n": Column.of("BIGINT", [1, 2, 3])}
    with pytest.raises(ArgumentError, match="starts"):
        Zones(columns, np.array([0, 2, 1, 3]))
    with pytest.raises(ArgumentError, match="one length"):
        compile_where("n > 1", {"n": "BIGINT"}).possible(Zones(columns, np.array([0, 2])))


def test_estimates_come_near_where_values_are_spread_evenly() -> None:
    draw = np.random.default_rng(0)
    n, lists = 40_000, 20
    x = np.sort(draw.random(n))
    columns = {
        "x": Column.double(np.where(draw.random(n) < 0.2, np.nan, x)),
        "y": Column.double(draw.random(n)),
        "n": Column.bigint(draw.integers(0, 10, n)),
        "s": Column.varchar(draw.integers(-1, 4, n).astype(np.int32), ["a", "ab", "b", "c"]),
    }
    starts = np.linspace(0, n, lists + 1).astype(np.int64)
    zones = Zones(columns, starts)
    for text in (
        "x < 0.31",
        "x BETWEEN 0.2 AND 0.43",
        "y BETWEEN 0.2 AND 0.23",
        "NOT (y < 0.7)",
        "y < 0.5 AND n < 3",
        "y < 0.5 OR n = 3",
        "n IN (1, 5, 11)",
        "n > 1.5 AND n <= 4",
        "s LIKE 'a%' AND y > 0.9",
        "s IS NULL",
        "s IS NULL OR x IS NULL",
        "coalesce(s, 'c') = 'c'",
        "x + y < 0.8",
        "2 * y - 1 > 0.5",
        "abs(y - 2) < 1.2",
        "(y > 0.5) IS NOT TRUE",
    ):
        predicate = compile_where(text, {name: column.kind for name, column in columns.items()})
        true = np.add.reduceat(predicate.mask(columns), starts[:-1], dtype=np.int64)
        expected = predicate.expected(zones)
        assert np.abs(expected - true).mean() < 0.05 * n / lists, text
        assert abs(expected.sum() - true.sum()) < 0.03 * n, text


def test_filters_are_shared_by_threads() -> None:
    draw = np.random.default_rng(0)
    n = 50_000
    columns = {"x": Column.double(draw.random(n)), "n": Column.bigint(draw.integers(0, 9, n))}
    filters = Filters(columns, np.arange(0, n + 1, 250), budget=20_000)
    texts = [f"x < {i / 40} AND n <> {i % 9}" for i in range(40)]
    counts = [int(compile_where(t, filters.schema).mask(columns).sum()) for t in texts]
    wrong: list[str] = []

    def ask(seed: int) -> None:
        for i in np.random.default_rng(seed).permutation(len(texts)):
            found = filters.filter(texts[i])
            if found.positions().size != counts[i] or found.possible.shape != (n // 250,):
                wrong.append(texts[i])

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert filters.memory.nbytes <= 20_000


MANY = columns_of(rows_of(ORDINARY, 40_000, seed=3))


@settings(unhurried, max_examples=40)
@given(sql=conditions())
def test_many_rows_at_once_select_what_few_at_a_time_do(sql: Sql) -> None:
    # Many rows take several blocks, are sampled to order junctions, and are picked out where few are open.
    predicate = compile_where(sql.ours, SCHEMA)
    mask = _matching(predicate, MANY)
    apart = [predicate.selected(MANY, slice(start, start + 1600)) for start in range(0, 40_000, 1600)]
    assert np.array_equal(mask, np.concatenate(apart))
    assert np.array_equal(predicate.positions(MANY), np.flatnonzero(mask))


def test_junctions_of_many_conditions_stop_early() -> None:
    x = np.arange(100_000, dtype=np.float64)
    columns = {
        "x": Column.double(x),
        "n": Column.bigint(np.arange(100_000) % 1000),
        "y": Column.double(x % 7),
    }
    schema = {name: column.kind for name, column in columns.items()}
    for text, expected in (
        ("sqrt(x) + ln(y + 1) < 50 AND n = 7 AND y * x > 20 AND sqrt(y) < 2", None),
        ("sqrt(x) + ln(y + 1) > 50 OR n <> 7 OR y * x > 20 OR sqrt(y) < 2", None),
        ("n = 7 AND n = 8 AND sqrt(x) > 2 AND ln(x) > 1", 0),
        ("n = 7 OR n <> 7 OR sqrt(x) > 2 OR ln(x) > 1", 100_000),
    ):
        mask = compile_where(text, schema).mask(columns)
        parts = text.split(" AND " if " AND " in text else " OR ")
        masks = [compile_where(part, schema).mask(columns) for part in parts]
        join = np.logical_and if " AND " in text else np.logical_or
        assert np.array_equal(mask, join.reduce(masks)), text
        assert expected is None or mask.sum() == expected, text


def test_estimates_follow_values_that_are_not_spread_evenly() -> None:
    draw = np.random.default_rng(0)
    n, lists = 40_000, 40
    x = np.exp(2 * draw.standard_normal(n))
    columns = {
        "x": Column.double(np.where(draw.random(n) < 0.1, np.nan, x)),
        "n": Column.bigint((9 * x).astype(int)),
    }
    zones = Zones(columns, np.linspace(0, n, lists + 1).astype(np.int64))
    for text in (
        "x < 1",
        "x > 5",
        "x BETWEEN 0.5 AND 2",
        "n < 4",
        "n >= 100",
        "n BETWEEN 3 AND 30",
        "x < 1 AND x >= 0.2",
    ):
        predicate = compile_where(text, {"x": "DOUBLE", "n": "BIGINT"})
        true, expected = predicate.mask(columns).sum(), predicate.expected(zones)
        assert abs(expected.sum() - true) < 0.02 * n, text
        assert np.ptp(expected) < 0.1 * n / lists, text


def test_matches_that_lie_side_by_side_are_seen_to() -> None:
    rng = np.random.default_rng(0)
    n = 100_000
    place = np.arange(n) / n
    columns = {
        "free": Column.of("DOUBLE", rng.random(n).tolist()),
        "bound": Column.of("DOUBLE", (place + 0.01 * rng.normal(size=n)).tolist()),
        "label": Column.varchar((place * 50).astype(np.int32), [f"{i:02d}" for i in range(50)]),
    }
    filters = Filters(columns, np.arange(0, n + 1, 250))
    for name in columns:
        assert not filters.filter(
            f"{name} > {0.5 if name != 'label' else repr('25')}"
        ).clustered  # not sorted
        filters.orders.sort(name)
    assert filters.filter("bound < 0.02").clustered
    assert filters.filter("label IN ('03', '40')").clustered
    for text in ("free < 0.02", "free < 2", "free < -1", "bound < 0.02 AND free < 0.5", "bound + 1.0 < 1.02"):
        assert not filters.filter(text).clustered
