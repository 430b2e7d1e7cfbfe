"""Both metrics as squared Euclidean distance, which is what the approximate engines count in.

Cosine: a vector becomes its unit vector with a 0 behind it, a zero vector becomes (0, ..., 0, 1). The squared
distance of two such points is twice the cosine distance, also from a zero vector (at 2 from every unit
vector). Inner products would do as well on paper, but in float32 they cannot tell neighbours closer than
6e-8 apart, and embeddings of graphs crowd.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArgumentError
from archindex.indexes._scan import norms
from archindex.indexes._tables import Floats, Ints, Pairs
from archindex.indexes.base import Metric

MAX_NORM = 1e18
"""Longest vector that the approximate engines take under l2: longer ones overflow float32 when squared."""


def point_dim(dim: int, metric: Metric) -> int:
    """Return the entries of a point."""
    return dim + 1 if metric == "cosine" else dim


def short(vectors: Floats) -> bool:
    """Return whether `vectors` float32[n, d] are finite and all well below :data:`MAX_NORM`."""
    flat = vectors.ravel()
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(flat.dot(flat) < MAX_NORM)  # no NaN is


def refuse_long(vectors: Floats, metric: Metric) -> None:
    """Raise ArgumentError if a vector is longer than :data:`MAX_NORM` under l2."""
    sizes = norms(vectors) if metric == "l2" else np.empty(0)
    if len(sizes) and sizes.max() > MAX_NORM:
        raise ArgumentError(
            f"vectors of an approximate engine must be shorter than {MAX_NORM:g}",
            got=float(sizes.max()),
            fix="scale them, or use the exact engine",
        )


def to_points(vectors: Floats, metric: Metric) -> Floats:
    """Return `vectors` float32[n, dim] as points float32[n, point_dim].

    Raises
    ------
    ArgumentError
        If a vector is longer than :data:`MAX_NORM` under l2.
    """
    refuse_long(vectors, metric)
    if metric == "l2":
        return np.add(vectors, np.float32(0))  # -0 becomes 0, so that equal vectors are equal bytes
    wide = vectors.astype(np.float64)
    sizes64 = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    points = np.zeros((len(vectors), vectors.shape[1] + 1), dtype=np.float32)
    points[:, :-1] = wide / np.where(sizes64 == 0, 1, sizes64)[:, None] + 0.0
    points[sizes64 == 0, -1] = 1
    return points


def to_distances(squared: npt.NDArray[np.floating], queries: Floats, metric: Metric) -> Floats:
    """Return the metric's distances float32[m, w] for squared distances of points [m, w]."""
    if metric == "l2":
        distances: Floats = np.sqrt(squared).astype(np.float32)
        return distances
    found = (squared / 2).astype(np.float32)
    found[~queries.any(axis=1)] = 1  # two zero vectors are at 1 as well
    return found


def to_pairs(rows: Ints, found: Floats) -> Pairs:
    """Return hits int64[m, w] with distances float32[m, w] as pairs; rows below 0 are left out."""
    query, at = np.nonzero(rows >= 0)
    return Pairs(query, rows[query, at], found[query, at])
