"""How SPANN makes its lists: balanced by cutting what is too large, and closed over their boundaries.

Chen et al., "SPANN: Highly-efficient Billion-scale Approximate Nearest Neighbor Search", NeurIPS 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import hnswlib
import numpy as np
import numpy.typing as npt

from archindex.core.progress import Progress
from archindex.indexes._tables import Floats, Ints

FAN: Final = 64
"""Parts that rows are cut into at most in one step."""

NEAR: Final = 64
"""Lists around a row's own that it may lie in as well."""

BLOCK: Final = 1 << 16
"""Rows that are held as points at a time."""

_TRAINED_ON: Final = 128
_ROUNDS: Final = 12
LINKS: Final = 16
_EF_CONSTRUCTION: Final = 100

Mask = npt.NDArray[np.bool_]

Points = Callable[[Ints], Floats]
"""Gives the points float32[m, p] of the rows int64[m]."""


def cut(
    points: Points, groups: Sequence[Ints], size: int, rng: np.random.Generator, progress: Progress
) -> list[Ints]:
    """Cut groups of rows by k-means until none has more than `size`.

    Returns
    -------
    list of int64[m]
        The rows of each part, parts that lie together side by side.
    """
    waiting, done = [group for group in reversed(groups) if len(group)], []
    total, finished = sum(map(len, waiting)), 0
    while waiting:
        rows = waiting.pop()
        if len(rows) <= size:
            done.append(rows)
            finished += len(rows)
            if len(done) % 1024 == 0:
                progress("cut into lists", finished, total)
            continue
        # Parts a third smaller than need be: k-means does not make them alike.
        parts = _parts(points, rows, min(FAN, -(-3 * len(rows) // (2 * size))), rng)
        if len(parts) == 1:  # rows of equal points
            parts = np.array_split(rows, -(-len(rows) // size))
        waiting.extend(reversed(parts))
    return done


def _parts(points: Points, rows: Ints, n: int, rng: np.random.Generator) -> list[Ints]:
    from archindex.indexes._faiss import faiss

    few = np.sort(rng.permutation(len(rows))[: _TRAINED_ON * n])
    sample = points(rows[few])
    kmeans = faiss.Kmeans(
        sample.shape[1],
        n,
        niter=_ROUNDS,
        seed=int(rng.integers(1 << 31)),
        min_points_per_centroid=1,
        max_points_per_centroid=_TRAINED_ON,
    )
    kmeans.train(sample)
    part = np.concatenate(
        [kmeans.index.search(points(rows[i : i + BLOCK]), 1)[1][:, 0] for i in range(0, len(rows), BLOCK)]
    )
    ordered = rows[np.argsort(part, kind="stable")]
    ends = np.cumsum(np.bincount(part, minlength=n))
    return [one for one in np.split(ordered, ends[:-1]) if len(one)]


class Centroids:
    """The centroids of the lists in memory, in a navigable graph.

    Parameters
    ----------
    graph : hnswlib.Index
        Node i is the centroid of list i.
    """

    def __init__(self, graph: Any) -> None:
        self.graph = graph

    @classmethod
    def of(cls, points: Floats, seed: int) -> Centroids:
        """Put centroids float32[n, p] into a graph, by one thread, so that it is the same each time."""
        graph = hnswlib.Index("l2", points.shape[1])
        graph.init_index(len(points), LINKS, _EF_CONSTRUCTION, seed)
        graph.add_items(points, num_threads=1)
        return cls(graph)

    def __len__(self) -> int:
        return int(self.graph.get_current_count())

    def points(self) -> Floats:
        """Return all of them; float32[n, p]."""
        found: Floats = self.graph.get_items(np.arange(len(self)))
        return found

    def nearest(self, points: Floats, n: int) -> tuple[Ints, Floats]:
        """Return the n nearest lists of each point, and the squared distances; int64 and float32 [m, n]."""
        n = min(n, len(self))
        self.graph.set_ef(max(2 * n, 64))
        try:
            found, squared = self.graph.knn_query(points, n, num_threads=1)
        except RuntimeError:  # hnswlib's way to say that it reached fewer than n
            held = self.points()
            away = (np.einsum("ij,ij->i", held - point, held - point) for point in points)  # one at a time
            found = np.empty((len(points), n), dtype=np.int64)
            squared = np.empty((len(points), n), dtype=np.float32)
            for row, one in enumerate(away):
                found[row] = np.argsort(one, kind="stable")[:n]
                squared[row] = one[found[row]]
        return found.astype(np.int64), squared


def close(
    points: Points, parts: Sequence[Ints], centroids: Centroids, copies: int, reach: float, progress: Progress
) -> tuple[Ints, Ints, Mask]:
    """Put each row into its nearest list, and into others that it lies hardly farther from.

    Another list gets a copy if its centroid is at most ``1 + reach`` times as far as the nearest, and no
    list that has the row already lies nearer to that centroid than the row does (the rule of relative
    neighbourhood graphs: lists in one direction do not all get a copy).

    Parameters
    ----------
    points : callable
    parts : sequence of int64[m]
        Rows of each list, as they were cut.
    centroids : Centroids
        Of these parts.
    copies : int
        Lists that a row lies in at most.
    reach : float

    Returns
    -------
    rows, lists, first : int64[e], int64[e], bool[e]
        Which row lies in which list, and whether it is the row's nearest.
    """
    places = centroids.points()
    rows_found: list[Ints] = []
    lists_found: list[Ints] = []
    first_found: list[Mask] = []
    for start in range(0, len(parts), 1024):
        batch = np.arange(start, min(start + 1024, len(parts)))
        near, _ = centroids.nearest(places[batch], NEAR)
        for own, others in zip(batch.tolist(), near, strict=True):
            # The list that the row was cut into comes first and keeps rows that another is as near to.
            lists = np.concatenate([[own], others[others != own]])
            row, column, first = _chosen(points(parts[own]), places[lists], copies, (1 + reach) ** 2)
            rows_found.append(parts[own][row])
            lists_found.append(lists[column])
            first_found.append(first)
        progress("close lists", int(batch[-1]) + 1, len(parts))
    return np.concatenate(rows_found), np.concatenate(lists_found), np.concatenate(first_found)


def _chosen(points: Floats, centroids: Floats, copies: int, reach: float) -> tuple[Ints, Ints, Mask]:
    """Return (row, column, is nearest) of every list chosen; `reach` is of squared distances."""
    # Around the first centroid: products of far points have no digits left for their differences.
    points, centroids = points - centroids[0], centroids - centroids[0]
    sizes = np.einsum("ij,ij->i", centroids, centroids)
    squared = np.einsum("ij,ij->i", points, points)[:, None] + sizes - 2 * (points @ centroids.T)
    np.maximum(squared, 0, out=squared)
    width = min(2 * copies, len(centroids)) if copies > 1 else 1
    if width == 1:
        row = np.arange(len(points))
        return row, squared.argmin(axis=1), np.ones(len(row), dtype=np.bool_)
    column = np.sort(np.argpartition(squared, width - 1, axis=1)[:, :width], axis=1)
    squared = np.take_along_axis(squared, column, axis=1)
    order = np.argsort(squared, axis=1, kind="stable")
    column, squared = np.take_along_axis(column, order, axis=1), np.take_along_axis(squared, order, axis=1)
    apart = np.maximum(sizes[:, None] + sizes - 2 * (centroids @ centroids.T), 0)
    chosen = squared <= reach * squared[:, :1]
    chosen[:, 0] = True
    for rank in range(1, width):
        here = np.flatnonzero(chosen[:, rank] & (chosen[:, :rank].sum(axis=1) < copies))
        hidden = np.zeros(len(here), dtype=np.bool_)
        for before in range(rank):
            gap = apart[column[here, before], column[here, rank]]
            hidden |= chosen[here, before] & (gap <= squared[here, rank])
        chosen[:, rank] = False
        chosen[here[~hidden], rank] = True
    row, at = np.nonzero(chosen)
    first: Mask = at == 0
    return row, column[row, at], first
