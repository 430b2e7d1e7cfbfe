"""One run of a production on values of a target graph that are not known yet; see `archindex.spaces.chart`.

A space says what a production does by building a graph. Here its ``_expand`` runs on *slots* in the place of
values: a slot lists all that a value may be, an op that reads slots looks for nodes of the target that read
such values, and no combination is tried that nothing in the target reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from archindex.core.build import GraphBuilder, Terms
from archindex.spaces.derivation import Expand, Tree

if TYPE_CHECKING:
    from archindex.spaces.chart import Chart

_Path = tuple[int, ...]

Entry = tuple[int, Tree]
"""A derivation behind the number of its productions."""


class RejectedError(Exception):
    """A run cannot build anything of the target."""


class UndecidedError(Exception):
    """A name is asked for that has not been decided."""

    def __init__(self, n: int) -> None:
        self.n = n


class Task(NamedTuple):
    """One production of a nonterminal, applied to a value."""

    symbol: str
    number: int
    x: Terms


class Probe(GraphBuilder):
    """Finds out whether a production only applies its second child to what its first one gives."""

    def __init__(self, expand: Expand, name: str, children: int) -> None:
        super().__init__()
        self.name = name
        self.children = tuple(_Probed(i) for i in range(children))
        try:
            self.is_row = children == 2 and expand(self, self, (0,)) == (0, 1, 2)
        except _ProbedError:
            self.is_row = False

    def __call__(self, x: Terms) -> Terms:
        """Give up: nothing is applied by itself."""
        raise _ProbedError

    def add(self, op: str, *ports: Terms, **attrs: float) -> Terms:
        """Give up: a row adds nothing of its own."""
        raise _ProbedError


class _ProbedError(Exception):
    """A production does more than to apply its children."""


class _Probed:
    """A child whose value shows who was applied."""

    def __init__(self, number: int) -> None:
        self._number = number

    @property
    def name(self) -> str:
        raise _ProbedError

    @property
    def children(self) -> tuple[_Probed, ...]:
        raise _ProbedError

    def __call__(self, x: Terms) -> Terms:
        return (*x, self._number + 1)


class _Option(NamedTuple):
    """What a slot may be.

    Attributes
    ----------
    value : tuple of int
        The value in the target.
    built : int
        Bits of the nodes built for it.
    slots : mapping from int to (tuple of int, int)
        The slots that it hangs on and itself: the value of each, and the bits of the nodes built there.
    trees : mapping from path to (int, Tree)
        The derivations that it takes with their sizes, by where they stand below the production.
    """

    value: Terms
    built: int = 0
    slots: Mapping[int, tuple[Terms, int]] = {}
    trees: Mapping[_Path, Entry] = {}

    def joined(self, other: _Option) -> _Option | None:
        """Return the sum of both; None where they exclude each other."""
        built, slots, trees = self.built, dict(self.slots), dict(self.trees)
        for slot, entry in other.slots.items():
            if slots.setdefault(slot, entry) != entry:
                return None
            if slot not in self.slots:
                if built & entry[1]:
                    return None
                built |= entry[1]
        for path, entry_below in other.trees.items():
            if trees.setdefault(path, entry_below) != entry_below:
                return None
        return _Option(tuple(sorted((*self.value, *other.value))), built, slots, trees)


_Slot = dict[Terms, list[_Option]]
_Origin = tuple[_Path, Terms]

Known = dict[tuple[tuple[int, ...], int], _Slot]
"""The options of slots, by the answers given before and the number of the slot."""


class Run(GraphBuilder):
    """One run of a production, on slots. A term below zero is a slot: -1 the first, -2 the second."""

    def __init__(self, chart: Chart, task: Task, answers: tuple[int, ...], known: Known) -> None:
        super().__init__()
        self.chart, self.task, self._known = chart, task, known
        self.root = _ChartNode(self, task.symbol, (), task.number)
        self._answers, self._given = answers, 0
        # Of every slot: its options by the first node of their value.
        self._slots: list[_Slot] = []
        self._origins: list[_Origin | None] = []
        self._above_x = chart.target.above(task.x)

    def results(self) -> Iterator[tuple[Terms, Entry]]:
        """Run the production, and yield the values that it may give with their derivations."""
        target = self.chart.target
        for option in self._sums(self.chart.expand(self, self.root, self.task.x)):
            if option.built == target.above(option.value) & ~self._above_x and target.is_read(option.value):
                entry = self.root.entry(option.trees)
                if entry is not None:
                    yield option.value, entry

    def decide(self, n: int) -> int:
        """Return the production of a node whose name is asked for."""
        if self._given == len(self._answers):
            raise UndecidedError(n)
        self._given += 1
        return self._answers[self._given - 1]

    def call(self, node: _ChartNode, x: Terms) -> Terms:
        """Apply what a node below the production derives to a value."""
        return self._slot((node.path, x), lambda: self._applied(node, x))

    def add(self, op: str, *ports: Terms, **attrs: float) -> Terms:
        """Find the nodes of the target that an op may be."""
        if self.chart.functional and op == "skip":
            return ports[0]
        if self.chart.functional and (op == "none" or not any(ports)):
            return ()
        return self._slot(None, lambda: self._found(op, ports, attrs))

    def _applied(self, node: _ChartNode, x: Terms) -> list[_Option]:
        target = self.chart.target
        # Of a row of modules, a first one that is a row itself is derived as the other bracketing, too.
        chained = self.chart.chained[self.task.symbol, self.task.number] if node.path == (0,) else None
        options = []
        for given in self._sums(x):
            table = self.chart.table(node.symbol, node.decided, given.value, self.task)
            self.chart.spend(len(table))
            before = target.above(given.value)
            for value, entry in table.items():
                if chained is not None and entry[1].production == chained:
                    continue
                if given.trees.get(node.path, entry) == entry:
                    known = given._replace(trees={**given.trees, node.path: entry})
                    options.append(self._extended(known, value, target.above(value) & ~before))
        return options

    def _found(self, op: str, ports: Sequence[Terms], attrs: Mapping[str, float]) -> list[_Option]:
        target = self.chart.target
        options = []
        nodes = target.nodes(op, attrs)
        if self.chart.functional:
            # What reads nothing but zeros is zero; a concatenation counts those that it reads.
            options += [self._extended(one, (), 0) for one in self._matching(ports, {})]
            zeros = range(1, len(ports)) if op == "concat" else ()
            nodes = nodes + [node for n in zeros for node in target.nodes(op, {**attrs, "zero_parts": n})]
        for node in nodes:
            between = target.above((node,)) & ~self._above_x
            for inputs in self._matching(ports, target.reads[node]):
                if not inputs.built >> node & 1 and inputs.built | 1 << node == between:
                    options.append(self._extended(inputs, (node,), 1 << node))
        return options

    def _extended(self, option: _Option, value: Terms, built: int) -> _Option:
        """Return an option of the next slot, which hangs on `option` and builds some nodes more."""
        slots = {**option.slots, len(self._slots): (value, built)}
        return _Option(value, option.built | built, slots, option.trees)

    def _slot(self, origin: _Origin | None, find: Callable[[], list[_Option]]) -> Terms:
        """Return a new slot; runs with the same answers so far find the same options for it."""
        key = self._answers[: self._given], len(self._slots)
        if key not in self._known:
            by_first: _Slot = {}
            for option in find():
                by_first.setdefault(option.value[:1], []).append(option)
            self._known[key] = by_first
        if not self._known[key]:
            raise RejectedError
        self._slots.append(self._known[key])
        self._origins.append(origin)
        return (-len(self._slots),)

    def _matching(self, ports: Sequence[Terms], reads: Mapping[int, Terms]) -> list[_Option]:
        """Return in which ways the slots at some ports give just what a node of the target reads there."""
        if any(port >= len(ports) for port in reads):
            return []
        partial = [_Option(())]
        for port, terms in enumerate(ports):
            partial = self._sums(terms, partial, reads.get(port, ()))
        return partial

    def _sums(
        self, terms: Terms, start: Sequence[_Option] = (_Option(()),), exactly: Terms | None = None
    ) -> list[_Option]:
        """Return what a sum of nodes and slots may be beside what is known, read by one port of the target.

        Slots of one node on one value are interchangeable: their values come in ascending order.
        """
        nodes = tuple(sorted(term for term in terms if term >= 0))
        partial = [one._replace(value=nodes) for one in start]
        fits = self.chart.target.is_read if exactly is None else _Within(exactly)
        if len(nodes) < len(terms) and not fits(nodes):
            return []
        before: dict[_Origin, int] = {}
        slots = [-1 - term for term in terms if term < 0]
        origins = [self._origins[slot] for slot in slots]
        for i, slot in enumerate(slots):
            origin = origins[i]
            twin = None if origin is None else before.get(origin)
            if origin is not None:
                before[origin] = slot
            only_twins = exactly is not None and origin is not None and len(set(origins[i:])) == 1
            by_first = self._slots[slot]
            firsts = list(by_first) if exactly is None else [(), *((node,) for node in set(exactly))]
            grown = []
            for one in partial:
                if only_twins:
                    firsts = [_first_left(exactly or (), one.value)]
                for option in (option for first in firsts for option in by_first.get(first, ())):
                    if twin is not None and twin != slot and one.slots[twin][0] > option.value:
                        continue
                    joined = one.joined(option) if fits(option.value) else None
                    if joined is not None and ((len(slots) == 1 and not nodes) or fits(joined.value)):
                        grown.append(joined)
            partial = grown
            self.chart.spend(len(partial) + 1)
        return [one for one in partial if exactly is None or one.value == exactly]


def _first_left(whole: Terms, part: Terms) -> Terms:
    """Return the first node of a sum that a part of it leaves over."""
    left = Counter(whole) - Counter(part)
    return tuple(sorted(left)[:1])


class _Within:
    """Tells which sums are part of a larger one."""

    def __init__(self, whole: Terms) -> None:
        self._whole = Counter(whole)

    def __call__(self, value: Terms) -> bool:
        if len(value) == 1:
            return value[0] in self._whole
        return Counter(value) <= self._whole


class _ChartNode:
    """A node below the production of a run, or the production itself."""

    def __init__(self, run: Run, symbol: str, path: _Path, decided: int | None = None) -> None:
        self._run, self.symbol, self.path = run, symbol, path
        self.decided = decided

    @property
    def name(self) -> str:
        return self._run.chart.rules[self.symbol][self._number()].name

    @cached_property
    def children(self) -> tuple[_ChartNode, ...]:
        symbols = self._run.chart.rules[self.symbol][self._number()].children
        return tuple(_ChartNode(self._run, symbol, (*self.path, i)) for i, symbol in enumerate(symbols))

    def __call__(self, x: Terms) -> Terms:
        return self._run.call(self, x)

    def entry(self, known: Mapping[_Path, Entry]) -> Entry | None:
        """Return the derivation, given those of the nodes called; None where one was never asked for."""
        if self.path in known:
            entry = known[self.path]
            return entry if self.decided in (None, entry[1].production) else None
        if self.decided is None:
            return None
        below = []
        for child in self.children:
            entry_below = child.entry(known)
            if entry_below is None:
                return None
            below.append(entry_below)
        tree = Tree(self.decided, tuple(tree for _, tree in below))
        return 1 + sum(cost for cost, _ in below), tree

    def _number(self) -> int:
        if self.decided is None:
            self.decided = self._run.decide(len(self._run.chart.rules[self.symbol]))
        return self.decided
