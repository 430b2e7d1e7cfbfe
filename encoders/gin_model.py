"""The graph network of the GIN encoder."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from archindex.core.batch import GraphBatch
from archindex.core.ops import OP_ID
from archindex.encoders.features import MEASURED

with warnings.catch_warnings():
    # torch-geometric compiles with torch.jit when it is imported, which newer torch calls deprecated.
    warnings.simplefilter("ignore")
    from torch_geometric.nn import MessagePassing
    from torch_geometric.utils import scatter

OP_ROWS: Final = 128
"""Rows of the op table that are kept for the vocabulary, more than it has, so that it may grow."""

HASHED_ROWS: Final = 32
"""Rows that names outside the vocabulary are hashed to."""

PORTS: Final = 4
"""Input ports that are told apart; further ones count as the last."""


@dataclass(frozen=True)
class GraphTensors:
    """A reduced `GraphBatch` as the network takes it.

    Attributes
    ----------
    op : Tensor of int64, shape (n_nodes,)
        Row of the op table.
    attrs : Tensor of float32, shape (n_nodes, 2 * len(MEASURED))
        Signed logarithms of the attributes, 0 where there is none, then whether there is one.
    source, target, port : Tensor of int64, shape (n_edges,)
        Edges and the input port they go to.
    graph : Tensor of int64, shape (n_nodes,)
        Graph of each node.
    output : Tensor of float32, shape (n_nodes, 1)
        1 at the output.
    n_graphs : int
        Number of graphs.
    """

    op: Tensor
    attrs: Tensor
    source: Tensor
    target: Tensor
    port: Tensor
    graph: Tensor
    output: Tensor
    n_graphs: int

    @classmethod
    def of(cls, reduced: GraphBatch) -> GraphTensors:
        """Convert a batch of functional DAGs."""
        rows = np.array([_row(name) for name in reduced.op_names])
        values = reduced.attrs[:, : len(MEASURED)].astype(np.float64)
        has = np.isfinite(values)
        values = np.where(has, values, 0.0)
        logs = np.sign(values) * np.log1p(np.abs(values))
        output = (reduced.op == OP_ID["output"]).astype(np.float32)[:, None]
        source, target, port = (torch.from_numpy(np.ascontiguousarray(row)) for row in reduced.edges)
        return cls(
            torch.from_numpy(rows[reduced.op]),
            torch.from_numpy(np.hstack([logs, has]).astype(np.float32)),
            source,
            target,
            port.clamp(max=PORTS - 1),
            torch.from_numpy(reduced.node_graph),
            torch.from_numpy(output),
            len(reduced),
        )


class DirectedGIN(MessagePassing):  # type: ignore[misc]
    """One round of messages along and against the edges.

    A node adds up what comes in and what goes out separately, so that a graph and its reverse differ. The
    update is the injective one of GIN: an MLP of the node's own state and the two sums.

    Parameters
    ----------
    width : int
        Length of the node states.
    """

    def __init__(self, width: int) -> None:
        super().__init__(aggr="sum")
        self.port_in = nn.Embedding(PORTS, width)
        self.port_out = nn.Embedding(PORTS, width)
        self.update_mlp = nn.Sequential(
            nn.Linear(3 * width, width), nn.ReLU(), nn.Linear(width, width), nn.LayerNorm(width)
        )

    def forward(self, x: Tensor, graphs: GraphTensors) -> Tensor:
        """Return the new node states; float32, shape (n_nodes, width)."""
        along = torch.stack([graphs.source, graphs.target])
        came_in = self.propagate(along, x=x, port=self.port_in(graphs.port))
        went_out = self.propagate(along.flip(0), x=x, port=self.port_out(graphs.port))
        updated: Tensor = self.update_mlp(torch.cat([x, came_in, went_out], dim=1))
        return x + updated

    def message(self, x_j: Tensor, port: Tensor) -> Tensor:
        """Return what one edge carries: the state of its source, marked with the port."""
        return torch.relu(x_j + port)


class GINModel(nn.Module):
    """Functional DAGs to vectors: op table, rounds of messages, jumping readout.

    The readout sees the states after every round (Xu et al., "Representation Learning on Graphs with Jumping
    Knowledge Networks", ICML 2018): their sum over the graph, damped so that networks of a thousand nodes
    stay in range, and the state at the output.

    Parameters
    ----------
    dim : int
        Length of the vectors.
    width : int
        Length of the node states.
    layers : int
        Rounds of messages.
    """

    def __init__(self, dim: int, width: int, layers: int) -> None:
        super().__init__()
        self.dim = dim
        self.ops = nn.Embedding(OP_ROWS + HASHED_ROWS, width)
        self.attrs = nn.Linear(2 * len(MEASURED), width)
        self.rounds = nn.ModuleList(DirectedGIN(width) for _ in range(layers))
        self.readout = nn.Sequential(
            nn.Linear(2 * width * (layers + 1) + 1, 2 * width), nn.ReLU(), nn.Linear(2 * width, dim)
        )

    def forward(self, graphs: GraphTensors) -> Tensor:
        """Return the vectors; float32, shape (n_graphs, dim)."""
        x = self.ops(graphs.op) + self.attrs(graphs.attrs)
        size = scatter(torch.ones_like(graphs.output), graphs.graph, dim_size=graphs.n_graphs)
        size = size.clamp(min=1.0)
        seen = [size.log()]
        for layer in [None, *self.rounds]:
            x = x if layer is None else layer(x, graphs)
            total = scatter(x, graphs.graph, dim_size=graphs.n_graphs)
            at_output = scatter(x * graphs.output, graphs.graph, dim_size=graphs.n_graphs)
            seen += [total / size.sqrt(), at_output]
        vectors: Tensor = self.readout(torch.cat(seen, dim=1))
        return vectors


def _row(name: str) -> int:
    known = OP_ID.get(name)
    if known is not None:
        return known
    return OP_ROWS + hashlib.blake2b(name.encode(), digest_size=1).digest()[0] % HASHED_ROWS
