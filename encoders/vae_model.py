"""The networks of the variational autoencoder: graph to latent, latent to decisions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from archindex.encoders.vae_graph import GraphNetwork, PackedGraphs


class DecisionDecoder(nn.Module):
    """Latent to decisions, one after the other, all trained at once.

    Every decision has a hidden layer of its own that sees the latent, through a trunk that all share, and
    all decisions before it, through masked weights (Germain et al., "MADE: Masked Autoencoder for
    Distribution Estimation", ICML 2015). No state is carried from one to the next as in a recurrent network,
    so that training takes a few large matrix products.

    Parameters
    ----------
    dim : int
        Length of the latent.
    vocabulary, length : int
        Ids, and decisions; see `archindex.encoders.grammar.Grammar`.
    hidden : int
        Width of the trunk.
    """

    BEFORE = 16
    """Length of the vector by which an earlier decision is seen."""

    STEP = 64
    """Width of the hidden layer of a decision."""

    mask: Tensor
    first: Tensor

    def __init__(self, dim: int, vocabulary: int, length: int, hidden: int) -> None:
        super().__init__()
        self.vocabulary, self.length = vocabulary, length
        self.trunk = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.from_trunk = nn.Linear(hidden, length * self.STEP)
        self.direct = nn.Linear(dim, length * self.STEP, bias=False)
        self.ids = nn.Embedding(length * vocabulary, self.BEFORE)
        self.from_before = nn.Linear(length * self.BEFORE, length * self.STEP, bias=False)
        self.heads = nn.Parameter(torch.randn(length, self.STEP, vocabulary) / self.STEP**0.5)
        self.bias = nn.Parameter(torch.zeros(length, vocabulary))
        earlier = torch.ones(length, length).tril(-1)
        mask = earlier.repeat_interleave(self.STEP, 0).repeat_interleave(self.BEFORE, 1)
        self.register_buffer("mask", mask, persistent=False)
        self.register_buffer("first", torch.arange(length) * vocabulary, persistent=False)

    def forward(self, latent: Tensor, ids: Tensor) -> Tensor:
        """Return the logits of every decision given the latent and the decisions before it.

        Parameters
        ----------
        latent : Tensor of float32, shape (n, dim)
            Points of the latent space.
        ids : Tensor of int64, shape (n, length)
            Decisions.

        Returns
        -------
        Tensor of float32, shape (n, length, vocabulary)
        """
        seen = self.ids(ids + self.first).flatten(1)
        steps = self.start(latent) + functional.linear(seen, self.from_before.weight * self.mask)
        steps = functional.relu(steps).view(-1, self.length, self.STEP)
        logits: Tensor = torch.einsum("nls,lsv->nlv", steps, self.heads) + self.bias
        return logits

    def start(self, latent: Tensor) -> Tensor:
        """Return what the latent gives to every decision; shape (n, length * STEP)."""
        given: Tensor = self.from_trunk(self.trunk(latent)) + self.direct(latent)
        return given

    def step(self, given: Tensor, prefix: Tensor) -> Tensor:
        """Return the logits of the next decision; shape (n, vocabulary).

        Parameters
        ----------
        given : Tensor
            What `start` returned.
        prefix : Tensor of int64, shape (n, decided)
            The decisions before it.
        """
        decided = prefix.shape[1]
        part = slice(decided * self.STEP, (decided + 1) * self.STEP)
        hidden = given[:, part]
        if decided:
            seen = self.ids(prefix + self.first[:decided]).flatten(1)
            hidden = hidden + functional.linear(seen, self.from_before.weight[part, : seen.shape[1]])
        logits: Tensor = functional.relu(hidden) @ self.heads[decided] + self.bias[decided]
        return logits


class VAEModel(nn.Module):
    """Functional DAGs to Gaussians over the latent space, and latents to decisions.

    Parameters
    ----------
    dim : int
        Length of the latent.
    width, layers : int
        Of the graph network; see `archindex.encoders.vae_graph.GraphNetwork`.
    hidden : int
        Width of the decoder.
    vocabulary, length : int
        Ids, and decisions.

    References
    ----------
    Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014.
    Kipf and Welling, "Variational Graph Auto-Encoders", 2016.
    """

    centre: Tensor
    spread: Tensor
    gather: Tensor

    def __init__(self, dim: int, width: int, layers: int, hidden: int, vocabulary: int, length: int) -> None:
        super().__init__()
        self.encoder = GraphNetwork(dim, width, layers)
        self.decoder = DecisionDecoder(dim, vocabulary, length, hidden)
        # Latent = whitened @ spread + centre: set after training, so that latents are N(0, I) as a whole.
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("spread", torch.eye(dim))
        self.register_buffer("gather", torch.eye(dim))

    def vectors(self, graphs: PackedGraphs) -> Tensor:
        """Return the vectors, which are N(0, I) as a whole; float32, shape (n, dim)."""
        mean, _ = self.encoder(graphs)
        vectors: Tensor = (mean - self.centre) @ self.gather
        return vectors

    def latents(self, vectors: Tensor) -> Tensor:
        """Return the latents that vectors stand for; float32, shape (n, dim)."""
        return vectors @ self.spread + self.centre

    def losses(self, graphs: PackedGraphs, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return reconstruction loss and divergence from the prior, in nats a graph; shape (n,) each."""
        mean, log_variance = self.encoder(graphs)
        latent = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        logits = self.decoder(latent, ids)
        missed = functional.cross_entropy(logits.flatten(0, 1), ids.flatten(), reduction="none")
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(dim=1)
        return missed.view(ids.shape).sum(dim=1), divergence
