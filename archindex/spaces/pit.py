"""PiT: vision transformers in three stages with pooling between them, as ViT-Bench-101 varies them.

Heo et al., "Rethinking Spatial Dimensions of Vision Transformers", ICCV 2021 (naver-ai/pit). The search space
is that of Wei et al., "Auto-Prox: Training-Free Vision Transformer Architecture Search via Automatic Proxy
Discovery", AAAI 2024 (lliai/Auto-Prox-AAAI24, configs/auto/search/pit-all.yaml), and so is the network
(pycls/models/auto/pit_subnet.py).
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from archindex.core.build import GraphBuilder
from archindex.spaces.base import Architecture
from archindex.spaces.choices import Choice, ChoiceSpace, Genotype
from archindex.spaces.counting import CountedOnModule
from archindex.spaces.images import ImageNetworks
from archindex.spaces.transformers import gather, read_config, residual, spread

if TYPE_CHECKING:
    from torch import nn

BASE_DIMS: Final = (16, 24, 32, 40)
MLP_RATIOS: Final = (2, 4, 6, 8)
DEPTHS: Final = ((1, 2, 3), (4, 6, 8), (2, 4, 6))
HEADS: Final = (2, 4, 8)

PATCHES: Final = {"cifar10": (4, 2), "imagenet": (16, 8)}
"""Side and stride of patches. The paper's data set is imagenet; cifar10 is a small one."""

EXAMPLE: Final = '{"base_dim": 32, "mlp_ratio": 4, "depth": [2, 6, 4], "num_heads": [2, 4, 8]}'
_KEYS: Final = ("base_dim", "mlp_ratio", "depth", "num_heads")
_STAGES: Final = len(DEPTHS)


class PiT(ImageNetworks, CountedOnModule, ChoiceSpace):
    """The pooling-based vision transformers of ViT-Bench-101.

    Native string: the JSON object of ViT-Bench-101, ``depth`` and ``num_heads`` with an entry per stage. A
    stage is ``base_dim`` times its heads wide.

    The pooling between two stages is a convolution with a group per channel, which widens by whole factors
    only: so the heads never get fewer from stage to stage, in the table and here. 4 base widths, 4 MLP
    ratios, 3 depths a stage and 10 of the 27 triples of heads: 4,320.

    Examples
    --------
    >>> import archindex as ax
    >>> space = ax.space("pit")
    >>> arch = space.parse('{"base_dim": 32, "mlp_ratio": 4, "depth": [2, 6, 4], "num_heads": [2, 4, 8]}')
    >>> arch.graph.ops.count("attention"), space.size
    (12, 4320)
    """

    choices = (
        Choice("base_dim", BASE_DIMS, ordered=True),
        Choice("mlp_ratio", MLP_RATIOS, ordered=True),
        *(Choice(f"depth.{stage}", options, ordered=True) for stage, options in enumerate(DEPTHS)),
        *(Choice(f"num_heads.{stage}", HEADS) for stage in range(_STAGES)),
    )
    images: ClassVar[Mapping[str, tuple[int, int]]] = {"cifar10": (10, 32), "imagenet": (1000, 224)}

    @property
    def name(self) -> str:
        """``"pit"``."""
        return "pit"

    @property
    def size(self) -> int:
        """Number of native strings: combinations of options whose heads never get fewer."""
        heads = sum(1 for _ in itertools.combinations_with_replacement(HEADS, _STAGES))
        return len(BASE_DIMS) * len(MLP_RATIOS) * math.prod(map(len, DEPTHS)) * heads

    def _allowed(self, genotype: Genotype) -> bool:
        heads = genotype[-_STAGES:]
        return tuple(sorted(heads)) == heads

    def _read(self, text: str) -> dict[str, Any]:
        config = read_config(text, _KEYS, EXAMPLE)
        return {
            "base_dim": config["base_dim"],
            "mlp_ratio": config["mlp_ratio"],
            **spread(config, "depth", _STAGES),
            **spread(config, "num_heads", _STAGES),
        }

    def _write(self, taken: Mapping[str, Any]) -> str:
        return json.dumps(
            {
                "base_dim": taken["base_dim"],
                "mlp_ratio": taken["mlp_ratio"],
                "depth": gather(taken, "depth", _STAGES),
                "num_heads": gather(taken, "num_heads", _STAGES),
            }
        )

    def _build(self, g: GraphBuilder, taken: Mapping[str, Any]) -> None:
        width = taken["base_dim"] * taken["num_heads.0"]
        x = g.add("conv", g.input(), kernel=16, stride=8, channels=width)
        for stage in range(_STAGES):
            heads = taken[f"num_heads.{stage}"]
            if stage:
                before, width = width, taken["base_dim"] * heads
                x = g.add("conv", x, kernel=3, stride=2, channels=width, groups=before)
            for _ in range(taken[f"depth.{stage}"]):
                x = residual(g, x, "attention", heads=heads, channels=width)
                x = residual(g, x, "feed_forward", ratio=taken["mlp_ratio"], channels=width)
        g.output(x)

    def build_module(self, architecture: Architecture, dataset: str = "cifar10") -> nn.Module:
        """Return the network of `architecture` for `dataset`; output (batch, classes)."""
        from archindex.spaces.pit_module import Network

        classes, side = self._image(dataset)
        patch, stride = PATCHES[dataset]
        taken = self.taken(architecture)
        return Network(
            taken["base_dim"],
            gather(taken, "depth", _STAGES),
            gather(taken, "num_heads", _STAGES),
            taken["mlp_ratio"],
            classes=classes,
            grid=(side - patch) // stride + 1,
            patch=patch,
            stride=stride,
        )
