"""The planner: which way a nearest-neighbour search under a filter takes.

"Like this one, but far cheaper" asks for rows far from the query. A graph with a selector does not get
there. So a filter goes to the rows themselves where they are few, and to the lists of the index else, which
know what they hold without being read; see `archindex.queries.plan` for the ways.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.core.checks import check_choice, check_float, check_int, check_vectors
from archindex.core.errors import ArgumentError
from archindex.core.recall import LEVELS
from archindex.queries.plan import STRATEGIES, Found, Plan, Strategy
from archindex.queries.searched import Answer, Floats, Ints, Reading, RowFilter, Searched, SearchEngine
from archindex.queries.timed import engine_search

RECALLS: Final = {**LEVELS, "exact": 1.0}
"""Mean recall that each level asks for."""

# Costs in nanoseconds, measured on one core of a server of 2024 (benchmarks/filtered_search.py); only their
# ratios matter.
_COMPARE: Final = 50.0  # compute the distance of a row of 64 entries anywhere
_READ: Final = 8.0  # gather a row's attributes and evaluate a filter of one condition on it
_EVALUATE: Final = 1.0  # the same for all rows in a row
_START: Final = 350_000.0  # a search of lists that finds what it wants at once
_WALK: Final = 4_000.0  # each row that the engine is asked for

_WEAK: Final = 0.3
"""Share of all rows let through from which the engine is asked without a look at what is near a query."""

_LARGE: Final = 1e15
"""Lists count in float32; where a query's entries are larger, all rows are compared instead."""


def check_recall(recall: str | float) -> float:
    """Return a recall level or number as a number; one above the level "high" asks for a proof, as 1 does.

    Raises
    ------
    UnknownNameError
        If there is no such level.
    ArgumentError
        If a number is not above 0 and at most 1.
    """
    if isinstance(recall, str):
        return RECALLS[check_choice("recall", recall, tuple(RECALLS))]
    number = check_float("recall", recall, low=0.0, high=1.0)
    if number == 0:
        raise ArgumentError("expected a recall above 0", got=recall, fix=f"or one of {', '.join(RECALLS)}")
    return 1.0 if number > LEVELS["high"] else number


def filtered_search(
    queries: npt.ArrayLike,
    k: int,
    searched: Searched,
    allowed: RowFilter | None = None,
    *,
    recall: str | float = "balanced",
    strategy: str = "auto",
) -> tuple[Found, Plan]:
    """Find the k nearest rows of each query, among those that a filter lets through.

    Every query gets k rows when so many are let through, and all of them when there are fewer.

    Parameters
    ----------
    queries : array_like of float32, shape (m, d)
        The query vectors.
    k : int
        How many rows to find for each, at least 1.
    searched : Searched
        The index.
    allowed : RowFilter, optional
        The filter.
    recall : {"fast", "balanced", "high", "exact"} or float
        Share of the true k nearest to be found in the mean: .90, .95, .99 or all, proved.
    strategy : {"auto", "engine", "lists", "ids", "exact"}
        The way to take; see `archindex.queries.plan`. ``ids`` without a filter is ``exact``.

    Raises
    ------
    ArgumentError
        If `k` is not a positive whole number, a query is not a finite vector, or a way is forced that this
        index does not have.
    UnknownNameError
        If there is no such strategy or recall level.
    """
    k = check_int("k", k, low=1)
    target = check_recall(recall)
    check_choice("strategy", strategy, STRATEGIES)
    vectors, largest = _checked(queries)
    if searched.lists is not None and largest > _LARGE:
        searched = replace(searched, lists=None)
    return _Search(vectors, k, searched, allowed, target).run(strategy)


def _checked(queries: npt.ArrayLike) -> tuple[Floats, float]:
    """Return queries as float32[m, d], and their largest entry; see `check_vectors` for what is refused."""
    if type(queries) is np.ndarray and queries.dtype == np.float32 and queries.ndim == 2:
        # As they are: other checks and a copy take as long as a search of a graph.
        largest = float(np.abs(queries).max(initial=0))
        if largest <= _LARGE:
            return np.ascontiguousarray(queries), largest
    vectors = check_vectors("queries", queries)
    return vectors, float(np.abs(vectors).max(initial=0))


