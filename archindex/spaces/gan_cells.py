"""AutoGAN: generators of three up-sampling cells, 373,248 of them.

Gong et al., "AutoGAN: Neural Architecture Search for Generative Adversarial Networks", ICCV 2019. Strings,
cells and networks are those of its code (VITA-Group/AutoGAN, ``models_search/building_blocks_search.py``,
``models_search/shared_gan.py`` and ``exps/derive.sh``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archindex.core.build import GraphBuilder, Terms
from archindex.core.checks import check_choice
from archindex.core.errors import ArchitectureError
from archindex.spaces.base import Architecture
from archindex.spaces.choices import Choice, ChoiceSpace
from archindex.spaces.counting import CountedOnModule
from archindex.spaces.natives import read_number

if TYPE_CHECKING:
    from torch import Tensor, nn

CELLS: Final = 3
CONV: Final = ("post", "pre")
"""Whether norm and ReLU come after a convolution or before it."""

NORM: Final = ("none", "batch", "instance")
UP: Final = ("bilinear", "nearest", "deconv")
"""How a cell doubles the side; skips from earlier cells are enlarged in the same way."""

LATENT: Final = 128
CHANNELS: Final = 256
SIDES: Final[dict[str, int]] = {"cifar10": 32, "stl10": 48}
"""Pixels along a side of the images; the first cell reads an eighth of that."""


class CellType(NamedTuple):
    """One cell.

    Attributes
    ----------
    conv, norm, up : str
        From `CONV`, `NORM` and `UP`.
    shortcut : bool
        Whether the input, enlarged and projected, is added to the output.
    skips : tuple of int
        Earlier cells whose first convolution is added to that of this cell.
    """

    conv: str
    norm: str
    up: str
    shortcut: bool
    skips: tuple[int, ...]


class GANCells(CountedOnModule, ChoiceSpace):
    """The AutoGAN space.

    Native string: the 14 numbers of AutoGAN's ``--arch``, ``1 0 1 1 1 0 0 1 1 1 0 1 0 3``: for each of three
    cells the position in `CONV`, `NORM` and `UP` and whether it has a shortcut; from the second on the
    earlier cells that it reads, too, one bit each, the lowest that of the cell before. The paper searches
    generators alone: the discriminator is the same for all (`build_discriminator`).

    A module turns latent vectors into images. Params are the elements of all parameters, FLOPs the
    multiply-adds of the linear layer and the convolutions.

    Examples
    --------
    >>> import archindex as ax
    >>> autogan_a = ax.space("gan_cells").parse("1 0 1 1 1 0 0 1 1 1 0 1 0 3")
    >>> autogan_a.graph.ops.count("upsample"), autogan_a.graph.ops.count("conv")
    (8, 12)
    """

    datasets: tuple[str, ...] = tuple(SIDES)
    choices = tuple(
        choice
        for i in range(CELLS)
        for choice in (
            Choice(f"cell{i}.conv", CONV),
            Choice(f"cell{i}.norm", NORM),
            Choice(f"cell{i}.up", UP),
            Choice(f"cell{i}.shortcut", (False, True)),
            *(Choice(f"cell{i}.skip{j}", (False, True)) for j in range(i)),
        )
    )

    @property
    def name(self) -> str:
        """``"gan_cells"``."""
        return "gan_cells"

    def _read(self, text: str) -> Mapping[str, Any]:
        numbers = [read_number(word) for word in text.split(" ", 5 * CELLS)]
        limits = [limit for i in range(CELLS) for limit in (2, 3, 3, 2, *([2**i] if i else []))]
        if len(numbers) != len(limits) or any(map(int.__ge__, numbers, limits)):
            raise ArchitectureError(
                f"expected {len(limits)} numbers below {limits}",
                got=text,
                fix="as in 1 0 1 1 1 0 0 1 1 1 0 1 0 3",
            )
        taken: dict[str, Any] = {}
        rest = iter(numbers)
        for i in range(CELLS):
            for part, options in (("conv", CONV), ("norm", NORM), ("up", UP), ("shortcut", (False, True))):
                taken[f"cell{i}.{part}"] = options[next(rest)]
            bits = next(rest) if i else 0
            taken.update({f"cell{i}.skip{j}": bool(bits >> (i - 1 - j) & 1) for j in range(i)})
        return taken

    def _write(self, taken: Mapping[str, Any]) -> str:
        numbers: list[int] = []
        for i, cell in enumerate(_cells(taken)):
            numbers += [CONV.index(cell.conv), NORM.index(cell.norm), UP.index(cell.up), int(cell.shortcut)]
            numbers += [sum(1 << (i - 1 - j) for j in cell.skips)] if i else []
        return " ".join(map(str, numbers))

    def _build(self, g: GraphBuilder, taken: Mapping[str, Any]) -> None:
        x = g.add("linear", g.input(), channels=CHANNELS)
        inner: list[Terms] = []  # of every cell: its first convolution, with what is added to it
        for i in range(CELLS):
            first = f"cell{i}."
            conv, norm = taken[first + "conv"], taken[first + "norm"]
            y = _activated(g, x, norm) if conv == "pre" else x
            up = taken[first + "up"]
            y = g.add("conv", _larger(g, y, up), kernel=3, channels=CHANNELS)
            y = _activated(g, y, norm) if conv == "post" else y
            for j in range(i):
                if taken[f"{first}skip{j}"]:
                    skip = _larger(g, inner[j], up, times=i - j)
                    y = y + g.add("conv", skip, kernel=1, channels=CHANNELS)
            inner.append(y)
            y = _activated(g, y, norm) if conv == "pre" else y
            y = g.add("conv", y, kernel=3, channels=CHANNELS)
            y = _activated(g, y, norm) if conv == "post" else y
            if taken[first + "shortcut"]:
                y = y + g.add("conv", _larger(g, x, up), kernel=1, channels=CHANNELS)
            x = y
        x = g.add("conv", _activated(g, x, "batch"), kernel=3, channels=3)
        g.output(g.add("tanh", x))

    def cell_types(self, architecture: Architecture) -> list[CellType]:
        """Return what the three cells of `architecture` are."""
        return list(_cells(self.taken(architecture)))

    def example_inputs(self, dataset: str, batch: int = 1) -> tuple[Tensor]:
        """Return random latent vectors, float (batch, 128)."""
        import torch

        self._side(dataset)
        return (torch.randn(batch, LATENT),)

    def build_module(self, architecture: Architecture, dataset: str) -> nn.Module:
        """Return the generator: images, float (batch, 3, side, side), of latent vectors."""
        from archindex.spaces.gan_cells_module import Generator

        return Generator(self.cell_types(architecture), self._side(dataset))

    def build_discriminator(self, dataset: str) -> nn.Module:
        """Return the discriminator: scores, float (batch, 1), of images, float (batch, 3, side, side)."""
        from archindex.spaces.gan_cells_module import Discriminator

        self._side(dataset)
        return Discriminator()

    def _side(self, dataset: str) -> int:
        return SIDES[check_choice(f"data set of {self.name}", dataset, SIDES)]


def _cells(taken: Mapping[str, Any]) -> Iterator[CellType]:
    for i in range(CELLS):
        skips = tuple(j for j in range(i) if taken[f"cell{i}.skip{j}"])
        conv, norm, up, shortcut = (taken[f"cell{i}.{part}"] for part in ("conv", "norm", "up", "shortcut"))
        yield CellType(conv, norm, up, shortcut, skips)


def _activated(g: GraphBuilder, x: Terms, norm: str) -> Terms:
    if norm == "batch":
        x = g.add("batch_norm", x)
    elif norm == "instance":
        x = g.add("group_norm", x, groups=CHANNELS)
    return g.add("relu", x)


def _larger(g: GraphBuilder, x: Terms, up: str, times: int = 1) -> Terms:
    """Double the side of `x`, several times."""
    if up != "deconv":
        # What tells them apart: a pixel is made from one, or from two along each side.
        return g.add("upsample", x, stride=2**times, kernel=1 + (up == "bilinear"))
    for _ in range(times):
        x = g.add("transposed_conv", x, kernel=2, stride=2, channels=CHANNELS)
    return x
