"""Diverse results: near the query and yet apart, or a few rows that stand for many."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from archindex.core.checks import check_float, check_int, check_vectors
from archindex.core.deadline import check_time
from archindex.core.errors import ArgumentError
from archindex.core.rng import generator

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

GROUND: Final = 10_000
"""Rows that are to be covered, at most; of more, so many are drawn."""

CENTRES: Final = 2_000
"""Rows among which those that stand for others are chosen, at most; of more, so many are drawn."""

_BLOCK: Final = 1 << 16


@dataclass(frozen=True, eq=False)
class Covering:
    """Rows that stand for others.

    Attributes
    ----------
    chosen : ndarray of int64, shape (c,)
        Positions among the rows given, in the order of choice.
    stands_for : ndarray of int64, shape (n,)
        For each row, which of those chosen is nearest.
    distances : ndarray of float64, shape (n,)
        How far it is.
    sampled : bool
        Whether they were chosen on a sample of the rows.
    """

    chosen: Ints
    stands_for: Ints
    distances: Doubles
    sampled: bool


def points_of(vectors: npt.ArrayLike, metric: Literal["l2", "cosine"]) -> Doubles:
    """Return vectors as points whose Euclidean distances are ``d`` for l2 and ``sqrt(2 d)`` for cosine.

    A zero vector is at cosine distance 1 from every other.
    """
    points = check_vectors("vectors", vectors).astype(np.float64)
    if metric == "l2":
        return points
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    return np.hstack([points / np.where(lengths == 0, 1, lengths), lengths == 0])


def spread(
    vectors: npt.ArrayLike,
    distances: npt.ArrayLike,
    ids: npt.ArrayLike,
    k: int,
    diversity: float,
    metric: Literal["l2", "cosine"] = "l2",
) -> Ints:
    """Choose k of some rows near a query, so that they are also apart: maximal marginal relevance.

    The first is the nearest. Each that follows has the largest ``diversity * (distance to the nearest row
    chosen so far) - (1 - diversity) * (distance to the query)``, where similarity is distance with the
    opposite sign. Equal ones are chosen by rising id.

    Parameters
    ----------
    vectors : array_like of float32, shape (n, d)
        The rows.
    distances : array_like of float32, shape (n,)
        Their distances to the query, in the metric.
    ids : array_like of int64, shape (n,)
        Their ids.
    k : int
        How many to choose, at least 1; all where there are fewer.
    diversity : float
        From 0, the nearest, to 1, those farthest apart.
    metric : {"l2", "cosine"}

    Returns
    -------
    ndarray of int64, shape (min(k, n),)
        Positions in the order of choice.

    Raises
    ------
    ArgumentError
        If `k` or `diversity` is out of range.

    References
    ----------
    Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing
    Summaries", SIGIR 1998. With ``diversity=1`` it is farthest-first traversal: Gonzalez, "Clustering to
    Minimize the Maximum Intercluster Distance", Theoretical Computer Science 1985.
    """
    k = check_int("k", k, low=1)
    diversity = check_float("diversity", diversity, low=0.0, high=1.0)
    by_id = np.argsort(np.asarray(ids), kind="stable")
    if not len(by_id):
        return np.empty(0, dtype=np.int64)
    points = points_of(vectors, metric)[by_id]
    away = np.asarray(distances, dtype=np.float64)[by_id]
    apart = np.full(len(points), np.inf)
    chosen = [int(np.argmin(away))]
    while len(chosen) < min(k, len(points)):
        check_time()
        apart = np.minimum(apart, _from(points, chosen[-1], metric))
        worth = diversity * apart - (1 - diversity) * away
        worth[chosen] = -np.inf
        chosen.append(int(np.argmax(worth)))
    return by_id[chosen]


def cover(
    vectors: npt.ArrayLike,
    ids: npt.ArrayLike,
    k: int,
    metric: Literal["l2", "cosine"] = "l2",
    *,
    seed: int = 0,
) -> Covering:
    """Choose k rows that stand for all: each row is to have one of them near.

    What is maximised is the facility location of the rows, the sum over all of the similarity to the nearest
    one chosen, where similarity is the largest distance less the distance. It is submodular, so that choosing
    the row that adds most, again and again, reaches at least ``1 - 1/e`` of the best choice. A row is asked
    again what it adds only when what it added before would make it the next. Equal ones are chosen by rising
    id.

    Of more than `GROUND` rows a sample of so many is covered by rows of a sample of `CENTRES`; the guarantee
    is for these. Every row is then assigned.

    Parameters
    ----------
    vectors : array_like of float32, shape (n, d)
        The rows.
    ids : array_like of int64, shape (n,)
        Their ids.
    k : int
        How many to choose, at least 1; fewer are chosen where more would add nothing.
    metric : {"l2", "cosine"}
    seed : int
        Of the samples.

    Raises
    ------
    ArgumentError
        If `k` is not a positive whole number, or there is no row.

    References
    ----------
    Nemhauser, Wolsey, Fisher, "An Analysis of Approximations for Maximizing Submodular Set Functions",
    Mathematical Programming 1978. Minoux, "Accelerated Greedy Algorithms for Maximizing Submodular Set
    Functions", Optimization Techniques 1978.
    """
    k, seed = check_int("k", k, low=1), check_int("seed", seed, low=0)
    by_id = np.argsort(np.asarray(ids), kind="stable")
    rows = np.asarray(vectors, dtype=np.float32)
    n = len(by_id)
    if n == 0:
        raise ArgumentError("expected rows to cover", got=0)
    drawn = generator(seed, "cover").permutation(n)
    ground, centres = np.sort(drawn[:GROUND]), np.sort(drawn[:CENTRES])
    far = _matrix(points_of(rows[by_id[centres]], metric), points_of(rows[by_id[ground]], metric), metric)
    chosen = by_id[centres[_greedy(far, k)]]
    nearest, away = _assigned(rows, chosen, metric)
    return Covering(chosen, nearest, away, sampled=n > CENTRES)


def _greedy(far: npt.NDArray[np.floating], k: int) -> list[int]:
    """Return the rows of a matrix of distances [centres, ground] that the lazy greedy algorithm chooses."""
    nearest = np.full(far.shape[1], far.max(initial=0), dtype=np.float64)
    gains = [(-float(np.maximum(nearest - row, 0).sum()), i, 0) for i, row in enumerate(far)]
    heapq.heapify(gains)
    chosen: list[int] = []
    while gains and len(chosen) < k:
        check_time()
        gain, i, asked = heapq.heappop(gains)
        if asked < len(chosen):
            # Rounding keeps the order of sums taken in one order, so what was said before bounds this.
            gain = -float(np.maximum(nearest - far[i], 0).sum())
            heapq.heappush(gains, (gain, i, len(chosen)))
        elif gain == 0 and chosen:
            break
        else:
            chosen.append(i)
            nearest = np.minimum(nearest, far[i])
    return chosen


def _from(points: Doubles, i: int, metric: str) -> Doubles:
    gap = points - points[i]
    squared: Doubles = np.einsum("ij,ij->i", gap, gap)
    return np.sqrt(squared) if metric == "l2" else squared / 2


def _matrix(centres: Doubles, ground: Doubles, metric: str) -> npt.NDArray[np.float32]:
    """Return the distances float32[c, g], by difference where that is few, by product where it is many."""
    far = np.empty((len(centres), len(ground)), dtype=np.float32)
    middle = ground.mean(axis=0)
    a, b = centres - middle, ground - middle
    sizes = np.einsum("ij,ij->i", b, b)
    for i in range(0, len(a), 256):
        check_time()
        part = a[i : i + 256]
        squared = np.einsum("ij,ij->i", part, part)[:, None] + sizes - 2 * (part @ b.T)
        squared = np.maximum(squared, 0)
        far[i : i + 256] = np.sqrt(squared) if metric == "l2" else squared / 2
    return far


def _assigned(
    rows: npt.NDArray[np.float32], chosen: Ints, metric: Literal["l2", "cosine"]
) -> tuple[Ints, Doubles]:
    """Return for each row which of those chosen is nearest, and how far."""
    centres = points_of(rows[chosen], metric)
    middle = centres.mean(axis=0)
    sizes = np.einsum("ij,ij->i", centres - middle, centres - middle)
    nearest, away = np.empty(len(rows), dtype=np.int64), np.empty(len(rows))
    for start in range(0, len(rows), _BLOCK):
        check_time()
        part = slice(start, start + _BLOCK)
        points = points_of(rows[part], metric)
        nearest[part] = np.argmin(sizes - 2 * ((points - middle) @ (centres - middle).T), axis=1)
        gap = points - centres[nearest[part]]
        squared = np.einsum("ij,ij->i", gap, gap)
        away[part] = np.sqrt(squared) if metric == "l2" else squared / 2
    nearest[chosen], away[chosen] = np.arange(len(chosen)), 0.0
    return nearest, away
