"""The view of an index that users hold: what it is, and all that it holds of one architecture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from archindex.core.checks import check_path
from archindex.core.errors import UnknownNameError
from archindex.hits import Record
from archindex.queries.columns import Schema
from archindex.spaces.base import Architecture
from archindex.store.addresses import Address, Addresses, architecture_of, pack
from archindex.store.history import VersionEntry, versions
from archindex.store.snapshot import Snapshot
from archindex.store.version import VersionInfo


class View:
    """An index folder, opened, and looked up in. `archindex.Index` is what users open.

    Parameters
    ----------
    path : str or Path
        Folder of the index.
    version : int or str, optional
        Number or name of a version; see `archindex.open`.

    Raises
    ------
    IndexMissingError, IndexVersionError, CorruptIndexError, EncoderMismatchError
        If the folder cannot be opened.
    UnknownNameError
        If there is no such version.
    """

    def __init__(self, path: str | Path, *, version: int | str | None = None) -> None:
        self.path = check_path(path)
        self._snapshot = Snapshot(self.path, version)
        self._version = None if version is None else self._snapshot.info.number
        self._addresses = Addresses(self._snapshot)

    def __len__(self) -> int:
        return len(self._snapshot)

    def __repr__(self) -> str:
        made = f"{self.info.encoder}, {self.info.engine}"
        return f"<archindex.Index {self.path}: {len(self)} architectures, {made}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def info(self) -> VersionInfo:
        """What made the published version, and what it holds."""
        return self._snapshot.info

    @property
    def schema(self) -> Schema:
        """Name and type of every attribute column that `where` can use."""
        return self._snapshot.schema

    @property
    def snapshot(self) -> Snapshot:
        """The view of the store that this object shows."""
        return self._snapshot

    @property
    def versions(self) -> list[VersionEntry]:
        """The versions that are there, oldest first; `open` takes their numbers and names."""
        return versions(self.path)

    @property
    def spaces(self) -> tuple[str, ...]:
        """Names of the search spaces in the index."""
        return self._addresses.spaces

    def close(self) -> None:
        """Let go of the files."""
        self._snapshot.close()

    def refresh(self) -> None:
        """Show what has been written since; to a version that was opened by number or name nothing is."""
        old, self._snapshot = self._snapshot, Snapshot(self.path, self._version)
        self._addresses = Addresses(self._snapshot)
        old.close()

    def architecture(self, address: Address) -> Architecture:
        """Return the architecture that a native string, ``space:native``, an arch_id or a row id names.

        It need not be in the index, unless it is named by arch_id or row id. Of several rows with the same
        arch_id the first is returned.

        Raises
        ------
        ArchitectureError
            If a string is malformed.
        UnknownNameError
            If an arch_id or a row id is not in the index, or the beginning of an arch_id fits several.
        """
        return self._addresses.architecture(address)

    def get(self, address: Address) -> Record:
        """Return everything that the index holds of one architecture; of several with its arch_id, the first.

        Raises
        ------
        UnknownNameError
            If it is not in the index.
        ArchitectureError
            If a string is malformed.
        """
        row = self._addresses.row(address)
        if row is None:
            raise UnknownNameError(
                "expected an architecture of the index", got=str(address), fix="add it first"
            )
        place = self._snapshot.positions(np.array([row.row_id]))
        return Record(
            row_id=row.row_id,
            architecture=architecture_of(row),
            attributes={name: self._snapshot.columns[name].take(place).to_list()[0] for name in self.schema},
            measurements=tuple(self._snapshot.measurements(row.row_id)),
            vector=self._snapshot.vectors_of(np.array([row.row_id]))[0],
        )

    def encode(self, architectures: Sequence[Architecture | str]) -> npt.NDArray[np.float32]:
        """Return the embeddings of architectures, in the index or not; float32, shape (n, dim)."""
        return self._snapshot.encoder.encode(pack(self._addresses.architectures(architectures)))
