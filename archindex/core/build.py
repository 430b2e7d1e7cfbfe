"""GraphBuilder: writes an ArchGraph op by op."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from archindex.core.graph import ArchGraph

Terms = tuple[int, ...]
"""A value on its way through a graph: the nodes whose outputs are summed. ``x + y`` is the sum of two."""


class GraphBuilder:
    """Builds a graph from input to output.

    Values are tuples of node numbers, so that ``+`` is the sum of two values and takes no node of its own.

    Examples
    --------
    >>> from archindex.core.build import GraphBuilder
    >>> g = GraphBuilder()
    >>> x = g.input()
    >>> y = g.add("conv", x, kernel=3)
    >>> g.output(x + y)
    >>> g.graph().edges
    ((0, 1, 0), (0, 2, 0), (1, 2, 0))
    """

    def __init__(self) -> None:
        self._ops: list[str] = []
        self._attrs: list[Mapping[str, float]] = []
        self._edges: list[tuple[int, int, int]] = []

    def input(self, **attrs: float) -> Terms:
        """Add an input and return its value; ``index`` tells several apart."""
        return self.add("input", **attrs)

    def add(self, op: str, *ports: Terms, **attrs: float) -> Terms:
        """Add an op that reads one value at each of its ports, and return its output."""
        node = len(self._ops)
        self._ops.append(op)
        # Packed graphs keep attributes as float32: the same number must come back.
        self._attrs.append({name: float(np.float32(value)) for name, value in attrs.items()})
        self._edges += [(source, node, port) for port, terms in enumerate(ports) for source in terms]
        return (node,)

    def output(self, *ports: Terms, **attrs: float) -> None:
        """Add an output; ``index`` tells several apart."""
        self.add("output", *ports, **attrs)

    def graph(self) -> ArchGraph:
        """Return the graph built so far, its edges sorted by target, port and source."""
        edges = sorted(self._edges, key=lambda edge: (edge[1], edge[2], edge[0]))
        return ArchGraph(tuple(self._ops), tuple(edges), tuple(self._attrs))
