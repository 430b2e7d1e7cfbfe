"""Addresses: what a user may write for an architecture, and the row or the vector that it stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.checks import check_vectors
from archindex.core.errors import ArchitectureError, ArgumentError, UnknownNameError
from archindex.spaces.base import Architecture
from archindex.spaces.registry import NAMED, parse_address, space, space_names
from archindex.store.rows import RowInfo
from archindex.store.snapshot import Snapshot

Address = str | int | Architecture
"""A native string, ``space:native``, an arch_id or its beginning, a row id, or an `Architecture`."""

Batch = (
    list[Address | npt.NDArray[Any] | list[float]]
    | list[Address]
    | list[str]
    | list[int]
    | list[Architecture]
    | list[npt.NDArray[Any]]
    | list[list[float]]
    | tuple[Address | npt.NDArray[Any] | list[float], ...]
)
"""Several points to search from, side by side."""

Query = Address | npt.NDArray[Any] | Sequence[Any]
"""A point to search from, or a batch of them.

An address or a vector is one point. A flat list of numbers is a vector, but where all are whole they are row
ids; any other list is a batch, each item of which is an address or a vector.
"""


class Addresses:
    """Resolves addresses in an index.

    Parameters
    ----------
    snapshot : Snapshot
        The index.

    Attributes
    ----------
    spaces : tuple of str
        Names of the search spaces in the index.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.spaces = snapshot.columns["space"].categories

    def architecture(self, address: Address) -> Architecture:
        """Return the architecture at an address; it need not be in the index.

        Of several rows with the same arch_id the first counts.

        Raises
        ------
        ArchitectureError
            If a string is malformed.
        UnknownNameError
            If a row id is not in the index, or the beginning of an arch_id fits several.
        """
        if isinstance(address, Architecture):
            return address
        row = self.row(address)
        return self.parse(str(address)) if row is None else architecture_of(row)

    def architectures(self, given: Iterable[Architecture | str]) -> list[Architecture]:
        """Return the architectures that a list to encode or to write gives.

        Strings are read as native strings first, which needs no look-up; an arch_id must fit one row.

        Raises
        ------
        ArgumentError
            If it is no list, or an item is neither an `Architecture` nor a string.
        ArchitectureError, UnknownNameError
            As `architecture`, and where an arch_id fits several rows.
        """
        found = []
        for item in _listed(given):
            if isinstance(item, str):
                try:
                    item = self.parse(item)
                except ArchitectureError:
                    row = self.row(item, sole=True)
                    assert row is not None, "what cannot be parsed is a row or an error"
                    item = architecture_of(row)
            if not isinstance(item, Architecture):
                raise ArgumentError("expected architectures or native strings", got=item)
            found.append(item)
        return found

    def sole_rows(self, addresses: Iterable[Address]) -> list[RowInfo]:
        """Return the rows at some addresses, those left out that are not in the index.

        Raises
        ------
        ArgumentError, ArchitectureError, UnknownNameError
            As `row`, and where an address fits several rows.
        """
        rows = [self.row(address, sole=True) for address in _listed(addresses)]
        return [row for row in rows if row is not None]

    def present_rows(self, addresses: Iterable[Address]) -> list[RowInfo]:
        """Return the rows at some addresses, all of which are in the index.

        Raises
        ------
        ArgumentError, ArchitectureError, UnknownNameError
            As `sole_rows`, and where an architecture is not in the index.
        """
        found = []
        for address in _listed(addresses):
            row = self.row(address, sole=True)
            if row is None:
                raise UnknownNameError(
                    "expected architectures of the index", got=str(address), fix="add takes new ones"
                )
            found.append(row)
        return found

    def row(self, address: Address, *, sole: bool = False) -> RowInfo | None:
        """Return the row at an address, or None if a well-formed architecture is not in the index.

        Parameters
        ----------
        address : Address
            Where to look.
        sole : bool
            Whether an address that fits several rows is refused; else the first counts.

        Raises
        ------
        ArchitectureError, UnknownNameError
            As `architecture`.
        """
        if isinstance(address, Architecture):
            found = self._snapshot.find(address.native, address.space.name)
        elif isinstance(address, str):
            found = self._named(address) or self._named(str(self.parse(address)))
        elif isinstance(address, (int, np.integer)) and not isinstance(address, bool):
            if not 0 <= address <= np.iinfo(np.int64).max:
                raise UnknownNameError("expected row ids of this index", got=int(address))
            self._snapshot.positions(np.array([address], dtype=np.int64))
            found = self._snapshot.describe(np.array([address], dtype=np.int64))
        else:
            raise ArgumentError(
                "expected a native string, space:native, an arch_id, a row id or a vector", got=str(address)
            )
        if sole and len(found) > 1:
            # Measurements belong to the string, and aliases share an arch_id.
            raise UnknownNameError(
                "expected an address that fits one row",
                got=f"{address}, which fits {len(found)}",
                fix=f"give the native string, for example {found[0].space}:{found[0].native}",
            )
        return found[0] if found else None

    def parse(self, text: str) -> Architecture:
        """Return the architecture that a native string, or ``space:native``, spells.

        Raises
        ------
        ArchitectureError
            If the string is malformed in all spaces of the index; an emptied index takes any space's.
        """
        return parse_anywhere(text, self.spaces)

    def query_vectors(self, like: Query) -> tuple[npt.NDArray[np.float32], bool]:
        """Return the vectors of a query, shape (m, dim), and whether it is a batch.

        Raises
        ------
        ArgumentError
            If a vector does not have the index's dimensions, or is not finite.
        ArchitectureError, UnknownNameError
            As `architecture`.
        """
        dim = self._snapshot.info.dim
        if isinstance(like, np.ndarray) and like.dtype.kind in "fiu":
            return check_vectors("the query", like, dim=dim), like.ndim > 1
        items = _items(like)
        if items is None:
            return self.vectors([like]), False  # type: ignore[list-item]
        if any(isinstance(x, (float, np.floating)) for x in items) and all(map(_is_number, items)):
            return check_vectors("the query", items, dim=dim), False
        vectors = np.empty((len(items), dim), dtype=np.float32)
        named = [i for i, item in enumerate(items) if not isinstance(item, (list, tuple, np.ndarray))]
        vectors[named] = self.vectors([items[i] for i in named])
        for i in sorted(set(range(len(items))).difference(named)):
            point = check_vectors(f"item {i} of the query", items[i], dim=dim)
            if len(point) != 1:
                raise ArgumentError(f"item {i} of the query must be one vector", got=np.shape(items[i]))
            vectors[i] = point[0]
        return vectors, True

    def asked(self, like: Query) -> list[RowInfo | Architecture | None]:
        """Return for each point of a query its row, or the architecture that has none; None for a vector.

        Raises
        ------
        ArchitectureError, UnknownNameError
            As `architecture`.
        """
        if isinstance(like, np.ndarray) and like.dtype.kind in "fiu":
            return [None] * (len(like) if like.ndim > 1 else 1)
        items = _items(like)
        if items is None:
            items = [like]
        elif any(isinstance(x, (float, np.floating)) for x in items) and all(map(_is_number, items)):
            return [None]
        named = [item for item in items if not isinstance(item, (list, tuple, np.ndarray))]
        by_name = self._rows_by_name(named)
        rows = iter([by_name.get(_name(item) or "") or self.row(item) for item in named])
        return [
            None if isinstance(item, (list, tuple, np.ndarray)) else next(rows) or self.architecture(item)
            for item in items
        ]

    def vectors(self, addresses: Sequence[Address]) -> npt.NDArray[np.float32]:
        """Return the vector at each address, shape (n, dim): looked up where it is known, else encoded."""
        vectors = np.empty((len(addresses), self._snapshot.info.dim), dtype=np.float32)
        by_name = self._rows_by_name(addresses)
        rows = [by_name.get(_name(address) or "") or self.row(address) for address in addresses]
        there = [i for i, row in enumerate(rows) if row is not None]
        ids = np.array([row.row_id for row in rows if row is not None], dtype=np.int64)
        vectors[there] = self._snapshot.vectors_of(ids)
        strangers = [i for i, row in enumerate(rows) if row is None]
        if strangers:
            graphs = pack([self.architecture(addresses[i]) for i in strangers])
            vectors[strangers] = self._snapshot.encoder.encode(graphs)
        return vectors

    def _rows_by_name(self, addresses: Sequence[Address]) -> dict[str, RowInfo]:
        """Look up all addresses of a batch that are native strings or architectures at once."""
        if len(addresses) < 2:
            return {}
        natives = [a.native for a in addresses if isinstance(a, Architecture)]
        natives += [a.strip() for a in addresses if isinstance(a, str)]
        found: dict[str, list[RowInfo]] = {}
        for row in self._snapshot.find_natives(natives):
            found.setdefault(row.native, []).append(row)
            found.setdefault(f"{row.space}:{row.native}", []).append(row)
        return {name: rows[0] for name, rows in found.items() if len(rows) == 1}

    def _named(self, text: str) -> list[RowInfo]:
        """Return the rows that a string names, without parsing it."""
        name, colon, native = text.strip().partition(":")
        if colon and name in space_names():
            return self._snapshot.find(native.strip(), name)
        found = self._snapshot.find(text.strip())
        if len({row.arch_id for row in found}) > 1:
            raise UnknownNameError(
                "expected an address that fits one architecture",
                got=f"{text}, which fits {len(found)} rows",
                fix="give more digits of the arch_id, or space:native",
            )
        return found


