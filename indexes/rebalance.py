"""Lists that have grown too large are cut, those that have shrunk to a few rows are joined to others.

As in SPFresh (Xu et al., "Incremental In-Place Update for Billion-Scale Vector Search", SOSP 2023) only the
lists concerned are touched; all others keep their centroids.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from archindex.core.rng import generator
from archindex.indexes._points import to_points
from archindex.indexes._tables import Floats, Ints
from archindex.indexes.lists import LIST_ROWS, Lists, assigned, gaps

LARGEST_LIST: Final = 4 * LIST_ROWS
"""Rows of a list from which it is cut; only rows that are all equal may be more."""

SMALL_LIST: Final = LIST_ROWS // 16
"""Rows of a list below which it is joined to others, if its rows lie within their radii."""

_ROUNDS: Final = 10
_TRAINED_ON: Final = 40
_LOPSIDED: Final = 0.9
"""Share of the rows in one part from which k-means has not cut, and the middle is taken."""


def uneven(lists: Lists) -> bool:
    """Return whether some list is so large or so small that `rebalanced` looks at it."""
    return bool((lists.sizes > LARGEST_LIST).any() or (lists.sizes < SMALL_LIST).any())


def rebalanced(lists: Lists, vectors: Floats, seed: int = 0) -> tuple[Lists, Ints]:
    """Cut lists of more than `LARGEST_LIST` rows, join small ones to others, remove empty ones.

    A list is joined only where no radius grows by it, so that no search reads more.

    Parameters
    ----------
    lists : Lists
        The lists.
    vectors : float32[n, dim]
        All their rows, in the order in which they lie.
    seed : int
        Of k-means.

    Returns
    -------
    Lists, int64[n]
        See `Lists.of`.
    """
    centroids, owner = list(lists.centroids), np.repeat(np.arange(len(lists)), lists.sizes)
    for i in np.flatnonzero(lists.sizes > LARGEST_LIST):
        inside = np.arange(lists.starts[i], lists.starts[i + 1])
        points = to_points(np.ascontiguousarray(vectors[inside]), lists.metric)
        parts = _cut(points, generator(seed, f"rebalance {i}"))
        if len(parts) > 1:  # list i is left empty
            for part in parts:
                owner[inside[part]] = len(centroids)
                centroids.append(points[part].mean(axis=0, dtype=np.float64).astype(np.float32))
    stacked = np.stack(centroids)
    _join(lists, vectors, stacked, owner)
    left, owner = np.unique(owner, return_inverse=True)
    return lists.regrouped(stacked[left], vectors, owner.reshape(-1))


def _cut(points: Floats, rng: np.random.Generator) -> list[Ints]:
    """Return parts of at most `LARGEST_LIST` points each, or of equal points; int64[size] each."""
    done, todo = [], [np.arange(len(points))]
    while todo:
        rows = todo.pop()
        if len(rows) <= LARGEST_LIST or (points[rows] == points[rows[0]]).all():
            done.append(rows)
        else:
            label = _labels(points[rows], rng)
            todo += [rows[label == i] for i in np.unique(label)]
    return done


def _labels(points: Floats, rng: np.random.Generator) -> Ints:
    """Return two or more labels for points that are not all equal; int64[n]."""
    from archindex.indexes._faiss import faiss

    kmeans = faiss.Kmeans(
        points.shape[1],
        -(-len(points) // LIST_ROWS),
        niter=_ROUNDS,
        seed=int(rng.integers(1 << 31)),
        min_points_per_centroid=1,
        max_points_per_centroid=_TRAINED_ON,
    )
    kmeans.train(points)
    label: Ints = assigned(np.asarray(kmeans.centroids), points)
    if np.bincount(label).max() <= _LOPSIDED * len(points):
        return label
    # Nearly all in one place: where k-means finds nothing, the widest direction is cut in the middle.
    along = points[:, np.argmax(points.max(axis=0) - points.min(axis=0))]
    middle = np.partition(along, len(along) // 2)[len(along) // 2]
    above = along >= middle if middle > along.min() else along > middle
    halves: Ints = above.astype(np.int64)
    return halves


def _join(lists: Lists, vectors: Floats, centroids: Floats, owner: Ints) -> None:
    """Give the rows of small lists to others in `owner`, where they lie within radii and there is room."""
    small = np.flatnonzero((lists.sizes < SMALL_LIST) & (lists.sizes > 0))
    held = np.bincount(owner, minlength=len(centroids))
    others = np.flatnonzero((held > 0) & ~np.isin(np.arange(len(centroids)), small))
    if not len(small) or not len(others):
        return
    # Of lists that were just cut out no radius is known yet: nothing is joined to them.
    radii = np.concatenate([lists.radii, np.zeros(len(centroids) - len(lists), dtype=np.float32)])
    for i in small:
        inside = np.arange(lists.starts[i], lists.starts[i + 1])
        points = to_points(np.ascontiguousarray(vectors[inside]), lists.metric)
        home = others[assigned(centroids[others], points)]
        fits = gaps(points, centroids[home]) * (1 + 1e-6) <= radii[home]
        count = held + np.bincount(home, minlength=len(held))
        if fits.all() and (count[home] <= LARGEST_LIST).all():
            owner[inside], held = home, count
