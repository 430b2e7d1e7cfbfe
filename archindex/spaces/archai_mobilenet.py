"""Archai's MobileNetV2 space of the facial landmark task: seven stages and two multipliers.

Archai, Microsoft Research, https://github.com/microsoft/archai: stages, options and network are those of
``tasks/facial_landmark_detection/search_space.py``, ``search_config.yaml`` and ``model.py``. MobileNetV2:
Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from archindex.core.errors import ArchitectureError
from archindex.spaces.choices import Choice
from archindex.spaces.natives import read_json
from archindex.spaces.sequences import BlockSequence, Layer

CHANNELS: Final = (16, 24, 32, 64, 96, 160, 320)
STRIDES: Final = (1, 2, 2, 2, 1, 2, 1)
"""Channels of every stage before the multiplier, and the stride of its first block."""

FIXED: Final = {"r0": 1, "k0": 3, "r1": 2, "e1": 6, "r6": 1}
"""Repeats, kernel and expansion that the search leaves alone; the first stage has no expansion."""

STEM_CHANNELS: Final = 32
HEAD_CHANNELS: Final = 1280
LANDMARKS: Final = 70

# The largest first: of multipliers that give the same depths so far, the one that leaves most open is tried
# first when a graph is read.
_MULTIPLIERS: Final = (1.25, 1.0, 0.75, 0.5, 0.25)

_FIRST: Final = re.compile(r"ds_r(?P<r>[0-9])_k(?P<k>[0-9])_s(?P<s>[0-9])_c(?P<c>[0-9]{1,4})")
_STAGE: Final = re.compile(r"ir_r(?P<r>[0-9])_k(?P<k>[0-9])_s(?P<s>[0-9])_e(?P<e>[0-9])_c(?P<c>[0-9]{1,4})")


class ArchaiMobileNet(BlockSequence):
    """The MobileNetV2 space of Archai's facial landmark task.

    Native string: the JSON text of the table, ``arch_def`` with seven stages such as ``ir_r3_k3_s2_e6_c32``
    (repeats, kernel, stride, expansion, channels), ``channel_multiplier`` and ``depth_multiplier``. Searched
    are the kernels of six stages, the expansions of five, the repeats of four, and both multipliers. Depths
    are ``ceil(repeats * depth_multiplier)``: strings that give the same depths are aliases. Costs count as a
    `BlockSequence` says. The networks regress two coordinates of 70 landmarks.

    Examples
    --------
    >>> import archindex as ax
    >>> space = ax.space("archai_mobilenet")
    >>> space.size
    14580000000
    >>> space.sample(1)[0].native[:40]
    '{"arch_def": [["ds_r1_k3_s1_c16"], ["ir_'
    """

    images: ClassVar[Mapping[str, tuple[int, int]]] = {"face_synthetics": (2 * LANDMARKS, 128)}
    choices = (
        *(Choice(f"k{i}", (3, 5, 7)) for i in range(1, 7)),
        *(Choice(f"r{i}", (1, 2, 3, 4), ordered=True) for i in range(2, 6)),
        *(Choice(f"e{i}", (2, 3, 4, 5, 6)) for i in range(2, 7)),
        Choice("channel_multiplier", _MULTIPLIERS, ordered=True),
        Choice("depth_multiplier", _MULTIPLIERS, ordered=True),
    )

    @property
    def name(self) -> str:
        """``"archai_mobilenet"``."""
        return "archai_mobilenet"

    def _read(self, text: str) -> Mapping[str, Any]:
        read = read_json(text, self._write(dict.fromkeys((c.name for c in self.choices), 3)))
        keys = ("arch_def", "channel_multiplier", "depth_multiplier")
        if not isinstance(read, dict) or sorted(read) != sorted(keys):
            raise ArchitectureError(f"expected an object with {', '.join(keys)}", got=text)
        stages = read["arch_def"]
        if not isinstance(stages, list) or len(stages) != len(CHANNELS):
            raise ArchitectureError(f"expected arch_def with {len(CHANNELS)} stages", got=stages)
        taken = {key: read[key] for key in keys[1:]}
        for i, stage in enumerate(stages):
            for part, value in _read_stage(i, stage).items():
                fixed = FIXED.get(f"{part}{i}")
                if fixed is None:
                    taken[f"{part}{i}"] = value
                elif value != fixed:
                    raise ArchitectureError(f"expected {part}{fixed} in stage {i}", got=stage)
        return taken

    def _write(self, taken: Mapping[str, Any]) -> str:
        stages = []
        for i, (channels, stride) in enumerate(zip(CHANNELS, STRIDES, strict=True)):
            r, k, e = (FIXED.get(f"{part}{i}", taken.get(f"{part}{i}")) for part in "rke")
            stages.append(
                [
                    f"ds_r{r}_k{k}_s{stride}_c{channels}"
                    if i == 0
                    else f"ir_r{r}_k{k}_s{stride}_e{e}_c{channels}"
                ]
            )
        multipliers = {key: taken[key] for key in ("channel_multiplier", "depth_multiplier")}
        return json.dumps({"arch_def": stages, **multipliers})

    def _layers(self, taken: Mapping[str, Any], dataset: str) -> Iterator[Layer]:
        before = STEM_CHANNELS
        yield Layer("conv", 3, before, kernel=3, stride=2, activation="relu6")
        yield Layer("mbconv", before, CHANNELS[0], kernel=3, activation="relu6")
        before = CHANNELS[0]
        for i in range(1, len(CHANNELS)):
            after = _divisible(CHANNELS[i] * taken["channel_multiplier"])
            first = Layer(
                "mbconv",
                before,
                after,
                kernel=taken[f"k{i}"],
                stride=STRIDES[i],
                expansion=FIXED["e1"] if i == 1 else taken[f"e{i}"],
                activation="relu6",
            )
            yield first
            # How many follow is asked for now, when the first of them shows the answer.
            multiplier = taken["depth_multiplier"]
            repeats = FIXED[f"r{i}"] if f"r{i}" in FIXED else taken[f"r{i}"]
            for _ in range(math.ceil(repeats * multiplier) - 1):
                yield first._replace(before=after, stride=1)
            before = after
        yield Layer("conv", before, HEAD_CHANNELS, activation="relu6")
        yield Layer("global_avg_pool", HEAD_CHANNELS, HEAD_CHANNELS)


def _read_stage(i: int, stage: object) -> dict[str, int]:
    """Return repeats, kernel and expansion of a stage whose stride and channels are as they must be."""
    pattern, example = (_FIRST, "ds_r1_k3_s1_c16") if i == 0 else (_STAGE, "ir_r3_k3_s2_e6_c32")
    text = stage[0] if isinstance(stage, list) and len(stage) == 1 else None
    match = pattern.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ArchitectureError(f"expected stage {i} as [{example!r}]", got=stage)
    parts = {part: int(value) for part, value in match.groupdict().items()}
    if (parts.pop("s"), match["c"]) != (STRIDES[i], str(CHANNELS[i])):
        raise ArchitectureError(f"expected s{STRIDES[i]} and c{CHANNELS[i]} in stage {i}", got=stage)
    del parts["c"]
    return parts


def _divisible(channels: float) -> int:
    """Return the multiple of 8 that is nearest, at least 8, and at most 10% below `channels`."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