def parse_anywhere(text: str, spaces: Sequence[str] = ()) -> Architecture:
    """Return the architecture that ``space:native``, or a native string of one of `spaces`, spells.

    Parameters
    ----------
    text : str
        The string.
    spaces : sequence of str
        Names of search spaces; none: all but those of named models, which take any word.

    Raises
    ------
    ArchitectureError
        If the string is malformed in all of them, or well-formed in several.
    """
    name, colon, _ = text.partition(":")
    if colon and name.strip() in space_names():
        return parse_address(text)
    if len(spaces) == 1:
        return space(spaces[0]).parse(text)
    candidates = spaces or [name for name in space_names() if name not in NAMED]
    fitting = [candidate for candidate in candidates if space(candidate).validate(text)]
    if len(fitting) == 1:
        return space(fitting[0]).parse(text)
    if fitting:
        raise ArchitectureError(
            "expected a native string of one search space",
            got=text,
            fix=f"it is one of {' and '.join(fitting)}: write it as space:native",
        )
    raise ArchitectureError(
        f"expected an architecture of {', '.join(candidates)}",
        got=text,
        fix="write it as space:native; an arch_id needs an index to look it up in",
    )


def architecture_of(row: RowInfo) -> Architecture:
    """Return the architecture of a row."""
    return Architecture(space(row.space), row.native)


