"""Reduction keeps the function: graphs are evaluated before and after, in whole numbers."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archindex.core.batch import GraphBatch
from archindex.core.canonical import canonical_form, graph_sizes, reduce_batch
from archindex.core.graph import ArchGraph
from archindex.testing.strategies import graphs, unhurried

PRIME = 2**61 - 1


def value(graph: ArchGraph, x: int) -> int:
    """Compute the output with every op a polynomial of its own that is 0 at 0; ports have weights."""
    values: dict[int, int] = {}
    for node in graph.topological_order():
        op = graph.ops[node]
        came = [(values[source], port) for source, port in graph.predecessors(node)]
        weighted = sum(v * (2 * port + 1) for v, port in came)
        key = zlib.crc32(repr((op, sorted(graph.attrs[node].items()))).encode()) + 1
        if op == "input":
            values[node] = x
        elif op == "none":
            values[node] = 0
        elif op == "skip":
            values[node] = sum(v for v, _ in came) % PRIME
        else:
            values[node] = (key * weighted + weighted**2) % PRIME
    return values[graph.ops.index("output")]


@unhurried
@given(graphs(), st.integers(1, PRIME - 1))
def test_reduction_and_canonical_form_keep_the_function(graph: ArchGraph, x: int) -> None:
    before = value(graph, x)
    assert value(reduce_batch(GraphBatch.from_graphs([graph])).graph(0), x) == before
    assert value(canonical_form(graph), x) == before


@unhurried
@given(st.lists(graphs(), max_size=4))
def test_reducing_many_is_reducing_each(several: list[ArchGraph]) -> None:
    together = reduce_batch(GraphBatch.from_graphs(several))
    alone = [reduce_batch(GraphBatch.from_graphs([g])).graph(0) for g in several]
    assert list(together) == alone
    assert list(reduce_batch(together)) == alone


@pytest.mark.parametrize(
    ("ops", "edges", "n_ops", "depth"),
    [
        (("input", "output"), (), 0, 0),
        (("input", "output"), ((0, 1, 0),), 0, 0),
        (("input", "conv", "skip", "conv", "output"), ((0, 1, 0), (1, 2, 0), (2, 3, 0), (3, 4, 0)), 2, 2),
        (("input", "conv", "conv", "output"), ((0, 1, 0), (0, 2, 0), (1, 3, 0), (2, 3, 0)), 2, 1),
        (("input", "conv", "none", "output"), ((0, 1, 0), (1, 2, 0), (2, 3, 0), (0, 3, 0)), 0, 0),
    ],
    ids=["nothing", "wire", "chain", "side by side", "dead"],
)
def test_sizes_are_of_what_is_left(
    ops: tuple[str, ...], edges: tuple[tuple[int, int, int], ...], n_ops: int, depth: int
) -> None:
    sizes = graph_sizes(GraphBatch.from_graphs([ArchGraph(ops, edges)]))
    assert {name: values.tolist() for name, values in sizes.items()} == {"n_ops": [n_ops], "depth": [depth]}
