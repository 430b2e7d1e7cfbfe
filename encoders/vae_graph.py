"""The graph network of the variational autoencoder: a functional DAG to the Gaussian of its latent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from archindex.core.batch import GraphBatch
from archindex.core.ranks import canonical_ranks, first_outputs, home_ports
from archindex.encoders.op_features import WIDTH, node_features

PORTS: Final = 8
"""Input ports that are told apart; further ones count as the last."""

SLOTS: Final = 64
"""Slots of the readout; see `slots`."""

_OUTPUTS: Final = 2
_PLACES: Final = 4
"""Outputs, and nodes of one output and one port, that have slots of their own."""

_SAID: Final = 16
"""Length of what a node says to the readout."""

_START: Final = -6.0
"""Log-variance of the posterior before training. Noise as strong as the latents would hide them at first."""

_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PackedGraphs:
    """A reduced `GraphBatch` as the network takes it.

    Attributes
    ----------
    kinds : Tensor of float32, shape (n_kinds, WIDTH)
        Features of the different nodes: there are few.
    kind : ndarray of int64, shape (n_nodes,)
        Row of `kinds` of each node.
    slot : ndarray of int64, shape (n_nodes,)
        Where in the readout; see `slots`.
    port : ndarray of int64, shape (n_nodes,)
        See `archindex.core.ranks.home_ports`.
    edges : ndarray of int64, shape (3, n_edges)
        Source, target and input port.
    node_ptr, edge_ptr : ndarray of int64, shape (n_graphs + 1,)
        First node and first edge of each graph.
    """

    kinds: Tensor
    kind: _Ints
    slot: _Ints
    port: _Ints
    edges: _Ints
    node_ptr: _Ints
    edge_ptr: _Ints

    def __len__(self) -> int:
        return len(self.node_ptr) - 1

    @classmethod
    def of(cls, reduced: GraphBatch) -> PackedGraphs:
        """Convert a batch of functional DAGs."""
        described = np.column_stack([reduced.op.astype(np.float32), reduced.attrs])
        rows = np.ascontiguousarray(described).view(
            np.dtype((np.void, described.itemsize * described.shape[1]))
        )
        _, first, kind = np.unique(rows[:, 0], return_index=True, return_inverse=True)
        kinds = GraphBatch(
            reduced.op[first],
            reduced.attrs[first],
            np.empty((3, 0), dtype=np.int64),
            np.array([0, len(first)]),
            np.zeros(2, dtype=np.int64),
            reduced.extra_ops,
        )
        return cls(
            torch.from_numpy(node_features(kinds)),
            kind.reshape(-1),
            slots(reduced),
            np.minimum(home_ports(reduced), PORTS - 1),
            np.vstack([reduced.edges[:2], np.minimum(reduced.edges[2:], PORTS - 1)]),
            reduced.node_ptr,
            reduced.edge_ptr,
        )

    def pick(self, rows: _Ints) -> PackedGraphs:
        """Return the graphs at `rows`, in that order; a row may come twice."""
        n_nodes, n_edges = np.diff(self.node_ptr)[rows], np.diff(self.edge_ptr)[rows]
        node_ptr, edge_ptr = (np.concatenate([[0], np.cumsum(n)]) for n in (n_nodes, n_edges))
        moved = self.node_ptr[:-1][rows] - node_ptr[:-1]
        nodes = np.arange(node_ptr[-1]) + np.repeat(moved, n_nodes)
        edges = np.arange(edge_ptr[-1]) + np.repeat(self.edge_ptr[:-1][rows] - edge_ptr[:-1], n_edges)
        chosen = self.edges[:, edges]
        chosen[:2] -= np.repeat(moved, n_edges)
        return PackedGraphs(
            self.kinds, self.kind[nodes], self.slot[nodes], self.port[nodes], chosen, node_ptr, edge_ptr
        )


def slots(reduced: GraphBatch) -> _Ints:
    """Return in which slot of the readout each node is heard; int64, shape (n_nodes,).

    In graphs with one port that is its canonical rank. In others every output and port has slots of its own,
    in which nodes come by rank: so a node's slot does not depend on how many nodes are left of the parts
    before it. What is too much shares the last slot.
    """
    rank, home = canonical_ranks(reduced), home_ports(reduced)
    output = np.minimum(first_outputs(reduced), _OUTPUTS - 1)
    several = np.zeros(len(reduced), dtype=np.int64)
    np.maximum.at(several, reduced.node_graph, home)
    group = output * PORTS + np.minimum(home, PORTS - 1)
    order = np.lexsort((rank, group, reduced.node_graph))
    key = (reduced.node_graph * _OUTPUTS * PORTS + group)[order]
    place = np.empty_like(rank)
    place[order] = np.arange(len(rank)) - np.searchsorted(key, key)
    slot = np.where(several[reduced.node_graph] > 0, group * _PLACES + np.minimum(place, _PLACES - 1), rank)
    return np.minimum(slot, SLOTS - 1)


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

    def forward(self, x: Tensor, source: Tensor, target: Tensor, port: Tensor) -> Tensor:
        """Return the new node states; float32, shape (n_nodes, width)."""
        nothing = torch.zeros_like(x)
        along = functional.relu(x[source] + self.port_in(port))
        against = functional.relu(x[target] + self.port_out(port))
        came_in = nothing.index_add(0, target, along)
        went_out = nothing.index_add(0, source, against)
        renewed: Tensor = self.norm(x + self.mlp(torch.cat([x, came_in, went_out], dim=1)))
        return renewed


class GraphNetwork(nn.Module):
    """Functional DAGs to Gaussians over the latent space.

    A node knows its place in the canonical order of its graph, and the readout keeps what nodes say apart by
    place: what sums alone would tell only after as many rounds as a graph is deep, and what a decoder that
    writes nodes down in an order needs. Isomorphic graphs still have one vector.

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
        self.slots = nn.Embedding(SLOTS, width)
        self.ports = nn.Embedding(PORTS, width)
        self.rounds = nn.ModuleList(Round(width) for _ in range(layers))
        self.say = nn.Linear(2 * width, _SAID)
        # Beside the hidden layer a direct way, by which most is learned first.
        self.direct = nn.Linear(SLOTS * _SAID, 2 * dim)
        self.readout = nn.Sequential(
            nn.Linear(SLOTS * _SAID, 4 * width), nn.ReLU(), nn.Linear(4 * width, 2 * dim)
        )
        with torch.no_grad():
            self.direct.bias[dim:] += _START

    def forward(self, graphs: PackedGraphs) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the latent; float32, shape (n_graphs, dim) each."""
        source, target, port = (torch.from_numpy(row) for row in graphs.edges)
        kind, place, feeds = (torch.from_numpy(row) for row in (graphs.kind, graphs.slot, graphs.port))
        first = x = self.enter(graphs.kinds)[kind] + self.slots(place) + self.ports(feeds)
        for layer in self.rounds:
            x = layer(x, source, target, port)
        said = self.say(torch.cat([first, x], dim=1))
        # What shares a slot is summed.
        slot = np.repeat(SLOTS * np.arange(len(graphs)), np.diff(graphs.node_ptr)) + graphs.slot
        slots = said.new_zeros(SLOTS * len(graphs), _SAID).index_add(0, torch.from_numpy(slot), said)
        places = slots.view(len(graphs), -1)
        mean, log_variance = (self.direct(places) + self.readout(places)).chunk(2, dim=1)
        return mean, log_variance.clamp(-12.0, 4.0)
