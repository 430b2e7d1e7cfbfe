"""Range queries: all rows within a distance, proved."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.checks import check_float, check_int, check_vectors
from archindex.core.deadline import check_time
from archindex.queries.plan import Found, Plan, Strategy
from archindex.queries.searched import Floats, Ints, Reading, RowFilter, Searched

FEW: Final = 2_000
"""Allowed rows up to which comparing all takes less time than choosing lists."""

_LARGE: Final = 1e15
"""As in `archindex.queries.planner`: beyond, lists do not count."""


@dataclass(frozen=True, eq=False)
class Ranged:
    """The answer to m range queries.

    Attributes
    ----------
    found : Found
        The nearest of the rows within the distance, as many as the limit lets through.
    totals : ndarray of int64, shape (m,)
        How many rows there are within the distance of each query.
    plan : Plan
        How they were found; its `k` is the limit.
    """

    found: Found
    totals: Ints
    plan: Plan


def range_search(
    queries: npt.ArrayLike,
    radius: float,
    searched: Searched,
    allowed: RowFilter | None = None,
    *,
    limit: int,
) -> Ranged:
    """Find all rows within a distance of each query that a filter lets through.

    Parameters
    ----------
    queries : array_like of float32, shape (m, d)
        The query vectors.
    radius : float
        Largest distance, at least 0, in the metric of the index; a row at just this distance is found.
    searched : Searched
        The index.
    allowed : RowFilter, optional
        The filter.
    limit : int
        Most rows to return for a query, at least 1; if there are more, the nearest are returned.

    Returns
    -------
    Ranged
        All that is there, or the nearest of it and how many there are.

    Raises
    ------
    ArgumentError
        If a query is not a finite vector, or `radius` or `limit` is out of range.
    """
    vectors = check_vectors("queries", queries)
    radius = check_float("radius", radius, low=0.0)
    limit = check_int("limit", limit, low=1)
    if searched.lists is not None and np.abs(vectors).max(initial=0) > _LARGE:
        searched = replace(searched, lists=None)
    started = time.perf_counter()
    known = None if allowed is None else allowed.count
    by_lists = searched.lists is not None and (known is None or known > FEW)
    positions = None if allowed is None or by_lists else allowed.positions()
    readings: list[Reading] = []
    for query in vectors:
        check_time()
        if searched.lists is not None and by_lists:
            readings.append(searched.lists.within(query, radius, allowed))
        else:
            readings.append(_compared(query, radius, searched, positions))
    strategy: Strategy = "exact" if by_lists or allowed is None else "ids"
    found = _cut(readings, limit)
    n = len(searched.ids)
    plan = Plan(
        strategy=strategy,
        reason="all within a distance, proved by bounds of the lists"
        if by_lists
        else "all rows are compared",
        proved=True,
        recall=1.0,
        rows=n,
        allowed=known if positions is None else len(positions),
        estimated=allowed.estimated if allowed is not None and by_lists else None,
        queries=len(vectors),
        k=limit,
        lists_read=sum(reading.lists for reading in readings),
        rows_read=sum(reading.rows for reading in readings),
        distance_computations=found.distance_computations,
        missed=0.0,
        fell_back=0,
        seconds={strategy: time.perf_counter() - started},
    )
    return Ranged(found, np.array([len(reading.ids) for reading in readings], dtype=np.int64), plan)


@dataclass(frozen=True, eq=False)
class _Compared:
    """A `Reading` of rows that were all compared."""

    ids: Ints
    distances: Floats
    compared: int
    lists: int = 0
    rows: int = 0
    missed: float = 0.0


def _compared(query: Floats, radius: float, searched: Searched, positions: Ints | None) -> Reading:
    rows = len(searched.ids) if positions is None else len(positions)
    if rows == 0:
        return _Compared(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32), 0)
    if searched.lists is not None and positions is not None:
        reading = searched.lists.among(query, rows, positions)
        ids, away = reading.ids, reading.distances
    else:
        among = None if positions is None else searched.ids[positions]
        answer = searched.exact().search(query[None], rows, among)
        ids, away = answer.ids[0], answer.distances[0]
    inside = int(np.searchsorted(away, radius, side="right"))
    return _Compared(ids[:inside], away[:inside], rows)


def _cut(readings: list[Reading], limit: int) -> Found:
    counts = np.array([min(limit, len(reading.ids)) for reading in readings], dtype=np.int64)
    width = int(counts.max(initial=0))
    ids = np.full((len(readings), width), -1, dtype=np.int64)
    distances = np.full((len(readings), width), np.inf, dtype=np.float32)
    for row, (reading, count) in enumerate(zip(readings, counts.tolist(), strict=True)):
        ids[row, :count], distances[row, :count] = reading.ids[:count], reading.distances[:count]
    return Found(ids, distances, counts, sum(reading.compared for reading in readings))
