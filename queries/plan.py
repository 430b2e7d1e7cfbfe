"""The planner: which way a nearest-neighbour search under a filter takes, and the account of it.

``engine``
    The engine of the index, which filters by itself where there is a filter. Fast; may miss rows.
``ids``
    Exact distances to each allowed row, and to no other. Proved.
``exact``
    Exact distances to all rows, where there is no filter. Proved.

An engine that filters by itself loses recall when few rows are allowed, most of all when those are far from
the query, which is just what "like this one, but far cheaper" asks. So few allowed rows are always searched
by ``ids``; and whatever a search left short is searched again, exactly.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from archindex.core.checks import check_choice, check_ids, check_int, check_vectors
from archindex.core.errors import ArgumentError

Strategy = Literal["engine", "ids", "exact"]

STRATEGIES = ("auto", "engine", "ids", "exact")
# Up to so many rows, or this share of all, exact distances to each allowed row cost less than an engine that
# filters. Measured far from the query on 423,624 NAS-Bench-101 cells: at 5, 10 and 25% allowed HNSW took 121,
# 44 and 15 ms a query, the exact scan 2.4, 2.9 and 8.2.
FEW_ROWS = 20_000
FEW_SHARE = 0.25


class Capabilities(Protocol):
    """What the planner asks about an engine."""

    @property
    def filtered(self) -> bool:
        """Whether it searches among allowed rows at little more than its usual cost."""

    @property
    def exact(self) -> bool:
        """Whether its answers are the true nearest rows."""


class Answer(Protocol):
    """What an engine answers to m queries; rows may be short, padded with id -1 and infinite distance."""

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        """Row ids, shape (m, k)."""

    @property
    def distances(self) -> npt.NDArray[np.float32]:
        """Distances, ascending, shape (m, k)."""

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """How many entries of each row are found rows, shape (m,)."""

    @property
    def distance_computations(self) -> int:
        """Distances computed for all queries together."""


class SearchEngine(Protocol):
    """What the planner needs of an engine."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    def search(
        self, queries: npt.NDArray[np.float32], k: int, allowed: npt.NDArray[np.int64] | None = None
    ) -> Answer:
        """Return the k nearest rows of each query, among `allowed` if given."""


class ExactEngine(SearchEngine, Protocol):
    """An engine that filters and whose answers are the true nearest rows."""

    def __len__(self) -> int:
        """Return the number of rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The answer to m queries.

    Attributes
    ----------
    ids : ndarray of int64, shape (m, k)
        Row ids, nearest first, -1 where there are no more.
    distances : ndarray of float32, shape (m, k)
        Their distances, infinite where there are no more.
    counts : ndarray of int64, shape (m,)
        How many rows were found for each query.
    distance_computations : int
        Distances computed for all queries together.
    """

    ids: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int64]
    distance_computations: int


