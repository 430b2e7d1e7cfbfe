"""Addresses: what a user may write for an architecture, and the row or the vector that it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.checks import check_vectors
from archindex.core.errors import ArchitectureError, ArgumentError, UnknownNameError
from archindex.spaces.base import Architecture
from archindex.spaces.registry import SPACES, parse_address, space
from archindex.store.rows import RowInfo
from archindex.store.snapshot import Snapshot

Address = str | int | Architecture
"""A native string, ``space:native``, an arch_id or its beginning, a row id, or an `Architecture`."""

Query = Address | npt.NDArray[Any] | Sequence[Any]
"""A point to search from: an address or a vector; a list of those (not of numbers) is a batch."""


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

    def row(self, address: Address) -> RowInfo | None:
        """Return the row at an address, or None if a well-formed architecture is not in the index.

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
            self._snapshot.positions(np.array([address], dtype=np.int64))
            found = self._snapshot.describe(np.array([address], dtype=np.int64))
        else:
            raise ArgumentError("expected a native string, space:native, an arch_id or a row id", got=address)
        return found[0] if found else None

    def parse(self, text: str) -> Architecture:
        """Return the architecture that a native string, or ``space:native``, spells.

        Raises
        ------
        ArchitectureError
            If the string is malformed in all spaces of the index; an emptied index takes any space's.
        """
        name, colon, _ = text.partition(":")
        if colon and name.strip() in SPACES:
            return parse_address(text)
        if len(self.spaces) == 1:
            return space(self.spaces[0]).parse(text)
        for candidate in self.spaces or SPACES:
            if space(candidate).validate(text):
                return space(candidate).parse(text)
        raise ArchitectureError(
            f"expected an architecture of {', '.join(self.spaces) or 'a search space'}",
            got=text,
            fix="write it as space:native",
        )

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
        if isinstance(like, (str, int, np.integer, Architecture)):
            return self.vectors([like]), False
        items = list(like)
        if items and all(isinstance(x, (float, np.floating)) for x in items):
            return check_vectors("the query", np.asarray(items), dim=dim), False
        if any(isinstance(x, np.ndarray) for x in items):
            return check_vectors("the query", items, dim=dim), True
        return self.vectors(items), True

    def vectors(self, addresses: Sequence[Address]) -> npt.NDArray[np.float32]:
        """Return the vector at each address, shape (n, dim): looked up where it is known, else encoded."""
        vectors = np.empty((len(addresses), self._snapshot.info.dim), dtype=np.float32)
        strangers: list[int] = []
        for i, address in enumerate(addresses):
            row = self.row(address)
            if row is None:
                strangers.append(i)
            else:
                place = self._snapshot.positions(np.array([row.row_id]))
                vectors[i] = self._snapshot.vectors[place[0]]
        if strangers:
            graphs = pack([self.architecture(addresses[i]) for i in strangers])
            vectors[strangers] = self._snapshot.encoder.encode(graphs)
        return vectors

    def _named(self, text: str) -> list[RowInfo]:
        """Return the rows that a string names, without parsing it."""
        name, colon, native = text.strip().partition(":")
        if colon and name in SPACES:
            return self._snapshot.find(native.strip(), name)
        found = self._snapshot.find(text.strip())
        if len({row.arch_id for row in found}) > 1:
            raise UnknownNameError(
                "expected an address that fits one architecture",
                got=f"{text}, which fits {len(found)} rows",
                fix="give more digits of the arch_id, or space:native",
            )
        return found


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
