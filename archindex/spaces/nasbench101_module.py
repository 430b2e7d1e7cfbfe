"""The networks of NAS-Bench-101 in torch.

Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019, section 2, and the
authors' ``model_builder`` for the widths of the vertices and the constants of batch norm.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archindex.spaces.nasbench101_cells import CELLS_PER_STACK, OPS, STACKS, STEM_CHANNELS, Cell


class Network(nn.Module):
    """Stem, three stacks of three cells with pooling between stacks, classifier.

    Parameters
    ----------
    cell : Cell
        A valid cell.
    classes : int
        Number of classes.
    """

    def __init__(self, cell: Cell, classes: int) -> None:
        super().__init__()
        self.stem = _conv_bn_relu(3, STEM_CHANNELS, 3)
        blocks: list[nn.Module] = []
        before = STEM_CHANNELS
        for stack in range(STACKS):
            channels = STEM_CHANNELS << stack
            if stack:
                # Rounding up is the "same" padding of the original; 32 pixels are divided without a rest.
                blocks.append(nn.MaxPool2d(2, ceil_mode=True))
            for _ in range(CELLS_PER_STACK):
                blocks.append(CellModule(cell, before, channels))
                before = channels
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(before, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores, float (batch, classes), of images, float (batch, 3, side, side)."""
        features: Tensor = self.blocks(self.stem(images))
        scores: Tensor = self.classifier(features.mean(dim=(2, 3)))
        return scores


class CellModule(nn.Module):
    """One cell.

    The input is projected by a 1x1 convolution on each of its edges; a vertex that is one channel wider than
    the vertex it feeds is cut. Interior sources of the output are concatenated.
    """

    def __init__(self, cell: Cell, before: int, after: int) -> None:
        super().__init__()
        self.sources = cell.sources
        self.widths = vertex_channels(cell, after)
        self.projections = nn.ModuleDict(
            {
                str(y): _conv_bn_relu(before, self.widths[y], 1)
                for y, mask in enumerate(cell.sources, start=1)
                if mask & 1
            }
        )
        self.ops = nn.ModuleList(_op(OPS[op], self.widths[y]) for y, op in enumerate(cell.ops, start=1))

    def forward(self, x: Tensor) -> Tensor:
        """Return float (batch, after, side, side) of float (batch, before, side, side)."""
        vertices = [x]
        for y, op in enumerate(self.ops, start=1):
            terms = [value[:, : self.widths[y]] for value in self._interior(vertices, y)]
            vertices.append(op(self._with_projection(terms, x, y)))
        last = len(self.sources)
        joined = self._interior(vertices, last)
        return self._with_projection([torch.cat(joined, dim=1)] if joined else [], x, last)

    def _interior(self, vertices: list[Tensor], target: int) -> list[Tensor]:
        mask = self.sources[target - 1]
        return [vertices[v] for v in range(1, target) if mask >> v & 1]

    def _with_projection(self, terms: list[Tensor], x: Tensor, target: int) -> Tensor:
        if str(target) in self.projections:
            terms = [*terms, self.projections[str(target)](x)]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total


def vertex_channels(cell: Cell, after: int) -> list[int]:
    """Return the channels of every vertex, the input's put as 0.

    The vertices that feed the output share its channels, the first of them taking one more where the
    division leaves a rest; every other vertex is as wide as the widest that it feeds.
    """
    last = len(cell.sources)
    direct = [v for v in range(1, last) if cell.sources[-1] >> v & 1]
    channels = [0] * last + [after]
    for i, v in enumerate(direct):
        channels[v] = after // len(direct) + (i < after % len(direct))
    for v in reversed(range(1, last)):
        if v not in direct:
            channels[v] = max(channels[y] for y in range(v + 1, last) if cell.sources[y - 1] >> v & 1)
    return channels


def _op(name: str, channels: int) -> nn.Module:
    if name == "maxpool3x3":
        return nn.MaxPool2d(3, stride=1, padding=1)
    return _conv_bn_relu(channels, channels, 3 if name == "conv3x3" else 1)


def _conv_bn_relu(before: int, after: int, kernel: int) -> nn.Module:
    conv = nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
    # The original keeps 0.997 of the running statistics at each step; torch states the part that is new.
    return nn.Sequential(conv, nn.BatchNorm2d(after, eps=1e-5, momentum=0.003), nn.ReLU())
