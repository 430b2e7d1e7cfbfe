"""What an index learns from its own rows: their intrinsic dimension, and when a search may stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

import numpy as np

from archindex.core.ranges import ranges
from archindex.core.recall import LEVELS
from archindex.core.rng import generator
from archindex.indexes._points import to_points
from archindex.indexes._scan import rows_per_block
from archindex.indexes._tables import Floats, Ints
from archindex.indexes.base import Metric, Tunable
from archindex.indexes.curve import BINS, FEW, MANY, Calibration, HitCurve
from archindex.indexes.dimension import NEIGHBOURS, median_dimension
from archindex.indexes.lists import Lists
from archindex.indexes.probe import FIRST_LISTS, Bools, Doubles, ListSearch

_QUERIES: Final = 48
_MOVED: Final = np.float32(0.7)
"""Differences between neighbours vary twice as much as one of them does."""

_BATCHES: Final = 5
"""Times as many queries show what the engine finds."""

_K: Final = FEW
_KS: Final = (FEW, MANY)
_OF_MANY: Final = 4
"""Lists of a first round that are to the `FEW` neighbours looked for what those of a search are to many."""

_SHARES: Final = (0.001, 0.01, 0.1, 0.5)
_MARGIN: Final = 0.5
"""Share of the misses that a level allows which calibration may use up; filters differ from those tried."""

_FREEST: Final = 8.0
"""Misses that may be expected over those that a level allows, at most: the curve errs on the safe side."""


_Case = tuple[str, Floats, "MaskFilter", float]
"""What kind of filter, a query, the filter, and the distance of the k-th row that it lets through."""


class MaskFilter:
    """A filter given as a truth value for each row, in list order; see `archindex.indexes.probe.Allowed`."""

    def __init__(self, mask: Bools, starts: Ints) -> None:
        self._mask, self._starts = mask, starts
        counts = np.concatenate([[0], np.cumsum(mask)])
        self.expected: Doubles = np.diff(counts[starts]).astype(np.float64)

    def judged(self, lists: Ints) -> tuple[Bools, Doubles]:
        """Return whether each of some lists holds an allowed row, and how many."""
        expected = self.expected[lists]
        return expected > 0, expected

    def within(self, lists: Ints) -> tuple[Ints, int]:
        """Return the allowed positions in some lists, and how many rows these hold."""
        rows = ranges(self._starts[lists], self._starts[lists + 1] - self._starts[lists])
        return rows[self._mask[rows]], len(rows)


def calibrate(lists: Lists, vectors: Floats, ids: Ints, engine: object = None, seed: int = 0) -> Calibration:
    """Count where neighbours lie, and try on this data when a search may stop.

    Rows of the index are the queries. Filters tried let through a share of all rows that is independent of
    the query, lies around it, or lies at the far end from it along a random direction.

    Parameters
    ----------
    lists : Lists
        Of all `vectors`.
    vectors : float32[n, dim]
        In list order.
    ids : int64[n]
        Their row ids.
    engine : VectorIndex, optional
        The engine of the same rows; its effort is found where it is a `Tunable` one.
    seed : int
        Of queries and filters.
    """
    rng = generator(seed, "calibrate")
    n = len(vectors)
    rows = rng.permutation(n)[:_QUERIES]
    queries = np.asarray(vectors[rows])
    away = _squared(queries, vectors, lists.metric)
    direction = rng.standard_normal((vectors.shape[1],)).astype(np.float32)
    step = rows_per_block(vectors.shape[1])
    along = np.concatenate([np.asarray(vectors[i : i + step]) @ direction for i in range(0, n, step)])
    # Not all of an attribute follows from where a row lies.
    along += 0.3 * np.std(along) * rng.standard_normal(n).astype(np.float32)
    rank = np.argsort(np.argsort(along))
    cases = []
    everywhere = np.arange(len(lists))
    hits, held = np.zeros(BINS), np.zeros(BINS)
    for i, query in enumerate(queries):
        squared, error = lists.squared(query)
        closest = lists.closest(squared, error)
        for what, mask in _filters(rank, int(rank[rows[i]]), rng):
            mask[rows[i]] = False
            found = np.flatnonzero(mask)
            if len(found) < _K:
                continue
            nearest, reach = _nearest(query, vectors, found, away[i, found], lists.metric)
            allowed = MaskFilter(mask, lists.starts)
            at = HitCurve.bins(lists.beyond(squared, reach, everywhere))
            list_of = np.searchsorted(lists.starts, nearest, side="right") - 1
            hits += np.bincount(at[list_of], minlength=BINS)
            # The rows of lists that the k-th neighbour rules out are not asked about.
            held += np.bincount(at, weights=allowed.expected * (closest <= reach), minlength=BINS)
            cases.append((what, query, allowed, reach))
    curve = HitCurve.counted(hits, held)
    few, many = (
        _misses(partial(ListSearch, lists, vectors, ids, first_lists=first), cases, curve)
        for first in (FIRST_LISTS, _OF_MANY)
    )
    efforts: tuple[dict[str, int], dict[str, int]] = {}, {}
    if isinstance(engine, Tunable):
        efforts = _efforts(engine, vectors, lists.metric, rng)
    return Calibration(curve, few, many, *efforts, _dimension(away))


def _misses(
    search: Callable[[Calibration], ListSearch], cases: Sequence[_Case], curve: HitCurve
) -> dict[str, float]:
    """Return for each level the largest tried share of misses expected that keeps it."""
    misses: dict[str, float] = {}
    scale = _FREEST
    for level, target in LEVELS.items():
        share = _MARGIN * (1 - target)
        while True:
            misses[level] = scale * share
            tried = search(Calibration(curve, misses, misses))
            if scale < 1e-4 or _worst(tried, cases, target) >= 1 - share:
                break
            scale *= 0.6
    return misses


def _efforts(
    engine: Tunable, vectors: Floats, metric: Metric, rng: np.random.Generator
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the least effort with which the engine surely reaches each level, for `FEW` and for `MANY`.

    A graph fails on few queries, but fails there altogether: so more are asked than of lists, and what they
    show is taken two standard errors lower.
    """
    points, reaches = zip(*(_others(vectors, metric, rng) for _ in range(_BATCHES)), strict=True)
    queries, reach = np.concatenate(points), np.concatenate(reaches)
    before = engine.effort
    found: list[dict[str, int]] = []
    for k, within in zip(_KS, reach.T, strict=True):
        efforts: dict[str, int] = {}
        for effort in engine.efforts:
            engine.effort = effort
            near = engine.search(queries, min(k, len(vectors))).distances
            recall = (near <= within[:, None]).mean(axis=1)
            mean, error = recall.mean(), recall.std() / np.sqrt(len(recall))
            for level, target in LEVELS.items():
                if mean >= 1 - _MARGIN * (1 - target) and mean - 2 * error >= target:
                    efforts.setdefault(level, effort)
            if len(efforts) == len(LEVELS):
                break
        found.append(efforts)
    engine.effort = before
    return found[0], found[1]


