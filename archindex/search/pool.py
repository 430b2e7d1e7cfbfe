"""Pool: the architectures that a search may ask for.

At first these are the rows of an index under the constraint. Where the index does not hold the whole space,
the pool grows: graph neighbours that the index has not seen are embedded, their computed costs are filled in,
and those that satisfy the constraint are admitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.canonical import graph_sizes
from archindex.core.metrics import MeasurementSpec, Series
from archindex.queries import compile_where
from archindex.queries.columns import Column, Schema
from archindex.spaces.base import Architecture, Costed
from archindex.spaces.registry import space
from archindex.store.columns import derive_columns
from archindex.store.snapshot import Snapshot

_COST_METRICS: Final = {"params": "params", "flops": "flops"}


class Pool:
    """Candidates of a search: architectures, embeddings and computed costs by position.

    Parameters
    ----------
    snapshot : Snapshot
        The index.
    where : str, optional
        Constraint that every candidate satisfies.

    Attributes
    ----------
    vectors : ndarray of float32, shape (n, dim)
        Embeddings.
    costs : ndarray of float64, shape (n, c)
        Logarithms of the computed columns (params, FLOPs), which are free to know; c may be 0.
    classes : ndarray of int64, shape (n,)
        Equal for aliases: architectures with the same arch_id.
    start_size : int
        Candidates that are rows of the index; the first ones.
    """

    def __init__(self, snapshot: Snapshot, where: str | None = None) -> None:
        self._snapshot = snapshot
        self._schema: Schema = snapshot.schema
        self._predicate = None if where is None else compile_where(where, self._schema)
        rows = snapshot.all_rows()
        allowed = snapshot.matching(where)
        keep = np.arange(len(snapshot)) if allowed is None else snapshot.positions(allowed)
        self._cost_specs = _computed(snapshot.specs())
        columns = [snapshot.columns[spec.column] for spec in self._cost_specs]
        values = np.stack([c.values for c in columns], axis=1) if columns else np.empty((len(snapshot), 0))
        natives, spaces = rows["native"].tolist(), rows["space"].tolist()
        self._judged = set(zip(spaces, natives, strict=True))
        self._architectures = [Architecture(space(spaces[i]), natives[i]) for i in keep]
        self._position = {a: i for i, a in enumerate(self._architectures)}
        self._class_of: dict[str, int] = {}
        self.vectors: npt.NDArray[np.float32] = np.asarray(snapshot.vectors[keep])
        self.costs: npt.NDArray[np.float64] = _log(values[keep])
        self.classes: npt.NDArray[np.int64] = self._number(rows["arch_id"][keep].tolist())
        self.start_size = len(keep)
        self._neighbors: dict[int, npt.NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return len(self._architectures)

    def architecture(self, position: int) -> Architecture:
        """Return the architecture at a position."""
        return self._architectures[position]

    def position(self, architecture: Architecture) -> int | None:
        """Return the position of an architecture, or None if it is no candidate (yet)."""
        return self._position.get(architecture)

    def neighbors(self, position: int) -> npt.NDArray[np.int64]:
        """Return the positions of all candidates one change away; new ones are admitted."""
        if position not in self._neighbors:
            architecture = self._architectures[position]
            around = architecture.space.neighbors(architecture)
            self.admit(around)
            found = [self._position[a] for a in around if a in self._position]
            self._neighbors[position] = np.array(found, dtype=np.int64)
        return self._neighbors[position]

    def admit(self, architectures: Sequence[Architecture]) -> None:
        """Make candidates of those architectures that are none yet and satisfy the constraint."""
        new = [a for a in dict.fromkeys(architectures) if (a.space.name, a.native) not in self._judged]
        for name in dict.fromkeys(a.space.name for a in new):
            self._admit(name, [a.native for a in new if a.space.name == name])

    def _admit(self, space_name: str, natives: list[str]) -> None:
        home = space(space_name)
        graphs = home.graphs(natives)
        sizes = graph_sizes(graphs)
        costs = np.full((len(natives), len(self._cost_specs)), np.nan)
        if isinstance(home, Costed):
            for j, spec in enumerate(self._cost_specs):
                if spec.context in home.datasets:
                    computed = home.costs(natives, spec.context)
                    costs[:, j] = getattr(computed, _COST_METRICS[spec.metric]) / 1e6
        keep = np.ones(len(natives), dtype=bool)
        if self._predicate is not None:
            series = [Series(spec, costs[:, j]) for j, spec in enumerate(self._cost_specs)]
            known = derive_columns([space_name] * len(natives), sizes, series)
            keep = self._predicate.mask(
                {n: known.get(n, _missing(k, len(natives))) for n, k in self._schema.items()}
            )
        self._judged.update((space_name, native) for native in natives)
        if not keep.any():
            return
        kept = np.flatnonzero(keep)
        for i in kept:
            architecture = Architecture(home, natives[i])
            self._position[architecture] = len(self._architectures)
            self._architectures.append(architecture)
        ids = home.arch_ids([natives[i] for i in kept]).tolist()
        vectors = self._snapshot.encoder.encode(home.graphs([natives[i] for i in kept]))
        self.vectors = np.concatenate([self.vectors, vectors])
        self.costs = np.concatenate([self.costs, _log(costs[kept])])
        self.classes = np.concatenate([self.classes, self._number(ids)])

    def _number(self, arch_ids: list[str]) -> npt.NDArray[np.int64]:
        known = self._class_of
        return np.array([known.setdefault(i, len(known)) for i in arch_ids], dtype=np.int64)


def _computed(specs: list[MeasurementSpec]) -> list[MeasurementSpec]:
    """Return the specs of the cost columns that the spaces compute themselves."""
    return [s for s in specs if s.provenance == "computed" and s.metric in _COST_METRICS and s.column]


def _log(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.log(np.maximum(values, 1e-9))


def _missing(kind: str, n: int) -> Column:
    if kind == "VARCHAR":
        return Column.varchar(np.full(n, -1, dtype=np.int32), ())
    if kind == "DOUBLE":
        return Column.double(np.full(n, np.nan))
    return Column(
        "BIGINT" if kind == "BIGINT" else "BOOLEAN",
        np.zeros(n, dtype=np.int64 if kind == "BIGINT" else np.bool_),
        np.zeros(n, dtype=bool),
    )
