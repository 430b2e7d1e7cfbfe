"""Once-for-all MobileNetV3: five units of two to four blocks, kernel and expansion chosen in each block.

Cai et al., "Once-for-All: Train One Network and Specialize It for Efficient Deployment", ICLR 2020: skeleton
and form of a sample are those of its code (mit-han-lab/once-for-all,
``ofa/imagenet_classification/elastic_nn/networks/ofa_mbv3.py``), width multiplier 1.0.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final, NamedTuple

from archindex.core.errors import ArchitectureError
from archindex.spaces.choices import Choice
from archindex.spaces.natives import read_json
from archindex.spaces.sequences import BlockSequence, Layer


class Unit(NamedTuple):
    """A unit: channels, stride of its first block, activation, whether it has squeeze-excite."""

    channels: int
    stride: int
    activation: str
    squeeze_excite: bool


UNITS: Final = (
    Unit(24, 2, "relu", False),
    Unit(40, 2, "relu", True),
    Unit(80, 2, "hard_swish", False),
    Unit(112, 1, "hard_swish", True),
    Unit(160, 2, "hard_swish", True),
)
KERNELS: Final = (3, 5, 7)
EXPANSIONS: Final = (3, 4, 6)
DEPTHS: Final = (2, 3, 4)
BLOCKS: Final = len(UNITS) * max(DEPTHS)

STEM_CHANNELS: Final = 16
LAST_CHANNELS: Final = (960, 1280)
"""Channels of the last convolution before the mean over all pixels, and of the one after it."""


class MobileNetV3(BlockSequence):
    """The MobileNetV3 space of Once-for-all.

    Native string: the JSON text of a sample, ``{"ks": [...], "e": [...], "d": [...]}``: kernels and
    expansions of the 20 places, four in each of the five units, and the units' depths. Places beyond the
    depth are written as 0 (the original writes what it drew there; any option is read, and dropped). The
    image side is not searched. Costs count as a `BlockSequence` says.

    Examples
    --------
    >>> import archindex as ax
    >>> space = ax.space("mobilenetv3")
    >>> space.size == sum(9**depth for depth in (2, 3, 4)) ** 5  # about 2e19
    True
    >>> largest = space.parse('{"ks": %s, "e": %s, "d": %s}' % ([7] * 20, [6] * 20, [4] * 5))
    >>> largest.graph.ops.count("mbconv")
    21
    """

    images: ClassVar[Mapping[str, tuple[int, int]]] = {"imagenet": (1000, 224)}
    choices = tuple(
        choice
        for unit in range(len(UNITS))
        for choice in (
            Choice(f"d{unit}", DEPTHS, ordered=True),
            *(
                Choice(
                    f"{part}{4 * unit + i}",
                    options,
                    when=(f"d{unit}", tuple(d for d in DEPTHS if d > i)) if i >= min(DEPTHS) else None,
                )
                for i in range(max(DEPTHS))
                for part, options in (("ks", KERNELS), ("e", EXPANSIONS))
            ),
        )
    )

    @property
    def name(self) -> str:
        """``"mobilenetv3"``."""
        return "mobilenetv3"

    def _read(self, text: str) -> Mapping[str, Any]:
        read = read_json(text, '{"ks": [3, ...], "e": [6, ...], "d": [2, 3, 4, 2, 3]}')
        if not isinstance(read, dict) or sorted(read) != ["d", "e", "ks"]:
            raise ArchitectureError("expected an object with ks, e and d", got=text)
        for part, length in (("d", len(UNITS)), ("ks", BLOCKS), ("e", BLOCKS)):
            if not isinstance(read[part], list) or len(read[part]) != length:
                raise ArchitectureError(f"expected {part} to be a list of {length}", got=read[part])
        taken = {f"d{unit}": depth for unit, depth in enumerate(read["d"])}
        for place in range(BLOCKS):
            unit, i = divmod(place, max(DEPTHS))
            for part, options in (("ks", KERNELS), ("e", EXPANSIONS)):
                value = read[part][place]
                if read["d"][unit] in DEPTHS and i >= read["d"][unit]:
                    if type(value) is not int or value not in (0, *options):
                        raise ArchitectureError(f"expected 0 or an option in {part}[{place}]", got=value)
                else:
                    taken[f"{part}{place}"] = value
        return taken

    def _write(self, taken: Mapping[str, Any]) -> str:
        places = {part: [taken.get(f"{part}{i}", 0) for i in range(BLOCKS)] for part in ("ks", "e")}
        return json.dumps({**places, "d": [taken[f"d{unit}"] for unit in range(len(UNITS))]})

    def _layers(self, taken: Mapping[str, Any], dataset: str) -> Iterator[Layer]:
        before = STEM_CHANNELS
        yield Layer("conv", 3, before, kernel=3, stride=2, activation="hard_swish")
        yield Layer("mbconv", before, before, kernel=3)
        for u, unit in enumerate(UNITS):
            for i in range(max(DEPTHS)):
                # The depth is asked for when its answer shows.
                if i >= min(DEPTHS) and i >= taken[f"d{u}"]:
                    break
                kernel, expansion = taken[f"ks{4 * u + i}"], taken[f"e{4 * u + i}"]
                inner = before * expansion
                yield Layer(
                    "mbconv",
                    before,
                    unit.channels,
                    kernel=kernel,
                    stride=unit.stride if i == 0 else 1,
                    expansion=expansion,
                    squeeze=_divisible(inner // 4) if unit.squeeze_excite else 0,
                    ratio=0.25,
                    activation=unit.activation,
                    gate="hard_sigmoid",
                )
                before = unit.channels
        expanded, last = LAST_CHANNELS
        yield Layer("conv", before, expanded, activation="hard_swish")
        yield Layer("global_avg_pool", expanded, expanded)
        yield Layer("conv", expanded, last, activation="hard_swish", norm=False)


def _divisible(channels: int) -> int:
    """Return the multiple of 8 that is nearest, at most 10% below `channels`."""
    rounded = max(8, (channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
