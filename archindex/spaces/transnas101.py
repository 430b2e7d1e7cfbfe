"""TransNAS-Bench-101: 4,096 cells in one skeleton (micro), 3,256 skeletons of one block (macro).

Duan et al., "TransNAS-Bench-101: Improving Transferability and Generalizability of Cross-Task Neural
Architecture Search", CVPR 2021. Strings, ops and networks are those of its code (yawen-d/TransNASBench,
``README.md``, ``lib/models/net_infer`` and ``lib/models/net_ops/cell_ops.py``).
"""

from __future__ import annotations

import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from archindex.core.build import GraphBuilder
from archindex.core.errors import ArchitectureError
from archindex.spaces.base import Architecture, Costs
from archindex.spaces.cells import Cell, CellSpace, Edges, Op
from archindex.spaces.choices import Choice, ChoiceSpace, Genotype
from archindex.spaces.images import ImageNetworks

if TYPE_CHECKING:
    from torch import nn

OPS: Final = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3")
"""The four ops of a cell; a native string holds positions in this tuple."""

BASE_CHANNELS: Final = 64
MICRO_MODULES: Final = "41414"
"""The modules of every micro network."""

BLOCKS: Final = 2
"""Blocks, or cells, of a module; the first doubles the channels (2, 4) and halves the side (3, 4)."""

IMAGES: Final[dict[str, tuple[int, int]]] = {"class_object": (75, 256), "class_scene": (47, 256)}
"""Classes and image side of the tasks whose networks end in a classifier; the others end in decoders."""

_MICRO: Final = re.compile(r"64-41414-([0-3])_([0-3]{2})_([0-3]{3})", re.ASCII)
_MACRO: Final = re.compile(r"64-([1-4]{4,6})-basic", re.ASCII)


class Block(NamedTuple):
    """One block of a network: channels that come in and go out, stride, pixels along a side that come in."""

    before: int
    after: int
    stride: int
    side: int


def blocks(modules: Iterable[str], side: int) -> Iterator[Block]:
    """Yield the blocks of a network, two for each module.

    Parameters
    ----------
    modules : iterable of str
        What each module does: ``"1"`` nothing, ``"2"`` doubles the channels, ``"3"`` halves the side, ``"4"``
        both.
    side : int
        Pixels along a side that come in, behind the stem.
    """
    channels = BASE_CHANNELS
    for module in modules:
        after, stride = channels * (1 + (module in "24")), 1 + (module in "34")
        yield Block(channels, after, stride, side)
        side //= stride
        yield Block(after, after, 1, side)
        channels = after


