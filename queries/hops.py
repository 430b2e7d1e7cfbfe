"""Multi-hop search: what is reached from a row along nearest-neighbour edges, under a filter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from archindex.core.checks import check_int
from archindex.queries.planner import filtered_search
from archindex.queries.searched import Floats, Ints, RowFilter, Searched


@dataclass(frozen=True, eq=False)
class Reach:
    """What is reached from a start, in the order in which it was met.

    Attributes
    ----------
    ids : ndarray of int64, shape (n,)
        Row ids, each once, without the start: by rising number of hops, then as their parents came, then
        nearest first.
    parents : ndarray of int64, shape (n,)
        Position in `ids` of the row from which each was met; -1: the start.
    hops : ndarray of int64, shape (n,)
        Edges between the start and the row, the fewest there are.
    lengths : ndarray of float32, shape (n,)
        Length of the last of these edges.
    cut : bool
        Whether the limit ended the search before the hops did.
    distance_computations : int
        Distances computed.
    """

    ids: Ints
    parents: Ints
    hops: Ints
    lengths: Floats
    cut: bool
    distance_computations: int

    def path(self, i: int) -> list[int]:
        """Return the row ids from the first hop to the row at position `i` in `ids`."""
        found: list[int] = []
        while i >= 0:
            found.append(int(self.ids[i]))
            i = int(self.parents[i])
        return found[::-1]


def reach(
    start: Floats,
    own: int | None,
    vectors_of: Callable[[Ints], Floats],
    searched: Searched,
    allowed: RowFilter | None = None,
    *,
    hops: int,
    k: int,
    limit: int,
    recall: str | float = "balanced",
) -> Reach:
    """Follow edges from a start, breadth first: to the k nearest others of each row that are let through.

    The start need not satisfy the filter; every row on the way does.

    Parameters
    ----------
    start : ndarray of float32, shape (d,)
        Where to begin.
    own : int or None
        Row id of the start, if it is a row.
    vectors_of : callable
        Gives the vectors of rows by id.
    searched : Searched
        The index.
    allowed : RowFilter, optional
        The filter.
    hops : int
        Edges to follow, at least 1.
    k : int
        Edges of each row, at least 1.
    limit : int
        Rows to reach at most; so it bounds the work, too: no more rows than these are searched from.
    recall : str or float
        Of each search of neighbours; see `archindex.queries.planner.filtered_search`.

    Raises
    ------
    ArgumentError, UnknownNameError
        If an argument is out of range.
    """
    for name, value in (("hops", hops), ("k", k), ("limit", limit)):
        check_int(name, value, low=1)
    met: dict[int, int] = {} if own is None else {own: -1}
    ids: list[int] = []
    parents: list[int] = []
    depths: list[int] = []
    lengths: list[float] = []
    front, points = [-1], np.asarray(start, dtype=np.float32)[None]
    computed = 0
    for depth in range(1, hops + 1):
        # One more than the edges: a row is the nearest to itself.
        found, plan = filtered_search(points, k + 1, searched, allowed, recall=recall)
        computed += plan.distance_computations
        for parent, row, away, count in zip(front, found.ids, found.distances, found.counts, strict=True):
            itself = own if parent < 0 else ids[parent]
            edges = [
                (int(i), float(d)) for i, d in zip(row[:count], away[:count], strict=True) if i != itself
            ]
            for i, length in edges[:k]:
                if i in met:
                    continue
                if len(ids) == limit:
                    return _reach(ids, parents, depths, lengths, True, computed)
                met[i] = len(ids)
                ids.append(i)
                parents.append(parent)
                depths.append(depth)
                lengths.append(length)
        front = [i for i, d in enumerate(depths) if d == depth]
        if not front:
            break
        points = vectors_of(np.array([ids[i] for i in front], dtype=np.int64))
    return _reach(ids, parents, depths, lengths, False, computed)


def _reach(
    ids: list[int], parents: list[int], depths: list[int], lengths: list[float], cut: bool, computed: int
) -> Reach:
    whole = [np.array(values, dtype=np.int64) for values in (ids, parents, depths)]
    return Reach(whole[0], whole[1], whole[2], np.array(lengths, dtype=np.float32), cut, computed)
