"""ResNet pooling configurations: where a ResNet20 halves the side, 36 networks.

Javan, Toews and Pedersoli, "Balanced Mixture of SuperNets for Learning the CNN Pooling Architecture", AutoML
2023: the configurations and the network are those of its code (mehravehj/Balanced-Mixture-of-SuperNets, in
``resnet20/Balanced Mixture``: ``rn20_lookup_space.csv``, ``main.py``, ``baseline/create_model_baseline.py``).
ResNet20: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from archindex.core.build import GraphBuilder
from archindex.core.errors import ArchitectureError
from archindex.spaces.base import Architecture
from archindex.spaces.choices import Choice, ChoiceSpace, Genotype
from archindex.spaces.counting import CountedOnModule
from archindex.spaces.images import ImageNetworks

if TYPE_CHECKING:
    from torch import nn

CHANNELS: Final = (16, 16, 16, 16, 32, 32, 32, 64, 64, 64)
"""Channels of the first convolution and of the nine residual blocks."""

LAYERS: Final = len(CHANNELS)

_POSITIONS: Final = tuple(range(1, LAYERS))


class ResNetPooling(ImageNetworks, CountedOnModule, ChoiceSpace):
    """Positions of two poolings in a ResNet20.

    Native string: a digit for each of the ten layers (a convolution and nine residual blocks), 1 where 2x2
    max pooling comes before it: ``0,0,0,0,1,0,0,1,0,0`` has the resolutions of He et al. Two of the nine
    blocks have one. Channels do not follow the pooling. `enumerate` yields the configurations in the order of
    the original's numbers, 1 to 36. FLOPs are the multiply-adds of convolutions and classifier; params are
    the same for all.

    Examples
    --------
    >>> import archindex as ax
    >>> space = ax.space("resnet_pooling")
    >>> space.size
    36
    >>> space.parse("0,0,0,0,1,0,0,1,0,0").graph.ops.count("max_pool")
    2
    """

    images: ClassVar[Mapping[str, tuple[int, int]]] = {"cifar10": (10, 32)}
    choices = (
        Choice("first", _POSITIONS, ordered=True),
        Choice("second", _POSITIONS, ordered=True),
    )

    @property
    def name(self) -> str:
        """``"resnet_pooling"``."""
        return "resnet_pooling"

    @property
    def size(self) -> int:
        """36: pairs of nine positions."""
        return len(_POSITIONS) * (len(_POSITIONS) - 1) // 2

    def _allowed(self, genotype: Genotype) -> bool:
        return genotype[0] < genotype[1]

    def _read(self, text: str) -> Mapping[str, Any]:
        digits = text.split(",", LAYERS)
        pooled = [i for i, digit in enumerate(digits) if digit == "1"]
        if len(digits) != LAYERS or set(digits) != {"0", "1"} or len(pooled) != 2:
            raise ArchitectureError(
                f"expected {LAYERS} digits joined by commas, two of them 1",
                got=text,
                fix="0,0,0,0,1,0,0,1,0,0",
            )
        return {"first": pooled[0], "second": pooled[1]}

    def _write(self, taken: Mapping[str, Any]) -> str:
        return ",".join("1" if i in (taken["first"], taken["second"]) else "0" for i in range(LAYERS))

    def _build(self, g: GraphBuilder, taken: Mapping[str, Any]) -> None:
        x, before = g.add("conv", g.input(), kernel=3, stride=1, channels=CHANNELS[0]), CHANNELS[0]
        for layer, after in enumerate(CHANNELS[1:], start=1):
            if layer in (taken["first"], taken["second"]):
                x = g.add("max_pool", x, kernel=2, stride=2)
            y = g.add("conv", x, kernel=3, stride=1, channels=after)
            y = g.add("conv", y, kernel=3, stride=1, channels=after)
            if before != after:
                x = g.add("conv", x, kernel=1, stride=1, channels=after)
            x, before = x + y, after
        g.output(g.add("global_avg_pool", x))

    def build_module(self, architecture: Architecture, dataset: str = "cifar10") -> nn.Module:
        """Return the network of `architecture` for `dataset`; output (batch, classes)."""
        from archindex.spaces.resnet_pooling_module import network

        classes, _ = self._image(dataset)
        taken = self.taken(architecture)
        return network(CHANNELS, (taken["first"], taken["second"]), classes)
