"""einspace: the networks (einspace/layers.py and einspace/network.py of linusericsson/einspace)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from archindex.spaces import einspace_shapes as shapes
from archindex.spaces.derivation import Rules, Tree
from archindex.spaces.einspace_shapes import Meter, Shape


class Network(nn.Module):
    """A derivation with a classifier on top.

    Parameters
    ----------
    tree : Tree
        The derivation.
    rules : mapping from str to tuple of Production
        The grammar.
    x : tuple of int
        Shape of an image, without the batch.
    classes : int
        Size of the output.
    """

    def __init__(self, tree: Tree, rules: Rules, x: Shape, classes: int) -> None:
        super().__init__()
        self.backbone, y = _built(tree, rules, x, "network")
        self.head = nn.Linear(y[0], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores, float (batch, classes), of images, float (batch, 3, side, side)."""
        features: Tensor = self.backbone(images)
        scores: Tensor = self.head(features.flatten(2).mean(dim=2))
        return scores


def _built(tree: Tree, rules: Rules, x: Shape, symbol: str = "module") -> tuple[nn.Module, Shape]:
    """Return a module for tensors of shape `x`, and the shape that it gives."""
    production, meter = rules[symbol][tree.production], Meter()
    name = production.name
    if not tree.children:
        return _computation(name, x), shapes.compute(name, x, meter)
    if name == "sequential":
        first, y = _built(tree.children[0], rules, x)
        second, z = _built(tree.children[1], rules, y)
        return nn.Sequential(first, second), z
    ends = [
        rules[production.children[i]][tree.children[i].production].name for i in (0, len(tree.children) - 1)
    ]
    if name.startswith("branching"):
        part, inner = shapes.split(ends[0], x, meter), tree.children[1:-1]
        n = int(name.removeprefix("branching"))
        built = [_built(inner[min(i, len(inner) - 1)], rules, part) for i in range(n)]
        module = Branching(ends[0], [branch for branch, _ in built], ends[1])
        return module, shapes.join(ends[1], [y for _, y in built], meter)
    if name == "unfolding":
        columns, sides = shapes.windows(ends[0], x)
        inside, y = _built(tree.children[1], rules, columns)
        after: nn.Module = Col2Im(sides) if ends[1] == "col2im" else _route(ends[1])
        return nn.Sequential(Im2Col(*shapes.parse_window(ends[0])), inside, after), shapes.fold(
            ends[1], y, sides
        )
    inside, y = _built(tree.children[1], rules, shapes.permute(ends[0], x))
    return nn.Sequential(_route(ends[0]), inside, _route(ends[1])), shapes.permute(ends[1], y)


def _computation(name: str, x: Shape) -> nn.Module:
    if name.startswith("linear"):
        return nn.Linear(x[-1], int(name.removeprefix("linear")))
    if name == "norm":
        return nn.BatchNorm2d(x[0]) if len(x) == 3 else nn.LayerNorm(x[-1])
    if name == "softmax":
        return nn.Softmax(dim=-1)
    if name == "learnable_positional_encoding":
        return PositionalEncoding(x)
    return nn.LeakyReLU() if name == "leakyrelu" else nn.Identity()


def _route(name: str) -> nn.Module:
    return nn.Identity() if name == "identity" else Permute(shapes.parse_permute(name))


class Branching(nn.Module):
    """Branches beside each other.

    Parameters
    ----------
    split, join : str
        Names of the branching and of the aggregation function.
    branches : sequence of Module
        What is applied to the parts.
    """

    def __init__(self, split: str, branches: Sequence[nn.Module], join: str) -> None:
        super().__init__()
        self.group = shapes.parse_group(split)
        self.branches = nn.ModuleList(branches)
        self.cat = shapes.parse_cat(join)
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        """Split, apply the branches, and aggregate."""
        parts: Sequence[Tensor] = [x] * len(self.branches)
        if self.group is not None:
            n, dim = self.group
            parts = x.chunk(n, dim=dim)
        values = [branch(part) for branch, part in zip(self.branches, parts, strict=True)]
        if self.cat is not None:
            return torch.cat(values, dim=self.cat)
        if self.join == "add_tensors":
            return torch.stack(values).sum(dim=0)
        product: Tensor = values[0] @ values[1]
        return product / math.sqrt(values[0].shape[-1]) if self.join == "scaled_dot_product" else product


class Im2Col(nn.Module):
    """Images (batch, channels, h, w) to columns (batch, windows, channels * kernel^2), one row a window."""

    def __init__(self, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.unfold = nn.Unfold(kernel, stride=stride, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        """Return the columns."""
        columns: Tensor = self.unfold(x)
        return columns.transpose(1, 2)


class Col2Im(nn.Module):
    """Columns to images of given sides: (batch, windows, features) to (batch, features, h, w)."""

    def __init__(self, sides: tuple[int, int]) -> None:
        super().__init__()
        self.sides = sides

    def forward(self, x: Tensor) -> Tensor:
        """Return the images."""
        return x.transpose(1, 2).reshape(len(x), -1, *self.sides)


class Permute(nn.Module):
    """Dimensions in another order, counted from 1 after the batch."""

    def __init__(self, order: tuple[int, ...]) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with its dimensions in the new order."""
        return x.permute(0, *self.order)


class PositionalEncoding(nn.Module):
    """A learned tensor that is added."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.encoding = nn.Parameter(torch.randn(1, *shape))

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with the encoding added."""
        return x + self.encoding
