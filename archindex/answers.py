"""What retrieval beyond nearest neighbours answers, and how it is put together from store and queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from archindex.core.deadline import check_time
from archindex.core.errors import ArgumentError
from archindex.hits import Hits
from archindex.queries import Filter, Found, Plan, filtered_search
from archindex.queries.columns import Value
from archindex.queries.diverse import Covering
from archindex.queries.hops import Reach
from archindex.queries.relative import compile_relative, may_be_relative
from archindex.spaces.base import Architecture
from archindex.store.addresses import architecture_of
from archindex.store.rows import RowInfo
from archindex.store.snapshot import Snapshot

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Within(Hits):
    """The architectures within a distance of one, nearest first.

    Attributes
    ----------
    radius : float
        The distance.
    total : int
        How many there are; the hits are the nearest of them where the limit let through fewer.
    """

    radius: float
    total: int

    @property
    def cut(self) -> bool:
        """Whether the limit left some out."""
        return self.total > len(self)


@dataclass(frozen=True, eq=False)
class Cover:
    """A few architectures that stand for many, in the order in which they were chosen.

    The first j are what a choice of j gives.

    Attributes
    ----------
    ids : ndarray of int64, shape (c,)
        Row ids.
    architectures : tuple of Architecture
        What was chosen.
    arch_ids : tuple of str
        Their content hashes.
    attributes : mapping of str to list
        Attribute columns; None where missing.
    counts : ndarray of int64, shape (c,)
        How many rows each stands for, itself included: those to which it is the nearest.
    rows : int
        Rows that they stand for together.
    mean_distance, farthest : float
        How far a row is from the one that stands for it, in the mean and at most.
    sampled : bool
        Whether they were chosen on a sample of the rows; counts and distances are always of all.
    """

    ids: Ints
    architectures: tuple[Architecture, ...]
    arch_ids: tuple[str, ...]
    attributes: Mapping[str, list[Value]]
    counts: Ints
    rows: int
    mean_distance: float
    farthest: float
    sampled: bool

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, snapshot: Snapshot, positions: Ints, covering: Covering, names: Sequence[str]) -> Cover:
        """Look up the rows chosen among those at some positions."""
        ids = snapshot.ids[positions[covering.chosen]]
        rows = snapshot.describe(ids)
        return cls(
            ids=ids,
            architectures=tuple(architecture_of(row) for row in rows),
            arch_ids=tuple(row.arch_id for row in rows),
            attributes=attributes_at(snapshot, positions[covering.chosen], names),
            counts=np.bincount(covering.stands_for, minlength=len(ids)),
            rows=len(positions),
            mean_distance=float(covering.distances.mean()),
            farthest=float(covering.distances.max()),
            sampled=covering.sampled,
        )


@dataclass(frozen=True, eq=False)
class Reached:
    """One architecture that hops lead to.

    Attributes
    ----------
    row_id : int
        Its stable id.
    architecture : Architecture
        The architecture.
    arch_id : str
        Content hash of its functional DAG.
    attributes : mapping of str to value
        Attribute columns; None where missing.
    path : tuple of int
        Row ids from the first hop to this row.
    length : float
        Length of the last edge, in the index's metric.
    """

    row_id: int
    architecture: Architecture
    arch_id: str
    attributes: Mapping[str, Value]
    path: tuple[int, ...]
    length: float

    @property
    def hops(self) -> int:
        """Edges from the start to this row."""
        return len(self.path)


@dataclass(frozen=True, eq=False)
class Hops:
    """The architectures that hops along nearest-neighbour edges lead to, in the order in which they were met.

    Attributes
    ----------
    found : tuple of Reached
    cut : bool
        Whether the limit ended the search before the hops did.
    """

    found: tuple[Reached, ...]
    cut: bool

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, i: int) -> Reached:
        return self.found[i]

    def __iter__(self) -> Iterator[Reached]:
        return iter(self.found)

    @classmethod
    def of(cls, snapshot: Snapshot, reached: Reach, names: Sequence[str]) -> Hops:
        """Look up what was reached."""
        rows = snapshot.describe(reached.ids)
        columns = attributes_at(snapshot, snapshot.positions(reached.ids), names)
        return cls(
            tuple(
                Reached(
                    row_id=row.row_id,
                    architecture=architecture_of(row),
                    arch_id=row.arch_id,
                    attributes={name: values[i] for name, values in columns.items()},
                    path=tuple(reached.path(i)),
                    length=float(reached.lengths[i]),
                )
                for i, row in enumerate(rows)
            ),
            reached.cut,
        )


@dataclass(frozen=True, eq=False)
class Joined:
    """One row of a join's left side, with what was found for it.

    Attributes
    ----------
    row_id : int or None
        Id of the row asked from; None if it is none of the index.
    architecture : Architecture or None
        What was asked from; None if it is a vector.
    attributes : mapping of str to value
        Its attribute columns, if it is a row of the index; None where missing.
    hits : Hits
        The nearest under the filter, never itself.
    """

    row_id: int | None
    architecture: Architecture | None
    attributes: Mapping[str, Value]
    hits: Hits


@dataclass(frozen=True, eq=False)
class Join:
    """The nearest under a filter for each of many.

    Attributes
    ----------
    rows : tuple of Joined
        In the order in which they were asked from; rows chosen by a filter by rising row id.
    total : int
        How many there were to ask from; `rows` are the first where the limit let through fewer.
    """

    rows: tuple[Joined, ...]
    total: int

    @property
    def cut(self) -> bool:
        """Whether the limit left some out."""
        return self.total > len(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Joined:
        return self.rows[i]

    def __iter__(self) -> Iterator[Joined]:
        return iter(self.rows)


def attributes_at(snapshot: Snapshot, positions: Ints, names: Sequence[str]) -> dict[str, list[Value]]:
    """Return attribute columns of the rows at some positions; None where missing."""
    return {name: snapshot.columns[name].take(positions).to_list() for name in names}


def filters_for(
    snapshot: Snapshot, where: str | None, asked_from: Sequence[int | None]
) -> list[tuple[Filter | None, list[int]]]:
    """Return filters of a ``where`` and which of some queries each is for.

    Parameters
    ----------
    snapshot : Snapshot
        The index.
    where : str or None
        The expression; ``query.NAME`` in it is a value of the row asked from.
    asked_from : sequence of (int or None)
        Row id of each query; None for what is no row of the index.

    Raises
    ------
    FilterError, UnknownNameError
        If the expression cannot be used.
    ArgumentError
        If it uses values of the row asked from where there is none.
    """
    everyone = list(range(len(asked_from)))
    if where is None or not may_be_relative(where):
        return [(None if where is None else snapshot.filters.filter(where), everyone)]
    relative = compile_relative(where, snapshot.schema)
    if not relative.asked:
        return [(snapshot.filters.filter(where), everyone)]
    if None in asked_from:
        raise ArgumentError(
            f"expected a row of the index to ask from: the filter uses its query.{relative.asked[0]}",
            got="a vector or an architecture that is not in the index",
            fix="add it first, or write the number instead",
        )
    places = snapshot.positions(np.array(asked_from, dtype=np.int64))
    values = attributes_at(snapshot, places, relative.asked)
    groups: dict[tuple[Value, ...], list[int]] = {}
    for i, row in enumerate(zip(*values.values(), strict=True)):
        groups.setdefault(row, []).append(i)
    return [
        (Filter(relative.bind(dict(zip(relative.asked, row, strict=True))), snapshot.filters), members)
        for row, members in groups.items()
    ]


def nearest(
    snapshot: Snapshot,
    vectors: Floats,
    asked_from: Sequence[int | None],
    k: int,
    where: str | None,
    names: Sequence[str],
    *,
    recall: str | float = "balanced",
    strategy: str = "auto",
    others: bool = False,
) -> list[Hits]:
    """Return the k rows nearest to each vector under a filter that may use values of the row asked from.

    Parameters
    ----------
    snapshot : Snapshot
        The index.
    vectors : ndarray of float32, shape (m, dim)
        The queries.
    asked_from : sequence of (int or None), length m
        Row id of each; None for what is no row.
    k, where, names, recall, strategy
        As in `Snapshot.search`; `names` are the attribute columns of the hits.
    others : bool
        Whether a row is not its own answer.
    """
    filters = filters_for(snapshot, where, asked_from)
    m, width = len(vectors), min(k + others, max(len(snapshot), 1))
    ids = np.full((m, width), -1, dtype=np.int64)
    away = np.full((m, width), np.inf, dtype=np.float32)
    plans: dict[int, Plan] = {}
    for allowed, members in filters:
        check_time()
        found, plan = filtered_search(
            vectors[members], width, snapshot.searched, allowed, recall=recall, strategy=strategy
        )
        ids[members, : found.ids.shape[1]], away[members, : found.ids.shape[1]] = found.ids, found.distances
        plans.update(dict.fromkeys(members, plan))
    if others:
        own = np.array([-2 if row is None else row for row in asked_from], dtype=np.int64)
        away[ids == own[:, None]] = np.inf
        ids[ids == own[:, None]] = -1
        order = np.argsort(ids < 0, axis=1, kind="stable")[:, :k]
        ids, away = np.take_along_axis(ids, order, axis=1), np.take_along_axis(away, order, axis=1)
    counts = (ids >= 0).sum(axis=1)
    work = sum(plan.distance_computations for plan in {id(p): p for p in plans.values()}.values())
    if not m:
        return []
    hits = Hits.of(snapshot, Found(ids, away, counts, work), names, plans[0])
    return [replace(hit, plan=plans[i]) for i, hit in enumerate(hits)]


def joined(
    snapshot: Snapshot,
    asked: Sequence[RowInfo | Architecture | None],
    hits: Sequence[Hits],
    total: int,
    names: Sequence[str],
) -> Join:
    """Put both sides of a join together; `asked` has None for a vector."""
    rows = [i for i, one in enumerate(asked) if isinstance(one, RowInfo)]
    ids = np.array([one.row_id for one in asked if isinstance(one, RowInfo)], dtype=np.int64)
    columns = attributes_at(snapshot, snapshot.positions(ids), names)
    attributes: dict[int, dict[str, Any]] = {
        i: {name: values[j] for name, values in columns.items()} for j, i in enumerate(rows)
    }
    return Join(
        tuple(
            Joined(
                row_id=one.row_id if isinstance(one, RowInfo) else None,
                architecture=architecture_of(one) if isinstance(one, RowInfo) else one,
                attributes=attributes.get(i, {}),
                hits=found,
            )
            for i, (one, found) in enumerate(zip(asked, hits, strict=True))
        ),
        total,
    )


def row_ids(asked: Sequence[RowInfo | Architecture | None]) -> list[int | None]:
    """Return the row id of each that is a row."""
    return [one.row_id if isinstance(one, RowInfo) else None for one in asked]
