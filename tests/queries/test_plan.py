"""The planner: the way it takes, what it finds whatever the engine does, and its account."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archindex.core.errors import ArgumentError, UnknownNameError
from archindex.queries import RECALLS, Found, Searched, filtered_search, planner

VECTORS = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
QUERIES = VECTORS[:5] + np.float32(0.01)


@dataclass
class Can:
    filtered: bool = True
    exact: bool = False


@dataclass
class Engine:
    """Exact over its rows; as an approximate engine it finds at most `reach` rows for every other query."""

    capabilities: Can = field(default_factory=Can)
    reach: int | None = None
    rows: int = len(VECTORS)
    asked: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return self.rows

    def search(
        self, queries: npt.NDArray[np.float32], k: int, allowed: npt.NDArray[np.int64] | None = None
    ) -> Found:
        self.asked.append(len(queries))
        among = np.arange(len(VECTORS)) if allowed is None else allowed
        ids = np.full((len(queries), k), -1, dtype=np.int64)
        distances = np.full((len(queries), k), np.inf, dtype=np.float32)
        counts = np.zeros(len(queries), dtype=np.int64)
        for row, query in enumerate(queries):
            found = np.linalg.norm(VECTORS[among] - query, axis=1).astype(np.float32)
            n = min(k, among.size, among.size if self.reach is None or row % 2 else self.reach)
            nearest = np.argsort(found, kind="stable")[:n]
            ids[row, :n], distances[row, :n], counts[row] = among[nearest], found[nearest], n
        return Found(ids, distances, counts, len(queries) * among.size)


def exact() -> Engine:
    return Engine(Can(exact=True))


class Rows:
    """A filter that lets some rows through."""

    def __init__(self, rows: npt.ArrayLike) -> None:
        self._rows = np.unique(np.asarray(rows, dtype=np.int64))
        self.count: int | None = len(self._rows)

    @property
    def possible(self) -> npt.NDArray[np.bool_]:
        return self.expected > 0

    clustered = False

    @property
    def estimated(self) -> float:
        return float(self.expected.sum())

    @cached_property
    def expected(self) -> npt.NDArray[np.float64]:
        return np.diff(np.searchsorted(self._rows, [0, len(VECTORS)])).astype(np.float64)

    def judged(self, lists: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        return self.possible[lists], self.expected[lists]

    def positions(self) -> npt.NDArray[np.int64]:
        return self._rows

    def selected(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        return np.isin(positions, self._rows)

    def within(self, lists: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
        return self._rows if len(lists) else self._rows[:0], len(VECTORS)


def index(engine: Engine, sure: Engine | None = None) -> Searched:
    proved = sure or exact()
    return Searched(lambda: engine, lambda: proved, engine.capabilities.exact, np.arange(len(VECTORS)))


def assert_true_neighbours(found: Found, k: int, allowed: npt.NDArray[np.int64] | None) -> None:
    truth = exact().search(QUERIES, k, allowed)
    assert np.array_equal(found.ids, truth.ids)
    assert np.array_equal(found.distances, truth.distances)
    assert np.array_equal(found.counts, truth.counts)


@dataclass
class Reading:
    ids: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float32]
    lists: int = 2
    rows: int = 60
    compared: int = 30
    missed: float = 0.25


@dataclass
class Lists:
    """Lists that find everything at once, or say that they would have to read too much."""

    gives_up: bool = False
    reached: float = 0.95
    asked: list[float] = field(default_factory=list)

    share: float = 0.0

    def begin(self, query: npt.NDArray[np.float32], allowed: Any) -> Lists:
        return self

    def nearest(
        self,
        query: npt.NDArray[np.float32],
        k: int,
        allowed: Any,
        *,
        recall: float,
        most: float = np.inf,
        begun: Lists | None = None,
    ) -> Reading | None:
        self.asked.append(recall)
        rows = np.arange(len(VECTORS)) if allowed is None else allowed.positions()
        return None if self.gives_up else self.among(query, k, rows)

    def among(self, query: npt.NDArray[np.float32], k: int, positions: npt.NDArray[np.int64]) -> Reading:
        found = exact().search(query[None], k, positions)
        return Reading(found.ids[0, : found.counts[0]], found.distances[0, : found.counts[0]])

    def within(self, query: npt.NDArray[np.float32], radius: float, allowed: Any) -> Reading:
        raise NotImplementedError("ranges are not planned")

    def effort(self, recall: float, k: int) -> int | None:
        return None if recall > self.reached else 7


@dataclass
class TunableEngine(Engine):
    effort: int = 0


@pytest.mark.parametrize(
    ("allowed", "recall", "strategy", "reason"),
    [
        (None, "balanced", "engine", "there is no filter"),
        (None, "high", "lists", "does not reach this recall"),
        (None, "exact", "exact", "a proof is asked for"),
        (150, "high", "lists", "about 150 rows are allowed"),
        (150, "exact", "exact", "bounds of the lists"),
        (20, "high", "ids", "comparing all is cheap"),
        (0, "high", "ids", "no row can satisfy"),
    ],
)
def test_with_lists_the_way_follows_from_recall_and_filter(
    monkeypatch: pytest.MonkeyPatch, allowed: int | None, recall: str, strategy: str, reason: str
) -> None:
    monkeypatch.setattr(planner, "_START", 50 * planner._COMPARE)
    engine, lists = TunableEngine(), Lists()
    searched = replace(index(engine), lists=lists)
    rows = None if allowed is None else Rows(np.arange(allowed))
    found, taken = filtered_search(QUERIES, 3, searched, rows, recall=recall)
    assert taken.strategy == strategy
    assert reason in taken.reason
    assert engine.effort == (7 if strategy == "engine" else 0)
    assert lists.asked == [RECALLS[recall]] * (5 if strategy in ("lists", "exact") else 0)
    assert taken.proved == (strategy in ("ids", "exact"))
    assert taken.lists_read == (10 if strategy in ("lists", "exact") else 0)
    assert ("0.250 of the 3 expected" in taken.explain()) == (strategy == "lists")
    assert_true_neighbours(found, 3, None if allowed is None else np.arange(allowed))


@pytest.mark.parametrize("clustered", [True, False])
def test_rows_side_by_side_are_compared_sooner(monkeypatch: pytest.MonkeyPatch, clustered: bool) -> None:
    monkeypatch.setattr(planner, "_START", 100 * (planner._COMPARE + planner._READ))
    rows = Rows(np.arange(150))
    rows.clustered = clustered
    found, taken = filtered_search(QUERIES, 3, replace(index(TunableEngine()), lists=Lists()), rows)
    assert taken.strategy == ("ids" if clustered else "lists")
    assert ("side by side" in taken.reason) == clustered
    assert_true_neighbours(found, 3, np.arange(150))


def test_what_the_engine_finds_is_sieved_under_a_weak_filter() -> None:
    class Renamed(TunableEngine):
        def search(self, queries: Any, k: int, allowed: Any = None) -> Found:
            found = super().search(queries, k)
            return replace(found, ids=np.where(found.ids < 0, -1, apart * found.ids + 3))

    rows, lists = np.flatnonzero(np.arange(len(VECTORS)) % 5 > 0), Lists()
    truth = exact().search(QUERIES, 3, rows)
    for apart in (1, 7):  # row ids that are looked up, and such that are searched for
        searched = replace(index(Renamed()), lists=lists, ids=np.arange(len(VECTORS)) * apart + 3)
        found, taken = filtered_search(QUERIES, 3, searched, Rows(rows), strategy="engine")
        assert (taken.strategy, taken.fell_back, lists.asked) == ("engine", 0, [])
        assert np.array_equal(found.ids, apart * truth.ids + 3)
        assert np.array_equal(found.distances, truth.distances)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_many_allowed_rows_near_a_query_are_left_to_the_engine(
    monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr(planner, "_START", 50 * planner._WALK)
    monkeypatch.setattr(planner, "_COMPARE", 1e9)
    engine, lists = TunableEngine(), Lists(share=share)
    rows = np.arange(0, len(VECTORS), 4)
    found, taken = filtered_search(QUERIES, 3, replace(index(engine), lists=lists), Rows(rows))
    assert taken.strategy == ("engine" if share > 0.5 else "lists")
    assert ("near the query" in taken.reason) == (share > 0.5)
    assert engine.effort == (7 if share > 0.5 else 0)
    assert len(lists.asked) == (taken.fell_back if share > 0.5 else 5)
    assert_true_neighbours(found, 3, rows)


def test_queries_of_which_the_sieve_leaves_too_few_go_to_the_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "_START", 1e9)
    monkeypatch.setattr(planner, "_COMPARE", 1e9)
    lists = Lists()
    engine = TunableEngine()
    searched = replace(index(engine), lists=lists)
    nearest = np.unique(exact().search(QUERIES, 30).ids)
    rows = np.setdiff1d(np.arange(len(VECTORS)), nearest)
    found, taken = filtered_search(QUERIES, 3, searched, Rows(rows))
    assert (taken.strategy, taken.fell_back, taken.lists_read) == ("engine", 5, 10)
    assert (lists.asked, list(taken.seconds)) == ([0.95] * 5, ["engine", "lists"])
    assert not taken.proved
    assert_true_neighbours(found, 3, rows)


def test_a_query_that_falls_back_twice_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "_START", 1e9)
    monkeypatch.setattr(planner, "_COMPARE", 1e9)
    searched = replace(index(TunableEngine()), lists=Lists(gives_up=True))
    rows = np.setdiff1d(np.arange(len(VECTORS)), np.unique(exact().search(QUERIES, 30).ids))
    found, taken = filtered_search(QUERIES, 3, searched, Rows(rows))
    assert (taken.strategy, taken.fell_back) == ("engine", 5)
    assert set(taken.seconds) == {"engine", "lists", "ids"}
    assert all(seconds >= 0 for seconds in taken.seconds.values())
    assert_true_neighbours(found, 3, rows)


def test_lists_that_would_read_too_much_leave_it_to_the_rows_themselves() -> None:
    searched = replace(index(Engine()), lists=Lists(gives_up=True))
    found, taken = filtered_search(QUERIES, 3, searched, Rows(np.arange(150)), strategy="lists")
    assert (taken.strategy, taken.fell_back, taken.allowed) == ("lists", 5, 150)
    assert list(taken.seconds) == ["lists", "ids"]
    assert_true_neighbours(found, 3, np.arange(150))


def test_queries_beyond_float32_are_compared_with_all_rows() -> None:
    lists = Lists()
    searched = replace(index(Engine(Can(exact=True))), lists=lists)
    _, taken = filtered_search(QUERIES * np.float32(1e16), 3, searched, Rows(np.arange(150)))
    assert (taken.strategy, lists.asked) == ("ids", [])


@pytest.mark.parametrize(
    ("can", "allowed", "recall", "strategy", "reason"),
    [
        (Can(), None, "balanced", "engine", "there is no filter"),
        (Can(), None, "exact", "exact", "a proof is asked for"),
        (Can(), 150, "balanced", "ids", "the index is small"),
        (Can(), 0, "balanced", "ids", "the index is small"),
        (Can(exact=True), None, "fast", "exact", "is exact"),
        (Can(exact=True), 150, "fast", "ids", "the index is small"),
    ],
)
def test_without_lists_only_searches_without_a_filter_may_miss(
    can: Can, allowed: int | None, recall: str, strategy: str, reason: str
) -> None:
    engine, sure = Engine(can), exact()
    rows = None if allowed is None else Rows(np.arange(allowed))
    found, taken = filtered_search(QUERIES, 3, index(engine, sure), rows, recall=recall)
    assert (taken.strategy, taken.proved) == (strategy, strategy != "engine")
    assert reason in taken.reason
    assert bool(engine.asked) == (strategy == "engine")
    assert_true_neighbours(found, 3, None if allowed is None else np.arange(allowed))


@pytest.mark.parametrize("asked", ["engine", "ids", "exact"])
@pytest.mark.parametrize("allowed", [None, 40])
def test_a_way_can_be_forced(asked: str, allowed: int | None) -> None:
    ids = None if allowed is None else np.arange(allowed)
    rows = None if ids is None else Rows(ids)
    found, taken = filtered_search(QUERIES, 3, index(Engine()), rows, strategy=asked)
    assert taken.strategy == ("exact" if asked == "ids" and ids is None else asked)
    assert taken.reason == "it was asked for"
    assert taken.proved == (asked != "engine")
    assert_true_neighbours(found, 3, ids)


@settings(max_examples=60, deadline=None)
@given(
    k=st.integers(1, 250),
    reach=st.integers(0, 20),
    allowed=st.none() | st.lists(st.integers(0, len(VECTORS) - 1), max_size=60),
)
def test_k_rows_come_back_whenever_k_exist(k: int, reach: int, allowed: list[int] | None) -> None:
    rows = None if allowed is None else Rows(allowed)
    found, taken = filtered_search(QUERIES, k, index(Engine(reach=reach)), rows, strategy="engine")
    ids = None if rows is None else rows.positions()
    assert_true_neighbours(found, k, ids)
    exist = min(k, len(VECTORS) if ids is None else ids.size)
    assert (found.counts == exist).all()
    assert taken.fell_back == (3 if reach < exist else 0)


def test_only_short_rows_are_searched_again_and_the_plan_says_so() -> None:
    engine, sure = Engine(reach=2), exact()
    found, taken = filtered_search(QUERIES, 4, index(engine, sure))
    assert (engine.asked, sure.asked) == ([5], [3])
    assert taken.fell_back == 3
    assert list(taken.seconds) == ["engine", "fallback"]
    assert taken.distance_computations == found.distance_computations == 8 * len(VECTORS)
    assert "3 queries were searched in a surer way" in taken.explain()


def test_the_answer_of_the_engine_is_not_written_over() -> None:
    engine = Engine(reach=1)
    kept = engine.search(QUERIES, 4)
    engine.search = lambda *_: kept  # type: ignore[method-assign]
    filtered_search(QUERIES, 4, index(engine))
    assert kept.counts.tolist() == [1, 4, 1, 4, 1]
    assert kept.ids[0, 1] == -1


def test_the_plan_tells_and_can_be_stored() -> None:
    _, taken = filtered_search(QUERIES, 3, index(Engine()), Rows(np.arange(50)))
    taken = taken.preceded_by("where", 0.0015)
    stored = json.loads(json.dumps(taken.to_dict()))
    assert stored["strategy"] == "ids"
    assert (stored["rows"], stored["allowed"], stored["selectivity"]) == (200, 50, 0.25)
    assert (stored["queries"], stored["k"], stored["fell_back"], stored["proved"]) == (5, 3, 0, True)
    assert (stored["recall"], stored["missed"]) == (0.95, 0.0)
    assert stored["distance_computations"] == 250
    assert list(stored["seconds"]) == ["where", "ids"]
    text = taken.explain()
    for piece in (
        "ids (proved): the index is small",
        "recall 0.95, k=3, 5 queries",
        "200, 50 allowed (25.00%)",
        "250 distances",
        "where 1.50 ms",
    ):
        assert piece in text


def test_one_query_vector_and_no_allowed_row() -> None:
    found, taken = filtered_search(QUERIES[0], 2, index(Engine()), Rows([]))
    assert found.ids.tolist() == [[-1, -1]]
    assert np.isposinf(found.distances).all()
    assert found.counts.tolist() == [0]
    assert taken.distance_computations == 0


def test_matrices_are_queries_too() -> None:
    masked = np.ma.masked_array(QUERIES)
    found, _ = filtered_search(masked, 3, index(Engine()), Rows(np.arange(50)))
    assert_true_neighbours(found, 3, np.arange(50))


def test_refuses_bad_arguments() -> None:
    def search(
        k: int = 3,
        queries: npt.ArrayLike = QUERIES,
        can: Can | None = None,
        rows: Rows | None = None,
        strategy: str = "auto",
    ) -> None:
        filtered_search(queries, k, index(Engine(can or Can())), rows, strategy=strategy)

    for k in (0, -1, 1.5):
        with pytest.raises(ArgumentError, match="k must be"):
            search(k=k)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="queries must hold finite"):
        search(queries=[[0.0, np.nan, 0.0, 0.0]])
    with pytest.raises(UnknownNameError, match="did you mean 'engine'"):
        search(strategy="engin")
    with pytest.raises(ArgumentError, match="an engine that filters"):
        search(can=Can(filtered=False), rows=Rows([1]), strategy="engine")
    with pytest.raises(ArgumentError, match="an index with lists"):
        search(strategy="lists")