def pack(architectures: Sequence[Architecture]) -> GraphBatch:
    """Return the graphs of architectures of any spaces, packed in their order."""
    if not architectures:
        return GraphBatch.from_graphs([])
    if len({a.space for a in architectures}) == 1:
        return architectures[0].space.graphs([a.native for a in architectures])
    return GraphBatch.from_graphs(a.graph for a in architectures)


def arch_ids_of(architectures: Sequence[Architecture]) -> list[str]:
    """Return the arch_ids of architectures of any spaces, in their order; one pass a space."""
    found: dict[Architecture, str] = {}
    for home in dict.fromkeys(a.space for a in architectures):
        own = [a for a in architectures if a.space == home]
        found.update(zip(own, home.arch_ids([a.native for a in own]).tolist(), strict=True))
    return [found[a] for a in architectures]


def _name(address: Address) -> str | None:
    """Return the name that an address is; None for a row id."""
    if isinstance(address, (str, Architecture)):
        return str(address).strip()
    return None


def _listed(given: object) -> list[Any]:
    """Return the items of a list; a string or an architecture by itself is none."""
    items = _items(given)
    if items is None:
        raise ArgumentError("expected a list of architectures", got=str(given), fix="put it into a list")
    return items


def _items(value: object) -> list[Any] | None:
    """Return the items of a list or the like; None for what is none, such as a string."""
    if isinstance(value, (str, bytes, Mapping)):
        return None
    try:
        return list(value)  # type: ignore[call-overload, no-any-return]
    except TypeError:
        return None


def _is_number(item: object) -> bool:
    return isinstance(item, (int, float, np.integer, np.floating)) and not isinstance(item, bool)
