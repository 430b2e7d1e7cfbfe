"""ChoiceSpace: a search space declared as a sequence of decisions, some of them conditional.

In the spirit of PyGlove (Peng et al., "PyGlove: Symbolic Programming for Automated Machine Learning",
NeurIPS 2020) and DeepArchitect (Negrinho and Gordon, 2017): a space states what may be chosen and how the
choices become a graph; reading, writing, counting, drawing, mutating and inverting follow from that.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from archindex.core.build import GraphBuilder
from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.core.rng import below
from archindex.spaces.base import Architecture, SearchSpace
from archindex.spaces.decisions import ChoiceDecisions
from archindex.spaces.match import Pick, find_decisions

Genotype = tuple[int, ...]
"""Position of the option taken in every choice, `INACTIVE` where a choice does not come up."""

INACTIVE: Final = -1


@dataclass(frozen=True)
class Choice:
    """One decision.

    Attributes
    ----------
    name : str
        What is decided, unique in its space.
    options : tuple
        What may be taken: text, numbers, or tuples of them, no two equal.
    when : (str, tuple) or None
        An earlier choice and those of its options with which this one comes up; None: always.
    ordered : bool
        Whether one change moves to an option beside the one taken only (depths, widths), and not to any.
    written : tuple
        Further options that a native string may hold and that mean the same as one of `options`. They are
        read and written back, but never drawn or counted.
    uncounted : tuple
        Further options with a meaning of their own, which tables hold although the published space does not
        count them. They are read, written back and found in graphs, but never drawn or counted.
    """

    name: str
    options: tuple[Any, ...]
    when: tuple[str, tuple[Any, ...]] | None = None
    ordered: bool = False
    written: tuple[Any, ...] = ()
    uncounted: tuple[Any, ...] = ()

    @cached_property
    def found(self) -> tuple[Any, ...]:
        """The options that a graph may show."""
        return self.options + self.uncounted

    @cached_property
    def every(self) -> tuple[Any, ...]:
        """The options that a native string may hold; a genotype holds positions in this tuple."""
        return self.found + self.written


class ChoiceSpace(SearchSpace[Genotype]):
    """A space of decisions.

    A subclass gives ``name``, `choices`, `_read`, `_write` and `_build`.

    Attributes
    ----------
    choices : tuple of Choice
        All decisions; a conditional one comes after the one that it depends on.
    """

    choices: tuple[Choice, ...]

    @abstractmethod
    def _read(self, text: str) -> Mapping[str, Any]:
        """Return the option taken in every choice that comes up, by name, or raise `ArchitectureError`.

        What is returned is checked against `choices`.
        """

    @abstractmethod
    def _write(self, taken: Mapping[str, Any]) -> str:
        """Return the native string of the options taken; choices that do not come up are left out."""

    @abstractmethod
    def _build(self, g: GraphBuilder, taken: Mapping[str, Any]) -> None:
        """Build the graph, looking options up in `taken` one after the other.

        The graph is read back by trying options at each look-up and comparing what was built: an option
        should be looked up right before the op that it shows in, and must show somewhere.
        """

    def _allowed(self, genotype: Genotype) -> bool:
        """Return whether a combination of options is in the space; a space with a rule overrides `size`."""
        return True

    @property
    def has_rule(self) -> bool:
        """Whether not every combination of options is in the space."""
        return type(self)._allowed is not ChoiceSpace._allowed

    def main(self, genotype: Genotype) -> Genotype:
        """Return the genotype by which those that say the same in other words are known; itself, mostly."""
        return genotype

    def decisions(self) -> ChoiceDecisions:
        """Return the sequences of decisions behind the architectures, for decoders."""
        return self._decisions

    @cached_property
    def _decisions(self) -> ChoiceDecisions:
        return ChoiceDecisions(self)

    @property
    def size(self) -> int:
        """Number of native strings."""
        return math.prod(self._count(i) for i in self._tree.roots)

    def enumerate(self) -> Iterator[Architecture]:
        """Yield every architecture once, the last choice changing fastest; look at `size` first."""
        total = math.prod(self._count(i) for i in self._tree.roots)
        for rank in range(total):
            genotype = self._at(rank)
            if self._allowed(genotype):
                yield Architecture(self, self._format(genotype))

    def taken(self, architecture: Architecture) -> dict[str, Any]:
        """Return the options of `architecture` by choice; those that do not come up are left out.

        Raises
        ------
        ArchitectureError
            If the architecture is of another space.
        """
        return self._values(self._parse(self._own(architecture).native))

    def _parse(self, text: str) -> Genotype:
        return self._positions(self._read(text), text)

    def _positions(self, taken: Mapping[str, Any], came: object) -> Genotype:
        """Return the positions of the options taken; `came` is what the message shows if they do not fit."""
        values = dict(taken)
        genotype: list[int] = []
        for i, choice in enumerate(self.choices):
            if not self._tree.active(i, genotype):
                genotype.append(INACTIVE)
                continue
            if choice.name not in values:
                raise ArchitectureError(f"expected a value of {choice.name}", got=came)
            value = values.pop(choice.name)
            position = self._tree.position(i, value)
            if position is None:
                shown = ", ".join(map(str, choice.every[:20])) + (", ..." if len(choice.every) > 20 else "")
                raise ArchitectureError(f"expected {choice.name} among {shown}", got=value)
            genotype.append(position)
        if values:
            raise ArchitectureError("expected no more values than choices", got=sorted(values))
        found = tuple(genotype)
        if not self._allowed(found):
            raise ArchitectureError(f"expected a combination that {self.name} allows", got=came)
        return found

    def _format(self, genotype: Genotype) -> str:
        return self._write(self._values(genotype))

    def _graph(self, genotype: Genotype) -> ArchGraph:
        g = GraphBuilder()
        self._build(g, self._values(genotype))
        return g.graph()

    def _genotype(self, graph: ArchGraph) -> Genotype:
        found = find_decisions(self._answer, graph)
        if found is not None:
            # Answered again, to know which choice each answer was for; what never came up takes the first.
            answers = iter(found)
            lookup = _Lookup(self, lambda _: next(answers))
            self._build(GraphBuilder(), lookup)
            genotype: list[int] = []
            for i in range(len(self.choices)):
                active = self._tree.active(i, genotype)
                genotype.append(lookup.positions.get(i, 0) if active else INACTIVE)
            if self._allowed(tuple(genotype)):
                return tuple(genotype)
        raise ArchitectureError(
            f"expected the graph of a {self.name} architecture", got=f"{graph.n_nodes} nodes {graph.ops}"
        )

    def _draw(self, rng: np.random.Generator) -> Genotype:
        total = math.prod(self._count(i) for i in self._tree.roots)
        while True:
            genotype = self._at(below(rng, total))
            if self._allowed(genotype):
                return genotype

    def _neighbors(self, genotype: Genotype) -> Iterator[Genotype]:
        for i, choice in enumerate(self.choices):
            now = genotype[i]
            if now == INACTIVE:
                continue
            beside = (now - 1, now + 1) if choice.ordered else range(len(choice.options))
            for option in beside:
                if option != now and 0 <= option < len(choice.options):
                    for changed in self._with(genotype, i, option):
                        if self._allowed(changed):
                            yield changed

    def _with(self, genotype: Genotype, i: int, option: int) -> Iterator[Genotype]:
        """Yield the genotypes with one option changed, what newly comes up taking every option."""
        partial: list[tuple[int, ...]] = [(*genotype[:i], option)]
        for j in range(i + 1, len(self.choices)):
            grown: list[tuple[int, ...]] = []
            for known in partial:
                if not self._tree.active(j, known):
                    grown.append((*known, INACTIVE))
                elif genotype[j] != INACTIVE:
                    grown.append((*known, genotype[j]))
                else:
                    grown += [(*known, new) for new in range(len(self.choices[j].options))]
            partial = grown
        yield from partial

    def _values(self, genotype: Genotype) -> dict[str, Any]:
        return {
            choice.name: choice.every[position]
            for choice, position in zip(self.choices, genotype, strict=True)
            if position != INACTIVE
        }

    def _answer(self, g: GraphBuilder, pick: Pick) -> None:
        """Build with the options that `pick` takes."""
        self._build(g, _Lookup(self, pick))

    def _count(self, i: int) -> int:
        """Return in how many ways a choice and all that hangs on it can be taken."""
        return sum(self._tree.ways[i])

    def _at(self, rank: int) -> Genotype:
        """Return the genotype that `enumerate` yields after `rank` others, `_allowed` left out."""
        genotype = [INACTIVE] * len(self.choices)
        waiting = [(rank, self._tree.roots)]
        while waiting:
            rest, siblings = waiting.pop()
            for i in reversed(siblings):
                rest, within = divmod(rest, self._count(i))
                option = 0
                while within >= self._tree.ways[i][option]:
                    within -= self._tree.ways[i][option]
                    option += 1
                genotype[i] = option
                waiting.append((within, self._tree.below(i, option)))
        return tuple(genotype)

    @cached_property
    def _tree(self) -> _Tree:
        return _Tree(self.choices)


class _Tree:
    """Which choice depends on which, and in how many ways each can be taken."""

    def __init__(self, choices: tuple[Choice, ...]) -> None:
        number = {choice.name: i for i, choice in enumerate(choices)}
        self.roots = tuple(i for i, choice in enumerate(choices) if choice.when is None)
        self.number = number
        self._positions = [
            {(type(value), value): p for p, value in enumerate(choice.every)} for choice in choices
        ]
        self._parent: dict[int, tuple[int, frozenset[int]]] = {}
        self._below: dict[tuple[int, int], tuple[int, ...]] = {}
        for i, choice in enumerate(choices):
            if choice.when is not None:
                parent = number[choice.when[0]]
                options = [self._positions[parent][type(value), value] for value in choice.when[1]]
                self._parent[i] = parent, frozenset(options)
                for option in options:
                    self._below[parent, option] = (*self.below(parent, option), i)
        self.ways: list[list[int]] = [[] for _ in choices]
        for i in reversed(range(len(choices))):
            self.ways[i] = [
                math.prod(sum(self.ways[child]) for child in self.below(i, option))
                for option in range(len(choices[i].options))
            ]

    def position(self, i: int, value: Any) -> int | None:
        """Return the position of an option of choice `i`; None where there is no such option."""
        try:
            return self._positions[i].get((type(value), value))
        except TypeError:  # a list, a dict
            return None

    def below(self, i: int, option: int) -> tuple[int, ...]:
        """Return the choices that come up with an option of choice `i`."""
        return self._below.get((i, option), ())

    def parent(self, i: int) -> int | None:
        """Return the choice that `i` depends on."""
        return self._parent[i][0] if i in self._parent else None

    def active(self, i: int, taken: list[int] | Genotype) -> bool:
        """Return whether choice `i` comes up, given the options of all before it."""
        if i not in self._parent:
            return True
        parent, options = self._parent[i]
        return taken[parent] in options


class _Lookup(Mapping[str, Any]):
    """Options that are decided when they are looked up for the first time."""

    def __init__(self, space: ChoiceSpace, pick: Pick) -> None:
        self.space = space
        self.positions: dict[int, int] = {}
        self.pick = pick

    def __getitem__(self, name: str) -> Any:
        i = self.space._tree.number[name]
        if i not in self.positions:
            parent = self.space._tree.parent(i)
            if parent is not None:
                self[self.space.choices[parent].name]
            self.positions[i] = self.pick(len(self.space.choices[i].found))
        return self.space.choices[i].found[self.positions[i]]

    def __iter__(self) -> Iterator[str]:
        return (choice.name for choice in self.space.choices)

    def __len__(self) -> int:
        return len(self.space.choices)
