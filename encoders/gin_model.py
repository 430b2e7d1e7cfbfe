"""The network of the learned encoders: what flows into a node, what flows out of it, and where it stands.

Two towers of graph isomorphism layers (Xu et al., "How Powerful are Graph Neural Networks?", ICLR 2019) read
the DAG, one along the edges and one against them. Each tower alone sees a node's ancestors or descendants, of
which there are far fewer different ones in a search space than whole neighbourhoods, so that each of them can
be computed once (`archindex.encoders.gin_encode`). The readout joins both sides of every node with its place
in the graph.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from archindex.core.batch import GraphBatch
from archindex.encoders.gin_input import PORTS, POSITIONS, ends, positions
from archindex.encoders.op_features import WIDTH, node_features

with warnings.catch_warnings():
    # torch-geometric compiles with torch.jit when it is imported, which newer torch calls deprecated.
    warnings.simplefilter("ignore")
    from torch_geometric.nn import MessagePassing


@dataclass(frozen=True)
class GraphTensors:
    """A reduced `GraphBatch` as the network takes it.

    Attributes
    ----------
    x : Tensor of float32, shape (n_nodes, WIDTH)
        Features of the nodes.
    position : Tensor of float32, shape (n_nodes, POSITIONS)
        Logarithms of the distance (longest path) from the input and to the output, then the first as a share
        of both, and whether the node lies on a longest path.
    along : Tensor of int64, shape (2, n_edges)
        Sources and targets.
    port : Tensor of int64, shape (n_edges,)
        Input port.
    graph : Tensor of int64, shape (n_nodes,)
        Graph of each node.
    first, last : Tensor of float32, shape (n_nodes, 1)
        1 at inputs, at outputs.
    n_graphs : int
        Number of graphs.
    """

    x: Tensor
    position: Tensor
    along: Tensor
    port: Tensor
    graph: Tensor
    first: Tensor
    last: Tensor
    n_graphs: int

    @classmethod
    def of(cls, reduced: GraphBatch) -> GraphTensors:
        """Convert a batch of functional DAGs."""
        first, last = ends(reduced)
        return cls(
            torch.from_numpy(node_features(reduced)),
            torch.from_numpy(positions(reduced)),
            torch.from_numpy(np.ascontiguousarray(reduced.edges[:2])),
            torch.from_numpy(np.minimum(reduced.edges[2], PORTS - 1)),
            torch.from_numpy(reduced.node_graph),
            torch.from_numpy(first),
            torch.from_numpy(last),
            len(reduced),
        )


class DirectedGIN(MessagePassing):  # type: ignore[misc]
    """One round of messages in one direction.

    Parameters
    ----------
    width : int
        Length of the node states.
    """

    def __init__(self, width: int) -> None:
        super().__init__(aggr="sum")
        self.port = nn.Embedding(PORTS, width)
        self.mlp = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, width))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, edges: Tensor, port: Tensor) -> Tensor:
        """Return the new node states; float32, shape (n_nodes, width)."""
        return self.renewed(x, self.propagate(edges, x=x, port=self.port(port)))

    def message(self, x_j: Tensor, port: Tensor) -> Tensor:
        """Return what one edge carries: the state of its source, marked with the port."""
        return torch.relu(x_j + port)

    def renewed(self, x: Tensor, received: Tensor) -> Tensor:
        """Return new states from old ones and the sums of messages; shape (n, width)."""
        updated: Tensor = self.norm(x + self.mlp(torch.cat([x, received], dim=1)))
        return updated


class GINModel(nn.Module):
    """Functional DAGs to vectors.

    Parameters
    ----------
    dim : int
        Length of the vectors.
    width : int
        Length of the node states.
    layers : int
        Rounds of messages in each direction.
    """

    def __init__(self, dim: int, width: int, layers: int) -> None:
        super().__init__()
        self.dim, self.width = dim, width
        self.enter = nn.Sequential(nn.Linear(WIDTH, width), nn.ReLU(), nn.Linear(width, width))
        self.down = nn.ModuleList(DirectedGIN(width) for _ in range(layers))
        self.up = nn.ModuleList(DirectedGIN(width) for _ in range(layers))
        self.join_down = nn.Linear(width, 2 * width, bias=False)
        self.join_up = nn.Linear(width, 2 * width, bias=False)
        self.join_position = nn.Linear(POSITIONS, 2 * width)
        # One hidden layer: with two, neighbours told accuracy worse.
        self.readout = nn.Sequential(
            nn.Linear(6 * width + 1, 4 * width), nn.ReLU(), nn.Linear(4 * width, dim)
        )

    def forward(self, graphs: GraphTensors) -> Tensor:
        """Return the vectors; float32, shape (n_graphs, dim)."""
        start = self.enter(graphs.x)
        down = up = start
        for layer in self.down:
            down = layer(down, graphs.along, graphs.port)
        for layer in self.up:
            up = layer(up, graphs.along.flip(0), graphs.port)
        joined = torch.relu(self.join_down(down) + self.join_up(up) + self.join_position(graphs.position))
        n = graphs.n_graphs

        def total(values: Tensor) -> Tensor:
            return values.new_zeros(n, values.shape[1]).index_add(0, graphs.graph, values)

        return self.vectors(
            total(joined),
            total(down * graphs.last),
            total(up * graphs.first),
            total(torch.ones_like(graphs.first)),
        )

    def vectors(self, joined: Tensor, at_output: Tensor, at_input: Tensor, size: Tensor) -> Tensor:
        """Return the vectors from sums over each graph.

        Parameters
        ----------
        joined : Tensor, shape (n_graphs, 2 * width)
            Of what the nodes say.
        at_output, at_input : Tensor, shape (n_graphs, width)
            States there.
        size : Tensor, shape (n_graphs, 1)
            Number of nodes.
        """
        size = size.clamp(min=1.0)
        seen = [joined / size, joined / size.sqrt(), at_output, at_input, size.log()]
        vectors: Tensor = self.readout(torch.cat(seen, dim=1))
        return vectors
