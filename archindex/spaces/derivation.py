"""Productions and derivations of a grammar; see `archindex.spaces.grammar`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from archindex.core.build import GraphBuilder, Terms


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


Rules = Mapping[str, tuple[Production, ...]]
"""The productions of every nonterminal."""


class Tree(NamedTuple):
    """A derivation: the number of the production taken, and the derivations of its children."""

    production: int
    children: tuple[Tree, ...] = ()


class Node(Protocol):
    """A node of a derivation while its graph is built.

    Calling it with a value applies what it derives to that value. It may be called several times: what it
    derives is then applied several times, every time with ops (and weights) of its own.
    """

    @property
    def name(self) -> str:
        """Name of the production taken."""

    @property
    def children(self) -> tuple[Node, ...]:
        """Nodes of the nonterminals that the production expands."""

    def __call__(self, x: Terms) -> Terms:
        """Add the ops that this node derives, reading `x`, and return their value."""


class Expand(Protocol):
    """Adds the ops of one production; what a space gives as ``_expand``."""

    def __call__(self, g: GraphBuilder, node: Node, x: Terms, /) -> Terms:
        """Return the value of `node` applied to `x`."""


def n_productions(tree: Tree) -> int:
    """Return the number of productions of a derivation."""
    return 1 + sum(map(n_productions, tree.children))