class _Tasks(ImageNetworks, ABC):
    """What both spaces share: the tasks with a classifier, networks and costs."""

    images: ClassVar[Mapping[str, tuple[int, int]]] = IMAGES

    @abstractmethod
    def _described(self, native: str) -> tuple[str, Edges | None]:
        """Return the modules, and the edges of the cell; None: basic blocks of ResNet."""

    def build_module(self, architecture: Architecture, dataset: str) -> nn.Module:
        """Return the network of `architecture` for `dataset`; output (batch, classes)."""
        from archindex.spaces.transnas101_module import network

        classes, side = self._image(dataset)
        modules, cell = self._described(architecture.space.format(architecture))
        return network(list(blocks(modules, side // 4)), cell, classes)

    def costs(self, natives: Iterable[str], dataset: str) -> Costs:
        """Return params and FLOPs of the networks for `dataset`, encoder and classifier.

        Params are the elements of all parameters; FLOPs the multiply-adds of convolutions and classifier;
        biases, norms and sums count nothing. Each kind of block is counted once, on its torch module.

        Parameters
        ----------
        natives : iterable of str
            Native strings.
        dataset : {"class_object", "class_scene"}
            The task.

        Raises
        ------
        UnknownNameError
            If `dataset` is no task with a classifier.
        """
        classes, image_side = self._image(dataset)
        counted: list[tuple[int, int]] = []
        for native in natives:
            modules, cell = self._described(native)
            listed = list(blocks(modules, image_side // 4))
            parts = [_part_costs("stem", Block(3, BASE_CHANNELS, 4, image_side))]
            for block in listed:
                if cell is None:
                    parts.append(_part_costs("basic", block))
                    continue
                inner = Block(block.after, block.after, 1, block.side // block.stride)
                for op, source in itertools.chain.from_iterable(cell):
                    parts.append(_part_costs(op, inner if source else block))
            last = listed[-1].after
            params, flops = (sum(part[i] for part in parts) for i in range(2))
            counted.append((params + (last + 1) * classes, flops + last * classes))
        return Costs.of(counted)


class TransNAS101Micro(_Tasks, CellSpace):
    """The cells of TransNAS-Bench-101, every node fed by every earlier one.

    Native string: ``64-41414-1_02_333``: channels and modules, the same in every network, and the op of each
    edge into the nodes 1 to 3: 0 none, 1 skip, 2 and 3 a 1x1 and a 3x3 convolution. In the first cell of a
    module, which halves the side, a skip from node 0 is a factorised reduction. All 4,096 strings count.

    Examples
    --------
    >>> import archindex as ax
    >>> arch = ax.space("transnas101_micro").parse("64-41414-1_02_333")
    >>> arch.graph.ops
    ('input', 'skip', 'none', 'conv', 'conv', 'conv', 'conv', 'output')
    """

    cells = (Cell("cell", nodes=3, ops=OPS),)
    ops: ClassVar[Mapping[str, Op]] = {
        "none": ("none", {}),
        "skip_connect": ("skip", {}),
        "nor_conv_1x1": ("conv", {"kernel": 1}),
        "nor_conv_3x3": ("conv", {"kernel": 3}),
    }

    @property
    def name(self) -> str:
        """``"transnas101_micro"``."""
        return "transnas101_micro"

    def _read_cells(self, text: str) -> dict[str, Edges]:
        found = _MICRO.fullmatch(text)
        if found is None:
            raise ArchitectureError(
                "expected a cell as 64-41414-1_02_333", got=text, fix="0 none, 1 skip, 2 conv1x1, 3 conv3x3"
            )
        return {"cell": [[(OPS[int(op)], i) for i, op in enumerate(node)] for node in found.groups()]}

    def _write_cells(self, cells: Mapping[str, Edges]) -> str:
        nodes = ("".join(str(OPS.index(op)) for op, _ in into) for into in cells["cell"])
        return f"{BASE_CHANNELS}-{MICRO_MODULES}-{'_'.join(nodes)}"

    def _described(self, native: str) -> tuple[str, Edges | None]:
        return MICRO_MODULES, self.edges(native)["cell"]


class TransNAS101Macro(_Tasks, ChoiceSpace):
    """The skeletons of TransNAS-Bench-101: four to six modules of two basic blocks of ResNet.

    Native string: ``64-1234-basic``, one digit a module: 1 neither, 2 doubles the channels, 3 halves the
    side, 4 both. One to three modules double the channels and one to four halve the side: 3,256 strings. (The
    code does not state the rule. The other way round would give the same number, but the table holds
    ``64-43243-basic``.) A shortcut where channels or side change is a 1x1 convolution.

    Examples
    --------
    >>> import archindex as ax
    >>> space = ax.space("transnas101_macro")
    >>> space.size, space.validate("64-1234-basic"), space.validate("64-1111-basic")
    (3256, True, False)
    """

    choices = (
        *(Choice(f"module{i}", tuple("1234")) for i in range(4)),
        Choice("modules", (4, 5, 6), ordered=True),
        Choice("module4", tuple("1234"), when=("modules", (5, 6))),
        Choice("module5", tuple("1234"), when=("modules", (6,))),
    )

    @property
    def name(self) -> str:
        """``"transnas101_macro"``."""
        return "transnas101_macro"

    @cached_property
    def size(self) -> int:
        """Number of native strings that the rule allows."""
        return sum(1 for _ in self.enumerate())

    def _allowed(self, genotype: Genotype) -> bool:
        modules = self._write(self._values(genotype))
        doubles, halves = (sum(digit in which for digit in modules[3:-6]) for which in ("24", "34"))
        return 1 <= doubles <= 3 and 1 <= halves <= 4

    def _read(self, text: str) -> Mapping[str, Any]:
        found = _MACRO.fullmatch(text)
        if found is None:
            raise ArchitectureError(
                "expected four to six modules as in 64-1234-basic",
                got=text,
                fix="1 neither, 2 doubles the channels, 3 halves the side, 4 both",
            )
        modules = {f"module{i}": digit for i, digit in enumerate(found[1])}
        return {**modules, "modules": len(modules)}

    def _write(self, taken: Mapping[str, Any]) -> str:
        modules = "".join(taken[f"module{i}"] for i in range(taken["modules"]))
        return f"{BASE_CHANNELS}-{modules}-basic"

    def _build(self, g: GraphBuilder, taken: Mapping[str, Any]) -> None:
        x = g.add("conv", g.input(), kernel=3, stride=2, channels=BASE_CHANNELS // 2)
        x = g.add("conv", x, kernel=3, stride=2, channels=BASE_CHANNELS)

        def modules() -> Iterator[str]:
            # How many there are is asked for when the fifth, or the output, shows it.
            yield from (taken[f"module{i}"] for i in range(4))
            yield from (taken[f"module{i}"] for i in range(4, taken["modules"]))

        for block in blocks(modules(), IMAGES["class_scene"][1] // 4):
            y = g.add("conv", x, kernel=3, stride=block.stride, channels=block.after)
            y = g.add("conv", y, kernel=3, stride=1, channels=block.after)
            changes = block.stride > 1 or block.before != block.after
            shortcut = g.add("conv", x, kernel=1, stride=block.stride, channels=block.after) if changes else x
            x = y + shortcut
        g.output(x)

    def _described(self, native: str) -> tuple[str, Edges | None]:
        values = self._values(self._parse(native))
        return "".join(values[f"module{i}"] for i in range(values["modules"])), None


@cache
def _part_costs(kind: str, block: Block) -> tuple[int, int]:
    """Return params and FLOPs of the stem, of a basic block or of an op of a cell."""
    import torch

    from archindex.spaces.counting import module_costs
    from archindex.spaces.transnas101_module import part

    with torch.device("meta"):
        return module_costs(part(kind, block), (torch.empty(1, block.before, block.side, block.side),))
