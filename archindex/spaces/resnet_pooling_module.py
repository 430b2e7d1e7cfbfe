"""ResNet20 with max pooling at chosen places in torch; sources as in `archindex.spaces.resnet_pooling`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

from torch import Tensor, nn

from archindex.spaces.blocks import conv_bn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where the channels change."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        first = nn.Conv2d(before, after, 3, padding=1, bias=False)
        # Without weights and running means, as in the original.
        norm = nn.BatchNorm2d(after, affine=False, track_running_stats=False)
        second = conv_bn(after, after, 3, activation="none")
        self.main = nn.Sequential(first, norm, nn.ReLU(), second)
        self.shortcut = nn.Identity() if before == after else conv_bn(before, after, 1, activation="none")
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return float (batch, after, side, side) of float (batch, before, side, side)."""
        y: Tensor = self.relu(self.main(x) + self.shortcut(x))
        return y


def network(channels: Sequence[int], pooled: Collection[int], classes: int) -> nn.Sequential:
    """Return the network with `channels` in its layers and 2x2 max pooling before those in `pooled`."""
    layers: list[nn.Module] = [conv_bn(3, channels[0], 3)]
    for i, (before, after) in enumerate(pairwise(channels), start=1):
        if i in pooled:
            layers.append(nn.MaxPool2d(2))
        layers.append(ResidualBlock(before, after))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], classes))
