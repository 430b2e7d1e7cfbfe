"""NAS-Bench-Macro: eight layers, three blocks for each, 6,561 networks.

Su et al., "Prioritized Architecture Sampling with Monto-Carlo Tree Search", CVPR 2021. Strings and networks
are those of its code (xiusu/NAS-Bench-Macro, ``train/model.py`` and ``train/utils.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from archindex.core.errors import ArchitectureError
from archindex.spaces.choices import Choice
from archindex.spaces.sequences import BlockSequence, Layer

OPS: Final = ("identity", "mb3_k3", "mb6_k5")
"""The three blocks; a native string holds positions in this tuple."""

STAGES: Final = (2, 3, 3)
"""Layers of every stage; the first of each halves the side and doubles the channels."""

STEM_CHANNELS: Final = 32
HEAD_CHANNELS: Final = 1280


class NASBenchMacro(BlockSequence):
    """The NAS-Bench-Macro space.

    Native string: eight digits, as the keys of its file: 0 identity, 1 an inverted bottleneck with expansion
    3 and kernel 3, 2 one with expansion 6 and kernel 5. An identity where channels and side change is a 1x1
    convolution with batch norm. Strings that differ in the place of an identity within a stage are one
    network, trained once; all count. Params and FLOPs count as in the file: FLOPs are the multiply-adds of
    convolutions and classifier.

    Examples
    --------
    >>> import archindex as ax
    >>> space = ax.space("nasbench_macro")
    >>> space.size, space.parse("00102000").arch_id == space.parse("00120000").arch_id
    (6561, True)
    """

    images: ClassVar[Mapping[str, tuple[int, int]]] = {"cifar10": (10, 32)}
    choices = tuple(Choice(f"layer{i}", OPS) for i in range(sum(STAGES)))

    @property
    def name(self) -> str:
        """``"nasbench_macro"``."""
        return "nasbench_macro"

    def _read(self, text: str) -> Mapping[str, Any]:
        if len(text) != len(self.choices) or not set(text) <= set("012"):
            raise ArchitectureError(
                "expected eight digits", got=text, fix="0 identity, 1 MB3_K3, 2 MB6_K5, as in 12012012"
            )
        return {choice.name: OPS[int(digit)] for choice, digit in zip(self.choices, text, strict=True)}

    def _write(self, taken: Mapping[str, Any]) -> str:
        return "".join(str(OPS.index(taken[choice.name])) for choice in self.choices)

    def _layers(self, taken: Mapping[str, Any], dataset: str) -> Iterator[Layer]:
        channels, number = STEM_CHANNELS, 0
        yield Layer("conv", 3, channels, kernel=3)
        for stage in STAGES:
            for i in range(stage):
                before, stride = channels, 2 - (i > 0)
                channels = before * stride
                op = taken[f"layer{number}"]
                number += 1
                if op == "identity":
                    reduces = Layer("conv", before, channels, stride=2, activation="none")
                    yield reduces if stride == 2 else Layer("skip", channels, channels)
                else:
                    expansion, kernel = (3, 3) if op == "mb3_k3" else (6, 5)
                    yield Layer("mbconv", before, channels, kernel=kernel, stride=stride, expansion=expansion)
        yield Layer("conv", channels, HEAD_CHANNELS)
        yield Layer("global_avg_pool", HEAD_CHANNELS, HEAD_CHANNELS)
