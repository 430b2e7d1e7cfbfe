"""ArchGraph refuses what is no typed DAG, and answers questions about its nodes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archindex.core import graph as graph_module
from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.testing.strategies import graphs, unhurried

DIAMOND = ArchGraph(
    ("input", "conv", "max_pool", "sub", "output"), ((0, 1, 0), (0, 2, 0), (2, 3, 0), (1, 3, 1), (3, 4, 0))
)


@pytest.mark.parametrize(
    ("ops", "edges", "attrs", "says"),
    [
        (("input",), ((0, 1, 0),), (), "expected edges between nodes 0 to 0"),
        (("input", "output"), ((-1, 1, 0),), (), "expected edges between"),
        (("input", "output"), ((0, 1, -1),), (), "ports of at least 0"),
        (("input", "conv", "conv"), ((1, 2, 0), (2, 1, 0)), (), "a cycle among 2 nodes"),
        (("conv",), ((0, 0, 0),), (), "without cycles"),
        (("input", "output"), (), ({},), "expected attributes for 2 nodes, got 1"),
        (("conv",), (), ({"colour": 1.0},), "expected attributes among kernel"),
    ],
)
def test_what_is_no_dag_is_refused(
    ops: tuple[str, ...],
    edges: tuple[tuple[int, int, int], ...],
    attrs: tuple[dict[str, float], ...],
    says: str,
) -> None:
    with pytest.raises(ArchitectureError) as caught:
        ArchGraph(ops, edges, attrs)
    assert says in str(caught.value)


def test_the_number_of_nodes_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "MAX_NODES", 3)
    assert ArchGraph(("conv",) * 3, ()).n_nodes == 3
    with pytest.raises(ArchitectureError, match="at most 3 nodes, got 4"):
        ArchGraph(("conv",) * 4, ())


def test_predecessors_come_by_port() -> None:
    assert DIAMOND.predecessors(3) == [(2, 0), (1, 1)]
    assert DIAMOND.predecessors(0) == []


def test_left_out_attributes_are_empty() -> None:
    assert DIAMOND.attrs == ({},) * 5
    assert ArchGraph(DIAMOND.ops, DIAMOND.edges, ({},) * 5) == DIAMOND


@unhurried
@given(graphs())
def test_edges_point_forward_in_topological_order(graph: ArchGraph) -> None:
    place = {node: i for i, node in enumerate(graph.topological_order())}
    assert sorted(place) == list(range(graph.n_nodes))
    assert all(place[source] < place[target] for source, target, _ in graph.edges)


@unhurried
@given(graphs(), st.data())
def test_relabelling_can_be_undone(graph: ArchGraph, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(graph.n_nodes)))
    back = [order.index(v) for v in range(graph.n_nodes)]
    assert graph.relabelled(order).relabelled(back) == graph


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [0, 0, 1, 2, 3], [1, 2, 3, 4, 5]])
def test_only_permutations_relabel(order: list[int]) -> None:
    with pytest.raises(ArchitectureError, match="permutation of 5 nodes"):
        DIAMOND.relabelled(order)
