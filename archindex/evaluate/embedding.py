"""Does near mean alike? Measures of an embedding of architectures: its neighbours, distances and lines.

All distances are Euclidean and exact. What is measured of the architectures (accuracies, edit distances) is
compared with where they lie; no measure changes when the vectors are moved, turned, mirrored or scaled as a
whole.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import kendalltau, spearmanr

from archindex.core.checks import check_ids, check_int, check_vectors
from archindex.core.errors import ArgumentError
from archindex.core.rng import generator

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NEIGHBOURS: Final = 10
"""Neighbours that the field's kNN measures look at."""

_TIE: Final = 1e-5
"""Squared distances that differ by less, as a share of the mean one from the centre, are taken as equal."""

_BLOCK: Final = 1024  # rows whose distances to all others are held at a time


def nearest_others(vectors: npt.ArrayLike, k: int = NEIGHBOURS, *, seed: int = 0) -> Ints:
    """Return the `k` nearest other rows of every row, in no particular order.

    Parameters
    ----------
    vectors : array_like of float, shape (n, dim)
        Embeddings of at least k + 1 architectures.
    k : int
        Number of neighbours.
    seed : int
        Decides among rows that are equally far.

    Returns
    -------
    ndarray of int64, shape (n, k)

    Raises
    ------
    ArgumentError
        If the vectors are not finite, or there are not more than `k` of them.
    """
    points = check_vectors("vectors", vectors)
    if len(points) <= check_int("k", k, low=1):
        raise ArgumentError(f"expected more than {k} vectors", got=len(points))
    points = _centred(points)
    squares = (points * points).sum(axis=1)
    # Rounding would decide among equally far rows, and it depends on where they lie: what is drawn is larger.
    rng = generator(seed, "nearest others")
    tie = np.float32(_TIE * (float(squares.mean()) or 1.0))
    nearest = np.empty((len(points), k), dtype=np.int64)
    for start in range(0, len(points), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(points)))
        distances = squares - 2 * points[rows] @ points.T
        distances += tie * rng.random(distances.shape, dtype=np.float32)
        np.fill_diagonal(distances[:, rows], np.inf)
        nearest[rows] = np.argpartition(distances, k - 1, axis=1)[:, :k]
    return nearest


def neighbour_regression(neighbours: Ints, values: npt.ArrayLike) -> float:
    """Return Kendall's tau between values and their prediction, the mean of the neighbours' values.

    Parameters
    ----------
    neighbours : ndarray of int64, shape (n, k)
        Neighbours of every row, itself not among them (leave-one-out).
    values : array_like of float, shape (n,)
        What is predicted, for example accuracies.

    Returns
    -------
    float
        From -1 to 1; NaN where all values or all predictions are equal.

    Raises
    ------
    ArgumentError
        If the values are not finite or not one for each row.
    """
    known = _values(values, len(neighbours))
    return float(kendalltau(known[neighbours].mean(axis=1), known)[0])


def neighbour_difference(neighbours: Ints, values: npt.ArrayLike) -> float:
    """Return the mean absolute difference of values between a row and its neighbours.

    Arguments and errors are those of `neighbour_regression`.
    """
    known = _values(values, len(neighbours))
    return float(np.abs(known[neighbours] - known[:, None]).mean())


def random_difference(values: npt.ArrayLike) -> float:
    """Return the mean absolute difference of values over all pairs of rows, exactly.

    What `neighbour_difference` is without any embedding (Gini's mean difference).

    Raises
    ------
    ArgumentError
        If the values are not finite, or there are fewer than two.
    """
    known = np.sort(_values(values))
    n = len(known)
    if n < 2:
        raise ArgumentError("expected at least two values", got=n)
    known -= known.mean()
    return float((known * (2 * np.arange(n) - n + 1)).sum() * 2 / (n * (n - 1)))


