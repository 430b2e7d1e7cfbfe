"""Torch blocks that the networks of several spaces are made of.

Sources: inverted bottlenecks of MobileNetV2 (Sandler et al., CVPR 2018), in FBNet (Wu et al., CVPR 2019) with
grouped 1x1 convolutions and a channel shuffle (ShuffleNet, Zhang et al., CVPR 2018); squeeze-and-excitation
(Hu et al., CVPR 2018), in inverted bottlenecks after the depthwise convolution as in MnasNet (Tan et al.,
CVPR 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from torch import Tensor, nn

from archindex.spaces.sequences import Layer

ACTIVATIONS: Final[dict[str, Callable[[], nn.Module]]] = {
    "none": nn.Identity,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
    "hard_swish": nn.Hardswish,
    "sigmoid": nn.Sigmoid,
    "hard_sigmoid": nn.Hardsigmoid,
}
"""Activations by name."""


def conv_bn(
    before: int,
    after: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: str = "relu",
) -> nn.Sequential:
    """Return convolution without bias, batch norm, activation; the side shrinks by `stride` alone."""
    conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), ACTIVATIONS[activation]())


def relu_conv_bn(before: int, after: int, kernel: int, *, stride: int = 1) -> nn.Sequential:
    """Return ReLU, convolution without bias, batch norm, the order of cell spaces (NAS-Bench-201, DARTS)."""
    conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(after))


class SqueezeExcite(nn.Module):
    """Scales every channel by a gate that is computed from the means of all.

    Parameters
    ----------
    channels, squeezed : int
        Channels, and how many the means are squeezed to.
    activation, gate : str
        Between the two layers, and after them.
    """

    def __init__(self, channels: int, squeezed: int, *, activation: str, gate: str) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            ACTIVATIONS[activation](),
            nn.Conv2d(squeezed, channels, 1),
            ACTIVATIONS[gate](),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`, float (batch, channels, side, side), scaled."""
        scaled: Tensor = x * self.gate(x)
        return scaled


class InvertedBottleneck(nn.Module):
    """Expanding 1x1 convolution, depthwise convolution, squeeze-excite, projecting 1x1 convolution.

    Parameters
    ----------
    layer : Layer
        What it is like.
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.residual = layer.residual
        inner = layer.before * layer.expansion
        act, groups = layer.activation, layer.groups
        parts: list[nn.Module] = []
        if layer.expansion != 1 or layer.always_expands:
            parts.append(conv_bn(layer.before, inner, 1, groups=groups, activation=act))
        if groups > 1:
            parts.append(nn.ChannelShuffle(groups))
        parts.append(conv_bn(inner, inner, layer.kernel, stride=layer.stride, groups=inner, activation=act))
        if layer.squeeze:
            # The inner activation of squeeze-excite is that of the block, but ReLU beside hard swish.
            inside = "relu" if act == "hard_swish" else act
            parts.append(SqueezeExcite(inner, layer.squeeze, activation=inside, gate=layer.gate))
        parts.append(conv_bn(inner, layer.after, 1, groups=groups, activation="none"))
        self.parts = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        """Return float (batch, after, side / stride, side / stride) of float (batch, before, side, side)."""
        y: Tensor = self.parts(x)
        return x + y if self.residual else y


def module_of(layer: Layer) -> nn.Module:
    """Return a layer of a `BlockSequence` as a module."""
    if layer.op == "skip":
        return nn.Identity()
    if layer.op == "global_avg_pool":
        return nn.AdaptiveAvgPool2d(1)
    if layer.op == "mbconv":
        return InvertedBottleneck(layer)
    if layer.norm:
        return conv_bn(
            layer.before, layer.after, layer.kernel, stride=layer.stride, activation=layer.activation
        )
    conv = nn.Conv2d(layer.before, layer.after, layer.kernel, layer.stride, layer.kernel // 2, bias=False)
    return nn.Sequential(conv, ACTIVATIONS[layer.activation]())


def sequence(layers: Iterable[Layer], classes: int) -> nn.Sequential:
    """Return the network of `layers` with a linear classifier at its end."""
    listed = list(layers)
    classifier = nn.Linear(listed[-1].after, classes)
    return nn.Sequential(*map(module_of, listed), nn.Flatten(), classifier)
