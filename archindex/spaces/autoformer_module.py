"""The networks of AutoFormer in torch.

Chen et al., "AutoFormer: Searching Transformers for Visual Recognition", ICCV 2021; microsoft/Cream,
AutoFormer/model (supernet_transformer.py, module/multihead_super.py). Relative positions follow Shaw et al.,
"Self-Attention with Relative Position Representations", NAACL 2018, with one table a direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from archindex.spaces.transformer_blocks import FeedForward, PreNorm

HEAD_WIDTH: Final = 64
MAX_DISTANCE: Final = 14
"""Rows and columns apart from which distances are told no further."""


class Network(nn.Module):
    """Patch embedding, pre-norm transformer layers, average over the patches, classifier.

    Parameters
    ----------
    width : int
        Width of a token.
    heads, ratios : sequence of int, of float
        Heads of each layer, and width of its hidden layer over `width`.
    classes : int
        Number of classes.
    side, patch : int
        Side of the image and of a patch in pixels.
    """

    def __init__(
        self,
        width: int,
        heads: Sequence[int],
        ratios: Sequence[float],
        *,
        classes: int,
        side: int,
        patch: int,
    ) -> None:
        super().__init__()
        grid = side // patch
        self.patches = nn.Conv2d(3, width, patch, stride=patch)
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, grid**2 + 1, width))
        layers: list[nn.Module] = []
        for n, ratio in zip(heads, ratios, strict=True):
            layers.append(PreNorm(width, RelativeAttention(width, n, grid)))
            layers.append(PreNorm(width, FeedForward(width, int(ratio * width))))
        self.layers = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores, float (batch, classes), of images, float (batch, 3, side, side)."""
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1) + self.positions
        x = self.norm(self.layers(x))
        scores: Tensor = self.head(x[:, 1:].mean(dim=1))
        return scores


class RelativeAttention(nn.Module):
    """Self-attention whose keys and values also tell how far apart two patches are.

    Parameters
    ----------
    width : int
        Width of a token.
    heads : int
        Number of heads of width `HEAD_WIDTH`.
    grid : int
        Patches in a row of the image.
    """

    places: Tensor

    def __init__(self, width: int, heads: int, grid: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * heads * HEAD_WIDTH)
        self.out = nn.Linear(heads * HEAD_WIDTH, width)
        shape = (2, 2 * MAX_DISTANCE + 2, HEAD_WIDTH)  # down and across; the first row is the class token's
        self.to_keys = nn.Parameter(0.02 * torch.randn(shape))
        self.to_values = nn.Parameter(0.02 * torch.randn(shape))
        self.register_buffer("places", _places(grid), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of `x`, float (batch, 1 + patches, width)."""
        batch, tokens, _ = x.shape
        q, k, v = self.qkv(x).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        by_token = q.permute(2, 0, 1, 3).reshape(tokens, batch * self.heads, -1)
        relative = by_token @ self._embedded(self.to_keys).transpose(1, 2)
        relative = relative.view(tokens, batch, self.heads, tokens).permute(1, 2, 0, 3)
        weights = ((q @ k.transpose(-2, -1) + relative) * HEAD_WIDTH**-0.5).softmax(dim=-1)
        by_token = weights.permute(2, 0, 1, 3).reshape(tokens, batch * self.heads, tokens)
        shifts = (by_token @ self._embedded(self.to_values)).view(tokens, batch, self.heads, -1)
        mixed = weights @ v + shifts.permute(1, 2, 0, 3)
        result: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return result

    def _embedded(self, table: Tensor) -> Tensor:
        """Return the embedding of every pair of tokens, (tokens, tokens, HEAD_WIDTH)."""
        return table[0][self.places[0]] + table[1][self.places[1]]


def _places(grid: int) -> Tensor:
    """Return the row of the table for every pair of tokens, down and across: (2, tokens, tokens)."""
    at = torch.arange(grid**2)
    here = torch.stack([at // grid, at % grid])
    apart = (here[:, None, :] - here[:, :, None]).clamp(-MAX_DISTANCE, MAX_DISTANCE) + MAX_DISTANCE + 1
    return nn.functional.pad(apart, (1, 0, 1, 0))
