"""What a query answers: `Hits`, and `Record`, all that the index holds of one architecture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, overload

import numpy as np
import numpy.typing as npt

from archindex.core.deadline import check_time
from archindex.core.errors import ArgumentError, UnknownNameError
from archindex.core.metrics import Measurement
from archindex.queries import Found, Plan
from archindex.queries.columns import Schema, Value
from archindex.spaces.base import Architecture
from archindex.store.addresses import architecture_of
from archindex.store.snapshot import Snapshot

MOST_RESULTS: Final = 4_000_000
"""Rows that one call gives back at most, over all its queries; each takes some 200 bytes and more."""


@dataclass(frozen=True)
class Hit:
    """One architecture that a query found.

    Attributes
    ----------
    row_id : int
        Its stable id in the index.
    distance : float
        Distance to the query, in the index's metric.
    architecture : Architecture
        The architecture.
    arch_id : str
        Content hash of its functional DAG.
    attributes : mapping of str to value
        Attribute columns; None where missing.
    """

    row_id: int
    distance: float
    architecture: Architecture
    arch_id: str
    attributes: Mapping[str, Value]


@dataclass(frozen=True, eq=False)
class Hits:
    """The architectures that a query found, nearest first; equal distances in order of row id.

    Attributes
    ----------
    ids : ndarray of int64, shape (n,)
        Row ids.
    distances : ndarray of float32, shape (n,)
        Distances to the query, in the index's metric.
    architectures : tuple of Architecture
        What was found.
    arch_ids : tuple of str
        Their content hashes.
    attributes : mapping of str to list
        Attribute columns; None where missing.
    plan : Plan
        How the search ran; ``plan.explain()`` tells it to people.
    """

    ids: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float32]
    architectures: tuple[Architecture, ...]
    arch_ids: tuple[str, ...]
    attributes: Mapping[str, list[Value]]
    plan: Plan

    @classmethod
    def of(cls, snapshot: Snapshot, found: Found, names: Sequence[str], plan: Plan) -> list[Hits]:
        """Look up what was found for each query of a search, with the attribute columns `names`."""
        all_ids = np.unique(found.ids[found.ids >= 0])
        known = {row.row_id: row for row in snapshot.describe(all_ids)}
        hits = []
        for ids, distances, count in zip(found.ids, found.distances, found.counts, strict=True):
            check_time()
            rows = [known[int(i)] for i in ids[:count]]
            place = snapshot.positions(ids[:count])
            hits.append(
                cls(
                    ids=ids[:count],
                    distances=distances[:count],
                    architectures=tuple(architecture_of(row) for row in rows),
                    arch_ids=tuple(row.arch_id for row in rows),
                    attributes={name: snapshot.columns[name].take(place).to_list() for name in names},
                    plan=plan,
                )
            )
        return hits

    def taken(self, snapshot: Snapshot, chosen: npt.NDArray[np.int64], names: Sequence[str]) -> Hits:
        """Return some of the hits, in a new order, with other attribute columns."""
        place = snapshot.positions(self.ids[chosen])
        return Hits(
            ids=self.ids[chosen],
            distances=self.distances[chosen],
            architectures=tuple(self.architectures[i] for i in chosen),
            arch_ids=tuple(self.arch_ids[i] for i in chosen),
            attributes={name: snapshot.columns[name].take(place).to_list() for name in names},
            plan=self.plan,
        )

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, i: int) -> Hit: ...

    @overload
    def __getitem__(self, i: slice) -> Hits: ...

    def __getitem__(self, i: int | slice) -> Hit | Hits:
        if isinstance(i, slice):
            return Hits(
                ids=self.ids[i],
                distances=self.distances[i],
                architectures=self.architectures[i],
                arch_ids=self.arch_ids[i],
                attributes={name: values[i] for name, values in self.attributes.items()},
                plan=self.plan,
            )
        return Hit(
            row_id=int(self.ids[i]),
            distance=float(self.distances[i]),
            architecture=self.architectures[i],
            arch_id=self.arch_ids[i],
            attributes={name: values[i] for name, values in self.attributes.items()},
        )

    def __iter__(self) -> Iterator[Hit]:
        return (self[i] for i in range(len(self)))


@dataclass(frozen=True, eq=False)
class Record:
    """All that an index holds of one architecture.

    Attributes
    ----------
    row_id : int
        Its stable id.
    architecture : Architecture
        The architecture.
    attributes : mapping of str to value
        Attribute columns; None where missing.
    measurements : tuple of Measurement
        Every measurement, training seeds apart.
    vector : ndarray of float32, shape (dim,)
        Its embedding.
    """

    row_id: int
    architecture: Architecture
    attributes: Mapping[str, Value]
    measurements: tuple[Measurement, ...]
    vector: npt.NDArray[np.float32]


def check_results(k: int, queries: int, rows: int) -> None:
    """Raise `ArgumentError` if `k` rows for each of some queries to an index of `rows` are too many."""
    if min(k, rows) * queries > MOST_RESULTS:
        raise ArgumentError(
            f"expected at most {MOST_RESULTS:,} results of one call",
            got=f"{queries:,} queries for {min(k, rows):,} rows each",
            fix="lower k, or ask in several calls",
        )


def selected(select: Sequence[str] | str | None, schema: Schema) -> list[str]:
    """Return the attribute columns that a user selects: one, several, or all with None; in any case.

    Raises
    ------
    ArgumentError
        If it is neither.
    UnknownNameError
        If there is no such column; the message names the nearest.
    """
    if select is None:
        return list(schema)
    names = [select] if isinstance(select, str) else select
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ArgumentError("select must be names of columns", got=select)
    folded = [name if name in schema else name.lower() for name in names]
    for name, column in zip(names, folded, strict=True):
        if column not in schema:
            raise UnknownNameError.of("column", name, schema)
    return list(dict.fromkeys(folded))