class _Search:
    """One call of `filtered_search`."""

    def __init__(
        self, queries: Floats, k: int, searched: Searched, allowed: RowFilter | None, recall: float
    ) -> None:
        self.queries, self.k, self.searched, self.allowed, self.recall = queries, k, searched, allowed, recall
        self.rows = len(searched.ids)
        self.estimated: float | None = None
        self.known: int | None = None
        self.seconds: dict[str, float] = {}
        self.lists_read = self.rows_read = self.fell_back = self.sieved = 0
        self.missed = 0.0
        if allowed is not None:
            self.known = allowed.count
            if searched.lists is not None:
                self.estimated = allowed.estimated

    def run(self, asked: str) -> tuple[Found, Plan]:
        auto = asked == "auto"
        chosen, reason = self._choose() if auto else (self._forced(asked), "it was asked for")
        started = time.perf_counter()
        # A search of lists for all of the nearest stops by proof, as `exact` does.
        proved = chosen in ("ids", "exact") or (chosen == "lists" and self.recall == 1)
        if chosen == "lists":
            found = self._by_lists(self.recall, sieving=auto)
            if 2 * self.sieved > len(self.queries):
                chosen, reason = "engine", f"{reason}, many of those near the query"
        elif chosen == "exact" and self.searched.lists is not None:
            found = self._by_lists(1.0)
        elif chosen == "engine":
            found = self._by_engine()
            proved = self.searched.proves
        else:
            found = self._by_ids()
        took = time.perf_counter() - started
        rest = took - sum(self.seconds.values()) + self.seconds.pop(chosen, 0.0)
        self.seconds = {chosen: rest, **self.seconds}
        return found, Plan(
            strategy=chosen,
            reason=reason,
            proved=proved,
            recall=self.recall,
            rows=self.rows,
            allowed=self.known,
            estimated=self.estimated,
            queries=len(self.queries),
            k=self.k,
            lists_read=self.lists_read,
            rows_read=self.rows_read,
            distance_computations=found.distance_computations,
            missed=self.missed / max(1, len(self.queries)),
            fell_back=self.fell_back,
            seconds=self.seconds,
        )

    def _forced(self, asked: str) -> Strategy:
        if asked == "engine":
            if self.allowed is not None and not self.searched.engine().capabilities.filtered:
                raise ArgumentError(
                    "expected an engine that filters for the strategy 'engine'", fix="use 'auto'"
                )
            return "engine"
        if asked == "lists":
            if self.searched.lists is None:
                raise ArgumentError("expected an index with lists", fix="small indexes have none: use 'auto'")
            return "lists"
        return "ids" if asked == "ids" and self.allowed is not None else "exact"

    def _choose(self) -> tuple[Strategy, str]:
        lists, proof = self.searched.lists, self.recall == 1 or self.searched.proves
        if self.allowed is None:
            if proof:
                asked = self.recall == 1
                return "exact", "a proof is asked for" if asked else "the engine of this index is exact"
            if lists is None:
                return "engine", "there is no filter"
            if lists.effort(self.recall, self.k) is None:
                return "lists", "the engine does not reach this recall on these vectors"
            return "engine", "there is no filter"
        if lists is None:
            return "ids", "the index is small"
        assert self.estimated is not None
        if self.estimated == 0 and not self.allowed.possible.any():
            return "ids", "no row can satisfy the filter"
        if self._price_of_ids() <= _START:
            return "ids", f"about {round(self.estimated):,} rows are allowed, and comparing all is cheap"
        if self.known is not None and self._price_of_ids() <= 2 * _START and self.allowed.clustered:
            # So they are cheap to compare, and in lists that are far from most queries.
            return "ids", f"about {round(self.estimated):,} rows are allowed, and they lie side by side"
        if proof:
            return "exact", "bounds of the lists prove the answer"
        return "lists", f"about {round(self.estimated):,} rows are allowed"

    @property
    def _share(self) -> float:
        """About which share of all rows is let through."""
        return 0.0 if self.estimated is None else min(1.0, self.estimated / max(1, self.rows))

    def _wanted(self, share: float) -> float:
        """Return the rows to ask the engine for, so that k of them are let through if a share of them is."""
        return math.ceil((self.k + 2 * math.sqrt(self.k) + 2) / share) if share > 0 else math.inf

    def _price_of_ids(self) -> float:
        assert self.estimated is not None
        finding = _READ * self.estimated if self.known is not None else _EVALUATE * self.rows
        return finding + _COMPARE * self.estimated

    def _by_lists(self, recall: float, *, sieving: bool = False) -> Found:
        """Search the lists; where `sieving`, ask the engine instead where many rows near the query pass."""
        lists, allowed = self.searched.lists, self.allowed
        assert lists is not None
        sieving = sieving and allowed is not None
        readings: list[Reading | None] = []
        near: list[int] = []
        most = 0
        for row, query in enumerate(self.queries):
            begun = None
            if sieving:
                wanted = self._wanted(self._share)
                if self._share < _WEAK:
                    begun = lists.begin(query, allowed)
                    wanted = self._wanted(begun.share)
                if wanted * _WALK <= _START and lists.effort(recall, int(wanted)) is not None:
                    near.append(row)
                    most = max(most, int(wanted))
                    readings.append(None)
                    continue
            readings.append(self._read(query, recall, begun))
        self.sieved = len(near)
        return self._sieve(near, most, readings)

    def _read(self, query: Floats, recall: float, begun: Any = None) -> Reading:
        """Search the lists for one query, or compare all that is let through where lists do not help."""
        lists, most = self.searched.lists, float("inf")
        assert lists is not None
        if self.allowed is not None and self.estimated is not None:
            most = max(20_000.0, self._price_of_ids() / (_READ + self._share * _COMPARE))
        reading = lists.nearest(query, self.k, self.allowed, recall=recall, most=most, begun=begun)
        if reading is None:
            self.fell_back += 1
            started = time.perf_counter()
            reading = lists.among(query, self.k, self._positions())
            self.seconds["ids"] = self.seconds.get("ids", 0.0) + time.perf_counter() - started
        self.lists_read += reading.lists
        self.rows_read += reading.rows
        self.missed += reading.missed
        return reading

    def _by_engine(self) -> Found:
        if self._share >= _WEAK and self.searched.lists is not None and not self.searched.proves:
            m = len(self.queries)
            return self._sieve(list(range(m)), int(self._wanted(self._share)), [None] * m)
        engine = self._tuned(self.k)
        ids = None if self.allowed is None else self.searched.ids[self._positions()]
        found = _copy(engine_search(engine, self.queries, self.k, ids))
        exist = min(self.k, self.rows if ids is None else len(ids))
        short = np.flatnonzero(found.counts < exist)
        if len(short):
            started = time.perf_counter()
            self.fell_back = len(short)
            found = _replace_rows(
                found, short, self.searched.exact().search(self.queries[short], self.k, ids)
            )
            self.seconds["fallback"] = time.perf_counter() - started
        return found

    def _tuned(self, k: int) -> SearchEngine:
        """Return the engine, told how hard to try for k rows."""
        engine = self.searched.engine()
        effort = None if self.searched.lists is None else self.searched.lists.effort(self.recall, k)
        if effort is not None:
            engine.effort = effort  # type: ignore[attr-defined]  # only tunable engines have an effort
        return engine

    def _sieve(self, rows: list[int], wanted: int, readings: list[Reading | None]) -> Found:
        """Ask the engine for `wanted` for some queries, those without a reading, and return what all found.

        Those of which fewer than k are let through go to the lists after all.
        """
        allowed = self.allowed
        if not rows or allowed is None:
            return _joined([reading for reading in readings if reading is not None], self.k)
        started = time.perf_counter()
        found = engine_search(self._tuned(wanted), self.queries[rows], min(wanted, self.rows))
        there = found.ids >= 0
        inside = np.zeros(there.shape, dtype=np.bool_)
        inside[there] = allowed.selected(self.searched.positions_of(found.ids[there]))
        self.rows_read += int(there.sum())
        self.seconds["engine"] = time.perf_counter() - started
        for at, row in enumerate(rows):
            some = np.flatnonzero(inside[at])[: self.k]
            if len(some) < self.k:
                started, others = time.perf_counter(), self.seconds.get("ids", 0.0)
                fell_back = self.fell_back + 1
                readings[row] = self._read(self.queries[row], self.recall)
                self.fell_back = fell_back  # once, though comparing all may have come after the lists
                took = time.perf_counter() - started - (self.seconds.get("ids", 0.0) - others)
                self.seconds["lists"] = self.seconds.get("lists", 0.0) + took
            else:
                readings[row] = _Sieved(found.ids[at, some], found.distances[at, some])
        answer = _joined([reading for reading in readings if reading is not None], self.k)
        return replace(
            answer, distance_computations=answer.distance_computations + found.distance_computations
        )

    def _by_ids(self) -> Found:
        lists = self.searched.lists
        if self.allowed is None:
            return _copy(self.searched.exact().search(self.queries, self.k))
        positions = self._positions()
        if lists is not None and len(self.queries) == 1:
            return _joined([lists.among(self.queries[0], self.k, positions)], self.k)
        return _copy(self.searched.exact().search(self.queries, self.k, self.searched.ids[positions]))

    def _positions(self) -> Ints:
        assert self.allowed is not None
        positions = self.allowed.positions()
        self.known = len(positions)
        return positions


