"""AutoFormer (supernet tiny): vision transformers with a width, a depth, and heads and MLP ratio per layer.

Chen et al., "AutoFormer: Searching Transformers for Visual Recognition", ICCV 2021. Options and network as in
the authors' code (microsoft/Cream, folder AutoFormer, supernet-T with the switches that its README names:
relative positions, q, k and v of 64 per head, average pooling). ViT-Bench-101 (Wei et al., "Auto-Prox",
AAAI 2024) measured 200 architectures of this supernet; those of supernets small and base are other spaces.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from archindex.core.build import GraphBuilder
from archindex.spaces.base import Architecture
from archindex.spaces.choices import Choice, ChoiceSpace
from archindex.spaces.counting import CountedOnModule
from archindex.spaces.images import ImageNetworks
from archindex.spaces.transformers import gather, read_config, residual, spread

if TYPE_CHECKING:
    from torch import nn

WIDTHS: Final = (192, 216, 240)
DEPTHS: Final = (12, 13, 14)
MLP_RATIOS: Final = (3.5, 4.0)
HEADS: Final = (3, 4)

PATCHES: Final = {"cifar10": 4, "imagenet": 16}
"""Side of a patch. The paper's data set is imagenet; cifar10 is a small one to run things on."""

EXAMPLE: Final = (
    '{"hidden_dim": 192, "mlp_ratio": [3.5, 4.0, 3.5, 4.0, 3.5, 3.5, 4.0, 3.5, 4.0, 4.0, 4.0, 3.5], '
    '"depth": 12, "num_heads": [4, 4, 3, 4, 3, 3, 4, 4, 3, 3, 3, 4]}'
)
_KEYS: Final = ("hidden_dim", "mlp_ratio", "depth", "num_heads")


def _choices() -> tuple[Choice, ...]:
    choices = [Choice("hidden_dim", WIDTHS, ordered=True), Choice("depth", DEPTHS, ordered=True)]
    for layer in range(DEPTHS[-1]):
        deep = tuple(depth for depth in DEPTHS if depth > layer)
        when = None if deep == DEPTHS else ("depth", deep)
        choices += [
            Choice(f"num_heads.{layer}", HEADS, when),
            Choice(f"mlp_ratio.{layer}", MLP_RATIOS, when),
        ]
    return tuple(choices)


class AutoFormer(ImageNetworks, CountedOnModule, ChoiceSpace):
    """The vision transformers of AutoFormer's supernet tiny.

    Native string: the JSON object of ViT-Bench-101, ``mlp_ratio`` and ``num_heads`` with an entry per layer.
    3 widths and 4 combinations a layer for 12, 13 or 14 layers: 3 (4^12 + 4^13 + 4^14) = 1,056,964,608.

    Examples
    --------
    >>> import archindex as ax
    >>> arch = ax.space("autoformer").sample(1)[0]
    >>> arch.space.parse(arch.native) == arch
    True
    >>> ax.space("autoformer").size
    1056964608
    """

    choices = _choices()
    images: ClassVar[Mapping[str, tuple[int, int]]] = {"cifar10": (10, 32), "imagenet": (1000, 224)}

    @property
    def name(self) -> str:
        """``"autoformer"``."""
        return "autoformer"

    def _read(self, text: str) -> dict[str, Any]:
        config = read_config(text, _KEYS, EXAMPLE)
        return {
            "hidden_dim": config["hidden_dim"],
            "depth": config["depth"],
            **spread(config, "num_heads", config["depth"]),
            **spread(config, "mlp_ratio", config["depth"]),
        }

    def _write(self, taken: Mapping[str, Any]) -> str:
        depth = taken["depth"]
        return json.dumps(
            {
                "hidden_dim": taken["hidden_dim"],
                "mlp_ratio": gather(taken, "mlp_ratio", depth),
                "depth": depth,
                "num_heads": gather(taken, "num_heads", depth),
            }
        )

    def _build(self, g: GraphBuilder, taken: Mapping[str, Any]) -> None:
        width = taken["hidden_dim"]
        x = g.add("conv", g.input(), kernel=16, stride=16, channels=width)
        layer = 0
        # The depth is looked up only after the layers that all have.
        while layer < DEPTHS[0] or layer < taken["depth"]:
            x = residual(g, x, "attention", heads=taken[f"num_heads.{layer}"], channels=width)
            x = residual(g, x, "feed_forward", ratio=taken[f"mlp_ratio.{layer}"], channels=width)
            layer += 1
        g.output(g.add("global_avg_pool", x))

    def build_module(self, architecture: Architecture, dataset: str = "cifar10") -> nn.Module:
        """Return the network of `architecture` for `dataset`; output (batch, classes)."""
        from archindex.spaces.autoformer_module import Network

        classes, side = self._image(dataset)
        taken = self.taken(architecture)
        heads = gather(taken, "num_heads", taken["depth"])
        ratios = gather(taken, "mlp_ratio", taken["depth"])
        return Network(taken["hidden_dim"], heads, ratios, classes=classes, side=side, patch=PATCHES[dataset])
