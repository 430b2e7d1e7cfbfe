"""NAS-Bench-201 (NATS-Bench topology): four nodes, five ops on each of six edges, 15,625 cells.

Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR 2020.
Dong et al., "NATS-Bench: Benchmarking NAS Algorithms for Architecture Topology and Size", TPAMI 2021.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArchitectureError
from archindex.spaces.base import Architecture, Costs
from archindex.spaces.cells import Cell, CellSpace, Edges, Op
from archindex.spaces.images import ImageNetworks

if TYPE_CHECKING:
    from torch import nn

OPS: Final = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The five ops; a genotype holds positions in this tuple."""

EDGES: Final = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(source, target) of the six edges in the order of the native string."""

SKELETONS: Final[dict[str, tuple[int, int]]] = {
    "cifar10": (10, 32),
    "cifar100": (100, 32),
    "in16_120": (120, 16),
}
"""Classes and image side of each data set."""

STAGE_CHANNELS: Final = (16, 32, 64)
CELLS_PER_STAGE: Final = 5

_OP_ID: Final = {op: i for i, op in enumerate(OPS)}


class NASBench201(ImageNetworks, CellSpace):
    """The NAS-Bench-201 cell space.

    Native string: ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``, one group a node, ``~i`` the node an edge
    comes from. Edges carry the ops; the graph turns them to nodes.

    Examples
    --------
    >>> import archindex as ax
    >>> space = ax.space("nasbench201")
    >>> arch = space.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_3x3~2|")
    >>> arch.graph.n_nodes
    8
    """

    images: ClassVar[Mapping[str, tuple[int, int]]] = SKELETONS
    cells = (Cell("cell", nodes=3, ops=OPS),)
    ops: ClassVar[Mapping[str, Op]] = {
        "none": ("none", {}),
        "skip_connect": ("skip", {}),
        "nor_conv_1x1": ("conv", {"kernel": 1}),
        "nor_conv_3x3": ("conv", {"kernel": 3}),
        "avg_pool_3x3": ("avg_pool", {"kernel": 3}),
    }

    @property
    def name(self) -> str:
        """``"nasbench201"``."""
        return "nasbench201"

    def _read_cells(self, text: str) -> dict[str, Edges]:
        groups = [group.split("|") for group in text.split("+")]
        if [len(parts) for parts in groups] != [3, 4, 5] or any(p[0] or p[-1] for p in groups):
            raise ArchitectureError(
                "expected a NAS-Bench-201 cell |op~0|+|op~0|op~1|+|op~0|op~1|op~2|",
                got=text,
                fix=f"op is one of {', '.join(OPS)}",
            )
        nodes: Edges = [[], [], []]
        for node, parts in enumerate(groups, start=1):
            for source, part in enumerate(parts[1:-1]):
                op, tilde, origin = part.partition("~")
                if op not in OPS or tilde != "~" or origin != str(source):
                    raise ArchitectureError(
                        f"expected op~{source} with op one of {', '.join(OPS)}",
                        got=part,
                        fix=f"look at the edge from node {source} to node {node}",
                    )
                nodes[node - 1].append((op, source))
        return {"cell": nodes}

    def _write_cells(self, cells: Mapping[str, Edges]) -> str:
        return "+".join("|" + "".join(f"{op}~{i}|" for op, i in into) for into in cells["cell"])

    def genotypes(self, natives: Iterable[str]) -> npt.NDArray[np.int64]:
        """Return op positions of every edge; int64, shape (n, 6)."""
        return np.array([self._parse(text) for text in natives], dtype=np.int64).reshape(-1, len(EDGES))

    def costs(self, natives: Iterable[str], dataset: str) -> Costs:
        """Return params and FLOPs as the benchmark counts them.

        A convolution is ReLU-conv-BN without bias. FLOPs are the multiply-adds of all convolutions and of
        the classifier (its bias too), as published; batch norm, pooling and sums count nothing.

        Parameters
        ----------
        natives : iterable of str
            Native strings.
        dataset : {"cifar10", "cifar100", "in16_120"}
            Fixes classes and image size.
        """
        classes, side = self._image(dataset)
        genotypes = self.genotypes(natives)
        n3 = (genotypes == _OP_ID["nor_conv_3x3"]).sum(axis=1)
        n1 = (genotypes == _OP_ID["nor_conv_1x1"]).sum(axis=1)
        params = np.zeros(len(genotypes), dtype=np.int64)
        flops = np.zeros(len(genotypes), dtype=np.int64)
        for stage, channels in enumerate(STAGE_CHANNELS):
            pixels = (side >> stage) ** 2
            for count, kernel in ((n3, 3), (n1, 1)):
                weights = kernel * kernel * channels * channels
                params += CELLS_PER_STAGE * count * (weights + 2 * channels)
                flops += CELLS_PER_STAGE * count * weights * pixels
        fixed_params, fixed_flops = _skeleton_costs(classes, side)
        return Costs(params + fixed_params, flops + fixed_flops)

    def build_module(self, architecture: Architecture, dataset: str = "cifar10") -> nn.Module:
        """Return the network of `architecture` for `dataset`; output (batch, classes)."""
        from archindex.spaces.nasbench201_module import Network

        classes, _ = self._image(dataset)
        return Network(self._parse(self._own(architecture).native), classes)


def nats_unique_string(native: str, *, consider_zero: bool) -> str:
    """Return NATS-Bench's own string of isomorphic cells (``CellStructure.to_unique_str``).

    It is not the arch_id: it expands the cell to a tree, so that cells in which one op feeds two others
    and cells with two such ops fall together. 6,466 classes with zeros considered, 12,751 without.

    Parameters
    ----------
    native : str
        Native string.
    consider_zero : bool
        Whether ``none`` and all that hangs on it counts as zero.

    Raises
    ------
    ArchitectureError
        If `native` is malformed.
    """
    genotype = NASBench201()._parse(native)
    terms = {0: "0"}
    for target in (1, 2, 3):
        parts = []
        for (source, into), i in zip(EDGES, genotype, strict=True):
            if into != target:
                continue
            op, x = OPS[i], terms[source]
            if consider_zero and (op == "none" or x == "#"):
                parts.append("#")
            elif op == "skip_connect":
                parts.append(x)
            else:
                parts.append(f"({x})@{op}")
        terms[target] = "+".join(sorted(parts))
    return terms[3]


def _skeleton_costs(classes: int, side: int) -> tuple[int, int]:
    """Return params and FLOPs of everything outside the cells: stem, two residual blocks, classifier."""
    c1, c2, c3 = STAGE_CHANNELS
    params = 27 * c1 + 2 * c1
    flops = 27 * c1 * side**2
    for before, after, pixels in ((c1, c2, (side // 2) ** 2), (c2, c3, (side // 4) ** 2)):
        weights = 9 * before * after + 9 * after * after + before * after
        params += weights + 4 * after
        flops += weights * pixels
    params += 2 * c3 + c3 * classes + classes
    flops += c3 * classes + classes
    return params, flops
