"""From graphs back to decisions: what leaves no trace, what is told apart, what is no such graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archindex.core.build import GraphBuilder, Terms
from archindex.core.canonical import arch_id, canonical_form
from archindex.core.graph import ArchGraph
from archindex.spaces.match import Pick, find_decisions
from archindex.testing.strategies import unhurried


def chain(g: GraphBuilder, pick: Pick) -> None:
    """Five places for a convolution, a zero or a skip, each beside a residual edge."""
    x = g.input()
    for _ in range(5):
        x = x + layer(g, x, pick(4))
    g.output(x)


def layer(g: GraphBuilder, x: Terms, option: int) -> Terms:
    """Apply one of four ops."""
    if option < 2:
        return g.add("conv", x, kernel=2 * option + 1)
    return g.add("skip" if option == 2 else "none", x)


def gates(g: GraphBuilder, pick: Pick) -> None:
    """Products and concatenations of two branches, each of which may be zero."""
    x = g.input()
    for _ in range(2):
        left, right = layer(g, x, pick(4)), layer(g, x, pick(4))
        x = x + g.add("mul", left + right if pick(2) else left, right)
    left, middle = layer(g, x, pick(4)), layer(g, x, pick(4))
    g.output(g.add("concat", left, middle + x, layer(g, x, pick(4))))


def branches(g: GraphBuilder, pick: Pick) -> None:
    """Two branches of any length up to three, swapped or not."""
    x = g.input(index=0)
    ends: list[Terms] = []
    for _ in range(2):
        y = x
        for _ in range(pick(4)):
            y = g.add("conv", y, kernel=2 * pick(2) + 1)
        ends.append(y)
    if pick(2):
        ends.reverse()
    g.output(g.add("sub", *ends))


def built(build: Callable[[GraphBuilder, Pick], None], answers: list[int]) -> ArchGraph:
    """Return the graph of some answers, each taken modulo the number of options."""
    given = iter(answers)
    g = GraphBuilder()
    build(g, lambda n: next(given) % n)
    return g.graph()


BUILDS = {"chain": chain, "gates": gates, "branches": branches}
every_build = pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
answers = st.lists(st.integers(0, 11), min_size=12, max_size=12)


@every_build
def test_decisions_build_the_graph_however_numbered(build: Callable[[GraphBuilder, Pick], None]) -> None:
    @unhurried
    @given(answers, st.integers(0, 2**32 - 1))
    def check(listed: list[int], seed: int) -> None:
        graph = built(build, listed)
        order = np.random.default_rng(seed).permutation(graph.n_nodes)
        found = find_decisions(build, graph.relabelled([int(v) for v in order]))
        assert found is not None
        again = built(build, found)
        assert arch_id(again) == arch_id(graph)
        assert sorted(again.ops) == sorted(graph.ops)

    check()


@every_build
def test_decisions_build_an_alias_of_a_reduced_graph(build: Callable[[GraphBuilder, Pick], None]) -> None:
    @unhurried
    @given(answers)
    def check(listed: list[int]) -> None:
        graph = built(build, listed)
        found = find_decisions(build, canonical_form(graph))
        assert found is not None
        assert arch_id(built(build, found)) == arch_id(graph)

    check()


@pytest.mark.parametrize(
    "graph",
    [
        ArchGraph(("input", "output"), ()),
        ArchGraph(("input", "conv", "output"), ((0, 1, 0), (1, 2, 0)), ({}, {"kernel": 7}, {})),
        ArchGraph(("input", "conv", "output"), ((0, 1, 0), (1, 2, 0)), ({}, {"kernel": 3}, {})),
        ArchGraph(("input", *["conv"] * 500, "output"), tuple((i, i + 1, 0) for i in range(501))),
    ],
    ids=["nothing", "other kernel", "no residual edge", "too long"],
)
@every_build
def test_other_graphs_are_none(build: Callable[[GraphBuilder, Pick], None], graph: ArchGraph) -> None:
    assert find_decisions(build, graph) is None


def test_a_build_that_asks_for_nothing() -> None:
    def build(g: GraphBuilder, pick: Pick) -> None:
        g.output(g.add("conv", g.input(), kernel=3))

    assert find_decisions(build, built(build, [])) == []
    assert find_decisions(build, ArchGraph(("input", "output"), ((0, 1, 0),))) is None


def test_a_decision_without_options_is_a_dead_end() -> None:
    def build(g: GraphBuilder, pick: Pick) -> None:
        x = g.input()
        if pick(2) == 0:
            pick(0)
        g.output(g.add("conv", x, kernel=3))

    graph = ArchGraph(("input", "conv", "output"), ((0, 1, 0), (1, 2, 0)), ({}, {"kernel": 3}, {}))
    assert find_decisions(build, graph) == [1]
