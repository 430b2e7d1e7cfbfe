"""The networks of DARTS and NASNet cells in torch.

Ops and cells as in quark0/darts (``cnn/operations.py`` and ``cnn/model.py``; Liu et al., ICLR 2019): every
convolution comes after a ReLU and before a batch norm, pooling has no batch norm, separable convolutions are
applied twice. NASNet's further ops (Zoph et al., "Learning Transferable Architectures for Scalable Image
Recognition", CVPR 2018) are made in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from archindex.spaces.blocks import relu_conv_bn

if TYPE_CHECKING:
    from archindex.spaces.cells import Edges
    from archindex.spaces.stacked import Place


class Network(nn.Module):
    """Stem, cells in a row, classifier; no auxiliary head.

    Parameters
    ----------
    cells : mapping from str to Edges
        Edges of ``"normal"`` and ``"reduce"``.
    joined : mapping from str to list of int
        Nodes that each cell concatenates.
    places : sequence of Place
        Where the cells stand.
    classes : int
        Number of classes.
    """

    def __init__(
        self,
        cells: Mapping[str, Edges],
        joined: Mapping[str, list[int]],
        places: Sequence[Place],
        classes: int,
    ) -> None:
        super().__init__()
        stem = places[0].before[0]
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem))
        self.cells = nn.ModuleList(Cell(cells[p.cell], joined[p.cell], p) for p in places)
        last = places[-1]
        self.classifier = nn.Linear(last.channels * len(joined[last.cell]), classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores, float (batch, classes), of images, float (batch, 3, side, side)."""
        before = last = self.stem(images)
        for cell in self.cells:
            before, last = last, cell(before, last)
        scores: Tensor = self.classifier(last.mean(dim=(2, 3)))
        return scores


class Cell(nn.Module):
    """One cell: a node is the sum of the ops on its edges; the `joined` nodes are concatenated."""

    def __init__(self, edges: Edges, joined: list[int], place: Place) -> None:
        super().__init__()
        self.sources = [[source for _, source in into] for into in edges]
        self.joined = joined
        self.entries = entries(place)
        self.ops = nn.ModuleList(
            edge(op, place.channels, place.stride if source < 2 else 1)
            for into in edges
            for op, source in into
        )

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        """Return the nodes joined, given what the two cells before gave."""
        nodes = [entry(x) for entry, x in zip(self.entries, (before, last), strict=True)]
        ops = iter(self.ops)
        for sources in self.sources:
            nodes.append(sum(next(ops)(nodes[source]) for source in sources))
        return torch.cat([nodes[node] for node in self.joined], dim=1)


class FactorizedReduce(nn.Module):
    """Halves the side: two 1x1 convolutions of stride 2, the second shifted by a pixel, joined."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.halves = nn.ModuleList(nn.Conv2d(before, after // 2, 1, stride=2, bias=False) for _ in range(2))
        self.norm = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        """Return float (batch, after, side / 2, side / 2) of float (batch, before, side, side)."""
        x = torch.relu(x)
        first, second = self.halves
        joined: Tensor = self.norm(torch.cat([first(x), second(x[:, :, 1:, 1:])], dim=1))
        return joined


class Zero(nn.Module):
    """Gives zeros; they keep a gradient, which is zero."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return zeros of ``1 / stride`` of the side of `x`."""
        return x[:, :, :: self.stride, :: self.stride] * 0


def entries(place: Place) -> nn.ModuleList:
    """Return what brings both inputs of a cell to its channels and side."""
    before, last = place.before
    first = (FactorizedReduce if place.halved else _pointwise)(before, place.channels)
    return nn.ModuleList([first, _pointwise(last, place.channels)])


def edge(op: str, channels: int, stride: int) -> nn.Module:
    """Return a native op, e.g. ``sep_conv_3x3``, that keeps `channels`."""
    if op == "none":
        return Zero(stride)
    if op == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels)
    kind, _, size = op.rpartition("_")
    kernel = int(size.partition("x")[2])
    if kind == "max_pool":
        return nn.MaxPool2d(kernel, stride=stride, padding=kernel // 2)
    if kind == "avg_pool":
        return nn.AvgPool2d(kernel, stride=stride, padding=kernel // 2, count_include_pad=False)
    if kind == "sep_conv":
        first, second = (_depthwise(channels, kernel, step, 1) for step in (stride, 1))
        return nn.Sequential(*first, *second)
    if kind == "dil_conv":
        return _depthwise(channels, kernel, stride, 2)
    if kind == "conv":
        return relu_conv_bn(channels, channels, kernel, stride=stride)
    # conv_7x1_1x7: a row, then a column.
    row = nn.Conv2d(channels, channels, (1, kernel), (1, stride), (0, kernel // 2), bias=False)
    column = nn.Conv2d(channels, channels, (kernel, 1), (stride, 1), (kernel // 2, 0), bias=False)
    return nn.Sequential(nn.ReLU(), row, column, nn.BatchNorm2d(channels))


def _pointwise(before: int, after: int) -> nn.Module:
    return relu_conv_bn(before, after, 1)


def _depthwise(channels: int, kernel: int, stride: int, dilation: int) -> nn.Sequential:
    """Return ReLU, a depthwise convolution, one across channels, batch norm."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(
            channels, channels, kernel, stride, padding, dilation=dilation, groups=channels, bias=False
        ),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
    )
