"""Grammar: what a decoder has to know of a search space, and how a sequence of decisions is walked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.errors import ArgumentError

Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

NOTHING = 0
"""The id that says that there is nothing to decide."""


@runtime_checkable
class Grammar(Protocol):
    """An architecture as a sequence of decisions, and what may follow what.

    All sequences have one length; where a decision does not come up, the only choice is `NOTHING`. A choice
    is allowed if, and only if, some valid architecture begins with it and all choices before it. So what is
    made of allowed choices is valid, with nothing to repair or to reject, and a sequence is valid exactly if
    each of its choices is allowed.
    """

    @property
    def name(self) -> str:
        """Name of the search space."""

    @property
    def vocabulary(self) -> int:
        """Number of ids; those of one decision are a part of them."""

    @property
    def length(self) -> int:
        """Number of decisions."""

    def allowed(self, prefix: Ids) -> Mask:
        """Return which ids may follow; bool, shape (n, vocabulary).

        Parameters
        ----------
        prefix : ndarray of int64, shape (n, decided)
            The choices so far, of n architectures that were decided equally far.
        """

    def natives(self, ids: Ids) -> list[str]:
        """Return the native strings of n whole sequences; int64, shape (n, length)."""

    def graphs(self, ids: Ids) -> GraphBatch:
        """Return the graphs of n whole sequences; int64, shape (n, length)."""

    def ids(self, natives: Sequence[str]) -> Ids:
        """Return the decisions behind native strings; int64, shape (n, length).

        Strings of one architecture that the space knows to be aliases have one sequence.

        Raises
        ------
        ArchitectureError
            If a string names no architecture that the decisions can make.
        """


Choose = Callable[[Ids, Mask], Ids]
"""Takes the choices so far, shape (n, decided), and what may follow; returns the next n choices."""


def walk(grammar: Grammar, n: int, choose: Choose) -> Ids:
    """Return n whole sequences, each choice made by `choose` among those that are allowed.

    Parameters
    ----------
    grammar : Grammar
        What may follow what.
    n : int
        Number of sequences.
    choose : callable
        See `Choose`.

    Returns
    -------
    ndarray of int64, shape (n, grammar.length)

    Raises
    ------
    ArgumentError
        If `choose` returns what is not allowed.
    """
    ids = np.empty((n, 0), dtype=np.int64)
    for _ in range(grammar.length):
        allowed = grammar.allowed(ids)
        chosen = choose(ids, allowed)
        wrong = ~allowed[np.arange(n), chosen]
        if wrong.any():
            raise ArgumentError("expected allowed choices", got=chosen[wrong][:5].tolist())
        ids = np.hstack([ids, chosen[:, None]])
    return ids


def draw(grammar: Grammar, n: int, rng: np.random.Generator) -> Ids:
    """Return n sequences, every choice drawn uniformly among those allowed (which is not uniform over them).

    Returns
    -------
    ndarray of int64, shape (n, grammar.length)
    """
    return walk(
        grammar, n, lambda _, allowed: np.where(allowed, rng.random(allowed.shape), -1.0).argmax(axis=1)
    )


def valid(grammar: Grammar, ids: Ids) -> Mask:
    """Return which whole sequences are valid architectures; bool, shape (n,)."""
    good = np.ones(len(ids), dtype=bool)
    for step in range(grammar.length):
        rows = np.flatnonzero(good)
        good[rows] = grammar.allowed(ids[rows, :step])[np.arange(len(rows)), ids[rows, step]]
    return good
