"""GraphBuilder and big random numbers."""

from __future__ import annotations

import numpy as np
import pytest

from archindex.core.build import GraphBuilder
from archindex.core.errors import ArgumentError
from archindex.core.rng import below, generator


def test_sums_are_edges_into_one_port() -> None:
    g = GraphBuilder()
    x = g.input(index=1)
    y = g.add("conv", x, kernel=3)
    g.output(g.add("concat", x + y, y + y, ratio=0.1))
    graph = g.graph()
    assert graph.ops == ("input", "conv", "concat", "output")
    assert graph.edges == ((0, 1, 0), (0, 2, 0), (1, 2, 0), (1, 2, 1), (1, 2, 1), (2, 3, 0))
    assert graph.attrs == ({"index": 1.0}, {"kernel": 3.0}, {"ratio": float(np.float32(0.1))}, {})


@pytest.mark.parametrize("n", [1, 5, 2**63, 2**63 + 1, 3 * 10**30])
def test_numbers_of_any_size_are_drawn(n: int) -> None:
    rng = generator(0, "below")
    drawn = [below(rng, n) for _ in range(200)]
    assert all(0 <= number < n for number in drawn)
    if n > 5:
        assert 0.4 < np.mean([number / n for number in drawn]) < 0.6
    else:
        assert set(drawn) == set(range(n))


def test_nothing_is_drawn_from_nothing() -> None:
    with pytest.raises(ArgumentError):
        below(generator(0), 0)
