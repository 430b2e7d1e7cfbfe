"""Recall of approximate searches, ties counted as hits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from archindex.core.checks import check_int
from archindex.core.errors import ArgumentError
from archindex.indexes.base import DISTANCE_ATOL, DISTANCE_RTOL


def recall_at_k(found: npt.ArrayLike, exact: npt.ArrayLike, k: int) -> npt.NDArray[np.float64]:
    """Return the recall@k of each query.

    A row that came back is a hit if it is no farther than the k-th nearest, within the tolerance of the
    engines' distances: where several rows are equally far, which of them comes back does not matter.

    Parameters
    ----------
    found : array_like of float, shape (m, >=k)
        Distances of the rows that came back, infinite where none did. They must be true distances: check
        them by recomputation first.
    exact : array_like of float, shape (m, >=k)
        Distances of the true nearest rows, infinite where there are fewer.
    k : int
        At least 1.

    Returns
    -------
    ndarray of float64, shape (m,)
        Hits divided by k, or by the number of rows where there are fewer; 1 where there is none.

    Raises
    ------
    ArgumentError
        If the shapes do not fit.
    """
    check_int("k", k, low=1)
    got, true = np.asarray(found, dtype=np.float64), np.asarray(exact, dtype=np.float64)
    if got.ndim != 2 or true.ndim != 2 or len(got) != len(true) or min(got.shape[1], true.shape[1]) < k:
        raise ArgumentError(f"expected distances of shape (m, {k}) or wider", got=(got.shape, true.shape))
    got, true = got[:, :k], true[:, :k]
    there = np.isfinite(true).sum(axis=1)
    farthest = np.where(np.isfinite(true), true, true.min(axis=1, keepdims=True)).max(axis=1)
    farthest[there == 0] = 0.0
    limit = farthest + DISTANCE_ATOL + DISTANCE_RTOL * np.abs(farthest)
    hits = (np.isfinite(got) & (got <= limit[:, None])).sum(axis=1)
    return np.where(there > 0, np.minimum(hits, there) / np.maximum(there, 1), 1.0)
