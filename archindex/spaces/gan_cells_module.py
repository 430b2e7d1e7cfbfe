"""The networks of AutoGAN in torch.

As in VITA-Group/AutoGAN (``models_search/building_blocks_search.py`` and ``models_search/shared_gan.py``;
Gong et al., ICCV 2019). There the sums inside a cell are made in place, so that what a cell hands on as its
first convolution holds what was added to it; so here.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from archindex.spaces.gan_cells import CHANNELS, LATENT, CellType

DISCRIMINATOR_CHANNELS = 128


class Generator(nn.Module):
    """A linear layer, three cells that double the side each, a convolution to three colours.

    Parameters
    ----------
    cells : sequence of CellType
        The three cells.
    side : int
        Pixels along a side of an image.
    """

    def __init__(self, cells: Sequence[CellType], side: int) -> None:
        super().__init__()
        self.bottom = side >> len(cells)
        self.project = nn.Linear(LATENT, self.bottom**2 * CHANNELS)
        self.cells = nn.ModuleList(Cell(cell, i) for i, cell in enumerate(cells))
        self.to_rgb = nn.Sequential(
            nn.BatchNorm2d(CHANNELS), nn.ReLU(), nn.Conv2d(CHANNELS, 3, 3, padding=1), nn.Tanh()
        )

    def forward(self, latent: Tensor) -> Tensor:
        """Return images in -1 to 1, float (batch, 3, side, side), of latent vectors, float (batch, 128)."""
        x = self.project(latent).view(-1, CHANNELS, self.bottom, self.bottom)
        inner: list[Tensor] = []
        for cell in self.cells:
            x, first = cell(x, inner)
            inner.append(first)
        images: Tensor = self.to_rgb(x)
        return images


class Cell(nn.Module):
    """Two convolutions, the first behind an enlargement; shortcut and skips as `cell` says.

    Parameters
    ----------
    cell : CellType
        What it is like.
    number : int
        Its number, from 0.
    """

    def __init__(self, cell: CellType, number: int) -> None:
        super().__init__()
        pre = cell.conv == "pre"
        enlarge, conv = _larger(cell.up), nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.first = nn.Sequential(
            *([_activated(cell.norm)] if pre else []),
            enlarge,
            conv,
            *([] if pre else [_activated(cell.norm)]),
        )
        conv = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.second = nn.Sequential(
            *((_activated(cell.norm), conv) if pre else (conv, _activated(cell.norm)))
        )
        self.sources = cell.skips
        self.skips = nn.ModuleList(
            nn.Sequential(_larger(cell.up, number - j), nn.Conv2d(CHANNELS, CHANNELS, 1)) for j in cell.skips
        )
        self.shortcut = (
            nn.Sequential(_larger(cell.up), nn.Conv2d(CHANNELS, CHANNELS, 1)) if cell.shortcut else None
        )

    def forward(self, x: Tensor, inner: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the output and the first convolution; `inner` holds the latter of earlier cells."""
        first = self.first(x)
        for source, skip in zip(self.sources, self.skips, strict=True):
            first = first + skip(inner[source])
        y = self.second(first)
        return y if self.shortcut is None else y + self.shortcut(x), first


class Discriminator(nn.Module):
    """Four residual blocks with spectral norm; the first two halve the side."""

    def __init__(self) -> None:
        super().__init__()
        width = DISCRIMINATOR_CHANNELS
        self.blocks = nn.Sequential(
            FirstBlock(width), Block(width, halves=True), Block(width), Block(width), nn.ReLU()
        )
        self.score = spectral_norm(nn.Linear(width, 1, bias=False))

    def forward(self, images: Tensor) -> Tensor:
        """Return scores, float (batch, 1), of images, float (batch, 3, side, side)."""
        scores: Tensor = self.score(self.blocks(images).sum(dim=(2, 3)))
        return scores


class FirstBlock(nn.Module):
    """Two convolutions beside a shortcut; reads colours, so that it starts without a ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.main = nn.Sequential(_conv(3, width, 3), nn.ReLU(), _conv(width, width, 3), nn.AvgPool2d(2))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), _conv(3, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return float (batch, width, side / 2, side / 2) of float (batch, 3, side, side)."""
        total: Tensor = self.main(x) + self.shortcut(x)
        return total


class Block(nn.Module):
    """Two ReLU-convolutions beside a shortcut, which is projected where the side is halved."""

    def __init__(self, width: int, halves: bool = False) -> None:
        super().__init__()
        pool = [nn.AvgPool2d(2)] if halves else []
        self.main = nn.Sequential(nn.ReLU(), _conv(width, width, 3), nn.ReLU(), _conv(width, width, 3), *pool)
        self.shortcut = nn.Sequential(_conv(width, width, 1), *pool) if halves else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return float (batch, width, side, side), or half that side."""
        total: Tensor = self.main(x) + self.shortcut(x)
        return total


def _conv(before: int, after: int, kernel: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(before, after, kernel, padding=kernel // 2))


def _activated(norm: str) -> nn.Module:
    if norm == "none":
        return nn.ReLU()
    return nn.Sequential({"batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d}[norm](CHANNELS), nn.ReLU())


def _larger(up: str, times: int = 1) -> nn.Module:
    """Return what doubles the side, several times."""
    if up != "deconv":
        return nn.Upsample(scale_factor=2**times, mode=up)
    return nn.Sequential(*(nn.ConvTranspose2d(CHANNELS, CHANNELS, 2, stride=2) for _ in range(times)))
