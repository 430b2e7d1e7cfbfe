"""The networks of TransNAS-Bench-101 in torch: encoder and linear classifier.

As in yawen-d/TransNASBench (``lib/models/net_infer``, ``lib/models/net_ops/cell_ops.py``; Duan et al., CVPR
2021): every convolution comes after a ReLU and before a batch norm, but for the first of the stem and the
shortcuts of basic blocks, which have no ReLU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from archindex.spaces.blocks import relu_conv_bn

if TYPE_CHECKING:
    from archindex.spaces.cells import Edges
    from archindex.spaces.transnas101 import Block


def network(blocks: Sequence[Block], cell: Edges | None, classes: int) -> nn.Sequential:
    """Return stem, blocks and classifier.

    Parameters
    ----------
    blocks : sequence of Block
        The blocks.
    cell : Edges or None
        Edges of the cell that every block is; None: basic blocks.
    classes : int
        Number of classes.
    """
    made = [BasicBlock(block) if cell is None else Cell(cell, block) for block in blocks]
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(blocks[-1].after, classes))
    return nn.Sequential(_stem(blocks[0].before), *made, *head)


class Cell(nn.Module):
    """A cell: every node sums the ops on its edges; ops that read the input change channels and side."""

    def __init__(self, edges: Edges, block: Block) -> None:
        super().__init__()
        self.sources = [[source for _, source in into] for into in edges]
        inner = block._replace(before=block.after, stride=1)
        self.ops = nn.ModuleList(
            part(op, inner if source else block) for into in edges for op, source in into
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the last node, float (batch, after, side / stride, side / stride)."""
        nodes = [x]
        ops = iter(self.ops)
        for sources in self.sources:
            nodes.append(sum(next(ops)(nodes[source]) for source in sources))
        return nodes[-1]


class BasicBlock(nn.Module):
    """Two ReLU-conv-BN beside a shortcut."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.main = nn.Sequential(
            relu_conv_bn(block.before, block.after, 3, stride=block.stride),
            relu_conv_bn(block.after, block.after, 3),
        )
        self.shortcut: nn.Module = nn.Identity()
        if block.stride > 1 or block.before != block.after:
            self.shortcut = nn.Sequential(
                nn.Conv2d(block.before, block.after, 1, stride=block.stride, bias=False),
                nn.BatchNorm2d(block.after),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return float (batch, after, side / stride, side / stride)."""
        total: Tensor = self.shortcut(x) + self.main(x)
        return total


class Zero(nn.Module):
    """Gives zeros of the block's shape."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.after, self.stride = block.after, block.stride

    def forward(self, x: Tensor) -> Tensor:
        """Return zeros, float (batch, after, side / stride, side / stride)."""
        batch, _, height, width = x.shape
        return x.new_zeros(batch, self.after, -(-height // self.stride), -(-width // self.stride))


class FactorizedReduce(nn.Module):
    """ReLU, two 1x1 convolutions, the second shifted by a pixel, joined; batch norm."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.halves = nn.ModuleList(
            nn.Conv2d(block.before, block.after // 2, 1, stride=block.stride, bias=False) for _ in range(2)
        )
        self.norm = nn.BatchNorm2d(block.after)

    def forward(self, x: Tensor) -> Tensor:
        """Return float (batch, after, side / stride, side / stride)."""
        x = torch.relu(x)
        shifted = nn.functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        first, second = self.halves
        joined: Tensor = self.norm(torch.cat([first(x), second(shifted)], dim=1))
        return joined


def part(kind: str, block: Block) -> nn.Module:
    """Return the ``stem``, a ``basic`` block, or a native op of a cell that turns what enters `block`."""
    if kind == "stem":
        return _stem(block.after)
    if kind == "basic":
        return BasicBlock(block)
    if kind == "none":
        return Zero(block)
    if kind == "skip_connect":
        changes = block.stride > 1 or block.before != block.after
        return FactorizedReduce(block) if changes else nn.Identity()
    return relu_conv_bn(block.before, block.after, 3 if kind == "nor_conv_3x3" else 1, stride=block.stride)


def _stem(channels: int) -> nn.Sequential:
    """Return the two convolutions of stride 2 that every network starts with."""
    return nn.Sequential(
        nn.Conv2d(3, channels // 2, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels // 2),
        relu_conv_bn(channels // 2, channels, 3, stride=2),
    )
