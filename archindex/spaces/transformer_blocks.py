"""Attention and feed-forward layers in torch that several transformer spaces share.

Vaswani et al., "Attention Is All You Need", NeurIPS 2017.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention; keys and values may come from another sequence.

    Parameters
    ----------
    dim : int
        Width of what asks, and of the output.
    width : int
        Width of the queries, keys and values of all heads together.
    heads : int
        Number of heads; divides `width`.
    memory_dim : int, optional
        Width of what is attended to; `dim` where a sequence attends to itself.
    causal : bool
        Whether a position attends to itself and those before it only.
    """

    def __init__(
        self, dim: int, width: int, heads: int, *, memory_dim: int | None = None, causal: bool = False
    ) -> None:
        super().__init__()
        memory_dim = dim if memory_dim is None else memory_dim
        self.heads = heads
        self.causal = causal
        self.query = nn.Linear(dim, width)
        self.key = nn.Linear(memory_dim, width)
        self.value = nn.Linear(memory_dim, width)
        self.out = nn.Linear(width, dim)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """Return a tensor of the shape of `x`, float (batch, tokens, dim)."""
        memory = x if memory is None else memory
        q, k, v = (
            layer(source).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, source in ((self.query, x), (self.key, memory), (self.value, memory))
        )
        weights = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
        if self.causal:
            later = torch.ones(weights.shape[-2:], dtype=torch.bool, device=weights.device).triu(1)
            weights = weights.masked_fill(later, float("-inf"))
        mixed: Tensor = weights.softmax(dim=-1) @ v
        result: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return result


class FeedForward(nn.Sequential):
    """Two linear layers with an activation between them, GELU if none is given."""

    def __init__(self, dim: int, hidden: int, activation: nn.Module | None = None) -> None:
        super().__init__(nn.Linear(dim, hidden), activation or nn.GELU(), nn.Linear(hidden, dim))


class PreNorm(nn.Module):
    """A residual branch whose input is normalised: ``x + branch(norm(x))``."""

    def __init__(self, dim: int, branch: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of `x`."""
        result: Tensor = x + self.branch(self.norm(x))
        return result


class PostNorm(nn.Module):
    """A residual branch whose sum is normalised: ``norm(x + branch(x, ...))``."""

    def __init__(self, dim: int, branch: nn.Module, eps: float = 1e-5) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=eps)
        self.branch = branch

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        """Return a tensor of the shape of `x`; `others` are further inputs of the branch."""
        result: Tensor = self.norm(x + self.branch(x, *others))
        return result