def _others(vectors: Floats, metric: Metric, rng: np.random.Generator) -> tuple[Floats, Doubles]:
    """Return vectors like the rows but not among them, and how far each has its k-th row, for `_KS`.

    A row itself is a node of the graph, from which a search finds its neighbours more easily than from
    where no row is. So it is moved, as one of its neighbours lies from another.
    """
    rows = np.asarray(vectors[rng.permutation(len(vectors))[:_QUERIES]])
    away = _squared(rows, vectors, metric)
    some = min(_K, away.shape[1] - 1)
    near = np.argpartition(away, (some // 2, some), axis=1)
    points: Floats = rows + _MOVED * (vectors[near[:, some // 2]] - vectors[near[:, some]])
    squared, everyone = _squared(points, vectors, metric), np.arange(len(vectors))
    reaches = [
        [_reach_of(_nearest(at, vectors, everyone, row, metric, k)[1], metric) for k in _KS]
        for at, row in zip(points, squared, strict=True)
    ]
    return points, np.array(reaches)


def _worst(search: ListSearch, cases: Sequence[_Case], recall: float) -> float:
    """Return the mean recall over the kind of filter that fares worst."""
    recalls: dict[str, list[float]] = {}
    for what, query, allowed, reach in cases:
        found = search.nearest(query, _K, allowed, recall=recall)
        assert found is not None
        true = (found.distances <= _reach_of(reach, search.lists.metric)).sum() / _K
        recalls.setdefault(what, []).append(float(true))
    return min(float(np.mean(values)) for values in recalls.values())


def _reach_of(reach: float, metric: Metric) -> float:
    """Return a distance of points as one of the metric, rounded up a little."""
    return (reach if metric == "l2" else reach * reach / 2) * (1 + 1e-4) + 1e-7


def _filters(rank: Ints, here: int, rng: np.random.Generator) -> Iterator[tuple[str, Bools]]:
    n = len(rank)
    far = here < n // 2
    for share in _SHARES:
        size = max(1, round(share * n))
        low = int(np.clip(here - size // 2, 0, n - size))
        yield f"independent {share}", rng.random(n) < share
        yield f"around {share}", (rank >= low) & (rank < low + size)
        yield f"far {share}", rank >= n - size if far else rank < size
    yield "none", np.ones(n, dtype=np.bool_)


def _squared(queries: Floats, vectors: Floats, metric: Metric) -> Floats:
    """Return the squared distances in points; float32[m, n]."""
    points, found = to_points(queries, metric), np.empty((len(queries), len(vectors)), dtype=np.float32)
    own, step = np.einsum("ij,ij->i", points, points)[:, None], rows_per_block(vectors.shape[1])
    for start in range(0, len(vectors), step):
        others = to_points(np.ascontiguousarray(vectors[start : start + step]), metric)
        sizes = np.einsum("ij,ij->i", others, others)
        found[:, start : start + step] = np.maximum(own + sizes - 2 * points @ others.T, 0)
    return found


def _nearest(
    query: Floats, vectors: Floats, rows: Ints, squared: Floats, metric: Metric, k: int = _K
) -> tuple[Ints, float]:
    """Return the k nearest of `rows` and the distance of the last, in points, measured by difference.

    `squared` comes from a product and has lost its digits where rows crowd far from the origin.
    """
    some = min(len(rows), 8 * k)
    rows = rows[np.argpartition(squared, some - 1)[:some]]
    gap = to_points(vectors[rows], metric) - to_points(query[None], metric)
    exact = np.einsum("ij,ij->i", gap, gap)
    order = np.argsort(exact)[:k]
    return rows[order], float(np.sqrt(exact[order[-1]]))


def _dimension(away: Floats) -> float:
    some = min(2 * NEIGHBOURS, away.shape[1])
    return median_dimension(np.sqrt(np.sort(np.partition(away, some - 1, axis=1)[:, :some], axis=1)))
