"""Random graphs for property tests of whatever takes graphs, and the settings that such tests run with."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from archindex.core.graph import ArchGraph

OPS = ("conv", "max_pool", "skip", "none", "add", "sub", "frobnicate")
"""Ops that are drawn; the last is none of the vocabulary."""

unhurried = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
"""For tests that must not fail because the machine is busy."""


@st.composite
def graphs(draw: st.DrawFn, max_nodes: int = 9) -> ArchGraph:
    """Draw a graph with ports, parallel edges, dead nodes, skips and an unknown op, numbered in any order.

    Parameters
    ----------
    max_nodes : int
        Most nodes, at least 2: there is one input and one output.
    """
    inner = draw(st.lists(st.sampled_from(OPS), max_size=max_nodes - 2))
    ops = ("input", *inner, "output")
    n = len(ops)
    edge = st.tuples(st.integers(0, n - 2), st.integers(1, n - 1), st.integers(0, 1))
    edges = draw(st.lists(edge.filter(lambda e: e[0] < e[1]), max_size=2 * n))
    kernels = st.sampled_from(({}, {"kernel": 1.0}, {"kernel": 3.0, "stride": 2.0}))
    attrs = draw(st.lists(kernels, min_size=n, max_size=n))
    return ArchGraph(ops, tuple(edges), tuple(attrs)).relabelled(draw(st.permutations(range(n))))
