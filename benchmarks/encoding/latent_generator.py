"""A generator without an encoder, in the manner of AG-Net; the peer of the autoencoder's decoder.

Lukasik et al., "Learning Where To Look - Generative NAS is Surprisingly Efficient", ECCV 2022. It decides
with the masks of the space, as the autoencoder does, so that what is compared is how the two are trained.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from archindex.core.rng import generator
from archindex.encoders.grammar import Grammar, Ids, Mask, walk
from archindex.encoders.vae_model import DecisionDecoder

NOISE = 0.3
"""Standard deviation of what is added to a learned latent, so that what lies around it decodes, too."""


class LatentGenerator:
    """Latents to architectures.

    Parameters
    ----------
    grammar : Grammar
        What may follow what.
    learned : bool
        Whether every training graph has a latent of its own that is learned with the weights (generative
        latent optimisation: Bojanowski et al., ICML 2018), or a new random one at every step, as in AG-Net's
        published code.
    dim : int
        Length of the latent; AG-Net's.
    hidden : int
        Width of the decoder; the autoencoder's.
    """

    def __init__(self, grammar: Grammar, *, learned: bool, dim: int = 32, hidden: int = 256) -> None:
        self._grammar, self._learned, self._dim = grammar, learned, dim
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.decoder = DecisionDecoder(dim, grammar.vocabulary, grammar.length, hidden)
        self._centre: npt.NDArray[np.floating[Any]] = np.zeros(dim)
        self._root: npt.NDArray[np.floating[Any]] = np.eye(dim)

    def fit(
        self,
        ids: Ids,
        *,
        steps: int,
        seed: int,
        batch_size: int,
        weights: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """Train, or train further, on the decisions behind graphs, drawn by weight."""
        rng = generator(seed, "latent generator", "train")
        share = np.ones(len(ids)) if weights is None else weights
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            table = nn.Embedding(len(ids), self._dim)
            groups = [{"params": self.decoder.parameters(), "lr": 2e-3}]
            if self._learned:
                groups.append({"params": table.parameters(), "lr": 5e-2})
            optimiser = torch.optim.Adam(groups)
            wanted = torch.from_numpy(ids)
            for _ in range(steps):
                rows = torch.from_numpy(rng.choice(len(ids), size=batch_size, p=share / share.sum()))
                latent, pull = torch.randn(batch_size, self._dim), torch.zeros(())
                if self._learned:
                    own = table(rows)
                    latent, pull = own + NOISE * latent, 0.05 * 0.5 * own.square().sum(dim=1).mean()
                logits = self.decoder(latent, wanted[rows])
                missed = functional.cross_entropy(
                    logits.flatten(0, 1), wanted[rows].flatten(), reduction="sum"
                )
                optimiser.zero_grad()
                (missed / batch_size + pull).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
        if self._learned:
            # A Gaussian over the learned latents is what is drawn from; weighted, because training was.
            points = table.weight.detach().double().numpy()
            self._centre = np.average(points, axis=0, weights=share)
            spread = np.cov(points.T, aweights=share, ddof=0) + NOISE**2 * np.eye(self._dim)
            self._root = np.linalg.cholesky(spread)

    def sample(self, n: int, seed: int) -> list[str]:
        """Return native strings of `n` draws, all valid."""
        rng = generator(seed, "latent generator", "sample")
        points = rng.standard_normal((n, self._dim)) @ self._root.T + self._centre
        with torch.inference_mode():
            given = self.decoder.start(torch.from_numpy(points.astype(np.float32)))

            def choose(prefix: Ids, allowed: Mask) -> Ids:
                logits = self.decoder.step(given, torch.from_numpy(prefix)).numpy().astype(np.float64)
                logits += rng.gumbel(size=logits.shape)
                chosen: Ids = np.where(allowed, logits, -np.inf).argmax(axis=1)
                return chosen

            return self._grammar.natives(walk(self._grammar, n, choose))
