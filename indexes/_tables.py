"""Bookkeeping shared by the engines: which row id has which label, and how hits become a result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archindex.indexes.base import SearchResult

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class IdTable:
    """Row ids, sorted and distinct, each with the label its engine knows the row by.

    Sorted arrays and not a dict: 16 bytes a row instead of over 100, and whole batches are looked up at once.

    Attributes
    ----------
    ids : int64[n]
    labels : int64[n]
    """

    ids: Ints
    labels: Ints

    @classmethod
    def of(cls, ids: Ints, labels: Ints) -> IdTable:
        """Make a table of distinct `ids` in any order."""
        order = np.argsort(ids, kind="stable")
        return cls(ids[order], labels[order])

    def __len__(self) -> int:
        return len(self.ids)

    def positions(self, ids: Ints) -> Ints:
        """Return the sorted positions in this table of those of `ids` that it has."""
        wanted = np.unique(ids)
        at = np.searchsorted(self.ids, wanted)
        inside = at < len(self.ids)
        at, wanted = at[inside], wanted[inside]
        found: Ints = at[self.ids[at] == wanted]
        return found

    def take(self, positions: Ints) -> IdTable:
        """Return the rows at sorted `positions` as a table of its own."""
        return IdTable(self.ids[positions], self.labels[positions])

    def union(self, other: IdTable) -> IdTable:
        """Return both tables' rows as one; they must share no id."""
        at = np.searchsorted(self.ids, other.ids)
        return IdTable(np.insert(self.ids, at, other.ids), np.insert(self.labels, at, other.labels))

    def without(self, positions: Ints) -> IdTable:
        """Return the table without the rows at `positions`."""
        return IdTable(np.delete(self.ids, positions), np.delete(self.labels, positions))


EMPTY = IdTable(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


@dataclass(frozen=True)
class Pairs:
    """Hits in no order: query ``query[i]`` met row ``row[i]`` at ``distance[i]``."""

    query: Ints
    row: Ints
    distance: Floats

    @classmethod
    def join(cls, parts: list[Pairs]) -> Pairs:
        """Put the hits of all `parts` into one."""
        return cls(
            np.concatenate([p.query for p in parts]),
            np.concatenate([p.row for p in parts]),
            np.concatenate([p.distance for p in parts]),
        )

    def nearest(self, k: int) -> Pairs:
        """Return each query's k nearest, sorted by (query, distance, row)."""
        order = np.lexsort((self.row, self.distance, self.query))
        query = self.query[order]
        rank = np.arange(len(query)) - np.searchsorted(query, query)
        order = order[rank < k]
        return Pairs(self.query[order], self.row[order], self.distance[order])

    def result(self, m: int, k: int, work: int) -> SearchResult:
        """Return the k nearest of each of m queries as padded rows; `row` must hold row ids."""
        best = self.nearest(k)
        counts = np.bincount(best.query, minlength=m).astype(np.int64)
        rank = np.arange(len(best.query)) - np.searchsorted(best.query, best.query)
        ids = np.full((m, k), -1, dtype=np.int64)
        distances = np.full((m, k), np.inf, dtype=np.float32)
        ids[best.query, rank] = best.row
        distances[best.query, rank] = best.distance
        return SearchResult(ids, distances, counts, work)
