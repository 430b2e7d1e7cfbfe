"""NAS-Bench-101: cells of up to seven vertices and nine edges, three ops; 423,624 by arch_id.

Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.canonical import reduce_batch
from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.spaces.base import Architecture, Costs, SearchSpace
from archindex.spaces.decisions import NASBench101Decisions
from archindex.spaces.images import ImageNetworks
from archindex.spaces.nasbench101_cells import (
    CLASSES,
    GRAPH_OPS,
    IMAGE_SIDE,
    MAX_EDGES,
    MAX_VERTICES,
    OPS,
    Cell,
    PackedCells,
    vertex_text,
)

if TYPE_CHECKING:
    from torch import nn

_OUTPUT: Final = len(OPS)
# What may stand at each vertex of a native string, with its op and its sources.
_VERTEX: Final = tuple(
    {vertex_text(kind, mask): (kind, mask) for kind in range(len(OPS) + 1) for mask in range(1, 1 << y)}
    for y in range(MAX_VERTICES)
)


class NASBench101(ImageNetworks, SearchSpace[Cell]):
    """The NAS-Bench-101 cell space.

    Native string: ``op~sources+...+output~sources``, the vertices after the input in an order in which edges
    point forward; ``sources`` are the numbers of the vertices that feed a vertex, ascending, one digit each;
    the input is number 0. Only pruned cells have one: every vertex lies on a path from input to output.
    `PackedCells.from_table` reads the benchmark's own notation.

    Edges into an interior vertex are summed; the output concatenates its interior sources and adds the
    projected input, which the graph says by the op ``output`` alone. The order of the vertices is part of
    the native string: where three or more vertices share the channels of the output, the first get one more,
    so that strings of one arch_id may differ slightly in params.

    Examples
    --------
    >>> import archindex as ax
    >>> space = ax.space("nasbench101")
    >>> arch = space.parse("conv3x3~0+maxpool3x3~01+output~02")
    >>> arch.graph.n_nodes
    4
    """

    images: ClassVar[Mapping[str, tuple[int, int]]] = {"cifar10": (CLASSES, IMAGE_SIDE)}

    @property
    def name(self) -> str:
        """``"nasbench101"``."""
        return "nasbench101"

    @property
    def size(self) -> int:
        """1,293,208 native strings (423,624 by arch_id)."""
        return int(_first_of_matrix()[-1])

    def _parse(self, text: str) -> Cell:
        parts = text.split("+")
        if len(parts) >= MAX_VERTICES:
            raise ArchitectureError(
                f"expected a NAS-Bench-101 cell of at most {MAX_VERTICES} vertices, the input counted",
                got=text,
            )
        kinds, sources = [], []
        for y, part in enumerate(parts, start=1):
            kind, mask = _VERTEX[y].get(part, (-1, 0))
            if kind < 0 or (kind == _OUTPUT) != (y == len(parts)):
                op = f"op~sources with op one of {', '.join(OPS)}" if y < len(parts) else "output~sources"
                raise ArchitectureError(
                    f"expected {op} and sources ascending among 0 to {y - 1}",
                    got=part,
                    fix=f"look at vertex {y}; a whole cell is conv3x3~0+maxpool3x3~01+output~02",
                )
            kinds.append(kind)
            sources.append(mask)
        cell = Cell(tuple(sources), tuple(kinds[:-1]))
        fault = _fault(cell.sources)
        if fault:
            raise ArchitectureError(f"expected a NAS-Bench-101 cell, but {fault}", got=text)
        return cell

    def _format(self, genotype: Cell) -> str:
        kinds = (*genotype.ops, _OUTPUT)
        return "+".join(vertex_text(k, mask) for k, mask in zip(kinds, genotype.sources, strict=True))

    def _graph(self, genotype: Cell) -> ArchGraph:
        chosen = [GRAPH_OPS[i] for i in genotype.ops]
        return ArchGraph(
            ops=("input", *(op for op, _ in chosen), "output"),
            edges=tuple(
                (x, y, 0)
                for y, mask in enumerate(genotype.sources, start=1)
                for x in range(y)
                if mask >> x & 1
            ),
            attrs=({}, *({"kernel": kernel} for _, kernel in chosen), {}),
        )

    def _genotype(self, graph: ArchGraph) -> Cell:
        """Return the cell of the functional DAG of `graph`, keeping the order of its nodes if it can."""
        reduced = reduce_batch(GraphBatch.from_graphs([graph])).graph(0)
        cell = _cell_of(reduced) if reduced.n_nodes <= MAX_VERTICES else None
        if cell is None or _fault(cell.sources):
            raise ArchitectureError(
                "expected the graph of a NAS-Bench-101 cell", got=f"{graph.n_nodes} nodes {graph.ops}"
            )
        return cell

    def _draw(self, rng: np.random.Generator) -> Cell:
        return cell_at(int(rng.integers(self.size)))

    def _neighbors(self, genotype: Cell) -> Iterator[Cell]:
        """Yield every valid cell that differs in one op, in one edge, or in one vertex on a path of its own.

        The last are the cells with a vertex more or less that has one edge in and one out: they join the
        cells of different sizes, and are what one edge more or less does to a cell with unpruned vertices.
        """
        changed = dict.fromkeys((*_other_ops(genotype), *_other_edges(genotype), *_other_vertices(genotype)))
        return (cell for cell in changed if not _fault(cell.sources))

    def enumerate(self) -> Iterator[Architecture]:
        """Yield all architectures, small cells first, aliases included."""
        for sources in adjacencies():
            for ops in itertools.product(range(len(OPS)), repeat=len(sources) - 1):
                yield Architecture(self, self._format(Cell(sources, ops)))

    def decisions(self) -> NASBench101Decisions:
        """Return the sequences of decisions behind the cells, for decoders."""
        return NASBench101Decisions(self)

    def graphs(self, natives: Sequence[str]) -> GraphBatch:
        """Return the graphs of many native strings, packed without a graph object for each."""
        return PackedCells.from_cells(map(self._parse, natives)).graphs()

    def costs(self, natives: Iterable[str], dataset: str) -> Costs:
        """Return params and FLOPs; see `PackedCells.costs` for what they count.

        Parameters
        ----------
        natives : iterable of str
            Native strings.
        dataset : {"cifar10"}
            The only data set of the benchmark.
        """
        self._image(dataset)
        return PackedCells.from_cells(map(self._parse, natives)).costs()

    def build_module(self, architecture: Architecture, dataset: str = "cifar10") -> nn.Module:
        """Return the network of `architecture`; input (batch, 3, 32, 32), output (batch, 10)."""
        from archindex.spaces.nasbench101_module import Network

        classes, _ = self._image(dataset)
        return Network(self._parse(self._own(architecture).native), classes)


@cache
def adjacencies() -> tuple[tuple[int, ...], ...]:
    """Return the edges of every valid cell as `Cell.sources`, small cells first; 6,472 matrices."""
    partial: list[tuple[int, ...]] = [()]
    valid: list[tuple[int, ...]] = []
    for y in range(1, MAX_VERTICES):
        partial = [
            (*sources, mask)
            for sources in partial
            for mask in range(1, 1 << y)
            if sum(m.bit_count() for m in sources) + mask.bit_count() <= MAX_EDGES
        ]
        valid += [sources for sources in partial if not _fault(sources)]
    return tuple(valid)


@cache
def _first_of_matrix() -> npt.NDArray[np.int64]:
    """Return how many native strings have an adjacency matrix before the i-th; the last entry is the size."""
    return np.cumsum([0, *(len(OPS) ** (len(sources) - 1) for sources in adjacencies())])


def cell_at(rank: int) -> Cell:
    """Return the cell that ``NASBench101.enumerate`` yields after `rank` others."""
    first = _first_of_matrix()
    chosen = int(np.searchsorted(first, rank, side="right")) - 1
    sources = adjacencies()[chosen]
    rest, ops = rank - int(first[chosen]), []
    for _ in sources[1:]:
        rest, op = divmod(rest, len(OPS))
        ops.append(op)
    return Cell(sources, tuple(reversed(ops)))


def _fault(sources: tuple[int, ...]) -> str | None:
    """Say what is wrong with the edges of a cell, if anything is."""
    # Edges point forward: a vertex with a source that is one itself lies on a path from input to output.
    feeding = edges = 0
    for y, mask in enumerate(sources, start=1):
        if not mask:
            return f"nothing feeds vertex {y}"
        feeding |= mask
        edges += mask.bit_count()
    if edges > MAX_EDGES:
        return f"it has {edges} edges, more than {MAX_EDGES}"
    idle = ~feeding & ((1 << len(sources)) - 1)
    return f"vertex {(idle & -idle).bit_length() - 1} feeds no other" if idle else None


def _cell_of(graph: ArchGraph) -> Cell | None:
    """Read off the cell of a graph without dead nodes, or return None where there is none."""
    if graph.ops.count("input") != 1 or graph.ops.count("output") != 1:
        return None
    if len(set(graph.edges)) != len(graph.edges) or any(port for _, _, port in graph.edges):
        return None
    same = graph.relabelled(_first_order(graph))
    ops = []
    for op, attrs in zip(same.ops[1:-1], same.attrs[1:-1], strict=True):
        key = (op, attrs.get("kernel", math.nan))
        if key not in GRAPH_OPS or len(attrs) != 1:
            return None
        ops.append(GRAPH_OPS.index(key))
    if same.ops[0] != "input" or same.ops[-1] != "output" or same.attrs[0] or same.attrs[-1]:
        return None
    sources = [0] * (same.n_nodes - 1)
    for source, target, _ in same.edges:
        sources[target - 1] |= 1 << source
    return Cell(tuple(sources), tuple(ops))


def _first_order(graph: ArchGraph) -> list[int]:
    """Return the first, by node numbers, of the orders in which every edge points forward."""
    waiting = Counter(target for _, target, _ in graph.edges)
    ready = [v for v in range(graph.n_nodes) if not waiting[v]]
    order = []
    while ready:
        node = heapq.heappop(ready)
        order.append(node)
        for source, target, _ in graph.edges:
            if source == node:
                waiting[target] -= 1
                if not waiting[target]:
                    heapq.heappush(ready, target)
    return order


def _other_ops(cell: Cell) -> Iterator[Cell]:
    for i, current in enumerate(cell.ops):
        for op in range(len(OPS)):
            if op != current:
                yield cell._replace(ops=(*cell.ops[:i], op, *cell.ops[i + 1 :]))


def _other_edges(cell: Cell) -> Iterator[Cell]:
    for y, mask in enumerate(cell.sources, start=1):
        for x in range(y):
            yield cell._replace(sources=(*cell.sources[: y - 1], mask ^ 1 << x, *cell.sources[y:]))


def _other_vertices(cell: Cell) -> Iterator[Cell]:
    n = len(cell.sources) + 1
    for v in range(1, n):
        below = (1 << v) - 1
        is_path = v < n - 1 and cell.sources[v - 1].bit_count() == 1
        if is_path and sum(mask >> v & 1 for mask in cell.sources) == 1:
            closed = [mask & below | mask >> v + 1 << v for mask in cell.sources]
            yield Cell((*closed[: v - 1], *closed[v:]), (*cell.ops[: v - 1], *cell.ops[v:]))
        if n == MAX_VERTICES:
            continue
        opened = [mask & below | mask >> v << v + 1 for mask in cell.sources]
        for source in range(v):
            for target in range(v, n):
                grown = [*opened[: v - 1], 1 << source, *opened[v - 1 :]]
                grown[target] |= 1 << v
                for op in range(len(OPS)):
                    yield Cell(tuple(grown), (*cell.ops[: v - 1], op, *cell.ops[v - 1 :]))
