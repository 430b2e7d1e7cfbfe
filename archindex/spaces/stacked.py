"""StackedCells: spaces of a normal and a reduction cell that read the two cells before them.

The skeleton is DARTS' network for CIFAR-10 (Liu et al., ICLR 2019; quark0/darts, ``cnn/model.py``), which is
NASNet's but for the stem: cells in a row, those at a third and two thirds of them reduction cells with twice
the channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from archindex.spaces.base import Architecture, Costs
from archindex.spaces.cells import CellSpace, Edges, Op
from archindex.spaces.images import ImageNetworks

if TYPE_CHECKING:
    from torch import nn

STEM_MULTIPLIER = 3
"""Channels of the stem over those of the first cell."""


class Place(NamedTuple):
    """Where a cell stands in a network.

    Attributes
    ----------
    cell : {"normal", "reduce"}
        Which cell stands there.
    before : (int, int)
        Channels of the cell before the last, and of the last.
    channels : int
        Channels of a node.
    side : int
        Pixels along a side of what the last cell gives; that of the cell before is twice as large where
        `halved`.
    halved : bool
        Whether the last cell was a reduction cell.
    """

    cell: str
    before: tuple[int, int]
    channels: int
    side: int
    halved: bool

    @property
    def stride(self) -> int:
        """Stride of the ops that read the inputs."""
        return 2 if self.cell == "reduce" else 1


class StackedCells(ImageNetworks, CellSpace):
    """A space of a normal and a reduction cell, stacked.

    A subclass gives what a `CellSpace` asks for, `images`, `channels` and `layers`. Params are the elements
    of all parameters; FLOPs the multiply-adds of convolutions and classifier; biases, norms, activations,
    pooling and sums count nothing. Costs are sums over layers: each kind of layer is counted once, on its
    torch module.

    Attributes
    ----------
    channels : int
        Channels of a node of the first cell.
    layers : int
        Cells in a row.
    """

    channels: ClassVar[int]
    layers: ClassVar[int]

    def _applied(self, op: str, stride: int) -> Op:
        """Return the op behind a native op; a skip with a stride is DARTS' factorised reduction.

        That looks at two pixels of every 2x2 window; a 1x1 convolution is another op.
        """
        name, attrs = super()._applied(op, stride)
        skips = stride > 1 and self.ops[op][0] == "skip"
        return ("conv", {"kernel": 2, "stride": stride}) if skips else (name, attrs)

    def joined(self, cells: Mapping[str, Edges]) -> dict[str, list[int]]:
        """Return the nodes that each cell concatenates."""
        nodes = {}
        for cell in self.cells:
            read = {source for into in cells[cell.name] for _, source in into}
            every = range(cell.inputs, cell.inputs + cell.nodes)
            nodes[cell.name] = [node for node in every if cell.output == "all" or node not in read]
        return nodes

    def places(self, cells: Mapping[str, Edges], dataset: str) -> Iterator[Place]:
        """Yield where the cells stand, from the image on; the classifier reads `joined` of the last."""
        joined = self.joined(cells)
        channels, (_, side) = self.channels, self._image(dataset)
        before = (STEM_MULTIPLIER * channels,) * 2
        halved = False
        for layer in range(self.layers):
            reduces = layer in (self.layers // 3, 2 * self.layers // 3)
            name = "reduce" if reduces else "normal"
            channels *= 1 + reduces
            yield Place(name, before, channels, side, halved)
            before = (before[1], len(joined[name]) * channels)
            side //= 1 + reduces
            halved = reduces

    def costs(self, natives: Iterable[str], dataset: str) -> Costs:
        """Return params and FLOPs of the networks for `dataset`; see the class for what counts.

        Parameters
        ----------
        natives : iterable of str
            Native strings.
        dataset : str
            One of `datasets`.

        Raises
        ------
        UnknownNameError
            If the networks are not defined for `dataset`.
        """
        classes, side = self._image(dataset)
        stem = STEM_MULTIPLIER * self.channels
        counted: list[tuple[int, int]] = []
        for native in natives:
            cells = self.edges(native)
            last = stem
            params, flops = 29 * stem, 27 * stem * side**2
            for place in self.places(cells, dataset):
                parts = [_inputs_costs(place)]
                for into in cells[place.cell]:
                    parts += [
                        _edge_costs(op, place.channels, *_reading(source, place)) for op, source in into
                    ]
                params += sum(part[0] for part in parts)
                flops += sum(part[1] for part in parts)
                last = place.channels * len(self.joined(cells)[place.cell])
            counted.append((params + (last + 1) * classes, flops + last * classes))
        return Costs.of(counted)

    def build_module(self, architecture: Architecture, dataset: str) -> nn.Module:
        """Return the network of `architecture` for `dataset`; output (batch, classes)."""
        from archindex.spaces.stacked_module import Network

        classes, _ = self._image(dataset)
        cells = self.edges(self._own(architecture).native)
        return Network(cells, self.joined(cells), list(self.places(cells, dataset)), classes)


def _reading(source: int, place: Place) -> tuple[int, int]:
    """Return stride and side of what an op that reads node `source` sees."""
    if source < 2:
        return place.stride, place.side
    return 1, place.side // place.stride


@cache
def _edge_costs(op: str, channels: int, stride: int, side: int) -> tuple[int, int]:
    """Return params and FLOPs of an op that reads ``side x side`` pixels."""
    import torch

    from archindex.spaces.counting import module_costs
    from archindex.spaces.stacked_module import edge

    with torch.device("meta"):
        return module_costs(edge(op, channels, stride), (torch.empty(1, channels, side, side),))


@cache
def _inputs_costs(place: Place) -> tuple[int, int]:
    """Return params and FLOPs of what brings both inputs of a cell to its channels and side."""
    import torch

    from archindex.spaces.counting import module_costs
    from archindex.spaces.stacked_module import entries

    params = flops = 0
    with torch.device("meta"):
        for i, module in enumerate(entries(place)):
            side = place.side * (1 + (place.halved and i == 0))
            of_input = module_costs(module, (torch.empty(1, place.before[i], side, side),))
            params, flops = params + of_input[0], flops + of_input[1]
    return params, flops