@dataclass(frozen=True)
class _Sieved:
    """What is left of an answer of the engine; see `archindex.queries.searched.Reading`."""

    ids: Ints
    distances: Floats
    lists: int = 0
    rows: int = 0
    compared: int = 0
    missed: float = 0.0


def _joined(readings: list[Reading], k: int) -> Found:
    m = len(readings)
    ids = np.full((m, k), -1, dtype=np.int64)
    distances = np.full((m, k), np.inf, dtype=np.float32)
    for row, reading in enumerate(readings):
        ids[row, : len(reading.ids)] = reading.ids
        distances[row, : len(reading.ids)] = reading.distances
    counts = np.array([len(reading.ids) for reading in readings], dtype=np.int64)
    return Found(ids, distances, counts, sum(reading.compared for reading in readings))


def _copy(answer: Answer) -> Found:
    # The rows that fall back are written over, and an engine may hand out its own buffers.
    return Found(
        np.array(answer.ids, dtype=np.int64),
        np.array(answer.distances, dtype=np.float32),
        np.array(answer.counts, dtype=np.int64),
        int(answer.distance_computations),
    )


def _replace_rows(found: Found, rows: npt.NDArray[np.intp], better: Answer) -> Found:
    found.ids[rows] = better.ids
    found.distances[rows] = better.distances
    found.counts[rows] = better.counts
    return replace(
        found, distance_computations=found.distance_computations + int(better.distance_computations)
    )
