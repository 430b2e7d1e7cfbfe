"""Graphs to networkx and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archindex.convert.given import graph_of
from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph

if TYPE_CHECKING:
    import networkx as nx  # type: ignore[import-untyped]

    from archindex.convert.network import Network
    from archindex.spaces.base import Architecture


def to_networkx(graph: ArchGraph | Architecture | Network) -> nx.MultiDiGraph[int]:
    """Return a graph, or that of an architecture or a network, as a ``networkx.MultiDiGraph``.

    Nodes are 0, 1, ...; each has its ``op`` and its attributes under their names (``kernel``, ...). Edges
    have their ``port``.

    Raises
    ------
    ArgumentError
        If it is none of these.
    """
    import networkx as nx

    graph = graph_of(graph)
    made: nx.MultiDiGraph[int] = nx.MultiDiGraph()
    for node, (op, attrs) in enumerate(zip(graph.ops, graph.attrs, strict=True)):
        made.add_node(node, op=op, **attrs)
    for source, target, port in graph.edges:
        made.add_edge(source, target, port=port)
    return made


def from_networkx(graph: nx.DiGraph[Any] | nx.MultiDiGraph[Any]) -> ArchGraph:
    """Return the graph of a directed networkx graph; nodes are numbered in their order.

    Every node needs an ``op``; what else it has are numeric attributes. Edges without a ``port`` come into
    port 0.

    Raises
    ------
    ArchitectureError
        If the graph is not directed or has a cycle, a node has no op, or attributes or ports cannot be used.
    """
    import networkx as nx

    if not isinstance(graph, nx.DiGraph):
        raise ArchitectureError("expected a directed networkx graph", got=type(graph).__name__)
    number = {node: i for i, node in enumerate(graph)}
    ops, attrs = [], []
    for node, data in graph.nodes(data=True):
        op = data.get("op")
        if not isinstance(op, str) or not op:
            raise ArchitectureError(f"expected an op, as text, at node {node!r}", got=op)
        ops.append(op)
        attrs.append({str(k): _number(k, v) for k, v in data.items() if k != "op"})
    edges = []
    for source, target, data in graph.edges(data=True):
        port = data.get("port", 0)
        if isinstance(port, bool) or not isinstance(port, int):
            raise ArchitectureError("expected the port of an edge as a whole number", got=port)
        edges.append((number[source], number[target], port))
    return ArchGraph(tuple(ops), tuple(edges), tuple(attrs))


def _number(name: object, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ArchitectureError(f"expected a number for attribute {name!r}", got=value)
    return float(value)