def distance_agreement(
    vectors: npt.ArrayLike, a: npt.ArrayLike, b: npt.ArrayLike, distances: npt.ArrayLike
) -> float:
    """Return Spearman's rank correlation of the distances in the embedding with distances that are known.

    Parameters
    ----------
    vectors : array_like of float, shape (n, dim)
        Embeddings.
    a, b : array_like of int, shape (m,)
        Rows of each pair.
    distances : array_like of float, shape (m,)
        How far the two architectures of each pair are, for example by graph edit distance.

    Returns
    -------
    float
        From -1 to 1; NaN where all distances of one kind are equal.

    Raises
    ------
    ArgumentError
        If the vectors or distances are not finite, or lengths do not fit.
    """
    points = check_vectors("vectors", vectors).astype(np.float64)
    left, right = check_ids("a", a), check_ids("b", b)
    known = _values(distances, len(left))
    if len(right) != len(left) or max(left.max(initial=0), right.max(initial=0)) >= len(points):
        raise ArgumentError(f"expected pairs of rows up to {len(points) - 1}", got=(left.shape, right.shape))
    found = np.linalg.norm(points[left] - points[right], axis=1)
    if len(known) < 2 or np.ptp(known) == 0 or np.ptp(found) == 0:
        return float("nan")
    return float(spearmanr(found, known)[0])


def interpolation_error(
    vectors: npt.ArrayLike, values: npt.ArrayLike, *, pairs: int = 1000, steps: int = 8, seed: int = 0
) -> float:
    """Return how far values along straight lines are from a steady change between the ends.

    Lines join random pairs of rows. At each of the points between, the row nearest to it, other than the two
    ends, is compared with what is proportionally between the values of the ends.

    Parameters
    ----------
    vectors : array_like of float, shape (n, dim)
        Embeddings of at least three architectures.
    values : array_like of float, shape (n,)
        What shall change steadily, for example accuracies.
    pairs, steps : int
        Number of lines, and of the steps on each.
    seed : int
        Decides the pairs.

    Returns
    -------
    float
        Mean absolute difference, as a share of the mean absolute difference of the ends; 0 is a steady
        change, and about 1 is what rows drawn at random would give. NaN where all ends are equal.

    Raises
    ------
    ArgumentError
        If vectors or values are not finite, lengths do not fit, or a number is out of range.
    """
    points = check_vectors("vectors", vectors)
    known = _values(values, len(points))
    n = check_int("number of vectors", len(points), low=3)
    count, n_steps = check_int("pairs", pairs, low=1), check_int("steps", steps, low=2)
    rng = generator(seed, "interpolation")
    first = rng.integers(n, size=count)
    last = (first + rng.integers(1, n, size=count)) % n
    points = _centred(points)
    squares = (points * points).sum(axis=1)
    rows, total = np.arange(count), 0.0
    for step in range(1, n_steps):
        share = step / n_steps
        between = points[first] + share * (points[last] - points[first])
        distances = squares - 2 * between.astype(np.float32) @ points.T
        distances[rows, first] = distances[rows, last] = np.inf
        steady = known[first] + share * (known[last] - known[first])
        total += float(np.abs(known[distances.argmin(axis=1)] - steady).mean())
    ends = float(np.abs(known[first] - known[last]).mean())
    return total / (n_steps - 1) / ends if ends else float("nan")


def _centred(points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Move the points to their mean: differences of large squares would lose the small distances."""
    centre: npt.NDArray[np.float32] = points.mean(axis=0, dtype=np.float64).astype(np.float32)
    return points - centre


def _values(values: npt.ArrayLike, n: int | None = None) -> Floats:
    known = np.array(values, dtype=np.float64)
    if known.ndim != 1 or (n is not None and len(known) != n) or not np.isfinite(known).all():
        expected = f"{n} finite numbers" if n is not None else "finite numbers in one dimension"
        raise ArgumentError(f"expected {expected}", got=known)
    return known
