"""Lists: rows cut into k-means lists that lie side by side on disk, so that a search reads a few of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.rng import generator
from archindex.indexes._points import to_points
from archindex.indexes._scan import rows_per_block
from archindex.indexes._tables import Floats, Ints
from archindex.indexes.base import Metric

LIST_ROWS: Final = 256
"""Rows of a list on average: enough to be worth a seek, few enough to lie close together."""

_TRAINED_ON: Final = 40
"""Vectors a centroid that k-means sees."""

_ROUNDS: Final = 10
_SLACK: Final = 1e-4
"""Relative part by which radii are taken larger than they come out in float32."""


@dataclass(frozen=True, eq=False)
class Lists:
    """Where the lists of an index lie, in its rows and in space.

    Distances are those of points (see `archindex.indexes._points`), in which both metrics are Euclidean.

    Attributes
    ----------
    centroids : float32[n_lists, point_dim]
    starts : int64[n_lists + 1]
        List i is the rows at positions ``starts[i]`` to ``starts[i + 1] - 1``; it may be empty.
    radii : float32[n_lists]
        No member of a list is farther from its centroid.
    spreads : float32[n_lists]
        Root mean square of the members' distances from the centroid.
    dimensions : float32[n_lists]
        In how many directions they are spread: the participation ratio of their covariance, at least 1.
    metric : {"l2", "cosine"}
    trained : int
        Rows that there were when the centroids were made.
    """

    centroids: Floats
    starts: Ints
    radii: Floats
    spreads: Floats
    dimensions: Floats
    metric: Metric
    trained: int

    def __len__(self) -> int:
        return len(self.centroids)

    @cached_property
    def sizes(self) -> Ints:
        """Rows of each list; int64[n_lists]."""
        return np.diff(self.starts)

    @classmethod
    def of(cls, vectors: Floats, metric: Metric, seed: int = 0) -> tuple[Lists, Ints]:
        """Cut vectors into lists of about `LIST_ROWS`.

        Parameters
        ----------
        vectors : float32[n, dim]
            All rows.
        metric : {"l2", "cosine"}
        seed : int
            Of k-means.

        Returns
        -------
        Lists
            Of the vectors in their new order.
        int64[n]
            That order: which row comes to lie at each position.

        References
        ----------
        Jegou, Douze, Schmid, "Product Quantization for Nearest Neighbor Search", TPAMI 2011.
        """
        from archindex.indexes._faiss import faiss

        n, rng = len(vectors), generator(seed, "lists")
        n_lists = max(1, round(n / LIST_ROWS))
        taken = np.sort(rng.permutation(n)[: _TRAINED_ON * n_lists])
        sample = to_points(np.ascontiguousarray(vectors[taken]), metric)
        kmeans = faiss.Kmeans(
            sample.shape[1],
            n_lists,
            niter=_ROUNDS,
            seed=int(rng.integers(1 << 31)),
            min_points_per_centroid=1,
            max_points_per_centroid=_TRAINED_ON,
        )
        kmeans.train(sample)
        centroids, nearest = np.asarray(kmeans.centroids), np.empty(n, dtype=np.int64)
        for rows, points in _points(vectors, metric):
            nearest[rows] = assigned(centroids, points)
        return cls._around(centroids, vectors, nearest, metric, n)

    def with_tail(self, vectors: Floats) -> tuple[Lists, Ints]:
        """Put rows that are in no list into the nearest one each.

        Parameters
        ----------
        vectors : float32[n, dim]
            All rows: first those in the lists, then the others.

        Returns
        -------
        Lists, int64[n]
            See `of`.
        """
        tail = to_points(np.ascontiguousarray(vectors[self.starts[-1] :]), self.metric)
        nearest = np.concatenate(
            [np.repeat(np.arange(len(self)), self.sizes), assigned(self.centroids, tail)]
        )
        return self._around(self.centroids, vectors, nearest, self.metric, self.trained)

    def regrouped(self, centroids: Floats, vectors: Floats, owner: Ints) -> tuple[Lists, Ints]:
        """Put the rows into lists around other centroids.

        Parameters
        ----------
        centroids : float32[n_lists, point_dim]
        vectors : float32[n, dim]
            All rows.
        owner : int64[n]
            The list that each row is to lie in.

        Returns
        -------
        Lists, int64[n]
            See `of`.
        """
        return self._around(centroids, vectors, owner, self.metric, self.trained)

    @classmethod
    def _around(
        cls, centroids: Floats, vectors: Floats, nearest: Ints, metric: Metric, trained: int
    ) -> tuple[Lists, Ints]:
        away = np.empty(len(vectors), dtype=np.float32)
        for rows, points in _points(vectors, metric):
            # Not by faiss: what it gives loses its digits far from the origin.
            away[rows] = gaps(points, centroids[nearest[rows]])
        order = np.argsort(nearest, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(nearest, minlength=len(centroids)))])
        radii, spreads = np.zeros((2, len(centroids)), dtype=np.float32)
        held = np.flatnonzero(np.diff(starts))
        away = away[order]
        if len(held):
            radii[held] = np.maximum.reduceat(away, starts[held]) * (1 + _SLACK)
            squares = np.add.reduceat(away.astype(np.float64) ** 2, starts[held])
            spreads[held] = np.sqrt(squares / np.diff(starts)[held])
        dimensions = np.ones(len(centroids), dtype=np.float32)
        for number, (first, end) in enumerate(pairwise(starts)):
            members = np.ascontiguousarray(vectors[order[first:end]])
            dimensions[number] = _dimension(to_points(members, metric) - centroids[number])
        return cls(centroids, starts, radii, spreads, dimensions, metric, trained), order

    def keeping(self, kept: npt.NDArray[np.bool_]) -> Lists:
        """Return the lists without some rows; `kept` bool[n] says which positions stay."""
        left = np.concatenate([[0], np.cumsum(kept)])
        return replace(self, starts=left[self.starts])

    def hold(self, vectors: Floats) -> bool:
        """Return whether these rows float32[n, dim] lie in the lists, within their radii."""
        if self.starts[0] != 0 or (self.sizes < 0).any() or self.starts[-1] != len(vectors):
            return False
        owner = np.repeat(np.arange(len(self)), self.sizes)
        return all(
            (gaps(points, self.centroids[owner[rows]]) <= self.radii[owner[rows]]).all()
            for rows, points in _points(vectors, self.metric)
        )

    def squared(self, query: Floats) -> tuple[Floats, Floats]:
        """Return the squared distance of a vector float32[dim] to each centroid, and how far off it may be.

        Returns
        -------
        float32[n_lists]
            Not below 0.
        float32[n_lists]
            Bound of the rounding error of the first (Higham, Accuracy and Stability of Numerical Algorithms,
            3.1).
        """
        point = query if self.metric == "l2" else to_points(query[None], self.metric)[0]
        size = np.float32(point @ point)
        squared = self._squares - 2 * (self.centroids @ point) + size
        unit = np.float32((len(point) + 8) * np.finfo(np.float32).eps)
        return np.maximum(squared, 0), unit * 2 * (self._squares + size)

    def beyond(self, squared: Floats, reach: float, of: Ints) -> Floats:
        """Return how far out of some lists a ball around a query lies, in deviations of their rows.

        A row at distance s from the centroid, which is at distance D from the query, is nearer to it than
        `reach` if the cosine of the angle between them at the centroid is above
        ``(D^2 + s^2 - reach^2) / (2 D s)``. In m dimensions, cosines with one direction deviate by
        ``1 / sqrt(m)``.

        Parameters
        ----------
        squared : float32[n]
            What `squared` gave for them.
        reach : float
            Radius of the ball.
        of : int64[n]
            The lists.

        Returns
        -------
        float32[n]
            Below 0 for a ball that holds more than half of the list.
        """
        beyond: Floats = squared + self._own_squares[of]
        with np.errstate(over="ignore", invalid="ignore"):
            beyond -= np.float32(reach * reach)
            beyond *= self._sharpness[of]
            beyond /= np.maximum(np.sqrt(squared), np.float32(1e-30))
        return beyond

    @cached_property
    def _own_squares(self) -> Floats:
        squares: Floats = self.spreads * self.spreads
        return squares

    @cached_property
    def _sharpness(self) -> Floats:
        sharpness = np.sqrt(self.dimensions) / np.maximum(2 * self.spreads, np.float32(1e-30))
        return sharpness.astype(np.float32)

    def closest(self, squared: Floats, error: Floats) -> Floats:
        """Return the least distance that a row of each list can have, from what `squared` gave."""
        least: Floats = np.sqrt(np.maximum(squared - error, 0)) - self.radii
        return least

    @cached_property
    def _squares(self) -> Floats:
        squares: Floats = np.einsum("ij,ij->i", self.centroids, self.centroids)
        return squares


def _points(vectors: Floats, metric: Metric) -> Iterator[tuple[slice, Floats]]:
    step = rows_per_block(vectors.shape[1])
    for start in range(0, len(vectors), step):
        rows = slice(start, start + step)
        yield rows, to_points(np.ascontiguousarray(vectors[rows]), metric)


def gaps(a: Floats, b: Floats) -> Floats:
    """Return the distance of each row of `a` to the same row of `b`, by difference."""
    gap = a - b
    distances: Floats = np.sqrt(np.einsum("ij,ij->i", gap, gap))
    return distances


def _dimension(gaps: Floats) -> float:
    """Return the participation ratio of a cloud float32[n, d] around 0: 1 of a line, d of a round ball."""
    if len(gaps) < 3:
        return 1.0
    products = gaps @ gaps.T if len(gaps) < gaps.shape[1] else gaps.T @ gaps
    total, squares = float(np.trace(products)), float(np.vdot(products, products))
    return max(1.0, total * total / squares) if squares > 0 else 1.0


def assigned(centroids: Floats, points: Floats) -> Ints:
    """Return the nearest centroid of each point; int64[n]."""
    from archindex.indexes._faiss import faiss

    flat = faiss.IndexFlatL2(centroids.shape[1])
    flat.add(centroids)
    found: Ints = flat.search(points, 1)[1][:, 0]
    return found
