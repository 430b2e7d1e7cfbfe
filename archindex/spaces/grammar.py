"""GrammarSpace: a search space declared as a probabilistic context-free grammar.

An architecture is a derivation: a tree in which every node is a production of its nonterminal. Schrodi et
al., "Construction of Hierarchical Neural Architecture Search Spaces based on Context-free Grammars", NeurIPS
2023, showed the form; Ericsson et al., "einspace", NeurIPS 2024, is the space it was made for here.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.build import GraphBuilder, Terms
from archindex.core.canonical import reduce_batch
from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.spaces.base import SearchSpace
from archindex.spaces.chart import find_derivation
from archindex.spaces.derivation import Node, Rules, Tree, n_productions
from archindex.spaces.natives import check_length

_TOKEN: Final = re.compile(r"\s*([A-Za-z0-9_.]+|[(),])")


class _Planted:
    """A node of a known derivation."""

    def __init__(self, space: GrammarSpace, g: GraphBuilder, symbol: str, tree: Tree) -> None:
        self._space, self._g, self._tree = space, g, tree
        self._production = space.rules[symbol][tree.production]

    @property
    def name(self) -> str:
        return self._production.name

    @cached_property
    def children(self) -> tuple[_Planted, ...]:
        below = zip(self._production.children, self._tree.children, strict=True)
        return tuple(_Planted(self._space, self._g, symbol, tree) for symbol, tree in below)

    def __call__(self, x: Terms) -> Terms:
        return self._space._expand(self._g, self, x)


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
        Largest derivation of the space, at most a few hundred; the grammar itself may derive larger ones.
    """

    rules: ClassVar[Rules]
    start: ClassVar[str]
    max_productions: ClassVar[int]

    @abstractmethod
    def _expand(self, g: GraphBuilder, node: Node, x: Terms) -> Terms:
        """Add the ops of one production that reads `x`, and return their value.

        Children are called with the value that they read, once or several times; of a child that is no
        function of a value the ``name`` is asked for, and of every child one or the other. The graph is read
        back by running this on unknown values: values may be passed on and summed, not looked at.
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
        g.output(_Planted(self, g, self.start, genotype)(g.input()))
        return g.graph()

    def _genotype(self, graph: ArchGraph) -> Tree:
        for functional in (False, True):
            target = reduce_batch(GraphBatch.from_graphs([graph])).graph(0) if functional else graph
            tree = find_derivation(
                self.rules,
                self.start,
                self._expand,
                target,
                functional=functional,
                limit=self.max_productions,
            )
            if tree is not None and self._allowed(tree):
                return tree
        raise ArchitectureError(
            f"expected the graph of a {self.name} architecture", got=f"{graph.n_nodes} nodes {graph.ops[:20]}"
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

        A swap takes a production with the same children. What is wrapped becomes one of the new children, if
        that may be expanded in the same way; the others are the first terminal of their nonterminal.
        Unwrapping is the reverse.
        """
        changed = dict.fromkeys(self._changed(self.start, genotype))
        changed.pop(genotype, None)
        for tree in changed:
            if n_productions(tree) <= self.max_productions and self._allowed(tree):
                yield tree

    def _changed(self, symbol: str, tree: Tree) -> Iterator[Tree]:
        production = self.rules[symbol][tree.production]
        for number, other in enumerate(self.rules[symbol]):
            if number != tree.production and other.children == production.children:
                yield Tree(number, tree.children)
            for position, child in enumerate(other.children):
                inner = self._moved(tree, symbol, child)
                if inner is not None:
                    filled = [Tree(self._first_terminal[s]) for s in other.children]
                    filled[position] = inner
                    yield Tree(number, tuple(filled))
        for position, (child, kept) in enumerate(zip(production.children, tree.children, strict=True)):
            others = [
                subtree == Tree(self._first_terminal[s])
                for at, (s, subtree) in enumerate(zip(production.children, tree.children, strict=True))
                if at != position
            ]
            outer = self._moved(kept, child, symbol) if all(others) else None
            if outer is not None:
                yield outer
            for changed in self._changed(child, kept):
                yield Tree(
                    tree.production, (*tree.children[:position], changed, *tree.children[position + 1 :])
                )

    def _moved(self, tree: Tree, symbol: str, to: str) -> Tree | None:
        """Return a derivation of one nonterminal as one of another; None if that has no such production."""
        if symbol == to:
            return tree
        production = self.rules[symbol][tree.production]
        number = self._numbers[to].get(production.name)
        if number is None or self.rules[to][number].children != production.children:
            return None
        return Tree(number, tree.children)

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
