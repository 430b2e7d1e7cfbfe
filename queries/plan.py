"""The account of a search: the way it took, what it read, and what it left to chance.

``engine``
    The engine of the index, a graph or quantised lists, where there is no filter. Fast; may miss rows. Under
    a filter that lets many rows through, or many of those near the query, it is asked for more than k, of
    which those that satisfy the filter are kept; a query of which too few are goes to the lists.
``lists``
    The lists of the index, those nearest to the query first, and only rows in them that satisfy the filter.
    It stops when the neighbours expected in the lists not yet read are few enough for the recall asked for.
``ids``
    Every row that satisfies the filter, and no other. Proved.
``exact``
    Lists until their bounds prove that no unread row is nearer, or all rows. Proved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Strategy = Literal["engine", "lists", "ids", "exact"]

STRATEGIES: Final = ("auto", "engine", "lists", "ids", "exact")


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
    proved : bool
        Whether the answers are the true nearest rows, bounds or all distances having shown it.
    recall : float
        Mean recall that was asked for; 1 asks for a proof.
    rows : int
        Rows in the index.
    allowed : int or None
        Rows that satisfy the filter, where the search came to know it; None without a filter.
    estimated : float or None
        About how many there are, from the statistics of the lists; None without a filter or lists.
    queries, k : int
        What was asked.
    lists_read, rows_read : int
        Lists read for all queries together, and rows in them that the filter was asked about.
    distance_computations : int
        Distances computed for all queries together.
    missed : float
        Neighbours expected among the rows left unread, a query; 0 where proved.
    fell_back : int
        Queries that the chosen way left short or found too dear, and that were searched in a surer way.
    seconds : mapping of str to float
        Time of each stage, in the order they ran.
    """

    strategy: Strategy
    reason: str
    proved: bool
    recall: float
    rows: int
    allowed: int | None
    estimated: float | None
    queries: int
    k: int
    lists_read: int
    rows_read: int
    distance_computations: int
    missed: float
    fell_back: int
    seconds: Mapping[str, float]

    @property
    def selectivity(self) -> float:
        """Share of the rows that the filter lets through, an estimate if need be; 1 without a filter."""
        known = self.estimated if self.allowed is None else self.allowed
        return 1.0 if known is None or self.rows == 0 else known / self.rows

    def preceded_by(self, stage: str, seconds: float) -> Plan:
        """Return the plan with a stage that ran before the search, such as the compiling of the filter."""
        return replace(self, seconds={stage: seconds, **self.seconds})

    def explain(self) -> str:
        """Return the plan as lines for people."""
        asked = "proved" if self.recall == 1 else f"recall {self.recall:.2f}"
        lines = [
            f"strategy   {self.strategy}{' (proved)' if self.proved else ''}: {self.reason}",
            f"asked      {asked}, k={self.k:,}, {_count(self.queries, 'query', 'queries')}",
            f"rows       {self.rows:,}, {self._share()}",
            f"read       {self._read()}",
        ]
        if self.strategy == "lists":
            lines.append(f"left       {self.missed:.3f} of the {self.k:,} expected among what was not read")
        if self.fell_back:
            again = _count(self.fell_back, "query was", "queries were")
            lines.append(f"fallback   {again} searched in a surer way")
        lines.append("time       " + ", ".join(f"{s} {t * 1e3:.2f} ms" for s, t in self.seconds.items()))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Return the plan as values that JSON can hold."""
        return {**asdict(self), "selectivity": self.selectivity}

    def _share(self) -> str:
        if self.allowed is not None:
            return f"{self.allowed:,} allowed ({self.selectivity:.2%})"
        if self.estimated is not None:
            return f"about {round(self.estimated):,} allowed ({self.selectivity:.2%}, estimated)"
        return "no filter"

    def _read(self) -> str:
        distances = f"{_count(self.distance_computations, 'distance', 'distances')}"
        if not self.lists_read:
            return distances
        rows = _count(self.rows_read, "row", "rows")
        return f"{rows} in {_count(self.lists_read, 'list', 'lists')}, {distances}"


def _count(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"
