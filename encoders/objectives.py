"""What a learned encoder is trained for: distances first, then what can be computed, contrast, labels.

Reconstructing a graph does not make near mean alike in behaviour. The objectives here act on distances:

- *structure*: two vectors shall be as far apart as the structural vectors of the two graphs are, near pairs
  counting most (Sammon, "A Nonlinear Mapping for Data Structure Analysis", IEEE Transactions on Computers,
  1969). The network smooths what it imitates: it cannot follow the accidents of hashing.
- *edits*: within a group of small graphs distances shall grow as the root of the exact edit distance does.
- *contrast*: of a batch, a graph shall be nearest to its own edited copy (van den Oord et al.,
  "Representation Learning with Contrastive Predictive Coding", 2018).
- *computed*: a linear layer shall tell what can be computed of the graph (FBNetV3's predictor pre-training:
  Dai et al., CVPR 2021).
- *labels*: a linear layer shall tell measured values, where there are any, with a weight each (AG-Net's
  weighted retraining: Lukasik et al., ECCV 2022).

The distance objectives hold for prefixes of the vectors as for the whole (Kusupati et al., "Matryoshka
Representation Learning", NeurIPS 2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

PREFIXES: Final = (8, 16, 32)
"""Lengths that work by themselves, besides the whole vector."""

TEMPERATURE: Final = 0.1
"""Of the contrastive objective, as a share of the mean distance in the batch."""


@dataclass(frozen=True)
class Objectives:
    """Weight of each objective; 0 leaves it out.

    Attributes
    ----------
    structure, edits, contrast, computed, labels : float
        See the module.
    """

    structure: float = 1.0
    edits: float = 0.0
    contrast: float = 0.0
    computed: float = 0.0
    labels: float = 0.0


def prefixes(dim: int) -> tuple[int, ...]:
    """Return the lengths that are trained of vectors of length `dim`."""
    return (*(p for p in PREFIXES if p < dim), dim)


def stress(vectors: Tensor, wanted: Tensor) -> Tensor:
    """Return Sammon's stress between distances of vectors and wanted distances, the mean over prefixes.

    Parameters
    ----------
    vectors : Tensor, shape (..., n, dim)
        Vectors, in groups.
    wanted : Tensor, shape (..., n, n)
        Distances within each group; symmetric.
    """
    n = vectors.shape[-2]
    row, column = torch.triu_indices(n, n, offset=1)
    target = wanted[..., row, column]
    gaps = (vectors[..., row, :] - vectors[..., column, :]).square()
    lengths = prefixes(vectors.shape[-1])
    total = vectors.new_zeros(())
    squares, start = gaps.new_zeros(gaps.shape[:-1]), 0
    for stop in lengths:
        squares = squares + gaps[..., start:stop].sum(dim=-1)
        start = stop
        # The small constant keeps the gradient of the root finite where two vectors coincide.
        found = torch.sqrt(squares + 1e-6)
        total = total + ((found - target).square() / (target + 0.1)).sum() / target.sum().clamp(min=1e-6)
    return total / len(lengths)


def disagreement(vectors: Tensor, wanted: Tensor) -> Tensor:
    """Return one minus the correlation of distances with wanted ones within groups, the mean over prefixes.

    Parameters and shapes are those of `stress`; the unit of the wanted distances does not matter.
    """
    n = vectors.shape[-2]
    row, column = torch.triu_indices(n, n, offset=1)
    target = wanted[..., row, column]
    target = target - target.mean(dim=-1, keepdim=True)
    gaps = (vectors[..., row, :] - vectors[..., column, :]).square()
    lengths = prefixes(vectors.shape[-1])
    total = vectors.new_zeros(())
    squares, start = gaps.new_zeros(gaps.shape[:-1]), 0
    for stop in lengths:
        squares = squares + gaps[..., start:stop].sum(dim=-1)
        start = stop
        found = torch.sqrt(squares + 1e-6)
        found = found - found.mean(dim=-1, keepdim=True)
        total = total + (1 - functional.cosine_similarity(found, target, dim=-1)).mean()
    return total / len(lengths)


def contrast(vectors: Tensor, copies: Tensor) -> Tensor:
    """Return how badly graphs are told from others by their edited copies, the mean over prefixes."""
    total = vectors.new_zeros(())
    lengths = prefixes(vectors.shape[1])
    for length in lengths:
        distance = torch.cdist(vectors[:, :length], copies[:, :length])
        logits = -distance / (TEMPERATURE * distance.detach().mean().clamp(min=1e-6))
        total = total + functional.cross_entropy(logits, torch.arange(len(vectors)))
    return total / len(lengths)


def told(predicted: Tensor, values: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean squared error where `values` are known (not NaN), rows weighted."""
    known = torch.isfinite(values)
    error = torch.where(known, predicted - torch.where(known, values, 0.0), 0.0).square()
    counts = known.float()
    if weights is not None:
        error, counts = error * weights[:, None], counts * weights[:, None]
    return error.sum() / counts.sum().clamp(min=1e-6)
