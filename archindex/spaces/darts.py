"""DARTS: a normal and a reduction cell of four nodes, two edges into each, seven ops; about 10^18.

Liu et al., "DARTS: Differentiable Architecture Search", ICLR 2019; quark0/darts, ``cnn/genotypes.py``. The
space of NAS-Bench-301 (Zela et al., ICLR 2022), too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from archindex.core.errors import ArchitectureError
from archindex.spaces.cells import Cell, Edges, Op
from archindex.spaces.genotypes import read_genotype, write_genotype
from archindex.spaces.stacked import StackedCells

OPS: Final = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""The seven ops. The eighth of the search, ``none``, is never part of a derived cell."""

NODES: Final = 4


class DARTS(StackedCells):
    """The DARTS cell space.

    Native string: ``Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ...], normal_concat=...,
    reduce=[...], reduce_concat=range(2, 6))``, two edges ``('op', from)`` for each of the nodes 2 to 5; 0 and
    1 are the two cells before. The order of two edges is kept as written; it says nothing, and only the
    ascending one is drawn and counted. ``none`` is read, because tables hold cells with it; like the paper,
    `size` leaves it out: (180 * 7^8)^2.

    Networks have 36 channels and 20 cells, no auxiliary head. Costs count as `StackedCells` says: params are
    those of OnceNAS-Bench's table, exactly; its FLOPs are up to 4% more, for it adds four for each output of
    a batch norm, one for each of an average pooling and 65 for each channel that the last pooling means.

    Examples
    --------
    >>> import archindex as ax
    >>> space = ax.space("darts")
    >>> arch = space.sample(1, seed=0)[0]
    >>> arch.graph.ops.count("concat"), f"{space.size:.2e}"
    (2, '1.08e+18')
    """

    images: ClassVar[Mapping[str, tuple[int, int]]] = {"cifar10": (10, 32)}
    channels = 36
    layers = 20
    cells = tuple(
        Cell(name, NODES, OPS, inputs=2, picks=2, output="all", stride=stride, uncounted=("none",))
        for name, stride in (("normal", 1), ("reduce", 2))
    )
    ops: ClassVar[Mapping[str, Op]] = {
        "none": ("none", {}),
        "max_pool_3x3": ("max_pool", {"kernel": 3}),
        "avg_pool_3x3": ("avg_pool", {"kernel": 3}),
        "skip_connect": ("skip", {}),
        "sep_conv_3x3": ("separable_conv", {"kernel": 3}),
        "sep_conv_5x5": ("separable_conv", {"kernel": 5}),
        "dil_conv_3x3": ("dilated_conv", {"kernel": 3, "dilation": 2}),
        "dil_conv_5x5": ("dilated_conv", {"kernel": 5, "dilation": 2}),
    }

    @property
    def name(self) -> str:
        """``"darts"``."""
        return "darts"

    def _read_cells(self, text: str) -> dict[str, Edges]:
        cells, concat = read_genotype(text)
        for cell, nodes in concat.items():
            if nodes != list(range(2, 2 + NODES)):
                raise ArchitectureError(f"expected {cell}_concat=range(2, 6)", got=nodes)
        return cells

    def _write_cells(self, cells: Mapping[str, Edges]) -> str:
        return write_genotype(cells, dict.fromkeys(cells, f"range(2, {2 + NODES})"))
