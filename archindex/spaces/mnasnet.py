"""MnasNet: seven blocks with expansion, kernel, layers and squeeze-excite chosen in each.

Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile", CVPR 2019, as in Ahmad et al.,
"Accel-NASBench: Sustainable Benchmarking for Accelerator-Aware NAS", DAC 2024: options, widths and strides
are those of its code (afzalxo/Accel-NASBench, ``configurationspaces/configuration_space_writer.py`` and
``searchspaces.py``); the widths are those of EfficientNet-B0 (Tan and Le, ICML 2019).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from archindex.core.errors import ArchitectureError
from archindex.spaces.choices import Choice
from archindex.spaces.sequences import BlockSequence, Layer

WIDTHS: Final = (16, 24, 40, 80, 112, 192, 320)
STRIDES: Final = (1, 2, 2, 2, 1, 2, 1)
"""Channels of every block, and the stride of its first layer."""

LAYERS: Final = ((1, 2, 3),) * 5 + ((1, 2, 3, 4), (1, 2, 3))
"""How many layers each block may have."""

STEM_CHANNELS: Final = 32
HEAD_CHANNELS: Final = 1280

_BLOCK: Final = re.compile(r"e([0-9])k([0-9])l([0-9])se([01])")


class MnasNet(BlockSequence):
    """The MnasNet space of Accel-NASBench.

    Native string: seven blocks ``e6k3l1se0`` joined by ``|``: expansion 1, 4 or 6, kernel 3 or 5, one to
    three layers (four in the sixth block), squeeze-excite or not. The layers of a block are alike; the first
    has the stride. With expansion 1 there is no expanding convolution; squeeze-excite squeezes to a quarter
    of the channels that enter the layer. Costs count as a `BlockSequence` says: params are those of
    Accel-NASBench's table, exactly; its MACs are up to 15% more, for it adds four for each output of a batch
    norm and, for each output of a pooling (that of squeeze-excite too), one more than the pixels it means.

    Examples
    --------
    >>> import archindex as ax
    >>> blocks = "e1k3l1|e6k3l2|e6k5l2|e6k3l3|e6k5l3|e6k5l4|e6k3l1".split("|")
    >>> b0 = ax.space("mnasnet").parse("|".join(block + "se1" for block in blocks))
    >>> int(b0.space.costs([b0.native], "imagenet").params[0])  # EfficientNet-B0
    5288548
    """

    images: ClassVar[Mapping[str, tuple[int, int]]] = {"imagenet": (1000, 224)}
    choices = tuple(
        choice
        for i, layers in enumerate(LAYERS)
        for choice in (
            Choice(f"block{i}_e", (1, 4, 6)),
            Choice(f"block{i}_k", (3, 5)),
            Choice(f"block{i}_l", layers, ordered=True),
            Choice(f"block{i}_se", (0, 1)),
        )
    )

    @property
    def name(self) -> str:
        """``"mnasnet"``."""
        return "mnasnet"

    def _read(self, text: str) -> Mapping[str, Any]:
        blocks = [_BLOCK.fullmatch(part) for part in text.split("|", len(WIDTHS))]
        taken: dict[str, int] = {}
        for i, block in enumerate(blocks):
            if block is None or len(blocks) != len(WIDTHS):
                raise ArchitectureError(
                    f"expected {len(WIDTHS)} blocks joined by |",
                    got=text,
                    fix="a block is e6k3l1se0: expansion, kernel, layers, squeeze-excite",
                )
            for part, value in zip(("e", "k", "l", "se"), block.groups(), strict=True):
                taken[f"block{i}_{part}"] = int(value)
        return taken

    def _write(self, taken: Mapping[str, Any]) -> str:
        parts = ("e", "k", "l", "se")
        return "|".join(
            "".join(f"{part}{taken[f'block{i}_{part}']}" for part in parts) for i in range(len(WIDTHS))
        )

    def _layers(self, taken: Mapping[str, Any], dataset: str) -> Iterator[Layer]:
        before = STEM_CHANNELS
        yield Layer("conv", 3, before, kernel=3, stride=2, activation="silu")
        for i, (after, stride) in enumerate(zip(WIDTHS, STRIDES, strict=True)):
            expansion, kernel, has_se = (taken[f"block{i}_{part}"] for part in ("e", "k", "se"))
            first = Layer(
                "mbconv",
                before,
                after,
                kernel=kernel,
                stride=stride,
                expansion=expansion,
                squeeze=before // 4 * has_se,
                ratio=0.25,
                activation="silu",
            )
            yield first
            # How many follow is asked for now, when the first of them shows the answer.
            following = first._replace(before=after, stride=1, squeeze=after // 4 * has_se)
            for _ in range(taken[f"block{i}_l"] - 1):
                yield following
            before = after
        yield Layer("conv", before, HEAD_CHANNELS, activation="silu")
        yield Layer("global_avg_pool", HEAD_CHANNELS, HEAD_CHANNELS)
