"""CellSpace: a search space of one or several cells, declared by their nodes, inputs and ops.

A node of a cell sums what comes in. Ops sit on the edges (NAS-Bench-201, DARTS, NASNet) or on the nodes,
which then apply one op to the sum.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from archindex.core.batch import GraphBatch
from archindex.core.build import GraphBuilder, Terms
from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.spaces.cell_match import find_cells
from archindex.spaces.choices import Choice, ChoiceSpace, Genotype

Op = tuple[str, Mapping[str, float]]
"""An op of the shared vocabulary and its attributes."""

Edges = list[list[tuple[str, int]]]
"""Of every computing node of a cell, its incoming edges as (native op, source node); inputs come first."""


@dataclass(frozen=True)
class Cell:
    """What a cell may be.

    Attributes
    ----------
    name : str
        Name of the cell, e.g. ``"normal"``.
    nodes : int
        Computing nodes; they are numbered after the inputs.
    ops : tuple of str
        Native names of the ops.
    inputs : int
        Input nodes.
    picks : int or None
        Edges into every computing node; None: one from every earlier node. The order of picked edges says
        nothing: it is kept as written, but sources are drawn and counted in ascending order only.
    distinct : bool
        Whether the edges into a node come from different nodes.
    ops_on : {"edges", "nodes"}
        Where the ops sit.
    output : {"last", "all", "loose"}
        What the cell gives: its last node, all computing nodes concatenated, or those that feed no other.
    stride : int
        Stride of the ops that read the inputs; 2 in reduction cells.
    uncounted : tuple of str
        Native ops that tables hold beyond `ops`; see `Choice.uncounted`.
    """

    name: str
    nodes: int
    ops: tuple[str, ...]
    inputs: int = 1
    picks: int | None = None
    distinct: bool = True
    ops_on: Literal["edges", "nodes"] = "edges"
    output: Literal["last", "all", "loose"] = "last"
    stride: int = 1
    uncounted: tuple[str, ...] = ()

    def fan_in(self, node: int) -> int:
        """Return the number of edges into a computing node."""
        return node if self.picks is None else min(self.picks, node) if self.distinct else self.picks

    @property
    def slots(self) -> int:
        """Number of ops."""
        return self.slots_from(self.inputs)

    def slots_from(self, node: int) -> int:
        """Return the number of ops of a computing node and all after it."""
        rest = range(node, self.inputs + self.nodes)
        return sum(map(self.fan_in, rest)) if self.ops_on == "edges" else len(rest)

    def ways(self, node: int) -> tuple[tuple[int, ...], ...]:
        """Return the sources that a computing node may have, in ascending order each."""
        if self.picks is None:
            return (tuple(range(node)),)
        pick = itertools.combinations if self.distinct else itertools.combinations_with_replacement
        return tuple(pick(range(node), self.fan_in(node)))

    def choices(self) -> list[Choice]:
        """Return the decisions of this cell, node by node: sources first, then ops."""
        made = []
        for node in range(self.inputs, self.inputs + self.nodes):
            n = self.fan_in(node)
            if self.picks is not None:
                counted = self.ways(node)
                orders = itertools.chain.from_iterable(map(itertools.permutations, counted))
                written = tuple(dict.fromkeys(s for s in orders if s != tuple(sorted(s))))
                made.append(Choice(f"{self.name}.{node}.sources", counted, written=written))
            for k in range(n if self.ops_on == "edges" else 1):
                made.append(Choice(f"{self.name}.{node}.op{k}", self.ops, uncounted=self.uncounted))
        return made


class CellSpace(ChoiceSpace):
    """A space of cells.

    A subclass gives ``name``, `cells`, `ops`, `_read_cells` and `_write_cells`; `_applied` where a stride
    makes another op of one. A native op is always one node.

    Attributes
    ----------
    cells : tuple of Cell
        The cells of an architecture.
    ops : mapping from str to Op
        The op of the shared vocabulary behind every native op.
    """

    cells: ClassVar[tuple[Cell, ...]]
    ops: ClassVar[Mapping[str, Op]]

    @abstractmethod
    def _read_cells(self, text: str) -> Mapping[str, Edges]:
        """Return the edges of every cell, by name, or raise `ArchitectureError`.

        With ops on nodes, all edges into a node name the same op.
        """

    @abstractmethod
    def _write_cells(self, cells: Mapping[str, Edges]) -> str:
        """Return the native string of the edges of every cell."""

    @cached_property
    def choices(self) -> tuple[Choice, ...]:  # type: ignore[override]
        """The decisions of all cells."""
        return tuple(choice for cell in self.cells for choice in cell.choices())

    def edges(self, native: str) -> dict[str, Edges]:
        """Return the edges of every cell of a native string, by name of the cell.

        Raises
        ------
        ArchitectureError
            If the string names no architecture of this space.
        """
        values = self._values(self._parse(native))
        return {cell.name: self._edges(cell, values) for cell in self.cells}

    def _read(self, text: str) -> dict[str, Any]:
        return self._values_of(self._read_cells(text))

    def _values_of(self, cells: Mapping[str, Edges]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for cell in self.cells:
            nodes = cells[cell.name]
            if len(nodes) != cell.nodes:
                raise ArchitectureError(
                    f"expected {cell.nodes} nodes in the {cell.name} cell", got=len(nodes)
                )
            for node, into in enumerate(nodes, start=cell.inputs):
                if len(into) != cell.fan_in(node):
                    raise ArchitectureError(
                        f"expected {cell.fan_in(node)} edges into node {node} of the {cell.name} cell",
                        got=into,
                    )
                sources = tuple(source for _, source in into)
                if cell.picks is not None:
                    values[f"{cell.name}.{node}.sources"] = sources
                elif sources != tuple(range(node)):
                    raise ArchitectureError(
                        f"expected edges into node {node} from 0 to {node - 1}", got=sources
                    )
                ops = [op for op, _ in into]
                if cell.ops_on == "nodes":
                    if len(set(ops)) != 1:
                        raise ArchitectureError(f"expected one op at node {node}", got=ops)
                    ops = ops[:1]
                values.update({f"{cell.name}.{node}.op{k}": op for k, op in enumerate(ops)})
        return values

    def _write(self, taken: Mapping[str, Any]) -> str:
        return self._write_cells({cell.name: self._edges(cell, taken) for cell in self.cells})

    def _edges(self, cell: Cell, taken: Mapping[str, Any]) -> Edges:
        listed = []
        for node in range(cell.inputs, cell.inputs + cell.nodes):
            sources = range(node) if cell.picks is None else taken[f"{cell.name}.{node}.sources"]
            keys = [k if cell.ops_on == "edges" else 0 for k in range(len(sources))]
            ops = [taken[f"{cell.name}.{node}.op{k}"] for k in keys]
            listed.append([*zip(ops, sources, strict=True)])
        return listed

    def _build(self, g: GraphBuilder, taken: Mapping[str, Any]) -> None:
        several = len(self.cells) > 1 or any(cell.inputs > 1 for cell in self.cells)
        first = 0
        for number, cell in enumerate(self.cells):
            values = [g.input(**({"index": first + i} if several else {})) for i in range(cell.inputs)]
            first += cell.inputs
            read: set[int] = set()
            for into in self._edges(cell, taken):
                read.update(source for _, source in into)
                strides = [cell.stride if source < cell.inputs else 1 for _, source in into]
                value: Terms = ()
                if cell.ops_on == "nodes":
                    for _, source in into:
                        value += values[source]
                    name, attrs = self._applied(into[0][0], min(strides))
                    value = g.add(name, value, **attrs)
                else:
                    for (op, source), stride in zip(into, strides, strict=True):
                        name, attrs = self._applied(op, stride)
                        value += g.add(name, values[source], **attrs)
                values.append(value)
            given = [v for v in range(cell.inputs, len(values)) if cell.output == "all" or v not in read]
            joined = values[-1] if cell.output == "last" else g.add("concat", *(values[v] for v in given))
            g.output(joined, **({"index": number} if len(self.cells) > 1 else {}))

    def _applied(self, op: str, stride: int) -> Op:
        """Return the op of the shared vocabulary, with its attributes, behind a native op.

        With a stride, a skip is no identity: it is a 1x1 convolution.
        """
        name, attrs = self.ops[op]
        if stride == 1:
            return name, attrs
        return (
            ("conv", {"kernel": 1, "stride": stride})
            if name == "skip"
            else (name, {**attrs, "stride": stride})
        )

    def main(self, genotype: Genotype) -> Genotype:
        """Return the genotype with the edges into every node in ascending order of sources, then ops.

        Only the order of picked edges is free.
        """
        cells = {cell.name: self._edges(cell, self._values(genotype)) for cell in self.cells}
        for cell in self.cells:
            if cell.picks is not None:
                ops = {op: i for i, op in enumerate((*cell.ops, *cell.uncounted))}
                for into in cells[cell.name]:
                    into.sort(key=lambda edge: (edge[1], ops[edge[0]]))
        return self._positions(self._values_of(cells), genotype)

    def _genotype(self, graph: ArchGraph) -> Genotype:
        found = find_cells(self.cells, self._applied, graph)
        if found is None:
            raise ArchitectureError(
                f"expected the graph of a {self.name} architecture", got=f"{graph.n_nodes} nodes {graph.ops}"
            )
        return self._positions(self._values_of(found), found)

    def graphs(self, natives: Sequence[str]) -> GraphBatch:
        """Return the graphs of many native strings, packed.

        Where every node reads every earlier one, all graphs have the same edges, and no graph object is
        made for each.
        """
        if any(cell.picks is not None for cell in self.cells):
            return super().graphs(natives)
        genotypes = np.array([self._parse(text) for text in natives], dtype=np.int64)
        return self._template.batch(genotypes.reshape(-1, len(self.choices)))

    @cached_property
    def _template(self) -> _Template:
        return _Template(self)


class _Template:
    """The edges that all graphs of a space share, and what every option puts on its node."""

    def __init__(self, space: CellSpace) -> None:
        options = max(len(choice.found) for choice in space.choices)
        listed = [
            space._graph(tuple(min(o, len(choice.found) - 1) for choice in space.choices))
            for o in range(options)
        ]
        packed = GraphBatch.from_graphs(listed)
        self.n = listed[0].n_nodes
        self.edges = np.array(listed[0].edges, dtype=np.int64).T
        # (options, nodes): what each node is if its choice takes that option.
        self.op = packed.op.reshape(options, self.n)
        self.attrs = packed.attrs.reshape(options, self.n, -1)
        self.extra = packed.extra_ops
        ends = np.array([op in ("input", "output", "concat") for op in listed[0].ops])
        self.deciding = np.flatnonzero(~ends)

    def batch(self, genotypes: np.ndarray[Any, np.dtype[np.int64]]) -> GraphBatch:
        n = len(genotypes)
        chosen = np.zeros((n, self.n), dtype=np.int64)
        chosen[:, self.deciding] = genotypes
        at = np.arange(self.n)
        edges = np.tile(self.edges, (1, n))
        edges[:2] += np.repeat(self.n * np.arange(n), self.edges.shape[1])
        return GraphBatch(
            self.op[chosen, at].reshape(-1),
            self.attrs[chosen, at].reshape(n * self.n, self.attrs.shape[-1]),
            edges,
            self.n * np.arange(n + 1, dtype=np.int64),
            self.edges.shape[1] * np.arange(n + 1, dtype=np.int64),
            self.extra,
        )
