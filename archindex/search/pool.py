"""Pool: the architectures that a search may ask for.

At first these are the rows of an index under the constraint. Where the index does not hold the whole space,
the pool grows: graph neighbours that the index has not seen are embedded, their computed costs are filled in,
and those that satisfy the constraint are admitted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.canonical import graph_sizes
from archindex.core.metrics import Series
from archindex.queries import compile_where
from archindex.queries.columns import Column, Kind, Schema
from archindex.queries.contains import contains
from archindex.queries.structures import Structures
from archindex.spaces.base import Architecture, Costed
from archindex.spaces.registry import space
from archindex.store.addresses import pack
from archindex.store.columns import derive_columns
from archindex.store.motifs import MotifColumns
from archindex.store.snapshot import Snapshot


class Pool:
    """Candidates of a search by position: architectures, embeddings and computed costs.

    Parameters
    ----------
    snapshot : Snapshot
        The index.
    where : str, optional
        Constraint that every candidate satisfies. Columns of an architecture that the index has not seen
        are NULL, but for those that are computed.

    Attributes
    ----------
    vectors : ndarray of float32, shape (n, dim)
        Embeddings.
    costs : ndarray of float64, shape (n, c)
        Logarithms of the computed columns (params, FLOPs), which are free to know; c may be 0.
    classes : ndarray of int64, shape (n,)
        Equal for aliases: architectures with the same arch_id. Numbered from 0 in order of appearance.
    """

    def __init__(self, snapshot: Snapshot, where: str | None = None) -> None:
        self._snapshot = snapshot
        self._where = where
        self._schema: Schema = snapshot.schema
        rows = snapshot.all_rows()
        allowed = snapshot.matching(where)
        keep = np.arange(len(snapshot)) if allowed is None else snapshot.positions(allowed)
        self._cost_specs = [s for s in snapshot.specs() if s.provenance == "computed" and s.metric in _COSTS]
        self._spaces: list[str] = rows["space"][keep].tolist()
        self._natives: list[str] = rows["native"][keep].tolist()
        self._row_position = np.full(len(snapshot), -1, dtype=np.int64)
        self._row_position[keep] = np.arange(len(keep))
        # Of every architecture that was judged, by space and native string; -1: it is no candidate.
        self._positions: dict[str, dict[str, int]] = {}
        judged = zip(
            rows["space"].tolist(), rows["native"].tolist(), self._row_position.tolist(), strict=True
        )
        for space_name, native, position in judged:
            self._positions.setdefault(space_name, {})[native] = position
        self._class_of: dict[str, int] = {}
        self._first: list[int] = []  # position of the first member of each class
        self._numbered = 0
        values = [np.asarray(snapshot.columns[spec.column].values)[keep] for spec in self._cost_specs]
        self.vectors: npt.NDArray[np.float32] = np.asarray(snapshot.vectors[keep])
        self.costs: npt.NDArray[np.float64] = _log(np.array(values).reshape(len(values), len(keep)).T)
        self.classes: npt.NDArray[np.int64] = self._number(rows["arch_id"][keep].tolist())
        self._neighbors: dict[int, npt.NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return len(self._natives)

    def architecture(self, position: int) -> Architecture:
        """Return the architecture at a position."""
        return Architecture(space(self._spaces[position]), self._natives[position])

    def position(self, architecture: Architecture) -> int | None:
        """Return the position of an architecture, or None if it is no candidate (yet)."""
        position = self._positions.get(architecture.space.name, {}).get(architecture.native, -1)
        return None if position < 0 else position

    def graphs(self, positions: npt.NDArray[np.int64]) -> GraphBatch:
        """Return the graphs at some positions, packed in that order."""
        return pack([self.architecture(int(i)) for i in positions])

    def nearest(self, vectors: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
        """Return the positions of the rows of the index nearest to any of some vectors."""
        found, _ = self._snapshot.search(vectors, k, self._where)
        ids = np.unique(found.ids)
        return self._row_position[self._snapshot.positions(ids[ids >= 0])]

    def neighbors(self, position: int) -> npt.NDArray[np.int64]:
        """Return the positions of all candidates one change away; new ones are admitted.

        Where a neighbour is no candidate but an alias of it is, the alias stands for it: tables such as
        NAS-Bench-101's hold one string of each class.
        """
        if position not in self._neighbors:
            architecture = self.architecture(position)
            around = architecture.space.neighbors(architecture)
            self.admit(around)
            found = {i for a in around if (i := self.position(a)) is not None}
            strangers = [a.native for a in around if self.position(a) is None]
            for identity in architecture.space.arch_ids(strangers).tolist() if strangers else ():
                if identity in self._class_of:
                    found.add(self._first[self._class_of[identity]])
            self._neighbors[position] = np.array(sorted(found - {position}), dtype=np.int64)
        return self._neighbors[position]

    def admit(self, architectures: Sequence[Architecture]) -> None:
        """Make candidates of those architectures that are none yet and satisfy the constraint."""
        for name in dict.fromkeys(a.space.name for a in architectures):
            judged = self._positions.setdefault(name, {})
            natives = dict.fromkeys(a.native for a in architectures if a.space.name == name)
            if new := [native for native in natives if native not in judged]:
                self._admit(name, new)

    def _admit(self, space_name: str, natives: list[str]) -> None:
        home = space(space_name)
        positions = self._positions[space_name]
        positions.update(dict.fromkeys(natives, -1))
        graphs = home.graphs(natives)
        costs = np.full((len(natives), len(self._cost_specs)), np.nan)
        if isinstance(home, Costed):
            for j, spec in enumerate(self._cost_specs):
                if spec.context in home.datasets:
                    costs[:, j] = getattr(home.costs(natives, spec.context), spec.metric) / 1e6
        keep = np.arange(len(natives))
        if self._where is not None:
            series = [Series(spec, costs[:, j]) for j, spec in enumerate(self._cost_specs)]
            known = derive_columns([space_name] * len(natives), graph_sizes(graphs), series)
            columns = {n: known.get(n) or _missing(kind, len(natives)) for n, kind in self._schema.items()}
            judged = MotifColumns(
                columns, lambda motif: contains(Structures.of(graphs), motif, self._snapshot.motifs.ops)
            )
            keep = np.flatnonzero(compile_where(self._where, self._schema).mask(judged))
        if len(keep) == 0:
            return
        kept = [natives[i] for i in keep]
        for native in kept:
            positions[native] = len(self._natives)
            self._spaces.append(space_name)
            self._natives.append(native)
        vectors = self._snapshot.encoder.encode(home.graphs(kept))
        self.vectors = np.concatenate([self.vectors, vectors])
        self.costs = np.concatenate([self.costs, _log(costs[keep])])
        self.classes = np.concatenate([self.classes, self._number(home.arch_ids(kept).tolist())])

    def _number(self, arch_ids: list[str]) -> npt.NDArray[np.int64]:
        """Return the class of each of the candidates that follow those numbered so far."""
        known = self._class_of
        numbers = []
        for position, identity in enumerate(arch_ids, start=self._numbered):
            numbers.append(known.setdefault(identity, len(known)))
            if numbers[-1] == len(self._first):
                self._first.append(position)
        self._numbered += len(numbers)
        return np.array(numbers, dtype=np.int64)


_COSTS = ("params", "flops")  # metrics that a space computes: attributes of `Costs`, in ones


def _log(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.log(np.maximum(values, 1e-9))


def _missing(kind: Kind, n: int) -> Column:
    return Column.of(kind, [None] * n)
