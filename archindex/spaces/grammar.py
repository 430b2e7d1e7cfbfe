"""GrammarSpace: a search space declared as a probabilistic context-free grammar.

An architecture is a derivation: a tree in which every node is a production of its nonterminal. Schrodi et
al., "Construction of Hierarchical Neural Architecture Search Spaces based on Context-free Grammars", NeurIPS
2023, showed the form; Ericsson et al., "einspace", NeurIPS 2024, is the space it was made for here.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from archindex.core.build import GraphBuilder, Terms
from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.spaces.base import SearchSpace
from archindex.spaces.match import Pick, find_decisions
from archindex.spaces.natives import check_length

_TOKEN: Final = re.compile(r"\s*([A-Za-z0-9_.]+|[(),])")


@dataclass(frozen=True)
class Production:
    """One way to expand a nonterminal.

    Attributes
    ----------
    name : str
        What the native string calls it, unique in its nonterminal: letters, digits, ``_`` and ``.``.
    children : tuple of str
        The nonterminals to expand next; none for a terminal.
    weight : float
        How often it is drawn, against the other productions of its nonterminal.
    """

    name: str
    children: tuple[str, ...] = ()
    weight: float = 1.0


class Tree(NamedTuple):
    """A derivation: the number of the production taken, and the derivations of its children."""

    production: int
    children: tuple[Tree, ...] = ()


class Node:
    """A node of a derivation while its graph is built.

    Calling it with a value applies what it derives to that value.
    """

    def __init__(self, space: GrammarSpace, g: GraphBuilder, symbol: str, pick: Pick) -> None:
        self._space, self._g, self._symbol, self._pick = space, g, symbol, pick

    @cached_property
    def number(self) -> int:
        """Number of the production taken; decided when first asked for."""
        return self._pick(len(self._space.rules[self._symbol]))

    @property
    def name(self) -> str:
        """Name of the production taken."""
        return self._space.rules[self._symbol][self.number].name

    @cached_property
    def children(self) -> tuple[Node, ...]:
        """Nodes of the nonterminals to expand."""
        symbols = self._space.rules[self._symbol][self.number].children
        return tuple(Node(self._space, self._g, symbol, self._pick) for symbol in symbols)

    def __call__(self, x: Terms) -> Terms:
        """Add the ops that this node derives, reading `x`, and return their value."""
        return self._space._expand(self._g, self, x)

    def tree(self) -> Tree:
        """Return the derivation below this node."""
        return Tree(self.number, tuple(child.tree() for child in self.children))


class GrammarSpace(SearchSpace[Tree]):
    """A space of derivations.

    A subclass gives ``name``, `rules`, `start`, `max_productions` and `_expand`. Native string: a derivation
    as nested terms, ``sequential(conv3x3,branch(identity,relu))``.

    Attributes
    ----------
    rules : mapping from str to tuple of Production
        The productions of every nonterminal. The first without children is what a mutation fills new
        children with.
    start : str
        The nonterminal of a whole architecture.
    max_productions : int
        Largest derivation of the space; the grammar itself may derive larger ones.
    """

    rules: ClassVar[Mapping[str, tuple[Production, ...]]]
    start: ClassVar[str]
    max_productions: ClassVar[int]

    @abstractmethod
    def _expand(self, g: GraphBuilder, node: Node, x: Terms) -> Terms:
        """Add the ops of one production that reads `x`; its children are called where they come in.

        Every child must be called, or its ``name`` asked for.
        """

    def _allowed(self, tree: Tree) -> bool:
        """Return whether a derivation is in the space; a space with a rule overrides `size`."""
        return True

    @property
    def size(self) -> int | None:
        """Number of derivations of up to `max_productions` productions."""
        return sum(self._counts[self.start])

    def _parse(self, text: str) -> Tree:
        tokens = self._tokens(text)
        position = 0
        # What is still to be expanded: (nonterminal, finished siblings) are kept on a stack of open nodes.
        open_nodes: list[tuple[int, tuple[str, ...], list[Tree]]] = []
        symbol = self.start
        while True:
            name = tokens[position] if position < len(tokens) else ""
            position += 1
            number = self._numbers[symbol].get(name)
            if number is None:
                known = ", ".join(list(self._numbers[symbol])[:20])
                raise ArchitectureError(f"expected one of {known}", got=name or "the end of the string")
            children = self.rules[symbol][number].children
            if children:
                position = self._expect(tokens, position, "(")
                open_nodes.append((number, children, []))
                symbol = children[0]
                continue
            tree = Tree(number)
            while open_nodes:
                number, children, done = open_nodes[-1]
                done.append(tree)
                if len(done) < len(children):
                    position = self._expect(tokens, position, ",")
                    symbol = children[len(done)]
                    break
                position = self._expect(tokens, position, ")")
                tree = Tree(number, tuple(done))
                open_nodes.pop()
            else:
                break
        if position != len(tokens):
            raise ArchitectureError("expected the end of the string", got=tokens[position])
        if not self._allowed(tree):
            raise ArchitectureError(f"expected a derivation that {self.name} allows", got=text)
        return tree

    def _tokens(self, text: str) -> list[str]:
        tokens, at = [], 0
        check_length(text)
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise ArchitectureError("expected names, commas and parentheses", got=text[at : at + 20])
            tokens.append(found[1])
            at = found.end()
        productions = sum(token not in "()," for token in tokens)
        if productions > self.max_productions:
            raise ArchitectureError(f"expected at most {self.max_productions} productions", got=productions)
        return tokens

    @staticmethod
    def _expect(tokens: list[str], position: int, token: str) -> int:
        got = tokens[position] if position < len(tokens) else "the end of the string"
        if got != token:
            raise ArchitectureError(f"expected {token!r}", got=got)
        return position + 1

    def _format(self, genotype: Tree) -> str:
        return self._text(self.start, genotype)

    def _text(self, symbol: str, tree: Tree) -> str:
        production = self.rules[symbol][tree.production]
        if not production.children:
            return production.name
        inside = map(self._text, production.children, tree.children)
        return f"{production.name}({','.join(inside)})"

    def _graph(self, genotype: Tree) -> ArchGraph:
        g = GraphBuilder()
        root = Node(self, g, self.start, _never)
        _plant(root, genotype)
        g.output(root(g.input()))
        return g.graph()

    def _genotype(self, graph: ArchGraph) -> Tree:
        def build(g: GraphBuilder, pick: Pick) -> None:
            taken = 0

            def counted(n: int, /) -> int:
                nonlocal taken
                taken += 1
                # Beyond the largest derivation nothing can match: no option is offered.
                return pick(n if taken <= self.max_productions else 0)

            g.output(Node(self, g, self.start, counted)(g.input()))

        found = find_decisions(build, graph)
        if found is not None:
            answers = iter(found)
            g = GraphBuilder()
            root = Node(self, g, self.start, lambda _: next(answers))
            root(g.input())
            tree = root.tree()
            if self._allowed(tree):
                return tree
        raise ArchitectureError(
            f"expected the graph of a {self.name} architecture", got=f"{graph.n_nodes} nodes {graph.ops}"
        )

    def _draw(self, rng: np.random.Generator) -> Tree:
        """Return a derivation drawn with the grammar's probabilities, among those that are in the space."""
        while True:
            tree, left = self._derive(self.start, rng, self.max_productions)
            if left >= 0 and self._allowed(tree):
                return tree

    def _derive(self, symbol: str, rng: np.random.Generator, left: int) -> tuple[Tree, int]:
        """Return a drawn derivation and what is left of the productions; below 0 it is cut short."""
        number = int(rng.choice(len(self.rules[symbol]), p=self._weights[symbol]))
        left -= 1
        children: list[Tree] = []
        for child in self.rules[symbol][number].children:
            if left < 0:
                break
            tree, left = self._derive(child, rng, left)
            children.append(tree)
        return Tree(number, tuple(children)), left

    def _neighbors(self, genotype: Tree) -> Iterator[Tree]:
        """Yield the derivations with one production swapped, one wrapped around a subtree, or one unwrapped.

        A swap takes a production with the same children. What is wrapped becomes one of the new children;
        the others are the first terminal of their nonterminal. Unwrapping is the reverse.
        """
        changed = dict.fromkeys(self._changed(self.start, genotype))
        changed.pop(genotype, None)
        for tree in changed:
            if _n_productions(tree) <= self.max_productions and self._allowed(tree):
                yield tree

    def _changed(self, symbol: str, tree: Tree) -> Iterator[Tree]:
        production = self.rules[symbol][tree.production]
        for number, other in enumerate(self.rules[symbol]):
            if number != tree.production and other.children == production.children:
                yield Tree(number, tree.children)
            for position, child in enumerate(other.children):
                if child == symbol:
                    filled = [Tree(self._first_terminal[s]) for s in other.children]
                    filled[position] = tree
                    yield Tree(number, tuple(filled))
        for position, (child, kept) in enumerate(zip(production.children, tree.children, strict=True)):
            others = [
                subtree == Tree(self._first_terminal[s])
                for at, (s, subtree) in enumerate(zip(production.children, tree.children, strict=True))
                if at != position
            ]
            if child == symbol and all(others):
                yield kept
            for changed in self._changed(child, kept):
                yield Tree(
                    tree.production, (*tree.children[:position], changed, *tree.children[position + 1 :])
                )

    @cached_property
    def _numbers(self) -> dict[str, dict[str, int]]:
        return {s: {one.name: i for i, one in enumerate(listed)} for s, listed in self.rules.items()}

    @cached_property
    def _first_terminal(self) -> dict[str, int]:
        return {
            symbol: next((i for i, one in enumerate(listed) if not one.children), 0)
            for symbol, listed in self.rules.items()
        }

    @cached_property
    def _weights(self) -> dict[str, npt.NDArray[np.float64]]:
        weights = {symbol: np.array([one.weight for one in listed]) for symbol, listed in self.rules.items()}
        return {symbol: listed / listed.sum() for symbol, listed in weights.items()}

    @cached_property
    def _counts(self) -> dict[str, list[int]]:
        """Of every nonterminal, how many derivations have exactly 0, 1, ... `max_productions` productions."""
        counts = {symbol: [0] for symbol in self.rules}
        # Of every beginning of a list of children, in how many ways it has exactly 0, 1, ... productions.
        ways: dict[tuple[str, ...], list[int]] = {
            one.children[:k]: []
            for listed in self.rules.values()
            for one in listed
            for k in range(len(one.children) + 1)
        }
        for n in range(self.max_productions):
            for children in sorted(ways, key=len):
                if children:
                    before, last = ways[children[:-1]], counts[children[-1]]
                    ways[children].append(sum(before[i] * last[n - i] for i in range(n + 1)))
                else:
                    ways[children].append(int(n == 0))
            new = {s: sum(ways[one.children][n] for one in listed) for s, listed in self.rules.items()}
            for symbol, number in new.items():
                counts[symbol].append(number)
        return counts


def _never(n: int, /) -> int:
    raise AssertionError("every production of a planted derivation is known")


def _plant(node: Node, tree: Tree) -> None:
    """Fix the productions of a node and of all below it."""
    node.number = tree.production
    for child, subtree in zip(node.children, tree.children, strict=True):
        _plant(child, subtree)


def _n_productions(tree: Tree) -> int:
    return 1 + sum(map(_n_productions, tree.children))
