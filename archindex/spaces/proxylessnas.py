"""ProxylessNAS: 21 places with six inverted bottlenecks each, or none where the shape stays.

Cai, Zhu and Han, "ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware", ICLR 2019:
ops, places and strides are those of its code (mit-han-lab/proxylessnas, ``search/imagenet_arch_search.py``
and ``search/models/super_nets/super_proxyless.py``). The widths are those of the published ProxylessNAS
(Mobile), which differ from the defaults of the search in the first stage alone: 32 instead of 24 channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from archindex.core.errors import ArchitectureError
from archindex.spaces.choices import Choice
from archindex.spaces.natives import check_length
from archindex.spaces.sequences import BlockSequence, Layer

OPS: Final = tuple(f"{k}x{k}_MBConv{e}" for k in (3, 5, 7) for e in (3, 6))
"""Inverted bottlenecks by kernel and expansion."""

SKIP: Final = "Zero"
"""What the original calls a block that computes nothing beside its shortcut."""

STAGES: Final = ((4, 2), (4, 2), (4, 2), (4, 1), (4, 2), (1, 1))
"""Blocks of every stage, and the stride of its first block."""

PLACES: Final = sum(blocks for blocks, _ in STAGES)
_FIRST: Final = frozenset(sum(blocks for blocks, _ in STAGES[:i]) for i in range(len(STAGES)))


class ProxylessNAS(BlockSequence):
    """The ProxylessNAS space.

    Native string: the ops of the 21 places joined by ``|``, each ``3x3_MBConv3`` (kernel, expansion) or, but
    for the first of a stage, ``Zero``: identity. Costs count as a `BlockSequence` says.

    Attributes
    ----------
    widths : tuple of int
        Channels of the stem, of the first block, of the six stages, and of the last convolution.

    Examples
    --------
    >>> import archindex as ax
    >>> space = ax.space("proxylessnas")
    >>> space.size == 6**6 * 7**15  # about 2e17
    True
    >>> space.parse("|".join(["5x5_MBConv6"] * 21)).graph.ops.count("mbconv")
    22
    """

    images: ClassVar[Mapping[str, tuple[int, int]]] = {"imagenet": (1000, 224)}
    widths: ClassVar[tuple[int, ...]] = (32, 16, 32, 40, 80, 96, 192, 320, 1280)
    choices = tuple(Choice(f"block{i}", OPS if i in _FIRST else (*OPS, SKIP)) for i in range(PLACES))

    @property
    def name(self) -> str:
        """``"proxylessnas"``."""
        return "proxylessnas"

    def _read(self, text: str) -> Mapping[str, Any]:
        ops = check_length(text).split("|")
        if len(ops) != PLACES:
            raise ArchitectureError(
                f"expected {PLACES} ops joined by |", got=text, fix=f"ops are {', '.join((*OPS, SKIP))}"
            )
        return {f"block{i}": op for i, op in enumerate(ops)}

    def _write(self, taken: Mapping[str, Any]) -> str:
        return "|".join(taken[choice.name] for choice in self.choices)

    def _layers(self, taken: Mapping[str, Any], dataset: str) -> Iterator[Layer]:
        before, first, *stages, last = self.widths
        yield Layer("conv", 3, before, kernel=3, stride=2, activation="relu6")
        yield Layer("mbconv", before, first, kernel=3, activation="relu6")
        before, place = first, 0
        for (blocks, first_stride), after in zip(STAGES, stages, strict=True):
            for i in range(blocks):
                op = taken[f"block{place}"]
                if op == SKIP:
                    yield Layer("skip", before, after)
                else:
                    yield Layer(
                        "mbconv",
                        before,
                        after,
                        kernel=int(op[0]),
                        stride=first_stride if i == 0 else 1,
                        expansion=int(op[-1]),
                        activation="relu6",
                    )
                before = after
                place += 1
        yield Layer("conv", before, last, activation="relu6")
        yield Layer("global_avg_pool", last, last)
