"""FBNet: 22 places, nine blocks in each, 9^22 networks.

Wu et al., "FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural Architecture Search",
CVPR 2019. Li et al., "HW-NAS-Bench: Hardware-Aware Neural Architecture Search Benchmark", ICLR 2021: skeleton
and order of the blocks are those of its code (GATECH-EIC/HW-NAS-Bench,
``hw_nas_bench_api/fbnet_models/model_infer.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from archindex.core.errors import ArchitectureError
from archindex.spaces.choices import Choice
from archindex.spaces.sequences import BlockSequence, Layer

OPS: Final = ("k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip")
"""Kernel, expansion and groups of the nine blocks; a native string holds positions in this tuple."""

STAGES: Final = ((1, 16), (4, 24), (4, 32), (4, 64), (4, 112), (4, 184), (1, 352))
"""Blocks and channels of every stage."""

STRIDES: Final = {"cifar100": (1, 1, 2, 2, 1, 2, 1), "imagenet": (1, 2, 2, 2, 1, 2, 1)}
"""Stride of the first block of every stage."""

PLACES: Final = sum(blocks for blocks, _ in STAGES)
STEM_CHANNELS: Final = 16
HEAD_CHANNELS: Final = {"cifar100": 1504, "imagenet": 1984}

_KINDS: Final = {op: {part[0]: int(part[1:]) for part in op.split("_")} for op in OPS if op != "skip"}


class FBNet(BlockSequence):
    """The FBNet space in the skeleton of HW-NAS-Bench.

    Native string: the position in `OPS` of each of the 22 blocks, joined by ``_``. A skip where channels or
    side change is a 1x1 convolution with batch norm and ReLU. Costs count as a `BlockSequence` says: params
    are those of HELP's table, exactly; its FLOPs are up to 7% more, for it adds two for each output of a
    batch norm, one for each output of a ReLU (the first of a block left out) and one for each input of the
    pooling.

    Examples
    --------
    >>> import archindex as ax
    >>> space = ax.space("fbnet")
    >>> arch = space.parse("7_8_1_8_4_8_8_8_7_4_1_4_7_3_2_7_3_2_4_2_4_5")
    >>> int(space.costs([arch.native], "cifar100").params[0])
    1790500
    """

    images: ClassVar[Mapping[str, tuple[int, int]]] = {"cifar100": (100, 32), "imagenet": (1000, 224)}
    choices = tuple(Choice(f"block{i}", OPS) for i in range(PLACES))

    @property
    def name(self) -> str:
        """``"fbnet"``."""
        return "fbnet"

    def _read(self, text: str) -> Mapping[str, Any]:
        digits = text.split("_")
        if len(digits) != PLACES or not all(len(d) == 1 and d in "012345678" for d in digits):
            raise ArchitectureError(
                f"expected {PLACES} digits 0-8 joined by _", got=text, fix=f"0-8 are {', '.join(OPS)}"
            )
        return {f"block{i}": OPS[int(digit)] for i, digit in enumerate(digits)}

    def _write(self, taken: Mapping[str, Any]) -> str:
        return "_".join(str(OPS.index(taken[choice.name])) for choice in self.choices)

    def _layers(self, taken: Mapping[str, Any], dataset: str) -> Iterator[Layer]:
        before = STEM_CHANNELS
        yield Layer("conv", 3, before, kernel=3, stride=1 if dataset == "cifar100" else 2)
        place = 0
        for (blocks, after), first_stride in zip(STAGES, STRIDES[dataset], strict=True):
            for i in range(blocks):
                stride = first_stride if i == 0 else 1
                op = taken[f"block{place}"]
                if op != "skip":
                    kind = _KINDS[op]
                    yield Layer(
                        "mbconv",
                        before,
                        after,
                        kernel=kind["k"],
                        stride=stride,
                        expansion=kind["e"],
                        groups=kind.get("g", 1),
                        always_expands=True,
                    )
                elif stride == 1 and before == after:
                    yield Layer("skip", before, after)
                else:
                    yield Layer("conv", before, after, stride=stride)
                before = after
                place += 1
        head = HEAD_CHANNELS[dataset]
        yield Layer("conv", before, head)
        yield Layer("global_avg_pool", head, head)
