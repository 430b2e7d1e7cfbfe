"""Where the rows of a SPANN index come from when its files are written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from archindex.indexes._tables import Floats, Ints
from archindex.indexes.postings import RecordFile


@dataclass(frozen=True)
class Given:
    """Rows as they were handed in: float32[n, dim], mapped or not, and int64[n]."""

    array: Floats
    names: Ints

    def __len__(self) -> int:
        return len(self.names)

    def vectors(self, rows: Ints) -> Floats:
        """See `archindex.indexes.spann_files.Source`."""
        return np.ascontiguousarray(self.array[rows])

    def ids(self, rows: Ints) -> Ints:
        """See `archindex.indexes.spann_files.Source`."""
        return self.names[rows]


class Held:
    """Rows of an index: those on disk by their positions, then those that lie in memory.

    Parameters
    ----------
    disk : RecordFile, optional
        Records with an id and a vector.
    recent : float32[m, dim]
    names : int64[m]
        Their ids.
    """

    def __init__(self, disk: RecordFile | None, recent: Floats, names: Ints) -> None:
        self._recent, self._names = recent, names
        # Mapped for as long as files are written: rows are taken in no order at all.
        self._rows = None if disk is None else np.memmap(disk.file, dtype=disk.dtype, mode="r")
        self._first = 0 if disk is None else len(disk)

    def __len__(self) -> int:
        return self._first + len(self._names)

    def vectors(self, rows: Ints) -> Floats:
        """See `archindex.indexes.spann_files.Source`."""
        found = np.empty((len(rows), self._recent.shape[1]), dtype=np.float32)
        late = rows >= self._first
        found[late] = self._recent[rows[late] - self._first]
        if self._rows is not None:
            found[~late] = self._rows["vector"][rows[~late]]
        return found

    def ids(self, rows: Ints) -> Ints:
        """See `archindex.indexes.spann_files.Source`."""
        found = np.empty(len(rows), dtype=np.int64)
        late = rows >= self._first
        found[late] = self._names[rows[late] - self._first]
        if self._rows is not None:
            found[~late] = self._rows["id"][rows[~late]]
        return found
