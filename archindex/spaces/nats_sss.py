"""NATS-Bench size space: the channels of five layers, 8 to 64 each, 32,768 networks.

Dong et al., "NATS-Bench: Benchmarking NAS Algorithms for Architecture Topology and Size", TPAMI 2021. The
cell and the skeleton are those of its code (D-X-Y/AutoDL-Projects, ``exps/NATS-Bench/main-sss.py`` and
``xautodl/models/shape_infers/InferTinyCellNet.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from archindex.core.build import GraphBuilder, Terms
from archindex.core.errors import ArchitectureError
from archindex.spaces.base import Architecture, Costs
from archindex.spaces.choices import Choice, ChoiceSpace
from archindex.spaces.images import ImageNetworks
from archindex.spaces.nasbench201 import SKELETONS
from archindex.spaces.natives import read_number

if TYPE_CHECKING:
    from torch import nn

WIDTHS: Final = (8, 16, 24, 32, 40, 48, 56, 64)
LAYERS: Final = 5
REDUCING: Final = (1, 3)
"""Layers that are residual blocks and halve the side; the others are cells."""

CELL: Final = (((0, 3),), ((0, 3), (1, 3)), ((0, 1), (1, 3), (2, 3)))
"""(source, kernel) of what enters the three nodes of the cell; kernel 1: the skip from the input."""


class NATSSize(ImageNetworks, ChoiceSpace):
    """The size space of NATS-Bench: widths of a fixed network.

    Native string: the channels of the five layers, ``8:16:32:48:64``; the first is the stem's, too. Cells are
    ``|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|``, and
    their skip is a 1x1 convolution with batch norm where the channels change. In the graph every convolution
    of a cell or block is a node. Costs count as for NAS-Bench-201: FLOPs are the multiply-adds of
    convolutions and classifier, its bias included.

    Examples
    --------
    >>> import archindex as ax
    >>> space = ax.space("nats_sss")
    >>> space.size, int(space.costs(["64:64:64:64:64"], "cifar10").params[0])
    (32768, 713674)
    """

    images: ClassVar[Mapping[str, tuple[int, int]]] = SKELETONS
    choices = tuple(Choice(f"layer{i}", WIDTHS, ordered=True) for i in range(LAYERS))

    @property
    def name(self) -> str:
        """``"nats_sss"``."""
        return "nats_sss"

    def _read(self, text: str) -> Mapping[str, Any]:
        widths = text.split(":", LAYERS)
        if len(widths) != LAYERS:
            raise ArchitectureError(
                f"expected {LAYERS} numbers of channels joined by :", got=text, fix="as in 8:16:32:48:64"
            )
        return {f"layer{i}": read_number(width) for i, width in enumerate(widths)}

    def _write(self, taken: Mapping[str, Any]) -> str:
        return ":".join(str(taken[choice.name]) for choice in self.choices)

    def _build(self, g: GraphBuilder, taken: Mapping[str, Any]) -> None:
        x, before = g.input(), 3
        for i in range(LAYERS):
            after = taken[f"layer{i}"]
            if i == 0:
                x, before = g.add("conv", x, kernel=3, stride=1, channels=after), after
            x = _block(g, x, after) if i in REDUCING else _cell(g, x, before, after)
            before = after
        g.output(x)

    def costs(self, natives: Iterable[str], dataset: str) -> Costs:
        """Return params and FLOPs as the benchmark counts them; see the class.

        Parameters
        ----------
        natives : iterable of str
            Native strings.
        dataset : {"cifar10", "cifar100", "in16_120"}
            Fixes classes and image size.

        Raises
        ------
        UnknownNameError
            If the networks are not defined for `dataset`.
        """
        classes, side = self._image(dataset)
        widths = np.array(
            [list(self._values(self._parse(text)).values()) for text in natives], dtype=np.int64
        ).reshape(-1, LAYERS)
        stem = 27 * widths[:, 0]
        params, flops = stem + 2 * widths[:, 0], stem * side**2
        before = widths[:, 0]
        for i, after in enumerate(widths.T):
            if i in REDUCING:
                side //= 2
                weights, norms = 9 * before * after + 9 * after**2 + before * after, 2 * 2 * after
            else:
                changes = before != after
                weights = 9 * (2 * before * after + 3 * after**2) + changes * before * after
                norms = 2 * (5 + changes) * after
            params = params + weights + norms
            flops = flops + weights * side**2
            before = after
        classifier = before * classes + classes
        return Costs(params + 2 * before + classifier, flops + classifier)

    def build_module(self, architecture: Architecture, dataset: str = "cifar10") -> nn.Module:
        """Return the network of `architecture` for `dataset`; output (batch, classes)."""
        from archindex.spaces.nats_sss_module import network

        classes, _ = self._image(dataset)
        return network(list(self.taken(architecture).values()), classes)


def _cell(g: GraphBuilder, x: Terms, before: int, after: int) -> Terms:
    nodes = [x]
    for entering in CELL:
        total: Terms = ()
        for source, kernel in entering:
            if kernel == 1 and before == after:
                total = total + g.add("skip", nodes[source])
            else:
                total = total + g.add("conv", nodes[source], kernel=kernel, stride=1, channels=after)
        nodes.append(total)
    return nodes[-1]


def _block(g: GraphBuilder, x: Terms, after: int) -> Terms:
    main = g.add("conv", x, kernel=3, stride=2, channels=after)
    main = g.add("conv", main, kernel=3, stride=1, channels=after)
    shortcut = g.add("avg_pool", x, kernel=2, stride=2)
    return main + g.add("conv", shortcut, kernel=1, stride=1, channels=after)
