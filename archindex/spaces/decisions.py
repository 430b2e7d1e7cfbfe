"""Decisions: architectures as sequences of choices, and which choice may follow which.

This is the side of the search spaces; decoders ask for it by the protocol
`archindex.encoders.grammar.Grammar`. ``space.decisions()`` gives it for every space that is declared by its
choices or its cells, and for NAS-Bench-101.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.errors import ArchitectureError
from archindex.core.ranks import canonical_ranks
from archindex.spaces.base import Enumerable
from archindex.spaces.nasbench101_cells import MAX_EDGES, MAX_VERTICES, OPS, Cell, PackedCells

if TYPE_CHECKING:
    from archindex.spaces.choices import ChoiceSpace, Genotype
    from archindex.spaces.nasbench101 import NASBench101

Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

LISTED: Final = 1 << 16
"""Spaces of up to so many strings are listed once, to find out which of their strings are one function."""


class ChoiceDecisions:
    """Decisions of a `ChoiceSpace`: one a choice, in their order; ids are positions of options, plus one.

    Options that are written or read but not counted (see `Choice`) are not decided. Strings of one
    ``space.main`` have one sequence, and, in spaces of up to `LISTED` strings, strings of one arch_id: that
    of the first.

    Parameters
    ----------
    space : ChoiceSpace
        The space. Where it has a rule (``_allowed``), a choice is allowed if a search through what may come
        after finds an architecture that keeps the rule.
    """

    def __init__(self, space: ChoiceSpace) -> None:
        self._space = space
        self._options = [len(choice.options) for choice in space.choices]
        self._completes = lru_cache(maxsize=1 << 20)(self._search)

    @property
    def name(self) -> str:
        """Name of the search space."""
        return self._space.name

    @property
    def vocabulary(self) -> int:
        """Number of ids."""
        return max(self._options) + 1

    @property
    def length(self) -> int:
        """Number of decisions."""
        return len(self._options)

    def allowed(self, prefix: Ids) -> Mask:
        """Return which ids may follow; bool, shape (n, vocabulary)."""
        n, step = prefix.shape
        allowed = np.zeros((n, self.vocabulary), dtype=bool)
        comes_up = self._comes_up(prefix)
        allowed[~comes_up, 0] = True
        allowed[comes_up, 1 : self._options[step] + 1] = True
        if self._space.has_rule:
            # Equal prefixes are looked at once.
            known, first, group = np.unique(prefix, axis=0, return_index=True, return_inverse=True)
            few = allowed[first]
            for row, before in enumerate((known - 1).tolist()):
                for option in np.flatnonzero(few[row]).tolist():
                    few[row, option] = self._completes((*before, option - 1))
            allowed = few[group.reshape(-1)]
        return allowed

    def natives(self, ids: Ids) -> list[str]:
        """Return the native strings of whole sequences; int64, shape (n, length)."""
        return [self._space._format(tuple(genotype)) for genotype in (ids - 1).tolist()]

    def graphs(self, ids: Ids) -> GraphBatch:
        """Return the graphs of whole sequences; int64, shape (n, length)."""
        return self._space.graphs(self.natives(ids))

    def ids(self, natives: Sequence[str]) -> Ids:
        """Return the decisions behind native strings; int64, shape (n, length).

        Raises
        ------
        ArchitectureError
            If a string names no architecture, or one with an option that is not counted.
        """
        genotypes = [self._space.main(self._space._parse(text)) for text in natives]
        found = np.array([self._first.get(g, g) for g in genotypes], dtype=np.int64).reshape(-1, self.length)
        bad = (found >= np.array(self._options)).any(axis=1)
        if bad.any():
            raise ArchitectureError(
                f"expected architectures that {self.name} counts",
                got=natives[int(bad.argmax())],
                fix="leave out those with options that the space reads but does not draw",
            )
        return found + 1

    def _comes_up(self, prefix: Ids) -> Mask:
        """Return of which rows the next choice comes up; bool, shape (n,)."""
        tree, step = self._space._tree, prefix.shape[1]
        parent = tree.parent(step)
        if parent is None:
            return np.ones(len(prefix), dtype=bool)
        options = [o for o in range(self._options[parent]) if step in tree.below(parent, o)]
        return np.isin(prefix[:, parent] - 1, options)

    def _search(self, known: Genotype) -> bool:
        """Return whether an architecture that keeps the rule begins with these positions."""
        step = len(known)
        if step == self.length:
            return self._space._allowed(known)
        ahead = range(self._options[step]) if self._space._tree.active(step, known) else (-1,)
        return any(self._completes((*known, option)) for option in ahead)

    @cached_property
    def _first(self) -> dict[Genotype, Genotype]:
        """The first genotype with the arch_id of each, where the space is small enough to be listed."""
        size = self._space.size
        if size > LISTED or not isinstance(self._space, Enumerable):
            return {}
        natives = [architecture.native for architecture in self._space.enumerate()]
        _, first, group = np.unique(self._space.arch_ids(natives), return_index=True, return_inverse=True)
        genotypes = [self._space._parse(text) for text in natives]
        return {g: genotypes[i] for g, i in zip(genotypes, first[group].tolist(), strict=True)}


class NASBench101Decisions:
    """Decisions of NAS-Bench-101: vertex by vertex its kind, then what feeds it as a bit mask.

    Kinds are 1 to 3 for the ops and 4 for the output, after which there is nothing to decide. The
    vertices of a cell are decided in their canonical order (`archindex.core.ranks`).

    What may follow is exact. To finish a cell takes at least as many edges as there are vertices that feed
    none yet, and the output alone reaches that number; so a choice is allowed as long as the edges spent and
    those vertices do not exceed nine together.

    Parameters
    ----------
    space : NASBench101
        The space.
    """

    vocabulary: Final = 1 << (MAX_VERTICES - 1)
    length: Final = 2 * (MAX_VERTICES - 1)

    def __init__(self, space: NASBench101) -> None:
        self._space = space

    @property
    def name(self) -> str:
        """``"nasbench101"``."""
        return self._space.name

    def allowed(self, prefix: Ids) -> Mask:
        """Return which ids may follow; bool, shape (n, vocabulary)."""
        n, step = prefix.shape
        vertex = step // 2 + 1
        kinds, sources = prefix[:, ::2], prefix[:, 1::2]
        spent = np.bitwise_count(sources).sum(axis=1, dtype=np.int64)
        feeding = np.bitwise_or.reduce(sources, axis=1, initial=0)
        idle = ((1 << vertex) - 1) & ~feeding  # vertices that feed none yet
        n_idle = np.bitwise_count(idle).astype(np.int64)
        allowed = np.zeros((n, self.vocabulary), dtype=bool)
        done = (kinds[:, : vertex - 1] == _OUTPUT).any(axis=1)
        if step % 2 == 0:
            # One source that feeds none yet leaves as many such vertices as before: itself for it.
            grows = (spent + n_idle + 1 <= MAX_EDGES) & (vertex < MAX_VERTICES - 1)
            allowed[:, 1:_OUTPUT] = grows[:, None]
            allowed[:, _OUTPUT] = True
        else:
            masks = np.arange(1, 1 << vertex)
            total = spent[:, None] + np.bitwise_count(masks).astype(np.int64)
            left = np.bitwise_count(idle[:, None] & ~masks).astype(np.int64)
            ends = kinds[:, -1:] == _OUTPUT
            allowed[:, masks] = np.where(ends, left == 0, True) & (total + left + ~ends <= MAX_EDGES)
        allowed[done] = False
        allowed[done, 0] = True
        return allowed

    def natives(self, ids: Ids) -> list[str]:
        """Return the native strings of whole sequences; int64, shape (n, length)."""
        cells = []
        for row in ids.tolist():
            n = row[::2].index(_OUTPUT) + 1
            cells.append(Cell(tuple(row[1 : 2 * n : 2]), tuple(kind - 1 for kind in row[: 2 * n - 2 : 2])))
        return PackedCells.from_cells(cells).natives()

    def graphs(self, ids: Ids) -> GraphBatch:
        """Return the graphs of whole sequences; int64, shape (n, length)."""
        return self._space.graphs(self.natives(ids))

    def ids(self, natives: Sequence[str]) -> Ids:
        """Return the decisions behind native strings; int64, shape (n, length).

        Raises
        ------
        ArchitectureError
            If a string names no architecture.
        """
        cells = PackedCells.from_cells(self._space._parse(text) for text in natives)
        batch = cells.graphs()
        rank, n_nodes = canonical_ranks(batch), np.diff(batch.node_ptr)
        source, target, _ = batch.edges
        sources = np.zeros(batch.n_nodes, dtype=np.int64)
        np.bitwise_or.at(sources, target, 1 << rank[source])
        interior = np.pad(cells.ops + 1, ((0, 0), (1, 1)))  # the input, and what is behind the ops
        interior[np.arange(len(cells)), n_nodes - 1] = _OUTPUT
        kind = interior[np.arange(MAX_VERTICES) < n_nodes[:, None]]
        # A place for the input as well, which is then left out.
        found = np.zeros((len(cells), MAX_VERTICES, 2), dtype=np.int64)
        found[batch.node_graph, rank] = np.stack([kind, sources], axis=1)
        return found[:, 1:].reshape(-1, self.length)


_OUTPUT: Final = len(OPS) + 1
