"""HyTra: a fabric of convolution and attention blocks over four scales, with down-sampling where one likes.

Li et al., "BossNAS: Exploring Hybrid CNN-transformers with Block-wisely Self-supervised Neural Architecture
Search", ICCV 2021. Blocks and numbers are those of the authors' code (changlin31/BossNAS:
searching/bossnas/models/supernets/hytra_supernet.py, searching/bossnas/models/utils/hytra_paths.py), the
networks those that they retrained (retraining_hytra).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from archindex.core.build import GraphBuilder, Terms
from archindex.core.errors import ArchitectureError
from archindex.spaces.base import Architecture
from archindex.spaces.choices import INACTIVE, Choice, ChoiceSpace, Genotype
from archindex.spaces.counting import CountedOnModule
from archindex.spaces.images import ImageNetworks

if TYPE_CHECKING:
    from torch import nn

LAYERS: Final = 16
WIDTHS: Final = (256, 512, 1024, 2048)
"""Widths at the four scales, 1/4, 1/8, 1/16 and 1/32 of the image's side."""
HEADS: Final = (1, 2, 4, 8)
"""Heads of width 64 at the four scales; attention blocks stand at the last two."""

IMAGES: Final[dict[str, tuple[int, int]]] = {"cifar10": (10, 32), "imagenet": (1000, 224)}
"""Classes and image side. The paper's is imagenet; cifar10 is a small one to run things on."""

BLOCKS: Final = ((3, "ResAtt"), (3, "ResConv"), (2, "ResAtt"), (2, "ResConv"), (1, "ResConv"), (0, "ResConv"))
"""Scale and kind of a block, by the authors' number for it."""

Lengths = tuple[int, ...]
"""How many of the layers work at each scale."""


def _lengths() -> tuple[Lengths, ...]:
    """Return all ways to spread the layers: no scale between two that are used is left out."""
    ways = itertools.product(range(LAYERS + 1), repeat=len(WIDTHS))
    return tuple(
        lengths
        for lengths in ways
        if sum(lengths) == LAYERS and "0" not in "".join("1" if n else "0" for n in lengths).strip("0")
    )


LENGTHS: Final = _lengths()


def _scales(lengths: Lengths) -> tuple[int, ...]:
    """Return the scale of every layer."""
    return tuple(scale for scale, n in enumerate(lengths) for _ in range(n))


_SCALES: Final = {lengths: _scales(lengths) for lengths in LENGTHS}
_KINDS: Final = ("ResAtt", "ResConv")


def _choices() -> tuple[Choice, ...]:
    choices = [Choice("layers", LENGTHS)]
    for layer in range(LAYERS):
        open_to_both = tuple(lengths for lengths in LENGTHS if _SCALES[lengths][layer] >= 2)
        choices.append(Choice(f"block.{layer}", _KINDS, when=("layers", open_to_both)))
    return tuple(choices)


class HyTra(ImageNetworks, CountedOnModule, ChoiceSpace):
    """The HyTra search space.

    Native string: a digit for each of the 16 layers, as in the paths of the authors' code: 0 and 1 an
    attention and a convolution block at 1/32 of the image's side, 2 and 3 the same at 1/16, 4 and 5 a
    convolution block at 1/8 and at 1/4. The first layer may work at any scale; from a layer to the next the
    scale stays or halves. 2,818,103 strings, as the authors' function ``gap`` counts them.

    A change is another block in a layer, or another scale of one layer.

    Examples
    --------
    >>> import archindex as ax
    >>> space = ax.space("hytra")
    >>> space.parse("5433323000100000").graph.ops.count("attention")  # BossNet-T0
    9
    >>> space.size
    2818103
    """

    choices = _choices()
    images: ClassVar[Mapping[str, tuple[int, int]]] = IMAGES

    @property
    def name(self) -> str:
        """``"hytra"``."""
        return "hytra"

    def _neighbors(self, genotype: Genotype) -> Iterator[Genotype]:
        now = _SCALES[LENGTHS[genotype[0]]]
        for option, lengths in enumerate(LENGTHS):
            if sum(a != b for a, b in zip(now, _SCALES[lengths], strict=True)) == 1:
                yield from self._with(genotype, 0, option)
        for i in range(1, len(self.choices)):
            if genotype[i] != INACTIVE:
                yield (*genotype[:i], 1 - genotype[i], *genotype[i + 1 :])

    def _read(self, text: str) -> dict[str, Any]:
        if len(text) != LAYERS or not set(text) <= set("012345"):
            raise ArchitectureError(
                f"expected {LAYERS} digits from 0 to 5", got=text, fix="a whole one is 5433323000100000"
            )
        blocks = [BLOCKS[int(digit)] for digit in text]
        scales = [scale for scale, _ in blocks]
        if any(after - before not in (0, 1) for before, after in itertools.pairwise(scales)):
            raise ArchitectureError("expected layers whose scale stays or halves", got=text)
        taken: dict[str, Any] = {"layers": tuple(map(scales.count, range(len(WIDTHS))))}
        return taken | {f"block.{i}": kind for i, (scale, kind) in enumerate(blocks) if scale >= 2}

    def _write(self, taken: Mapping[str, Any]) -> str:
        scales = _SCALES[taken["layers"]]
        blocks = [(scale, taken.get(f"block.{i}", "ResConv")) for i, scale in enumerate(scales)]
        return "".join(str(BLOCKS.index(block)) for block in blocks)

    def _build(self, g: GraphBuilder, taken: Mapping[str, Any]) -> None:
        x = g.add("conv", g.input(), kernel=7, stride=2, channels=64)
        x = g.add("max_pool", x, kernel=3, stride=2)
        layer = 0
        for scale, n in enumerate(taken["layers"]):
            width, stride = WIDTHS[scale], 2 if scale else 1
            if not n:
                x = g.add("conv", x, kernel=3, stride=stride, channels=width)
            for i in range(n):
                kind = taken[f"block.{layer}"] if scale >= 2 else "ResConv"
                x = _block(g, x, kind, scale, stride if i == 0 else 1, changes=i == 0)
                layer += 1
        g.output(g.add("global_avg_pool", x))

    def build_module(self, architecture: Architecture, dataset: str = "cifar10") -> nn.Module:
        """Return the network of `architecture` for `dataset`; output (batch, classes)."""
        from archindex.spaces.hytra_module import Network

        classes, _ = self._image(dataset)
        taken = self.taken(architecture)
        blocks: list[list[str]] = [[] for _ in WIDTHS]
        for i, scale in enumerate(_SCALES[taken["layers"]]):
            blocks[scale].append(taken.get(f"block.{i}", "ResConv"))
        return Network(blocks, classes)


def _block(g: GraphBuilder, x: Terms, kind: str, scale: int, stride: int, *, changes: bool) -> Terms:
    """Add a residual block; `changes`: whether the shape of `x` is another than that of what comes out."""
    width = WIDTHS[scale]
    if kind == "ResAtt":
        y = g.add("attention", x, heads=HEADS[scale], channels=width, stride=stride)
    else:
        y = g.add("conv", x, kernel=3, expansion=0.25, channels=width, stride=stride)
    if stride == 2:
        x = g.add("avg_pool", x, kernel=2, stride=2)
    if changes:
        x = g.add("conv", x, kernel=1, channels=width)
    return g.add("add", x + y)
