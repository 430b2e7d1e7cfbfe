"""Vectors to test engines on, and their distances counted in float64."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from archindex.indexes.base import Metric


def true_distances(vectors: npt.ArrayLike, query: npt.ArrayLike, metric: Metric) -> npt.NDArray[np.float64]:
    """Return the distance float64[n] of each of `vectors` [n, d] to `query` [d], counted in float64."""
    a, b = np.asarray(vectors, dtype=np.float64), np.asarray(query, dtype=np.float64)
    if metric == "l2":
        return np.asarray(np.sqrt(((a - b) ** 2).sum(axis=1)))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b)
    cosine = np.divide(a @ b, lengths, out=np.zeros(len(a)), where=lengths > 0)
    return np.asarray(1 - cosine)


def clustered(n: int, dim: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Return n vectors in clusters of low dimension, which is how embeddings lie."""
    random = np.random.default_rng(seed)
    inner = random.normal(size=(12, 6))[random.integers(12, size=n)] + 0.3 * random.normal(size=(n, 6))
    vectors = np.tanh(inner @ random.normal(size=(6, dim))) + 0.02 * random.normal(size=(n, dim))
    found: npt.NDArray[np.float32] = vectors.astype(np.float32)
    return found
