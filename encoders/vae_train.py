"""How the variational autoencoder learns: to write down the architecture of a graph, decision by decision."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from archindex.core.batch import GraphBatch
from archindex.core.canonical import reduce_batch
from archindex.core.progress import Progress
from archindex.core.rng import generator
from archindex.encoders.grammar import Ids
from archindex.encoders.vae_graph import PackedGraphs
from archindex.encoders.vae_model import VAEModel

_WARM_UP: Final = 0.05
"""Share of the steps over which the learning rate rises."""

_REPORT: Final = 100
"""Steps from one report of progress to the next."""

_MEASURED: Final = 20_000
"""Graphs on which the spread of the latents is measured, at most."""

_LAST_RATE: Final = 0.01
"""Learning rate at the end over that at the peak."""


@dataclass(frozen=True)
class VAEPlan:
    """How long and how to train.

    Attributes
    ----------
    steps : int
        Gradient steps.
    batch_size : int
        Graphs a step, drawn with replacement.
    divergence : float
        Weight of the divergence from the prior (beta), reached after a third of the steps. Below 1, so that
        the latent says everything and the decoder, which sees its own decisions, does not do without it;
        large enough that latents fill the prior evenly.
    learning_rate : float
        Peak of the learning rate, which goes down along a cosine.
    """

    steps: int
    batch_size: int
    divergence: float
    learning_rate: float = 2e-3


def train_vae(
    model: VAEModel,
    batch: GraphBatch,
    ids: Ids,
    plan: VAEPlan,
    *,
    weights: npt.NDArray[np.float64],
    seed: int,
    progress: Progress,
) -> None:
    """Train `model` in place, then measure where its latents lie.

    Parameters
    ----------
    model : VAEModel
        The model, fresh or trained before.
    batch : GraphBatch
        Training graphs, reduced or not.
    ids : ndarray of int64, shape (len(batch), length)
        The decisions behind each.
    plan : VAEPlan
        Budget.
    weights : ndarray of float64, shape (len(batch),)
        How often each graph is drawn, relative to the others.
    seed : int
        Decides which graphs are drawn. Latents are drawn from torch's global state.
    progress : Progress
        Told every `_REPORT` steps.
    """
    rng = generator(seed, "vae", "train")
    graphs, wanted = PackedGraphs.of(reduce_batch(batch)), torch.from_numpy(ids)
    share = np.cumsum(weights) / np.sum(weights)
    optimiser = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate, weight_decay=1e-4, fused=True)
    model.train()
    for step in range(plan.steps):
        done = step / plan.steps
        falling = _LAST_RATE + (1.0 - _LAST_RATE) * (0.5 + 0.5 * math.cos(math.pi * done))
        for group in optimiser.param_groups:
            group["lr"] = plan.learning_rate * falling * min(1.0, (done + 1 / plan.steps) / _WARM_UP)
        rows = np.searchsorted(share, rng.random(plan.batch_size), side="right").clip(max=len(ids) - 1)
        missed, divergence = model.losses(graphs.pick(rows), wanted[rows])
        loss = (missed + plan.divergence * min(1.0, 3.0 * done) * divergence).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if (step + 1) % _REPORT == 0 or step + 1 == plan.steps:
            progress("train vae", step + 1, plan.steps)
    model.eval()
    rows = rng.permutation(np.flatnonzero(weights))[:_MEASURED]
    spread_latents(model, graphs.pick(rows), torch.from_numpy(weights[rows]))


def spread_latents(model: VAEModel, graphs: PackedGraphs, weights: Tensor) -> None:
    """Set the fixed linear layer that makes the latents of these graphs N(0, I) as a whole.

    Graphs count by `weights`, as in training, so that draws from N(0, I) follow them. What is measured is the
    aggregated posterior: the covariance of the means plus the mean variance. So a dimension that says nothing
    keeps the unit variance of its posterior, and is not blown up.
    """
    means, variances = [], []
    with torch.inference_mode():
        for start in range(0, len(graphs), 2048):
            rows = np.arange(start, min(start + 2048, len(graphs)))
            mean, log_variance = model.encoder(graphs.pick(rows))
            means.append(mean.double())
            variances.append(log_variance.double().exp())
    share = weights / weights.sum()
    mean, variance = torch.cat(means), share @ torch.cat(variances)
    covariance = torch.cov(mean.T, correction=0, aweights=share).reshape(len(variance), -1)
    covariance += torch.diag(variance)
    # The symmetric root: of all roots the one that moves the latents least.
    values, vectors = torch.linalg.eigh(covariance)
    model.centre = (share @ mean).float()
    model.spread = (vectors * values.sqrt() @ vectors.T).float()
    model.gather = (vectors / values.sqrt() @ vectors.T).float()
