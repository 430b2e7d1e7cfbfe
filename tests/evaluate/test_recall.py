from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archindex.core.errors import ArgumentError
from archindex.evaluate.recall import recall_at_k

INF = np.inf


@pytest.mark.parametrize(
    ("found", "exact", "k", "recall"),
    [
        ([[0.0, 1.0, 2.0]], [[0.0, 1.0, 2.0]], 3, 1.0),
        ([[0.0, 2.0, 3.0]], [[0.0, 1.0, 2.0]], 3, 2 / 3),
        ([[2.0, 2.0, 2.0]], [[1.0, 2.0, 2.0]], 3, 1.0),  # any of the tied rows will do
        ([[0.0, 1.0, INF]], [[0.0, 1.0, 2.0]], 3, 2 / 3),
        ([[0.0, INF, INF]], [[0.0, INF, INF]], 3, 1.0),  # there is only one row
        ([[INF, INF]], [[INF, INF]], 2, 1.0),
        ([[INF, INF]], [[0.0, INF]], 2, 0.0),
        ([[1.0 + 1e-7, 9.0]], [[1.0, 2.0]], 1, 1.0),
        ([[1.001, 9.0]], [[1.0, 2.0]], 1, 0.0),
    ],
)
def test_by_hand(found: list[list[float]], exact: list[list[float]], k: int, recall: float) -> None:
    assert recall_at_k(found, exact, k).tolist() == pytest.approx([recall])


@given(st.lists(st.integers(0, 6), min_size=4, max_size=12), st.integers(1, 4), st.integers(0, 10**6))
def test_against_counting_by_hand(distances: list[int], k: int, seed: int) -> None:
    exact = np.sort(np.array(distances, dtype=float))
    picked = np.sort(np.random.default_rng(seed).permutation(exact)[:k])
    expected = sum(d <= exact[k - 1] for d in picked) / k
    assert recall_at_k(picked[None], exact[None], k)[0] == pytest.approx(expected)


def test_shapes_are_checked() -> None:
    with pytest.raises(ArgumentError, match="shape"):
        recall_at_k([[1.0]], [[1.0, 2.0]], 2)
    with pytest.raises(ArgumentError, match="k must"):
        recall_at_k([[1.0]], [[1.0]], 0)
