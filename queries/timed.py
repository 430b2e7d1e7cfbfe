"""Searches of an engine that stop when their time is over."""

from __future__ import annotations

from typing import Final

import numpy as np

from archindex.core.deadline import check_time, time_is_limited
from archindex.queries.plan import Found
from archindex.queries.searched import Answer, Floats, Ints, SearchEngine

BLOCK: Final = 256
"""Queries that are asked at once while time is limited: an engine by itself does not look at the clock."""


def engine_search(engine: SearchEngine, queries: Floats, k: int, allowed: Ints | None = None) -> Answer:
    """Ask an engine; under a `time_limit` in blocks, between which the time is looked at.

    Raises
    ------
    QueryTimeoutError
        If the time is over.
    """
    if not time_is_limited() or len(queries) <= BLOCK:
        check_time()
        return engine.search(queries, k, allowed)
    parts: list[Answer] = []
    for start in range(0, len(queries), BLOCK):
        check_time()
        parts.append(engine.search(queries[start : start + BLOCK], k, allowed))
    return Found(
        ids=np.concatenate([part.ids for part in parts]),
        distances=np.concatenate([part.distances for part in parts]),
        counts=np.concatenate([part.counts for part in parts]),
        distance_computations=sum(part.distance_computations for part in parts),
    )
