"""From a graph back to the cells that it shows.

What every op of the graph reads is known, so that a cell is read node by node: each edge into a node is one
op of the graph that reads the value of an earlier node, or, where ops that do nothing have left no trace, a
skip, a zero, or an op on zero. Every op is used once, by number: the result is exact, and two ops that only
their readers tell apart are both tried.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from archindex.core.batch import GraphBatch
from archindex.core.build import Terms
from archindex.core.canonical import reduce_batch
from archindex.core.graph import ArchGraph

if TYPE_CHECKING:
    from archindex.spaces.cells import Cell, Edges, Op

MAX_STEPS: Final = 100_000
"""Edges tried after which a cell counts as unreadable: seconds. Cells of DARTS and NASNet take up to a few
thousand; reduced cells with zeros whose loose nodes are joined may take more than this."""

ENDS: Final = ("input", "output", "concat")

Applied = Callable[[str, int], "Op"]
"""The op and attributes of a native op with a stride."""

_Kind = tuple[str, frozenset[tuple[str, float]]]


def find_cells(cells: Sequence[Cell], applied: Applied, graph: ArchGraph) -> dict[str, Edges] | None:
    """Return the edges of every cell of a graph; None where it shows no such cells.

    The graph as written is looked for first (ops that do nothing included), then its functional DAG.

    Parameters
    ----------
    cells : sequence of Cell
        The cells of the space.
    applied : callable
        Returns the op and attributes behind a native op with a stride.
    graph : ArchGraph
        The graph, its nodes in any order.
    """
    for functional in (False, True):
        reduced = reduce_batch(GraphBatch.from_graphs([graph])).graph(0) if functional else graph
        found = _find(cells, applied, reduced, functional)
        if found is not None:
            return found
    return None


def _find(
    cells: Sequence[Cell], applied: Applied, graph: ArchGraph, functional: bool
) -> dict[str, Edges] | None:
    inner = [op for op in graph.ops if op not in ENDS]
    n_inputs = sum(cell.inputs for cell in cells)
    if (
        len(inner) > sum(cell.slots for cell in cells)
        or graph.ops.count("input") != n_inputs
        or graph.ops.count("output") != len(cells)
    ):
        return None
    target = _Target(graph)
    found: dict[str, Edges] = {}
    used = joined = first = 0
    for number, cell in enumerate(cells):
        several = n_inputs > 1 or len(cells) > 1
        inputs = [target.end("input", first + i if several else None) for i in range(cell.inputs)]
        output = target.end("output", number if len(cells) > 1 else None)
        first += cell.inputs
        starts = [node for node in inputs if node is not None]
        given = None if output is None else target.given(output, cell.output != "last")
        if given is None or len(starts) < len(inputs):
            return None
        joined += given.zeros is not None
        reader = _Reader(cell, applied, target, given, functional)
        read = reader.read(starts)
        if read is None:
            return None
        found[cell.name] = read
        used += len(reader.used)
    return found if used == len(inner) and joined == graph.ops.count("concat") else None


class _Given(NamedTuple):
    """What a cell gives: what is read at each port of its concatenation (or output), and its zero parts."""

    parts: dict[int, Terms]
    zeros: int | None  # None: no concatenation is left


class _Target:
    """A graph, looked at from what its ops read."""

    def __init__(self, graph: ArchGraph) -> None:
        self.kinds: list[_Kind] = [_kind(op, attrs) for op, attrs in zip(graph.ops, graph.attrs, strict=True)]
        self.ops = graph.ops
        ports: list[dict[int, list[int]]] = [{} for _ in graph.ops]
        readers: list[list[tuple[int, int]]] = [[] for _ in graph.ops]
        for source, node, port in sorted(graph.edges):
            ports[node].setdefault(port, []).append(source)
            readers[source].append((node, port))
        self.ports = [{port: tuple(terms) for port, terms in read.items()} for read in ports]
        self.readers = [tuple(listed) for listed in readers]

    @cached_property
    def reading(self) -> dict[Terms, list[int]]:
        """The ops that read each value at their only port."""
        found: dict[Terms, list[int]] = defaultdict(list)
        for node, ports in enumerate(self.ports):
            if self.ops[node] not in ENDS and len(ports) == 1 and 0 in ports:
                found[ports[0]].append(node)
        return found

    @cached_property
    def values(self) -> set[Terms]:
        """Every value that is read."""
        return {terms for ports in self.ports for terms in ports.values()}

    def end(self, op: str, index: int | None) -> int | None:
        """Return the only input or output with an index."""
        kind = _kind(op, {} if index is None else {"index": index})
        nodes = [node for node, other in enumerate(self.kinds) if other == kind]
        alone = len(nodes) == 1 and not (op == "input" and self.ports[nodes[0]])
        return nodes[0] if alone else None

    def given(self, output: int, joined: bool) -> _Given | None:
        """Return what an output reads, through its concatenation where it is `joined`."""
        ports = self.ports[output]
        if not joined or not ports:
            return _Given(ports, None) if set(ports) <= {0} else None
        node = ports.get(0, (output,))[0]
        name, attrs = self.kinds[node]
        zeros = dict(attrs).get("zero_parts", 0.0)
        plain = attrs == frozenset({("zero_parts", zeros)} if zeros else ())
        if name != "concat" or not plain or self.readers[node] != ((output, 0),) or len(ports) != 1:
            return None
        return _Given(self.ports[node], int(zeros))


@dataclass(frozen=True)
class _Edge:
    """An edge that may be: its native op, what it adds to its node, and the op of the graph that it is."""

    op: str
    adds: Terms | None
    node: int | None = None


class _Reader:
    """Reads one cell.

    A value is the ops whose outputs are summed in it: () is zero, None the value of a node that is dead.
    """

    def __init__(
        self, cell: Cell, applied: Applied, target: _Target, given: _Given, functional: bool
    ) -> None:
        self.cell, self.target, self.given, self.functional = cell, target, given, functional
        self.used: set[int] = set()
        self.values: list[Terms | None] = []
        self.edges: Edges = []
        self.steps = 0
        self._ops: set[int] = set()
        self._failed: set[Any] = set()
        self._fits: dict[Terms, bool] = {}
        self._native: dict[int, dict[_Kind, str]] = {}
        ops = (*cell.ops, *cell.uncounted)
        for stride in {1, cell.stride}:
            kinds = [_kind(*applied(op, stride)) for op in ops]
            self._native[stride] = dict(zip(reversed(kinds), reversed(ops), strict=True))
        zero = any(kind[0] == "none" for kind in self._native[1])
        self._dead_ends = functional and cell.output == "last" and not zero

    def read(self, inputs: list[int]) -> Edges | None:
        """Return the edges into every node, given the numbers of the input nodes."""
        self.values = [(node,) for node in inputs]
        reached = set(inputs)
        front = set(inputs)
        while front:
            front = {node for source in front for node, _ in self.target.readers[source]} - reached
            reached |= front
        self._ops = {node for node in reached if self.target.ops[node] not in ENDS}
        return self.edges if self._nodes() else None

    def _nodes(self) -> bool:
        """Read all nodes that are still to be read; False where that cannot be."""
        node = len(self.values)
        if node == self.cell.inputs + self.cell.nodes:
            return self.used == self._ops and self._gives()
        state = self._state()
        if len(self._ops) - len(self.used) > self.cell.slots_from(node) or state in self._failed:
            return False
        goal = self._goal(node - self.cell.inputs)
        for sources in self.cell.ways(node):
            for edges, value in self._into(sources, goal):
                taken = {edge.node for edge in edges if edge.node is not None}
                self.used |= taken
                self.values.append(value)
                ops = [edge.op for edge in edges] * (len(sources) if self.cell.ops_on == "nodes" else 1)
                self.edges.append([*zip(ops, sources, strict=True)])
                if self._nodes():
                    return True
                self.values.pop()
                self.edges.pop()
                self.used -= taken
        self._failed.add(state)
        return False

    def _goal(self, done: int) -> Terms | None:
        """Return the value that the next node must have; None where several are possible."""
        if self.cell.output == "all":
            return self.given.parts.get(done, ())
        if self.cell.output == "last" and done == self.cell.nodes - 1:
            return self.given.parts.get(0, ())
        return None

    def _into(
        self, sources: Sequence[int], goal: Terms | None
    ) -> Iterator[tuple[tuple[_Edge, ...], Terms | None]]:
        """Yield the edges that a node may have from its sources (or its one op), and its value."""
        if self.cell.ops_on == "nodes":
            stride = self.cell.stride if all(source < self.cell.inputs for source in sources) else 1
            slots = [(_sum([self.values[source] for source in sources]), stride)]
        else:
            strides = [self.cell.stride if source < self.cell.inputs else 1 for source in sources]
            slots = [(self.values[s], stride) for s, stride in zip(sources, strides, strict=True)]

        def fill(edges: tuple[_Edge, ...], value: Terms | None) -> Iterator[Any]:
            if len(edges) == len(slots):
                yield edges, value
                return
            whole = len(edges) + 1 == len(slots)
            for edge in self._edge(*slots[len(edges)], {edge.node for edge in edges}):
                grown = _sum([value, edge.adds])
                if self._possible(grown, goal, whole):
                    yield from fill((*edges, edge), grown)

        yield from fill((), ())

    def _edge(self, value: Terms | None, stride: int, taken: AbstractSet[int | None]) -> Iterator[_Edge]:
        """Yield the edges that may read a value: first those that account for an op."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            return
        native = self._native[stride]
        seen = set()
        for node in self.target.reading.get(value, ()) if value else ():
            op = native.get(self.target.kinds[node])
            # Of ops that nothing tells apart, not even their readers, one is tried.
            same = (op, self.target.readers[node])
            if op is not None and node not in self.used and node not in taken and same not in seen:
                seen.add(same)
                yield _Edge(op, (node,), node)
        if not self.functional:
            return
        for name, adds in (("none", ()), ("skip", value)):
            yield from (_Edge(op, adds) for kind, op in native.items() if kind[0] == name)
        if value == ():
            yield _Edge(self.cell.ops[0], ())
        if value is None or self._dead_ends:
            yield _Edge(self.cell.ops[0], None)

    def _possible(self, value: Terms | None, goal: Terms | None, whole: bool) -> bool:
        """Return whether a node may have this value; not `whole`: as a part of what it has."""
        if value is None or goal is not None:
            return value == goal if whole or value is None or goal is None else _within(value, goal)
        if not value:
            return True
        unread = not self.functional and not any(self.target.readers[node] for node in value)
        if not self.functional and whole and self.cell.ops_on == "edges":
            return unread or value in self.target.values
        if value not in self._fits:
            # Skips may have carried it into a larger sum.
            self._fits[value] = unread or any(_within(value, read) for read in self.target.values)
        return self._fits[value]

    def _loose(self) -> list[int]:
        read = {source for into in self.edges for _, source in into}
        return [node for node in range(self.cell.inputs, len(self.values)) if node not in read]

    def _gives(self) -> bool:
        """Return whether the nodes read give what the cell gives."""
        if self.cell.output == "last":
            return self.values[-1] == self.given.parts.get(0, ())
        every = list(range(self.cell.inputs, len(self.values)))
        joined = every if self.cell.output == "all" else self._loose()
        parts = {port: self.values[node] for port, node in enumerate(joined) if self.values[node] != ()}
        zeros = len(joined) - len(parts)
        return parts == self.given.parts and (self.given.zeros is None or zeros == self.given.zeros)

    def _state(self) -> Any:
        """Return all on which it depends whether the rest of the nodes can be read."""
        if self.cell.output == "all":
            return len(self.values), frozenset(self.used)
        loose = self._loose() if self.cell.output == "loose" else []
        rest = [value for node, value in enumerate(self.values) if node not in loose]
        return (
            tuple(sorted(value for value in rest if value is not None)),
            len(rest),
            tuple(self.values[node] for node in loose),
            frozenset(self.used),
        )


def _kind(op: str, attrs: Mapping[str, float]) -> _Kind:
    return op, frozenset((name, float(np.float32(value))) for name, value in attrs.items())


def _sum(values: Sequence[Terms | None]) -> Terms | None:
    terms: list[int] = []
    for value in values:
        if value is None:
            return None
        terms += value
    return tuple(sorted(terms))


def _within(part: Terms, whole: Terms) -> bool:
    return len(part) <= len(whole) and all(part.count(term) <= whole.count(term) for term in set(part))
