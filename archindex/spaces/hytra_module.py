"""The networks of HyTra in torch.

Li et al., "BossNAS", ICCV 2021; changlin31/BossNAS, retraining_hytra/boss_models.py and boss_candidates:
BossNet-T0 without squeeze-and-excitation, ResNet-D's shortcuts (pooling before the 1x1 convolution).

A scale at which no layer works is passed by a 3x3 convolution, as there. One thing is another: theirs halves
the side at the first scale, too, where it is empty, and so works at other scales than the path says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from torch import Tensor, nn

from archindex.spaces.blocks import conv_bn
from archindex.spaces.hytra import HEADS, WIDTHS

HEAD_WIDTH: Final = 64


class Network(nn.Module):
    """Stem, blocks at four scales, classifier.

    Parameters
    ----------
    blocks : sequence of sequence of str
        Of each scale: its blocks, ``"ResAtt"`` or ``"ResConv"``.
    classes : int
        Number of classes.
    """

    def __init__(self, blocks: Sequence[Sequence[str]], classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, 64, 7, stride=2), nn.MaxPool2d(3, stride=2, padding=1))
        layers: list[nn.Module] = []
        before = 64
        for scale, kinds in enumerate(blocks):
            stride = 2 if scale else 1
            if not kinds:
                layers.append(conv_bn(before, WIDTHS[scale], 3, stride=stride))
                before = WIDTHS[scale]
            for kind in kinds:
                layers.append(Residual(kind, before, scale, stride))
                before, stride = WIDTHS[scale], 1
        self.layers = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores, float (batch, classes), of images, float (batch, 3, side, side)."""
        scores: Tensor = self.head(self.layers(self.stem(images)))
        return scores


class Residual(nn.Module):
    """A bottleneck around a 3x3 convolution or around attention, with a shortcut.

    Both narrow the input and see where things are by a depthwise convolution, which also halves the side.

    Parameters
    ----------
    kind : {"ResAtt", "ResConv"}
        What is in the bottleneck.
    before : int
        Width of the input.
    scale : int
        Scale of the output, 0 to 3.
    stride : int
        By how much the side shrinks.
    """

    def __init__(self, kind: str, before: int, scale: int, stride: int) -> None:
        super().__init__()
        after = WIDTHS[scale]
        inner = HEADS[scale] * HEAD_WIDTH  # a quarter of the width
        self.branch = nn.Sequential(
            nn.Conv2d(before, inner, 1, bias=False),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            ImageAttention(HEADS[scale])
            if kind == "ResAtt"
            else nn.Conv2d(inner, inner, 3, padding=1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, after, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        shortcut: list[nn.Module] = []
        if stride > 1:
            shortcut.append(nn.AvgPool2d(2, stride, ceil_mode=True, count_include_pad=False))
        if stride > 1 or before != after:
            shortcut += [nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after)]
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """Return float (batch, width of the scale, side, side)."""
        result: Tensor = (self.branch(x) + self.shortcut(x)).relu()
        return result


class ImageAttention(nn.Module):
    """Self-attention among all places of an image.

    Parameters
    ----------
    heads : int
        Heads of width `HEAD_WIDTH`; together they are as wide as the input.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads
        width = heads * HEAD_WIDTH
        self.qkv = nn.Conv2d(width, 3 * width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of `x`, float (batch, width, side, side)."""
        q, k, v = self.qkv(x).unflatten(1, (3, self.heads, HEAD_WIDTH)).flatten(4).unbind(1)
        weights = (q.transpose(-2, -1) @ k * HEAD_WIDTH**-0.5).softmax(dim=-1)
        mixed: Tensor = v @ weights.transpose(-2, -1)
        return mixed.reshape(x.shape)
