"""The networks of NAS-Bench-201 in torch.

Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR 2020,
section 2.1 and the authors' code for the order of ReLU, convolution and batch norm.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from archindex.spaces.nasbench201 import CELLS_PER_STAGE, EDGES, OPS, STAGE_CHANNELS


class Network(nn.Module):
    """Stem, three stages of five cells with a residual block between stages, classifier.

    Parameters
    ----------
    genotype : sequence of int
        Op of each edge, see `archindex.spaces.nasbench201`.
    classes : int
        Number of classes.
    """

    def __init__(self, genotype: Sequence[int], classes: int) -> None:
        super().__init__()
        channels = STAGE_CHANNELS[0]
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        blocks: list[nn.Module] = []
        for width in STAGE_CHANNELS:
            if width != channels:
                blocks.append(ResidualBlock(channels, width))
                channels = width
            blocks += [Cell(genotype, width) for _ in range(CELLS_PER_STAGE)]
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(channels, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores, float (batch, classes), of images, float (batch, 3, side, side)."""
        scores: Tensor = self.head(self.blocks(self.stem(images)))
        return scores


class Cell(nn.Module):
    """The cell that the genotype describes: four nodes, each the sum of the ops on its incoming edges."""

    def __init__(self, genotype: Sequence[int], channels: int) -> None:
        super().__init__()
        # Edges without an op are left out: they would add zeros.
        self.edges = tuple(edge for edge, op in zip(EDGES, genotype, strict=True) if OPS[op] != "none")
        self.ops = nn.ModuleList(_op(OPS[op], channels) for op in genotype if OPS[op] != "none")

    def forward(self, x: Tensor) -> Tensor:
        """Return the last node; same shape as `x`."""
        # Zero times x keeps the gradient defined (and zero) where no path is left.
        zero = x * 0
        nodes = [x, zero, zero, zero]
        for (source, target), op in zip(self.edges, self.ops, strict=True):
            nodes[target] = nodes[target] + op(nodes[source])
        return nodes[3]


class ResidualBlock(nn.Module):
    """Two ReLU-conv-BN beside a pooled and projected shortcut; halves the side."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.main = nn.Sequential(_relu_conv_bn(before, after, 3, stride=2), _relu_conv_bn(after, after, 3))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(before, after, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of half the side of `x`."""
        return torch.add(self.main(x), self.shortcut(x))


def _op(name: str, channels: int) -> nn.Module:
    if name == "skip_connect":
        return nn.Identity()
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    return _relu_conv_bn(channels, channels, 3 if name == "nor_conv_3x3" else 1)


def _relu_conv_bn(before: int, after: int, kernel: int, stride: int = 1) -> nn.Module:
    conv = nn.Conv2d(before, after, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(after))
