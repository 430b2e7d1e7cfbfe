"""Rows near and apart, and rows that stand for many: against brute force, and the guarantee of greedy."""

from __future__ import annotations

from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archindex.core.errors import ArgumentError
from archindex.queries import diverse
from archindex.queries.diverse import cover, spread

Metric = Literal["l2", "cosine"]
Doubles = npt.NDArray[np.float64]


def between(vectors: npt.NDArray[np.float32], metric: Metric) -> Doubles:
    """Distances of all pairs, by the definitions of the metrics."""
    rows = vectors.astype(np.float64)
    if metric == "l2":
        return np.array([[np.sqrt(((a - b) ** 2).sum()) for b in rows] for a in rows])
    far = np.ones((len(rows), len(rows)))
    for i, a in enumerate(rows):
        for j, b in enumerate(rows):
            if a.any() and b.any():
                far[i, j] = 1 - (a / np.linalg.norm(a)) @ (b / np.linalg.norm(b))
    return far


def grid(seed: int, n: int, dim: int = 2) -> npt.NDArray[np.float32]:
    """Points with small whole coordinates: many distances are equal, and all l2 arithmetic is alike."""
    return np.random.default_rng(seed).integers(0, 5, size=(n, dim)).astype(np.float32)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(0, 25),
    k=st.integers(1, 12),
    diversity=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
)
def test_spread_is_the_greedy_choice(seed: int, n: int, k: int, diversity: float) -> None:
    vectors, rng = grid(seed, n), np.random.default_rng(seed)
    ids, query = rng.permutation(1000)[:n], np.array([1, 2], dtype=np.float32)
    away = np.sqrt(((vectors - query) ** 2).sum(axis=1))
    far = between(vectors, "l2")
    chosen: list[int] = []
    while len(chosen) < min(k, n):
        worth = {
            i: (diversity * min((far[i, j] for j in chosen), default=0.0))
            - ((1 - diversity) if chosen else 1) * float(away[i])
            for i in range(n)
            if i not in chosen
        }
        chosen.append(min(worth, key=lambda i: (-worth[i], ids[i])))
    found = spread(vectors, away, ids, k, diversity)
    # Where two are equal but for the last bit, either may come first; then what they are worth is equal.
    if found.tolist() != chosen:
        first = next(i for i, (a, b) in enumerate(zip(found, chosen, strict=True)) if a != b)
        a, b = int(found[first]), chosen[first]
        near = [min((far[i, j] for j in chosen[:first]), default=0.0) for i in (a, b)]
        scores = [diversity * d - (1 - diversity) * float(away[i]) for d, i in zip(near, (a, b), strict=True)]
        assert abs(scores[0] - scores[1]) < 1e-6


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_the_trade_off_runs_from_near_to_apart(metric: Metric) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 5)).astype(np.float32)
    away = between(vectors, metric)[0].astype(np.float32)
    ids = np.arange(300)
    assert (
        spread(vectors, away, ids, 10, 0.0, metric).tolist() == np.argsort(away, kind="stable")[:10].tolist()
    )
    near, apart = [], []
    for diversity in (0.0, 0.3, 0.6, 1.0):
        chosen = spread(vectors, away, ids, 10, diversity, metric)
        assert chosen[0] == np.argmin(away)
        assert len(set(chosen.tolist())) == 10
        far = between(vectors[chosen], metric)
        near.append(float(away[chosen].mean()))
        apart.append(float(far[np.triu_indices(10, 1)].min()))
    assert near == sorted(near)
    assert apart == sorted(apart)
    assert apart[-1] > 2 * apart[0]


def value(far: Doubles, chosen: tuple[int, ...]) -> float:
    """Facility location of a choice."""
    return float((far.max() - far[list(chosen)].min(axis=0)).sum())


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 11),
    k=st.integers(1, 4),
    metric=st.sampled_from(["l2", "cosine"]),
)
def test_cover_is_greedy_and_within_its_guarantee_of_the_optimum(
    seed: int, n: int, k: int, metric: Metric
) -> None:
    vectors = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    ids = np.random.default_rng(seed + 1).permutation(100)[:n]
    far = between(vectors, metric)
    covering = cover(vectors, ids, k, metric)
    chosen = covering.chosen.tolist()
    assert len(set(chosen)) == len(chosen) <= min(k, n)
    assert not covering.sampled
    best = max(value(far, choice) for choice in combinations(range(n), min(k, n)))
    assert value(far, tuple(chosen)) >= (1 - 1 / np.e) * best - 1e-9
    # Plain greedy adds as much in every step.
    for step in range(len(chosen)):
        reached = value(far, tuple(chosen[: step + 1]))
        most = max(value(far, (*chosen[:step], i)) for i in range(n))
        assert reached >= most - 1e-4 * max(1.0, most)
    assert np.allclose(covering.distances, far[chosen].min(axis=0), atol=1e-6)
    assert np.allclose(far[chosen][covering.stands_for, np.arange(n)], covering.distances, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 30), k=st.integers(1, 8))
def test_lazy_greedy_is_greedy(seed: int, n: int, k: int) -> None:
    far = np.random.default_rng(seed).integers(0, 6, size=(n, n)).astype(np.float32)
    nearest = np.full(n, far.max(), dtype=np.float64)
    plain: list[int] = []
    for _ in range(min(n, k)):
        gains = [-1.0 if i in plain else np.maximum(nearest - far[i], 0).sum() for i in range(n)]
        if max(gains) == 0 and plain:
            break
        plain.append(int(np.argmax(gains)))
        nearest = np.minimum(nearest, far[plain[-1]])
    assert diverse._greedy(far, k) == plain


def test_cover_of_copies_says_that_one_is_enough() -> None:
    vectors = np.ones((50, 3), dtype=np.float32)
    covering = cover(vectors, np.arange(50)[::-1], 5)
    assert covering.chosen.tolist() == [49]  # the one with the lowest id
    assert covering.distances.max() == 0


def test_cover_of_many_is_chosen_on_a_sample_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(6, 4)) * 20
    vectors = (centres[rng.integers(6, size=3_000)] + rng.normal(size=(3_000, 4))).astype(np.float32)
    whole = cover(vectors, np.arange(3_000), 6)
    assert whole.sampled
    monkeypatch.setattr(diverse, "GROUND", 400)
    monkeypatch.setattr(diverse, "CENTRES", 100)
    drawn = cover(vectors, np.arange(3_000), 6, seed=1)
    assert drawn.sampled
    assert drawn.chosen.tolist() == cover(vectors, np.arange(3_000), 6, seed=1).chosen.tolist()
    assert (
        len(np.unique(np.linalg.norm(vectors[drawn.chosen][:, None] - centres, axis=2).argmin(axis=1))) == 6
    )
    assert drawn.distances.mean() < 1.3 * whole.distances.mean()
    near = np.linalg.norm(vectors[:, None].astype(np.float64) - vectors[drawn.chosen], axis=2).min(axis=1)
    assert np.allclose(drawn.distances, near, atol=1e-5)


def test_what_is_refused() -> None:
    vectors = np.zeros((3, 2), dtype=np.float32)
    for bad in ({"k": 0, "diversity": 0.5}, {"k": 1, "diversity": 1.5}):
        with pytest.raises(ArgumentError):
            spread(vectors, np.zeros(3), np.arange(3), int(bad["k"]), bad["diversity"])
    with pytest.raises(ArgumentError, match="rows to cover"):
        cover(vectors[:0], [], 2)
    with pytest.raises(ArgumentError):
        cover(vectors, np.arange(3), 0)
