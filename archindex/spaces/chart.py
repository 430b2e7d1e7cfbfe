"""From a graph back to a derivation: a chart over values, filled up to its least fixpoint.

The chart says, for a nonterminal and a value of the target graph, which values the nonterminal can turn it
into, each with its smallest derivation. A value is a sum of nodes. What lies between two values is known from
the target, so that a derivation from one to the other must build exactly these nodes, each once: derivations
of the same entry can replace each other, and the smallest one is made of smallest ones (Knuth, "A
generalization of Dijkstra's algorithm", 1977).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from archindex.core.build import Terms
from archindex.core.graph import ArchGraph
from archindex.spaces.chart_run import Entry, Known, Probe, RejectedError, Run, Task, UndecidedError
from archindex.spaces.derivation import Expand, Rules, Tree

MAX_NODES: Final = 512
"""Nodes of the largest graph that is read back."""

MAX_WORK: Final = 500_000
"""Options looked at after which a graph counts as unreadable: some seconds."""


def find_derivation(
    rules: Rules, start: str, expand: Expand, target: ArchGraph, *, functional: bool, limit: int
) -> Tree | None:
    """Return the smallest derivation whose graph is `target`; None where there is none.

    Parameters
    ----------
    rules : mapping from str to tuple of Production
        The grammar.
    start : str
        The nonterminal of a whole architecture.
    expand : callable
        Adds the ops of a production.
    target : ArchGraph
        The graph, its nodes in any order, with one input and one output.
    functional : bool
        Whether skips and zeros of the derivation leave no trace in `target`.
    limit : int
        Largest number of productions.
    """
    ends = [[v for v, op in enumerate(target.ops) if op == end] for end in ("input", "output")]
    if any(len(nodes) != 1 or target.attrs[nodes[0]] for nodes in ends) or target.n_nodes > MAX_NODES:
        return None
    wanted = _Target(target)
    (first,), (last,) = ends
    read = wanted.reads[last]
    if set(read) - {0} or wanted.above((first, last)) != (1 << target.n_nodes) - 1:
        return None
    chart = Chart(rules, expand, wanted, functional, limit)
    try:
        table = chart.solve(start, (first,))
    except _ExhaustedError:
        return None
    found = table.get(read.get(0, ()))
    return None if found is None else found[1]


class _ExhaustedError(Exception):
    """More than `MAX_WORK` options were looked at."""


class _Target:
    """What the target graph has."""

    def __init__(self, graph: ArchGraph) -> None:
        into: list[dict[int, list[int]]] = [{} for _ in range(graph.n_nodes)]
        for source, node, port in graph.edges:
            into[node].setdefault(port, []).append(source)
        self.reads = [{port: tuple(sorted(terms)) for port, terms in ports.items()} for ports in into]
        self._above = [0] * graph.n_nodes
        for node in graph.topological_order():
            read = self.reads[node].values()
            self._above[node] = self.above(x for terms in read for x in terms) | 1 << node
        self._nodes: dict[tuple[Any, ...], list[int]] = {}
        for node, op in enumerate(graph.ops):
            self._nodes.setdefault(_label(op, graph.attrs[node]), []).append(node)
        self._sums = {terms: Counter(terms) for ports in self.reads for terms in ports.values()}
        self._read: dict[Terms, bool] = {}

    def above(self, value: Iterable[int]) -> int:
        """Return the bits of the nodes of a value and of all that they hang on."""
        bits = 0
        for node in value:
            bits |= self._above[node]
        return bits

    def nodes(self, op: str, attrs: Mapping[str, float]) -> list[int]:
        """Return the nodes with an op and attributes."""
        return self._nodes.get(_label(op, attrs), [])

    def is_read(self, value: Terms) -> bool:
        """Return whether some node reads this sum, or a larger one."""
        if value not in self._read:
            own = Counter(value)
            self._read[value] = not value or any(own <= terms for terms in self._sums.values())
        return self._read[value]


def _label(op: str, attrs: Mapping[str, float]) -> tuple[Any, ...]:
    return op, tuple(sorted((name, float(np.float32(value))) for name, value in attrs.items()))


_Table = dict[Terms, Entry]
"""Of every value that can be reached: its smallest derivation."""


class Chart:
    """What nonterminals can turn values of a target into, as far as it was asked for."""

    def __init__(self, rules: Rules, expand: Expand, target: _Target, functional: bool, limit: int) -> None:
        self.rules, self.expand, self.target = rules, expand, target
        self.functional = functional
        self._limit = limit
        self._tables: dict[tuple[str, int | None, Terms], _Table] = {}
        self._readers: dict[tuple[str, int | None, Terms], set[Task]] = {}
        self._queue: list[tuple[int, Task]] = []
        self._queued: set[Task] = set()
        self._work = 0
        self.chained = {
            (symbol, number): self._chained(symbol, number)
            for symbol, listed in rules.items()
            for number in range(len(listed))
        }
        """Of every production that is a row of two modules: its number among their productions."""

    def _chained(self, symbol: str, number: int) -> int | None:
        production = self.rules[symbol][number]
        if (
            len(set(production.children)) != 1
            or not Probe(self.expand, production.name, len(production.children)).is_row
        ):
            return None
        again = [
            i
            for i, one in enumerate(self.rules[production.children[0]])
            if (one.name, one.children) == (production.name, production.children)
        ]
        return again[0] if again else None

    def solve(self, symbol: str, x: Terms) -> _Table:
        """Return what a nonterminal can turn `x` into."""
        self.table(symbol, None, x, None)
        while self._queue:
            _, task = heapq.heappop(self._queue)
            self._queued.discard(task)
            self._update(task)
        return self._tables[symbol, None, x]

    def table(self, symbol: str, number: int | None, x: Terms, reader: Task | None) -> _Table:
        """Return what is known so far of a nonterminal (or one production of it) applied to `x`.

        `reader` is run again when more is known.
        """
        key = symbol, number, x
        if key not in self._tables:
            self._tables[key] = {}
            self._readers[key] = set()
            if number is not None:
                self.table(symbol, None, x, None)
                for value, (cost, tree) in self._tables[symbol, None, x].items():
                    if tree.production == number:
                        self._tables[key][value] = cost, tree
                self._push(Task(symbol, number, x))
            else:
                for each in range(len(self.rules[symbol])):
                    self._push(Task(symbol, each, x))
        if reader is not None:
            self._readers[key].add(reader)
        return self._tables[key]

    def spend(self, options: int) -> None:
        """Count options looked at.

        Raises
        ------
        _ExhaustedError
            If that were too many.
        """
        self._work += options
        if self._work > MAX_WORK:
            raise _ExhaustedError

    def _push(self, task: Task) -> None:
        if task not in self._queued:
            self._queued.add(task)
            # What lies nearest to the output comes first: it hangs on little else.
            heapq.heappush(self._queue, (-self.target.above(task.x).bit_count(), task))

    def _update(self, task: Task) -> None:
        found: _Table = {}
        for value, entry in self._derive(task):
            if entry[0] <= self._limit and (value not in found or entry < found[value]):
                found[value] = entry
        for key in ((task.symbol, None, task.x), (task.symbol, task.number, task.x)):
            table = self._tables.get(key)
            better = {
                value: entry
                for value, entry in found.items()
                if table is not None and (value not in table or entry < table[value])
            }
            if table is not None and better:
                table.update(better)
                for reader in self._readers[key]:
                    self._push(reader)

    def _derive(self, task: Task) -> Iterator[tuple[Terms, Entry]]:
        """Yield what one production turns a value into, as far as the chart is known."""
        waiting: list[tuple[int, ...]] = [()]
        known: Known = {}
        while waiting:
            self.spend(1)
            answers = waiting.pop()
            run = Run(self, task, answers, known)
            try:
                yield from run.results()
            except UndecidedError as open_name:
                waiting += [(*answers, option) for option in range(open_name.n)]
            except RejectedError:
                pass