@dataclass(frozen=True)
class Plan:
    """How a search was carried out: part of its answer.

    Attributes
    ----------
    strategy : Strategy
        The way it took.
    reason : str
        Why, as a sentence.
    rows : int
        Rows in the index.
    allowed : int or None
        Rows that satisfy the filter; None without a filter.
    queries, k : int
        What was asked.
    distance_computations : int
        Distances computed for all queries together.
    fell_back : int
        Queries that the engine left short and that were searched again, exactly.
    seconds : mapping of str to float
        Time of each stage, in the order they ran.
    """

    strategy: Strategy
    reason: str
    rows: int
    allowed: int | None
    queries: int
    k: int
    distance_computations: int
    fell_back: int
    seconds: Mapping[str, float]

    @property
    def selectivity(self) -> float:
        """Share of the rows that the filter lets through; 1 without a filter."""
        return 1.0 if self.allowed is None or self.rows == 0 else self.allowed / self.rows

    @property
    def proved(self) -> bool:
        """Whether the answers are the true nearest rows, all distances having been computed."""
        return self.strategy != "engine"

    def preceded_by(self, stage: str, seconds: float) -> Plan:
        """Return the plan with a stage that ran before the search, such as the evaluation of the filter."""
        return replace(self, seconds={stage: seconds, **self.seconds})

    def explain(self) -> str:
        """Return the plan as lines for people."""
        share = "no filter" if self.allowed is None else f"{self.allowed:,} allowed ({self.selectivity:.2%})"
        lines = [
            f"strategy   {self.strategy}{' (proved)' if self.proved else ''}: {self.reason}",
            f"rows       {self.rows:,}, {share}",
            f"work       {self.distance_computations:,} distances for {self.queries:,} queries, k={self.k:,}",
        ]
        if self.fell_back:
            lines.append(f"fallback   {self.fell_back:,} queries came back short and were searched exactly")
        lines.append("time       " + ", ".join(f"{s} {t * 1e3:.2f} ms" for s, t in self.seconds.items()))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Return the plan as values that JSON can hold."""
        return {**asdict(self), "selectivity": self.selectivity, "proved": self.proved}


def filtered_search(
    queries: npt.ArrayLike,
    k: int,
    *,
    engine: SearchEngine,
    exact: ExactEngine,
    allowed: npt.ArrayLike | None = None,
    strategy: str = "auto",
) -> tuple[Found, Plan]:
    """Find the k nearest rows of each query, among the allowed ones.

    Every query gets k rows when so many are allowed, and all allowed rows when there are fewer.

    Parameters
    ----------
    queries : array_like of float32, shape (m, d)
        The query vectors.
    k : int
        How many rows to find for each, at least 1.
    engine : SearchEngine
        The engine of the index.
    exact : ExactEngine
        An exact engine over the same rows.
    allowed : array_like of int64, optional
        Ids of the rows that satisfy the filter; None without a filter.
    strategy : {"auto", "engine", "ids", "exact"}
        The way to take. ``ids`` and ``exact`` ask for the same, a proved answer: the first is its name with
        a filter, the second without one.

    Raises
    ------
    ArgumentError
        If `k` is not a positive whole number, a query is not a finite vector, or ``engine`` is forced on an
        engine that cannot filter.
    UnknownNameError
        If there is no such strategy.
    """
    k = check_int("k", k, low=1)
    vectors = check_vectors("queries", queries)
    ids = None if allowed is None else np.unique(check_ids("allowed", allowed))
    check_choice("strategy", strategy, STRATEGIES)
    rows = len(exact)
    chosen, reason = _choose(strategy, engine.capabilities, rows, None if ids is None else ids.size)

    started = time.perf_counter()
    if ids is not None and ids.size == 0:
        found = _nothing(len(vectors), k)
    else:
        found = _copy((engine if chosen == "engine" else exact).search(vectors, k, ids))
    seconds: dict[str, float] = {chosen: time.perf_counter() - started}

    short = np.flatnonzero(found.counts < min(k, rows if ids is None else ids.size))
    fell_back = short.size if chosen == "engine" else 0
    if fell_back:
        started = time.perf_counter()
        found = _replace_rows(found, short, exact.search(vectors[short], k, ids))
        seconds["fallback"] = time.perf_counter() - started
    plan = Plan(
        strategy=chosen,
        reason=reason,
        rows=rows,
        allowed=None if ids is None else int(ids.size),
        queries=len(vectors),
        k=k,
        distance_computations=found.distance_computations,
        fell_back=fell_back,
        seconds=seconds,
    )
    return found, plan


def _choose(asked: str, can: Capabilities, rows: int, allowed: int | None) -> tuple[Strategy, str]:
    proved: Strategy = "exact" if allowed is None else "ids"
    if asked == "engine":
        if allowed is not None and not can.filtered:
            raise ArgumentError(
                "expected an engine that filters for the strategy 'engine'", fix="use 'ids' or 'auto'"
            )
        return "engine", "it was asked for"
    if asked != "auto":
        return proved, "it was asked for"
    if allowed == 0:
        return "ids", "no row satisfies the filter"
    if can.exact:
        return proved, "the engine of this index is exact"
    if allowed is None:
        return "engine", "there is no filter"
    if not can.filtered:
        return "ids", "the engine of this index cannot filter"
    few = max(FEW_ROWS, int(FEW_SHARE * rows))
    if allowed <= few:
        return "ids", f"at most {few:,} rows are allowed"
    return "engine", f"more than {few:,} rows are allowed"


def _nothing(m: int, k: int) -> Found:
    ids = np.full((m, k), -1, dtype=np.int64)
    return Found(ids, np.full((m, k), np.inf, dtype=np.float32), np.zeros(m, dtype=np.int64), 0)


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
