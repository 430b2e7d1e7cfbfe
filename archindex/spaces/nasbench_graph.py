"""NAS-Bench-Graph: graph neural networks of four layers, 26,206 different ones.

Qin et al., "NAS-Bench-Graph: Benchmarking Graph Neural Architecture Search", NeurIPS 2022 (Datasets and
Benchmarks). Links, ops and what counts as the same architecture are those of the PyPI package
nas-bench-graph (THUMNLab/NAS-Bench-Graph, architecture.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from archindex.core.build import GraphBuilder, Terms
from archindex.core.checks import check_choice
from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.spaces.base import Architecture, Costs
from archindex.spaces.choices import INACTIVE, Choice, ChoiceSpace, Genotype
from archindex.spaces.natives import check_length, read_number

if TYPE_CHECKING:
    from torch import Tensor, nn

Links = tuple[int, ...]
"""Of each of the four layers: the layer that it reads, 1 to 4, or 0 for the input."""

LINKS: Final[tuple[Links, ...]] = (
    (0, 0, 0, 0),
    (0, 0, 0, 1),
    (0, 0, 1, 1),
    (0, 0, 1, 2),
    (0, 0, 1, 3),
    (0, 1, 1, 1),
    (0, 1, 1, 2),
    (0, 1, 2, 2),
    (0, 1, 2, 3),
)
"""The nine trees of four layers below the input, in the order of the package's keys."""

OPS: Final = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
"""The ops, in the order of the package's keys. Proteins was measured with gcn, sage, arma, fc, skip alone."""

BITS: Final = (2, 4, 8, 16)
"""Bit widths that the weights of a layer may have; the benchmark's are of full precision."""

CLASSES: Final = 26_206
"""Architectures that the package tells apart."""

NODES: Final = 32
"""Nodes of a graph in `NASBenchGraph.example_inputs`; FLOPs are counted for one such graph."""

DATASETS: Final[dict[str, tuple[int, int, int, bool, bool]]] = {
    "cora": (1433, 7, 256, False, True),
    "citeseer": (3703, 6, 256, False, True),
    "pubmed": (500, 3, 128, False, False),
    "cs": (6805, 15, 128, True, False),
    "physics": (8415, 5, 256, True, False),
    "photo": (745, 8, 128, False, False),
    "computers": (767, 10, 64, True, True),
    "arxiv": (128, 40, 128, False, True),
    "proteins": (8, 112, 256, True, True),
}
"""Features and classes of a node; width of the layers; whether a linear layer stands before, and one behind.

The package states no hyper-parameters: these are the only ones (widths 64, 128, 256) that give its params.
"""

_GRAPH_OPS: Final = {"graph": "graph_conv", "fc": "linear"}
_SKIP: Final = OPS.index("skip")
_MATRICES: Final = {"cheb": 2, "sage": 2, "arma": 2, "graph": 2, "skip": 0}  # the others have one
_VECTORS: Final = {"gat": 3, "skip": 0}
_FULL, _MIXED = "full", "mixed"


def _choices(precisions: tuple[str, ...], written: tuple[str, ...]) -> tuple[Choice, ...]:
    return (
        Choice("link", LINKS),
        *(Choice(f"op.{i}", OPS) for i in range(4)),
        Choice("precision", precisions, written=written),
        *(Choice(f"bits.{i}", BITS, when=("precision", (_MIXED,)), ordered=True) for i in range(4)),
    )


