"""The graph network of the variational autoencoder: a functional DAG to the Gaussian of its latent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from archindex.core.batch import GraphBatch
from archindex.encoders.op_features import WIDTH, node_features

PORTS: Final = 8
"""Input ports that are told apart; further ones count as the last."""

_START: Final = -3.0
"""Log-variance of the posterior before training. Noise as strong as the latents would hide them at first."""


@dataclass(frozen=True)
class PackedGraphs:
    """A reduced `GraphBatch` as the network takes it.

    Attributes
    ----------
    x : Tensor of float32, shape (n_nodes, WIDTH)
        Features of the nodes.
    source, target, port : Tensor of int64, shape (n_edges,)
        Edges and the input port they go to.
    graph : Tensor of int64, shape (n_nodes,)
        Graph of each node.
    n_graphs : int
        Number of graphs.
    """

    x: Tensor
    source: Tensor
    target: Tensor
    port: Tensor
    graph: Tensor
    n_graphs: int

    @classmethod
    def of(cls, reduced: GraphBatch) -> PackedGraphs:
        """Convert a batch of functional DAGs."""
        source, target, port = (torch.from_numpy(np.ascontiguousarray(row)) for row in reduced.edges)
        return cls(
            torch.from_numpy(node_features(reduced)),
            source,
            target,
            port.clamp(max=PORTS - 1),
            torch.from_numpy(reduced.node_graph),
            len(reduced),
        )


class Round(nn.Module):
    """One round of messages along and against the edges.

    A node adds up what comes in and what goes out apart, each message marked with its port, and renews its
    state from its own and the two sums: the injective update of graph isomorphism networks, so that graphs
    which the autoencoder has to tell apart stay apart.

    Parameters
    ----------
    width : int
        Length of the node states.

    References
    ----------
    Xu et al., "How Powerful are Graph Neural Networks?", ICLR 2019.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.port_in = nn.Embedding(PORTS, width)
        self.port_out = nn.Embedding(PORTS, width)
        self.mlp = nn.Sequential(nn.Linear(3 * width, width), nn.ReLU(), nn.Linear(width, width))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, graphs: PackedGraphs) -> Tensor:
        """Return the new node states; float32, shape (n_nodes, width)."""
        nothing = torch.zeros_like(x)
        along = functional.relu(x[graphs.source] + self.port_in(graphs.port))
        against = functional.relu(x[graphs.target] + self.port_out(graphs.port))
        came_in = nothing.index_add(0, graphs.target, along)
        went_out = nothing.index_add(0, graphs.source, against)
        renewed: Tensor = self.norm(x + self.mlp(torch.cat([x, came_in, went_out], dim=1)))
        return renewed


class GraphNetwork(nn.Module):
    """Functional DAGs to Gaussians over the latent space.

    Parameters
    ----------
    dim : int
        Length of the latent.
    width : int
        Length of the node states.
    layers : int
        Rounds of messages.
    """

    def __init__(self, dim: int, width: int, layers: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Linear(WIDTH, width), nn.ReLU(), nn.Linear(width, width))
        self.rounds = nn.ModuleList(Round(width) for _ in range(layers))
        # Widened before it is summed: a sum of narrow states would not say which node said what.
        self.widen = nn.Linear(2 * width, 4 * width)
        last = nn.Linear(4 * width, 2 * dim)
        with torch.no_grad():
            last.bias[dim:] += _START
        self.readout = nn.Sequential(nn.Linear(4 * width + 1, 4 * width), nn.ReLU(), last)

    def forward(self, graphs: PackedGraphs) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the latent; float32, shape (n_graphs, dim) each."""
        first = x = self.enter(graphs.x)
        for layer in self.rounds:
            x = layer(x, graphs)
        said = functional.relu(self.widen(torch.cat([first, x], dim=1)))
        total = said.new_zeros(graphs.n_graphs, said.shape[1]).index_add(0, graphs.graph, said)
        size = torch.bincount(graphs.graph, minlength=graphs.n_graphs).clamp(min=1)[:, None].to(total.dtype)
        mean, log_variance = self.readout(torch.cat([total / size.sqrt(), size.log()], dim=1)).chunk(2, dim=1)
        return mean, log_variance.clamp(-12.0, 4.0)
