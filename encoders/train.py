"""How the GIN encoder learns: without labels, from distances that can be computed.

Reconstructing a graph does not make near mean alike in behaviour. Here two vectors shall be as far apart as
the structural vectors of the two graphs are, near pairs counting most (Sammon, "A Nonlinear Mapping for Data
Structure Analysis", IEEE Transactions on Computers, 1969). The network smooths what it imitates: it cannot
follow the accidents of hashing, so that its neighbours tell accuracy better than those it learned from
(benchmarks/locality.py). Having it predict every structural feature as well, scaled to unit variance, made
its neighbours worse, the more the heavier this counted.

Graphs that differ only in dead ops or skips need no contrastive pairs: the network reads functional DAGs.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from archindex.core.batch import GraphBatch
from archindex.core.canonical import arch_ids, reduce_batch
from archindex.core.errors import ArgumentError
from archindex.core.progress import Progress
from archindex.core.rng import generator
from archindex.encoders.features import ranges
from archindex.encoders.gin_model import GINModel, GraphTensors
from archindex.encoders.structural import StructuralEncoder


@dataclass(frozen=True)
class TrainingPlan:
    """How long and on how much to train.

    Attributes
    ----------
    epochs : int
        At most so many passes.
    graphs : int
        At most so many distinct graphs, drawn at random from the batch.
    batch_size : int
        Graphs per step.
    patience : int
        Stop after so many epochs without a better loss on the held-out graphs.
    learning_rate : float
        Peak of the learning rate, which goes down to zero along a cosine.
    """

    epochs: int = 30
    graphs: int = 12_000
    batch_size: int = 128
    patience: int = 8
    learning_rate: float = 3e-3


def train(
    model: GINModel, batch: GraphBatch, plan: TrainingPlan, *, seed: int, progress: Progress
) -> list[float]:
    """Train `model` in place and leave it with the weights of the best epoch.

    Parameters
    ----------
    model : GINModel
        Fresh model.
    batch : GraphBatch
        Training graphs, reduced or not, at least two different ones.
    plan : TrainingPlan
        Budget.
    seed : int
        Decides which graphs are drawn, held out, and in which order they come.
    progress : Progress
        Told after each epoch.

    Returns
    -------
    list of float
        Loss on the held-out graphs after each epoch.

    Raises
    ------
    ArgumentError
        If there are not two different graphs.
    """
    rng = generator(seed, "gin", "train")
    # Four times as many as needed, not all: finding aliases among millions would take longer than training.
    drawn = pick(batch, rng.permutation(len(batch))[: 4 * plan.graphs])
    _, distinct = np.unique(arch_ids(drawn), return_index=True)
    chosen = pick(reduce_batch(drawn), rng.permutation(distinct)[: plan.graphs])
    if len(chosen) < 2:
        raise ArgumentError("expected at least two different graphs to learn from", got=len(chosen))
    near = StructuralEncoder().encode(chosen)
    held_out, rest = np.split(np.arange(len(chosen)), [min(max(len(chosen) // 10, 2), 1000)])
    if len(chosen) < 20:  # too few to spare any
        rest = np.arange(len(chosen))
    steps = -(-len(rest) // plan.batch_size)
    optimiser = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=plan.learning_rate, total_steps=plan.epochs * steps + 1, pct_start=0.1
    )

    def loss_of(rows: npt.NDArray[np.int64]) -> Tensor:
        vectors = model(GraphTensors.of(pick(chosen, rows)))
        return _distance_loss(vectors, torch.from_numpy(near[rows]))

    best, best_weights, since = float("inf"), copy.deepcopy(model.state_dict()), 0
    losses: list[float] = []
    for epoch in range(plan.epochs):
        model.train()
        order = rng.permutation(rest)
        for start in range(0, len(order), plan.batch_size):
            optimiser.zero_grad()
            loss_of(order[start : start + plan.batch_size]).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            losses.append(float(loss_of(held_out)))
        progress("train gin", epoch + 1, plan.epochs)
        if losses[-1] < best:
            best, best_weights, since = losses[-1], copy.deepcopy(model.state_dict()), 0
        else:
            since += 1
            if since >= plan.patience:
                break
    model.load_state_dict(best_weights)
    model.eval()
    return losses


def pick(batch: GraphBatch, rows: npt.NDArray[np.int64]) -> GraphBatch:
    """Return the graphs at `rows`, in that order, as a batch."""
    n_nodes, n_edges = np.diff(batch.node_ptr)[rows], np.diff(batch.edge_ptr)[rows]
    nodes = ranges(batch.node_ptr[:-1][rows], n_nodes)
    edges = batch.edges[:, ranges(batch.edge_ptr[:-1][rows], n_edges)]
    node_ptr = np.concatenate([[0], np.cumsum(n_nodes)])
    edges[:2] += np.repeat(node_ptr[:-1] - batch.node_ptr[:-1][rows], n_edges)
    edge_ptr = np.concatenate([[0], np.cumsum(n_edges)])
    return GraphBatch(batch.op[nodes], batch.attrs[nodes], edges, node_ptr, edge_ptr, batch.extra_ops)


def _distance_loss(vectors: Tensor, wanted: Tensor) -> Tensor:
    """Return Sammon's stress between the pairwise distances of two sets of vectors."""
    target = torch.nn.functional.pdist(wanted)
    # The small constant keeps the gradient of the root finite where two vectors coincide.
    found = torch.sqrt(torch.nn.functional.pdist(vectors).square() + 1e-6)
    return ((found - target).square() / (target + 0.1)).sum() / target.sum().clamp(min=1e-6)
