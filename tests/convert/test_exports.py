"""Graphs to networkx and torch-geometric, and back."""

from __future__ import annotations

from typing import Any

import networkx as nx  # type: ignore[import-untyped]
import pytest
import torch
from hypothesis import given

import archindex as ax
from archindex.convert import from_networkx, from_pyg, to_dot, to_networkx, to_pyg, to_svg
from archindex.core.canonical import arch_id
from archindex.core.errors import ArchitectureError, ArgumentError
from archindex.core.graph import ArchGraph
from archindex.core.ops import ATTRIBUTE_ID, OP_ID, OPS
from archindex.testing.strategies import graphs, unhurried

GRAPH = ArchGraph(
    ("input", "conv", "frobnicate", "sub", "output"),
    ((0, 1, 0), (0, 1, 0), (1, 2, 0), (1, 3, 1), (2, 3, 0), (3, 4, 0)),
    ({}, {"kernel": 3.0, "stride": 2.0}, {}, {}, {}),
)


@unhurried
@given(graphs())
def test_there_and_back(graph: ArchGraph) -> None:
    for back in (from_networkx(to_networkx(graph)), from_pyg(to_pyg(graph))):
        assert back.ops == graph.ops
        assert back.attrs == graph.attrs
        assert sorted(back.edges) == sorted(graph.edges)


def test_networkx_has_ops_attributes_and_ports() -> None:
    made = to_networkx(GRAPH)
    assert made.nodes[1] == {"op": "conv", "kernel": 3.0, "stride": 2.0}
    assert made.number_of_edges(0, 1) == 2
    assert made.edges[1, 3, 0] == {"port": 1}
    assert nx.is_directed_acyclic_graph(made)
    assert nx.dag_longest_path_length(nx.DiGraph(made)) == 4


def test_a_simple_networkx_graph_with_names() -> None:
    made = nx.DiGraph()
    made.add_node("out", op="output")
    made.add_node("in", op="input")
    made.add_node("c", op="conv", kernel=3)
    made.add_edges_from([("in", "c"), ("c", "out")])
    same = ArchGraph(("input", "conv", "output"), ((0, 1, 0), (1, 2, 0)), ({}, {"kernel": 3.0}, {}))
    assert arch_id(from_networkx(made)) == arch_id(same)


def networkx_with(**node: Any) -> Any:
    made = nx.MultiDiGraph()
    made.add_node(0, op="input")
    made.add_node(1, **node)
    made.add_edge(0, 1)
    return made


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"op": 3},
        {"op": ""},
        {"op": "conv", "kernel": "three"},
        {"op": "conv", "colour": 1.0},
        {"op": "conv", "kernel": True},
    ],
)
def test_networkx_graphs_that_cannot_be_used(wrong: dict[str, Any]) -> None:
    with pytest.raises(ArchitectureError):
        from_networkx(networkx_with(**wrong))


def test_networkx_cycles_ports_and_directions() -> None:
    looped = to_networkx(GRAPH)
    looped.add_edge(3, 1, port=0)
    ported = to_networkx(GRAPH)
    ported.add_edge(0, 4, port="left")
    for wrong in (looped, ported, nx.Graph(), "graph"):
        with pytest.raises(ArchitectureError):
            from_networkx(wrong)


def test_pyg_has_ids_attributes_and_ports() -> None:
    data = to_pyg(GRAPH)
    assert data.op.tolist() == [OP_ID["input"], OP_ID["conv"], len(OPS), OP_ID["sub"], OP_ID["output"]]
    assert data.extra_ops == ["frobnicate"]
    assert data.attrs[1, ATTRIBUTE_ID["kernel"]] == 3
    assert data.attrs[0].isnan().all()
    assert data.edge_index.shape == (2, 6)
    assert data.port.tolist() == [0, 0, 0, 1, 0, 0]
    assert data.num_nodes == 5
    assert data.validate()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("op", None),
        ("op", torch.tensor([0, 1, 2, 3, 999])),
        ("op", torch.tensor([0, 1, 2, 3, -1])),
        ("op", torch.zeros(5)),
        ("attrs", torch.zeros(5, 2)),
        ("edge_index", torch.zeros(2, 3, dtype=torch.int64)),
        ("edge_index", torch.full((2, 6), 9)),
        ("port", torch.tensor([-1] * 6)),
    ],
)
def test_data_that_cannot_be_used(field: str, value: Any) -> None:
    data = to_pyg(GRAPH)
    data[field] = value
    with pytest.raises(ArchitectureError):
        from_pyg(data)


def test_architectures_and_networks_export_alike() -> None:
    arch = ax.space("nasbench101").sample(1, seed=1)[0]
    network = ax.from_torch(torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU()), (torch.zeros(1, 3),))
    for one in (arch, network):
        assert arch_id(from_networkx(to_networkx(one))) == arch_id(one.graph)
        assert from_pyg(to_pyg(one)) == one.graph
        assert to_dot(one).count("->") == len(one.graph.edges)
    [size] = [line for line in to_svg(network).splitlines() if " nodes, " in line]
    assert "12 params, 9 FLOPs" in size
    assert 'digraph "network"' in to_dot(network)


@pytest.mark.parametrize("export", [to_svg, to_dot, to_networkx, to_pyg])
@pytest.mark.parametrize("wrong", [None, "|nor_conv_3x3~0|", 3, [GRAPH]])
def test_what_is_no_architecture_is_refused(export: Any, wrong: Any) -> None:
    with pytest.raises(ArgumentError, match=r"expected an ArchGraph.*archindex\.space\(NAME\)\.parse"):
        export(wrong)


def test_dir_lists_what_is_loaded_when_used() -> None:
    for module in (ax, ax.convert):
        assert dir(module) == sorted(module.__all__)
        assert all(hasattr(module, name) for name in dir(module))
