"""NASNet cells: a normal and a reduction cell of five nodes, two picks with replacement into each, 13 ops.

Zoph et al., "Learning Transferable Architectures for Scalable Image Recognition", CVPR 2018. The names of
ops and the written form are those of quark0/darts (``cnn/genotypes.py``), which has the cells of NASNet-A and
AmoebaNet-A in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from archindex.core.errors import ArchitectureError
from archindex.spaces.cells import Cell, Edges, Op
from archindex.spaces.genotypes import read_genotype, write_genotype
from archindex.spaces.stacked import StackedCells

OPS: Final = (
    "skip_connect",
    "conv_3x1_1x3",
    "conv_7x1_1x7",
    "dil_conv_3x3",
    "avg_pool_3x3",
    "max_pool_3x3",
    "max_pool_5x5",
    "max_pool_7x7",
    "conv_1x1",
    "conv_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
)
"""The 13 ops, in the order of the paper."""

NODES: Final = 5


class NASNet(StackedCells):
    """The NASNet cell space.

    Native string: as in `archindex.spaces.darts`, ``Genotype(normal=[('sep_conv_5x5', 1), ...],
    normal_concat=[2, 3, 6], reduce=[...], reduce_concat=[4, 5, 6])``, two edges for each of the nodes 2 to 6,
    which may come from one node; 0 and 1 are the two cells before. A cell gives the nodes that feed no other,
    concatenated: what is written of that follows from the edges. The order of two edges is kept as written;
    it says nothing, and only the ascending one is drawn and counted; of two edges from one node, both are.
    Nodes are sums; the paper's second way to combine, concatenation inside a cell, is left out.

    Networks have the size of NASNet-A (6 @ 768), 20 cells and 32 channels, in the skeleton of DARTS. Costs
    count as `StackedCells` says.

    Examples
    --------
    >>> import archindex as ax
    >>> space = ax.space("nasnet")
    >>> arch = space.sample(1, seed=0)[0]
    >>> space.from_graph(arch.graph).arch_id == arch.arch_id
    True
    """

    images: ClassVar[Mapping[str, tuple[int, int]]] = {"cifar10": (10, 32)}
    channels = 32
    layers = 20
    cells = tuple(
        Cell(name, NODES, OPS, inputs=2, picks=2, distinct=False, output="loose", stride=stride)
        for name, stride in (("normal", 1), ("reduce", 2))
    )
    ops: ClassVar[Mapping[str, Op]] = {
        "skip_connect": ("skip", {}),
        # Two convolutions, a row and a column.
        "conv_3x1_1x3": ("conv", {"kernel": 1, "kernel_w": 3, "depth": 2}),
        "conv_7x1_1x7": ("conv", {"kernel": 1, "kernel_w": 7, "depth": 2}),
        "dil_conv_3x3": ("dilated_conv", {"kernel": 3, "dilation": 2}),
        "avg_pool_3x3": ("avg_pool", {"kernel": 3}),
        "max_pool_3x3": ("max_pool", {"kernel": 3}),
        "max_pool_5x5": ("max_pool", {"kernel": 5}),
        "max_pool_7x7": ("max_pool", {"kernel": 7}),
        "conv_1x1": ("conv", {"kernel": 1}),
        "conv_3x3": ("conv", {"kernel": 3}),
        "sep_conv_3x3": ("separable_conv", {"kernel": 3}),
        "sep_conv_5x5": ("separable_conv", {"kernel": 5}),
        "sep_conv_7x7": ("separable_conv", {"kernel": 7}),
    }

    @property
    def name(self) -> str:
        """``"nasnet"``."""
        return "nasnet"

    def _read_cells(self, text: str) -> dict[str, Edges]:
        cells, concat = read_genotype(text)
        if any(len(into) != NODES for into in cells.values()):
            raise ArchitectureError(f"expected {2 * NODES} edges in each cell", got=text)
        loose = self.joined(cells)
        for cell, nodes in concat.items():
            if nodes != loose[cell]:
                raise ArchitectureError(f"expected {cell}_concat={loose[cell]}", got=nodes)
        return cells

    def _write_cells(self, cells: Mapping[str, Edges]) -> str:
        return write_genotype(cells, {cell: str(nodes) for cell, nodes in self.joined(cells).items()})