class NASBenchGraph(ChoiceSpace):
    """The NAS-Bench-Graph space.

    Native string: ``0,0,1,2|gat,gcn,skip,fc``, what each layer reads (0 the input) and its op; what no layer
    reads is concatenated for the output. A third part, ``|8,4,8,8``, states the bit widths of the layers'
    weights; without it they have full precision, as the benchmark's. A tree of layers is written with one of
    `LINKS`; any other numbering is read, and renumbered.

    The published 26,206 are classes: the package takes skips out of the way (a skip at the input's end of a
    branch goes; one that repeats a layer at the output stays, for it widens the concatenation) and sorts what
    is symmetric. The 59,040 strings of `LINKS` and four ops, four skips left out, fall into as many classes
    by arch_id, and they are the package's. Every such string is read and written back; `size`, `enumerate`,
    drawing and neighbours take one of each class, the string that the package's keys stand for, of full
    precision (neighbours of an architecture with bit widths: of bit widths).

    Examples
    --------
    >>> import archindex as ax
    >>> space = ax.space("nasbench_graph")
    >>> arch = space.parse("0,0,1,2|gat,gcn,skip,fc")
    >>> space.canonical(arch).native
    '0,1,1,2|skip,gcn,gat,fc'
    >>> space.canonical(arch).arch_id == arch.arch_id, space.size
    (True, 26206)
    """

    choices = _choices((_FULL,), written=(_MIXED,))
    datasets: tuple[str, ...] = tuple(DATASETS)

    @property
    def name(self) -> str:
        """``"nasbench_graph"``."""
        return "nasbench_graph"

    @property
    def size(self) -> int:
        """Number of architectures of full precision, aliases not counted."""
        return CLASSES

    def enumerate(self) -> Iterator[Architecture]:
        """Yield one architecture of each class."""
        for rank in range(len(LINKS) * len(OPS) ** 4):
            genotype = self._at(rank)
            if self._allowed(genotype) and _canonical(genotype) == genotype:
                yield Architecture(self, self._format(genotype))

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the architecture by which the package names the class of `architecture`.

        Raises
        ------
        ArchitectureError
            If the architecture is of another space.
        """
        genotype = self._parse(self._own(architecture).native)
        return Architecture(self, self._format(_canonical(genotype)))

    def main(self, genotype: Genotype) -> Genotype:
        """Return the genotype by which the package names the class."""
        return _canonical(genotype)

    def _allowed(self, genotype: Genotype) -> bool:
        return any(op != _SKIP for op in genotype[1:5])

    def _draw(self, rng: np.random.Generator) -> Genotype:
        while True:
            genotype = super()._draw(rng)
            if _canonical(genotype) == genotype:
                return genotype

    def _neighbors(self, genotype: Genotype) -> Iterator[Genotype]:
        for near in super()._neighbors(genotype):
            if near[5] == genotype[5] and _canonical(near) == near:
                yield near

    def _genotype(self, graph: ArchGraph) -> Genotype:
        reader = _QUANTISED if any("bits" in attrs for attrs in graph.attrs) else self
        taken = reader._values(ChoiceSpace._genotype(reader, graph))
        found = self._parse(self._write(taken))
        return _joined(LINKS[found[0]], _layers(found), found)

    def _read(self, text: str) -> dict[str, Any]:
        parts = [part.split(",") for part in check_length(text).split("|")]
        if len(parts) not in (2, 3) or any(len(part) != 4 for part in parts):
            raise ArchitectureError(
                "expected what four layers read, their ops and perhaps their bit widths",
                got=text,
                fix="a whole one is 0,0,1,2|gat,gcn,skip,fc or 0,0,1,2|gat,gcn,skip,fc|8,4,8,8",
            )
        links = tuple(map(read_number, parts[0]))
        if any(link > layer for layer, link in enumerate(links)):
            raise ArchitectureError("expected layers that read the input (0) or one before them", got=text)
        links, order = _orders(links)[0]
        taken: dict[str, Any] = {"link": links, "precision": _MIXED if len(parts) == 3 else _FULL}
        for i, layer in enumerate(order):
            taken[f"op.{i}"] = parts[1][layer]
            if len(parts) == 3:
                taken[f"bits.{i}"] = read_number(parts[2][layer])
        return taken

    def _write(self, taken: Mapping[str, Any]) -> str:
        parts = [taken["link"], [taken[f"op.{i}"] for i in range(4)]]
        if taken["precision"] == _MIXED:
            parts.append([taken[f"bits.{i}"] for i in range(4)])
        return "|".join(",".join(map(str, part)) for part in parts)

    def _build(self, g: GraphBuilder, taken: Mapping[str, Any]) -> None:
        mixed, links = taken["precision"] == _MIXED, taken["link"]
        values: list[Terms] = [g.input()]
        is_input = [True]
        for i, link in enumerate(links):
            op = taken[f"op.{i}"]
            attrs = {"bits": taken[f"bits.{i}"]} if mixed else {}
            values.append(g.add(_GRAPH_OPS.get(op, op), values[link], **attrs))
            is_input.append(is_input[link] and op == "skip")
        # A linear layer follows the concatenation, so that its order does not matter: one port.
        ends = [i for i in range(1, 5) if i not in links and not is_input[i]]
        g.output(tuple(node for i in ends for node in values[i]))

    def costs(self, natives: Iterable[str], dataset: str) -> Costs:
        """Return params, and FLOPs for one graph of `NODES` nodes.

        FLOPs are the multiply-adds of the dense products; passing messages along edges counts nothing, and
        bit widths change neither. Params are what the package states as ``para``, for all architectures and
        data sets but 1,567 of the 26,206 on physics: for those it averages over seeds that were not run
        alike (1,478 are the mean of two such networks and one of width 128 without the layer before).

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
        check_choice("data set of nasbench_graph", dataset, DATASETS)
        counted = [_costs(self._values(self._parse(native)), dataset) for native in natives]
        params, matrices = np.array(counted, dtype=np.int64).reshape(-1, 2).T
        return Costs(params.copy(), matrices * NODES)

    def example_inputs(self, dataset: str = "cora", batch: int = 1) -> tuple[Tensor, Tensor]:
        """Return random graphs of `NODES` nodes, `batch` of them side by side.

        Features, float (batch * NODES, features); edges, int64 (2, 4 * batch * NODES), none from a node to
        itself.
        """
        import torch

        features, *_ = DATASETS[check_choice("data set of nasbench_graph", dataset, DATASETS)]
        target = torch.arange(batch * NODES).repeat(4)
        source = (target % NODES + torch.randint(1, NODES, target.shape)) % NODES + target // NODES * NODES
        return torch.randn(batch * NODES, features), torch.stack([source, target])

    def build_module(self, architecture: Architecture, dataset: str = "cora") -> nn.Module:
        """Return the network of `architecture` for `dataset`; output (nodes, classes)."""
        from archindex.spaces.nasbench_graph_module import Network

        features, classes, width, before, behind = DATASETS[
            check_choice("data set of nasbench_graph", dataset, DATASETS)
        ]
        taken = self.taken(architecture)
        return Network(
            taken["link"],
            [taken[f"op.{i}"] for i in range(4)],
            [taken.get(f"bits.{i}") for i in range(4)],
            features=features,
            classes=classes,
            width=width,
            before=before,
            behind=behind,
        )


