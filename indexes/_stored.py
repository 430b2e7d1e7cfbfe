"""Full vectors by position: an array used where it lies, and rows added beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from archindex.indexes._scan import rows_per_block
from archindex.indexes._tables import Floats, Ints


class StoredVectors:
    """Rows float32[n, dim], numbered from 0.

    A read-only array, such as ``numpy.load(path, mmap_mode="r")``, is used where it lies; a writable one is
    copied once, so that writing to it later changes nothing here.

    Parameters
    ----------
    vectors : float32[n, dim]

    Attributes
    ----------
    base : float32[b, dim]
        The rows given at first.
    tail : float32[n - b, dim]
        Those added since.
    """

    def __init__(self, vectors: Floats) -> None:
        self.base: Floats = vectors.copy() if vectors.flags.writeable else vectors
        self.tail: Floats = np.empty((0, vectors.shape[1]), dtype=np.float32)
        # Of a memory map: its plain array, which is faster to index.
        self._plain = np.asarray(self.base)

    def __len__(self) -> int:
        return len(self.base) + len(self.tail)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return self.base.nbytes + self.tail.nbytes

    @property
    def held_bytes(self) -> int:
        """Bytes of the rows that are not mapped from a file."""
        return self.nbytes - (self.base.nbytes if _mapped(self.base) else 0)

    def append(self, vectors: Floats) -> None:
        """Add rows at the end."""
        self.tail = np.concatenate([self.tail, vectors])

    def at(self, positions: Ints | slice) -> Floats:
        """Return the rows at some positions; a slice is of `base`, and may be a view of it."""
        if isinstance(positions, slice) or not len(self.tail):
            found: Floats = self._plain[positions]
            return found
        found = np.empty((len(positions), self.base.shape[1]), dtype=np.float32)
        based = positions < len(self.base)
        found[based] = self._plain[positions[based]]
        found[~based] = self.tail[positions[~based] - len(self.base)]
        return found

    def write(self, path: Path) -> None:
        """Write all rows as .npy, block by block; what the disk refuses is raised, also on close."""
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(self), self.base.shape[1])}
        step = rows_per_block(self.base.shape[1])
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, len(self), step):
                file.write(self.at(np.arange(start, min(start + step, len(self)))).tobytes())

    @classmethod
    def read(cls, path: Path) -> StoredVectors:
        """Map the rows that :meth:`write` wrote."""
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            (rows, _), _, _ = np.lib.format.read_array_header_1_0(file)
        # NumPy cannot map an empty array.
        return cls(np.load(path, mmap_mode="r" if rows else None, allow_pickle=False))


def _mapped(array: object) -> bool:
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False
