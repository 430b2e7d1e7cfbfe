"""ArchGraph: one architecture as a typed directed acyclic graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from archindex.core.errors import ArchitectureError
from archindex.core.ops import ATTRIBUTE_ID

MAX_NODES = 100_000
"""Upper limit on the nodes of one graph; hostile inputs end here instead of in the swap."""


@dataclass(frozen=True)
class ArchGraph:
    """A typed DAG with ops on its nodes.

    Edges into the same port of a node are interchangeable: a port sums them, unless the op of the node is
    itself a way of combining in which order says nothing (``mul``, ...). Edges into different ports are
    ordered, so that ``a - b`` is not ``b - a``; a ``concat`` has a port for each part. The same edge may
    stand several times (``x + x``).

    Parameters
    ----------
    ops : tuple of str
        Op of each node, from `archindex.core.ops.OPS` or a name of its own.
    edges : tuple of (int, int, int)
        ``(source node, target node, input port of the target)``.
    attrs : tuple of mapping from str to float
        Numeric attributes of each node, named as in `archindex.core.ops.ATTRIBUTES`; may be left out.

    Raises
    ------
    ArchitectureError
        If an edge points outside the graph, the graph has a cycle, or an attribute is unknown.
    """

    ops: tuple[str, ...]
    edges: tuple[tuple[int, int, int], ...]
    attrs: tuple[Mapping[str, float], ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.attrs:
            object.__setattr__(self, "attrs", tuple({} for _ in self.ops))
        if len(self.attrs) != len(self.ops):
            raise ArchitectureError(f"expected attributes for {len(self.ops)} nodes", got=len(self.attrs))
        if len(self.ops) > MAX_NODES:
            raise ArchitectureError(f"expected at most {MAX_NODES} nodes", got=len(self.ops))
        for mapping in self.attrs:
            for name in mapping:
                if name not in ATTRIBUTE_ID:
                    raise ArchitectureError(f"expected attributes among {', '.join(ATTRIBUTE_ID)}", got=name)
        for source, target, port in self.edges:
            if not (0 <= source < len(self.ops) and 0 <= target < len(self.ops)) or port < 0:
                raise ArchitectureError(
                    f"expected edges between nodes 0 to {len(self.ops) - 1} at ports of at least 0",
                    got=(source, target, port),
                )
        self.topological_order()

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.ops)

    def predecessors(self, node: int) -> list[tuple[int, int]]:
        """Return ``(source, port)`` of every edge into `node`, sorted by port, then source."""
        return sorted(((s, p) for s, t, p in self.edges if t == node), key=lambda e: (e[1], e[0]))

    def topological_order(self) -> list[int]:
        """Return the nodes in an order in which every edge points forward.

        Raises
        ------
        ArchitectureError
            If the graph has a cycle.
        """
        n = len(self.ops)
        waiting = [0] * n
        following: list[list[int]] = [[] for _ in range(n)]
        for source, target, _ in self.edges:
            waiting[target] += 1
            following[source].append(target)
        ready = [v for v in range(n) if waiting[v] == 0]
        order: list[int] = []
        while ready:
            node = ready.pop()
            order.append(node)
            for target in following[node]:
                waiting[target] -= 1
                if waiting[target] == 0:
                    ready.append(target)
        if len(order) != n:
            raise ArchitectureError(
                "expected a graph without cycles", got=f"a cycle among {n - len(order)} nodes"
            )
        return order

    def relabelled(self, order: Sequence[int]) -> ArchGraph:
        """Return the same graph with its nodes renumbered.

        Parameters
        ----------
        order : sequence of int
            A permutation of the nodes: node ``order[i]`` becomes node ``i``.
        """
        if sorted(order) != list(range(self.n_nodes)):
            raise ArchitectureError(f"expected a permutation of {self.n_nodes} nodes", got=list(order))
        new = {old: i for i, old in enumerate(order)}
        return ArchGraph(
            ops=tuple(self.ops[v] for v in order),
            edges=tuple((new[s], new[t], p) for s, t, p in self.edges),
            attrs=tuple(self.attrs[v] for v in order),
        )
