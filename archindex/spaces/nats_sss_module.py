"""The networks of the NATS-Bench size space in torch; sources as in `archindex.spaces.nats_sss`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from archindex.spaces.blocks import relu_conv_bn
from archindex.spaces.nasbench201_module import ResidualBlock
from archindex.spaces.nats_sss import CELL, REDUCING


class Cell(nn.Module):
    """The fixed cell; its first ops change the channels from `before` to `after`."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.ops = nn.ModuleList()
        for source, kernel in (edge for entering in CELL for edge in entering):
            channels = before if source == 0 else after
            if kernel == 3:
                self.ops.append(relu_conv_bn(channels, after, 3))
            elif before == after:
                self.ops.append(nn.Identity())
            else:  # without ReLU
                conv = nn.Conv2d(before, after, 1, bias=False)
                self.ops.append(nn.Sequential(conv, nn.BatchNorm2d(after)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the last node, float (batch, after, side, side)."""
        nodes, ops = [x], iter(self.ops)
        for entering in CELL:
            nodes.append(torch.stack([next(ops)(nodes[source]) for source, _ in entering]).sum(0))
        return nodes[-1]


def network(widths: Sequence[int], classes: int) -> nn.Sequential:
    """Return the network with `widths` as the channels of its five layers; output (batch, classes)."""
    stem = nn.Sequential(nn.Conv2d(3, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]))
    layers: list[nn.Module] = [stem]
    before = widths[0]
    for i, after in enumerate(widths):
        layers.append(ResidualBlock(before, after) if i in REDUCING else Cell(before, after))
        before = after
    head = nn.Sequential(nn.BatchNorm2d(before), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(*layers, head, nn.Linear(before, classes))