class _Quantised(NASBenchGraph):
    """The same space, where bit widths are what is drawn and looked for."""

    choices = _choices((_MIXED,), written=(_FULL,))


_QUANTISED: Final = _Quantised()


_Layer = tuple[int, int]
"""Op and bit width of a layer, by position."""


def _layers(genotype: Genotype) -> list[_Layer]:
    return list(zip(genotype[1:5], genotype[6:10], strict=True))


@cache
def _orders(links: Links) -> tuple[tuple[Links, tuple[int, ...]], ...]:
    """Return all numberings of a tree that `LINKS` has: the links, and which layer comes at each place."""
    found = []
    for order in itertools.permutations(range(4)):
        place = {0: 0} | {layer + 1: i + 1 for i, layer in enumerate(order)}
        renumbered = tuple(place[links[layer]] for layer in order)
        if renumbered in LINKS:
            found.append((renumbered, order))
    return tuple(found)


def _joined(links: Links, layers: list[_Layer], like: Genotype) -> Genotype:
    """Return the genotype of a tree, what is symmetric sorted; its precision is that of `like`."""
    numberings = [(new, tuple(layers[layer] for layer in order)) for new, order in _orders(links)]
    new, arranged = min(numberings, key=lambda numbering: numbering[1])
    ops, bits = zip(*arranged, strict=True)
    return (LINKS.index(new), *ops, like[5], *bits)


def _canonical(genotype: Genotype) -> Genotype:
    """Return the genotype that the package's key of the class of `genotype` stands for."""
    links, layers = LINKS[genotype[0]], _layers(genotype)
    skip = (_SKIP, INACTIVE if genotype[6] == INACTIVE else len(BITS) - 1)
    source = [0]  # of each layer: itself, or what a skip hands on
    for i, (op, _) in enumerate(layers, start=1):
        source.append(source[links[i - 1]] if op == _SKIP else i)
    kept = [i for i in range(1, 5) if source[i] == i]
    parents = {i: source[links[i - 1]] for i in kept}
    labels = {i: layers[i - 1] for i in kept}
    for i in kept:
        ends = sum(source[j] == i for j in range(1, 5) if j not in links)
        if ends > 1 or i in (parents[j] for j in kept):
            for j in range(ends):
                parents[10 * i + j], labels[10 * i + j] = i, skip
    # What is left of the four layers are skips, one behind the other at the input.
    front = [100 + i for i in range(4 - len(parents))]
    nodes = front + sorted(parents, key=lambda i: (i >= 10, i))
    place = {0: len(front)} | {node: i + 1 for i, node in enumerate(nodes)}
    found = [*range(len(front)), *(place[parents[node]] for node in nodes[len(front) :])]
    return _joined(tuple(found), [labels.get(node, skip) for node in nodes], genotype)


def _costs(taken: Mapping[str, Any], dataset: str) -> tuple[int, int]:
    """Return the params of a network, and the elements of all its weight matrices."""
    features, classes, width, before, behind = DATASETS[dataset]
    matrices, others = (features * width, width) if before else (0, 0)
    is_input = [True]
    for i, link in enumerate(taken["link"]):
        op = taken[f"op.{i}"]
        read = features if is_input[link] and not before else width
        matrices += _MATRICES.get(op, 1) * read * width
        others += (_VECTORS.get(op, 1) + 2) * width  # 2: the batch norm
        if op == "arma":
            others += width**2  # a weight that torch_geometric's layer has and one stack does not use
        is_input.append(is_input[link] and op == "skip")
    ends = sum(not is_input[i] and i not in taken["link"] for i in range(1, 5))
    for read, written in ((ends * width, width), (width, classes)) if behind else ((ends * width, classes),):
        matrices += read * written
        others += written
    return matrices + others, matrices
