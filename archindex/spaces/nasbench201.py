"""NAS-Bench-201 (NATS-Bench topology): four nodes, five ops on each of six edges, 15,625 cells.

Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR 2020.
Dong et al., "NATS-Bench: Benchmarking NAS Algorithms for Architecture Topology and Size", TPAMI 2021.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.canonical import arch_id
from archindex.core.checks import check_choice
from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.core.ops import ATTRIBUTE_ID, ATTRIBUTES, OP_ID
from archindex.spaces.base import Architecture, Costs, SearchSpace

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

Genotype = tuple[int, ...]

_GRAPH_OPS: Final = (("none", None), ("skip", None), ("conv", 1), ("conv", 3), ("avg_pool", 3))
_OP_ID: Final = {op: i for i, op in enumerate(OPS)}
# Op-on-node form: node 0 is the input, node 1 + e carries the op of edge e, node 7 is the output. What meets
# in a node of the cell is summed by the ops that read it.
_NODE_EDGES: Final = tuple(
    sorted(
        [(0, 1 + e, 0) for e, (source, _) in enumerate(EDGES) if source == 0]
        + [(1 + e, 7, 0) for e, (_, target) in enumerate(EDGES) if target == 3]
        + [
            (1 + e, 1 + f, 0)
            for e, (_, target) in enumerate(EDGES)
            for f, (source, _) in enumerate(EDGES)
            if target == source
        ],
        key=lambda edge: (edge[1], edge[0]),
    )
)


class NASBench201(SearchSpace[Genotype]):
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

    datasets: tuple[str, ...] = tuple(SKELETONS)

    @property
    def name(self) -> str:
        """``"nasbench201"``."""
        return "nasbench201"

    @property
    def size(self) -> int:
        """15,625 native strings (5,425 by arch_id)."""
        return int(len(OPS) ** len(EDGES))

    def _parse(self, text: str) -> Genotype:
        groups = text.split("+")
        genotype: list[int] = []
        if len(groups) == 3:
            for node, group in enumerate(groups, start=1):
                parts = group.split("|")
                if len(parts) != node + 2 or parts[0] or parts[-1]:
                    break
                for source, part in enumerate(parts[1:-1]):
                    op, tilde, origin = part.partition("~")
                    if op not in _OP_ID or tilde != "~" or origin != str(source):
                        raise ArchitectureError(
                            f"expected op~{source} with op one of {', '.join(OPS)}",
                            got=part,
                            fix=f"look at the edge from node {source} to node {node}",
                        )
                    genotype.append(_OP_ID[op])
        if len(genotype) != len(EDGES):
            raise ArchitectureError(
                "expected a NAS-Bench-201 cell |op~0|+|op~0|op~1|+|op~0|op~1|op~2|",
                got=text,
                fix=f"op is one of {', '.join(OPS)}",
            )
        return tuple(genotype)

    def _format(self, genotype: Genotype) -> str:
        o = [OPS[i] for i in genotype]
        return f"|{o[0]}~0|+|{o[1]}~0|{o[2]}~1|+|{o[3]}~0|{o[4]}~1|{o[5]}~2|"

    def _graph(self, genotype: Genotype) -> ArchGraph:
        chosen = [_GRAPH_OPS[i] for i in genotype]
        return ArchGraph(
            ops=("input", *(op for op, _ in chosen), "output"),
            edges=_NODE_EDGES,
            attrs=({}, *({} if kernel is None else {"kernel": float(kernel)} for _, kernel in chosen), {}),
        )

    def _genotype(self, graph: ArchGraph) -> Genotype:
        as_written = self._match_template(graph)
        if as_written is not None:
            return as_written
        found = self._first_of_class.get(arch_id(graph, scope=self.name))
        if found is None:
            raise ArchitectureError(
                "expected the graph of a NAS-Bench-201 cell", got=f"{graph.n_nodes} nodes {graph.ops}"
            )
        return found

    def _draw(self, rng: np.random.Generator) -> Genotype:
        return tuple(int(i) for i in rng.integers(len(OPS), size=len(EDGES)))

    def _neighbors(self, genotype: Genotype) -> Iterator[Genotype]:
        for e, current in enumerate(genotype):
            for op in range(len(OPS)):
                if op != current:
                    yield (*genotype[:e], op, *genotype[e + 1 :])

    def enumerate(self) -> Iterator[Architecture]:
        """Yield all 15,625 architectures, the op of the last edge changing fastest."""
        for genotype in itertools.product(range(len(OPS)), repeat=len(EDGES)):
            yield Architecture(self, self._format(genotype))

    def graphs(self, natives: Sequence[str]) -> GraphBatch:
        """Return the graphs of many native strings, packed without an object for each."""
        genotypes = self.genotypes(natives)
        n = len(genotypes)
        ids = np.array([OP_ID[op] for op, _ in _GRAPH_OPS], dtype=np.int32)
        kernels = np.array([np.nan if k is None else k for _, k in _GRAPH_OPS], dtype=np.float32)
        op = np.empty((n, 8), dtype=np.int32)
        op[:, 0], op[:, 7] = OP_ID["input"], OP_ID["output"]
        op[:, 1:7] = ids[genotypes]
        attrs = np.full((n, 8, len(ATTRIBUTES)), np.nan, dtype=np.float32)
        attrs[:, 1:7, ATTRIBUTE_ID["kernel"]] = kernels[genotypes]
        template = np.array(_NODE_EDGES, dtype=np.int64).T
        edges = np.tile(template, (1, n))
        edges[:2] += np.repeat(8 * np.arange(n), template.shape[1])
        return GraphBatch(
            op.reshape(-1),
            attrs.reshape(-1, len(ATTRIBUTES)),
            edges,
            8 * np.arange(n + 1, dtype=np.int64),
            template.shape[1] * np.arange(n + 1, dtype=np.int64),
        )

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
        check_choice("data set of nasbench201", dataset, SKELETONS)
        genotypes = self.genotypes(natives)
        n3 = (genotypes == _OP_ID["nor_conv_3x3"]).sum(axis=1)
        n1 = (genotypes == _OP_ID["nor_conv_1x1"]).sum(axis=1)
        classes, side = SKELETONS[dataset]
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

    def input_shape(self, dataset: str = "cifar10") -> tuple[int, int, int]:
        """Return channels, height and width of the images of `dataset`."""
        _, side = SKELETONS[check_choice("data set of nasbench201", dataset, SKELETONS)]
        return (3, side, side)

    def build_module(self, architecture: Architecture, dataset: str = "cifar10") -> nn.Module:
        """Return the network of `architecture` for `dataset`; output (batch, classes)."""
        from archindex.spaces.nasbench201_module import Network

        classes, _ = SKELETONS[check_choice("data set of nasbench201", dataset, SKELETONS)]
        return Network(self._parse(self._own(architecture).native), classes)

    @cached_property
    def _first_of_class(self) -> dict[str, Genotype]:
        natives = [arch.native for arch in self.enumerate()]
        first: dict[str, Genotype] = {}
        for native, identity in zip(natives, self.arch_ids(natives), strict=True):
            first.setdefault(str(identity), self._parse(native))
        return first

    def _match_template(self, graph: ArchGraph) -> Genotype | None:
        """Read the genotype off a graph that still has all eight nodes, or return None."""
        if graph.ops.count("input") != 1 or graph.n_nodes != 8 or len(graph.edges) != len(_NODE_EDGES):
            return None
        node = {"input": graph.ops.index("input")}
        after: dict[int, set[int]] = {v: set() for v in range(8)}
        for source, target, _ in graph.edges:
            after[source].add(target)
        out = next((v for v in range(8) if graph.ops[v] == "output"), -1)
        firsts = sorted(after[node["input"]], key=lambda v: (out in after[v], -len(after[v])))
        if len(firsts) != 3 or len(after[firsts[0]]) != 2:
            return None
        e01, e02, e03 = firsts
        e12, e13 = sorted(after[e01], key=lambda v: out in after[v])
        order = [node["input"], e01, e02, e12, e03, e13, *(after[e02] - {out}), out]
        if sorted(order) != list(range(8)):
            return None
        same = graph.relabelled(order)
        genotype = []
        for op, attrs in zip(same.ops[1:7], same.attrs[1:7], strict=True):
            key = (op, attrs.get("kernel"))
            if key not in _GRAPH_OPS or set(attrs) - {"kernel"}:
                return None
            genotype.append(_GRAPH_OPS.index(key))
        return tuple(genotype) if same.edges and sorted(same.edges) == sorted(_NODE_EDGES) else None


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
