"""The networks of PiT in torch.

Heo et al., "Rethinking Spatial Dimensions of Vision Transformers", ICCV 2021; naver-ai/pit (pit.py), and
lliai/Auto-Prox-AAAI24 (pycls/models/auto/pit_subnet.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from archindex.spaces.transformer_blocks import Attention, FeedForward, PreNorm


class Network(nn.Module):
    """Overlapping patches, three stages of transformer layers with pooling between them, classifier.

    Parameters
    ----------
    base : int
        Width of a head.
    depths, heads : sequence of int
        Layers and heads of each stage.
    ratio : int
        Width of the hidden layers over the width of their stage.
    classes : int
        Number of classes.
    grid, patch, stride : int
        Patches in a row of the image, their side and their distance in pixels.
    """

    def __init__(
        self,
        base: int,
        depths: Sequence[int],
        heads: Sequence[int],
        ratio: int,
        *,
        classes: int,
        grid: int,
        patch: int,
        stride: int,
    ) -> None:
        super().__init__()
        widths = [base * n for n in heads]
        self.patches = nn.Conv2d(3, widths[0], patch, stride=stride)
        self.positions = nn.Parameter(0.02 * torch.randn(1, widths[0], grid, grid))
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, widths[0]))
        self.stages = nn.ModuleList(
            nn.Sequential(*(layer for _ in range(depth) for layer in _layers(width, n, ratio)))
            for depth, width, n in zip(depths, widths, heads, strict=True)
        )
        self.pools = nn.ModuleList(Pooling(a, b) for a, b in itertools.pairwise(widths))
        self.norm = nn.LayerNorm(widths[-1], eps=1e-6)
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores, float (batch, classes), of images, float (batch, 3, side, side)."""
        x = self.patches(images) + self.positions
        token = self.class_token.expand(len(x), -1, -1)
        for i, stage in enumerate(self.stages):
            if i:
                x, token = self.pools[i - 1](x, token)
            tokens = stage(torch.cat([token, x.flatten(2).transpose(1, 2)], dim=1))
            token = tokens[:, :1]
            x = tokens[:, 1:].transpose(1, 2).unflatten(2, x.shape[2:])
        scores: Tensor = self.head(self.norm(token[:, 0]))
        return scores


class Pooling(nn.Module):
    """Halves the side of the image of tokens by a convolution per channel, and widens the class token.

    Parameters
    ----------
    before, after : int
        Widths; `after` is a multiple of `before`.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, stride=2, padding=1, groups=before)
        self.linear = nn.Linear(before, after)

    def forward(self, x: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        """Return the image of tokens, (batch, after, side / 2, side / 2), and the class token."""
        return self.conv(x), self.linear(token)


def _layers(width: int, heads: int, ratio: int) -> tuple[nn.Module, nn.Module]:
    attention = PreNorm(width, Attention(width, width, heads))
    return attention, PreNorm(width, FeedForward(width, ratio * width))
