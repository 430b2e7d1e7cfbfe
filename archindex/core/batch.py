"""GraphBatch: many graphs in packed arrays, the unit that encoders take and jobs stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArgumentError
from archindex.core.graph import ArchGraph
from archindex.core.ops import ATTRIBUTE_ID, ATTRIBUTES, OP_ID, OPS


@dataclass(frozen=True)
class GraphBatch:
    """``len(batch)`` graphs in packed arrays; nodes and edges of one graph are contiguous.

    Attributes
    ----------
    op : ndarray of int32, shape (n_nodes,)
        Op id: position in `OPS`, or ``len(OPS) + i`` for ``extra_ops[i]``.
    attrs : ndarray of float32, shape (n_nodes, len(ATTRIBUTES))
        Node attributes; NaN where a node has none.
    edges : ndarray of int64, shape (3, n_edges)
        Source and target (node numbers within the whole batch) and input port.
    node_ptr, edge_ptr : ndarray of int64, shape (n_graphs + 1,)
        Graph ``i`` owns nodes ``node_ptr[i]:node_ptr[i+1]`` and edges ``edge_ptr[i]:edge_ptr[i+1]``.
    extra_ops : tuple of str
        Op names outside the vocabulary.
    """

    op: npt.NDArray[np.int32]
    attrs: npt.NDArray[np.float32]
    edges: npt.NDArray[np.int64]
    node_ptr: npt.NDArray[np.int64]
    edge_ptr: npt.NDArray[np.int64]
    extra_ops: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.node_ptr) - 1

    def __iter__(self) -> Iterator[ArchGraph]:
        return (self.graph(i) for i in range(len(self)))

    @property
    def n_nodes(self) -> int:
        """Number of nodes of all graphs together."""
        return len(self.op)

    @property
    def op_names(self) -> tuple[str, ...]:
        """Name of every op id that occurs in `op`."""
        return OPS + self.extra_ops

    @property
    def node_graph(self) -> npt.NDArray[np.int64]:
        """Graph that each node belongs to; int64, shape (n_nodes,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.node_ptr))

    def graph(self, i: int) -> ArchGraph:
        """Return graph `i` as an `ArchGraph`."""
        nodes = slice(self.node_ptr[i], self.node_ptr[i + 1])
        names = self.op_names
        first = int(self.node_ptr[i])
        edges = self.edges[:, self.edge_ptr[i] : self.edge_ptr[i + 1]]
        return ArchGraph(
            ops=tuple(names[o] for o in self.op[nodes]),
            edges=tuple((int(s) - first, int(t) - first, int(p)) for s, t, p in edges.T),
            attrs=tuple(
                {ATTRIBUTES[j]: float(row[j]) for j in np.flatnonzero(~np.isnan(row))}
                for row in self.attrs[nodes]
            ),
        )

    def take(self, start: int, stop: int) -> GraphBatch:
        """Return graphs ``start`` to ``stop - 1`` as a batch of its own."""
        n0, n1 = self.node_ptr[start], self.node_ptr[stop]
        e0, e1 = self.edge_ptr[start], self.edge_ptr[stop]
        edges = self.edges[:, e0:e1].copy()
        edges[:2] -= n0
        return GraphBatch(
            self.op[n0:n1],
            self.attrs[n0:n1],
            edges,
            self.node_ptr[start : stop + 1] - n0,
            self.edge_ptr[start : stop + 1] - e0,
            self.extra_ops,
        )

    def pick(self, rows: npt.NDArray[np.int64]) -> GraphBatch:
        """Return the graphs at `rows`, in that order, as a batch of its own; a row may come twice."""
        n_nodes, n_edges = np.diff(self.node_ptr)[rows], np.diff(self.edge_ptr)[rows]
        node_ptr = np.concatenate([[0], np.cumsum(n_nodes)])
        edge_ptr = np.concatenate([[0], np.cumsum(n_edges)])
        nodes = np.arange(node_ptr[-1]) + np.repeat(self.node_ptr[:-1][rows] - node_ptr[:-1], n_nodes)
        edges = np.arange(edge_ptr[-1]) + np.repeat(self.edge_ptr[:-1][rows] - edge_ptr[:-1], n_edges)
        moved = self.edges[:, edges]
        moved[:2] -= np.repeat(self.node_ptr[:-1][rows] - node_ptr[:-1], n_edges)
        return GraphBatch(self.op[nodes], self.attrs[nodes], moved, node_ptr, edge_ptr, self.extra_ops)

    @classmethod
    def from_graphs(cls, graphs: Iterable[ArchGraph]) -> GraphBatch:
        """Pack graphs one after the other."""
        extra: dict[str, int] = {}
        op: list[int] = []
        attr_at: list[tuple[int, int]] = []
        attr_values: list[float] = []
        edges: list[tuple[int, int, int]] = []
        node_ptr, edge_ptr = [0], [0]
        for graph in graphs:
            first = len(op)
            for name, attrs in zip(graph.ops, graph.attrs, strict=True):
                for key, value in attrs.items():
                    attr_at.append((len(op), ATTRIBUTE_ID[key]))
                    attr_values.append(value)
                known = OP_ID.get(name)
                op.append(len(OPS) + extra.setdefault(name, len(extra)) if known is None else known)
            edges.extend((s + first, t + first, p) for s, t, p in graph.edges)
            node_ptr.append(len(op))
            edge_ptr.append(len(edges))
        attrs_array = np.full((len(op), len(ATTRIBUTES)), np.nan, dtype=np.float32)
        if attr_at:
            rows, columns = np.array(attr_at).T
            attrs_array[rows, columns] = attr_values
        return cls(
            np.array(op, dtype=np.int32),
            attrs_array,
            np.array(edges, dtype=np.int64).reshape(-1, 3).T.copy(),
            np.array(node_ptr, dtype=np.int64),
            np.array(edge_ptr, dtype=np.int64),
            tuple(extra),
        )

    @classmethod
    def concat(cls, batches: Sequence[GraphBatch]) -> GraphBatch:
        """Join batches one after the other.

        Raises
        ------
        ArgumentError
            If there is no batch.
        """
        if not batches:
            raise ArgumentError("expected at least one batch to join", got=0)
        extra = tuple(dict.fromkeys(name for b in batches for name in b.extra_ops))
        node_first = np.cumsum([0] + [b.n_nodes for b in batches])
        edge_first = np.cumsum([0] + [b.edges.shape[1] for b in batches])
        op, edges = [], []
        for batch, first in zip(batches, node_first, strict=False):
            to_id = [*range(len(OPS)), *(len(OPS) + extra.index(name) for name in batch.extra_ops)]
            op.append(np.array(to_id, dtype=np.int32)[batch.op])
            moved = batch.edges.copy()
            moved[:2] += first
            edges.append(moved)
        return cls(
            np.concatenate(op),
            np.concatenate([b.attrs for b in batches]),
            np.concatenate(edges, axis=1),
            np.concatenate([[0], *(b.node_ptr[1:] + f for b, f in zip(batches, node_first, strict=False))]),
            np.concatenate([[0], *(b.edge_ptr[1:] + f for b, f in zip(batches, edge_first, strict=False))]),
            extra,
        )
