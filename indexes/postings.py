"""Posting lists on disk: records of one size, read by position, and the codes that they hold.

Files are read and not mapped: what a search has read does not stay in the memory of the process.
"""

from __future__ import annotations

import os
import tempfile
import threading
from dataclasses import dataclass
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from archindex.core.errors import CorruptIndexError
from archindex.indexes._tables import Floats, Ints

Records = npt.NDArray[np.void]

GAP: Final = 8192
"""Bytes between two runs up to which they are read in one call, and what lies between is dropped."""

PARTS: Final = 512
"""Buffers that one call fills; systems take 1,024."""


class RecordFile:
    """Records of one size in an open file.

    Parameters
    ----------
    file : binary file
        Open for reading; it is this object's from now on.
    dtype : numpy.dtype
        Of a record.

    Attributes
    ----------
    reads, bytes_read : int
        Calls of the system, and what they brought.
    """

    def __init__(self, file: IO[bytes], dtype: np.dtype[Any]) -> None:
        self.file = file
        self.dtype = dtype
        self.reads = self.bytes_read = 0
        self._own = threading.local()

    @classmethod
    def new(cls, dtype: np.dtype[Any]) -> RecordFile:
        """Return an empty file without a name, which vanishes when nobody uses it."""
        return cls(tempfile.TemporaryFile(), dtype)

    def __len__(self) -> int:
        return os.fstat(self.file.fileno()).st_size // self.dtype.itemsize

    def __del__(self) -> None:
        self.file.close()

    def append(self, records: Records) -> None:
        """Write records at the end; only before anything is read."""
        self.file.write(records.tobytes())
        self.file.flush()

    def read(self, starts: Ints, sizes: Ints) -> Records:
        """Return the records of some runs, one run after the other.

        Parameters
        ----------
        starts, sizes : int64[r]
            First record and number of records of each run, rising and apart from one another.

        Returns
        -------
        structured array of `dtype`
            In a buffer that the thread's next call fills again.

        Raises
        ------
        CorruptIndexError
            If the file ends before a run does.
        """
        width = self.dtype.itemsize
        total = int(sizes.sum())
        room, waste = self._room(total * width)
        parts: list[memoryview] = []
        at = first = end = 0
        for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
            between = (start - end) * width
            if parts and (between > GAP or len(parts) > PARTS):
                self._fill(parts, first * width)
                parts = []
            if not parts:
                first = start
            elif between:
                parts.append(waste[:between])
            parts.append(room[at : at + size * width])
            at, end = at + size * width, start + size
        if parts:
            self._fill(parts, first * width)
        return np.frombuffer(room, dtype=self.dtype, count=total)

    def _room(self, size: int) -> tuple[memoryview, memoryview]:
        own = self._own
        if size > len(getattr(own, "room", b"")):
            own.room = memoryview(bytearray(2 * size))
            own.waste = memoryview(bytearray(GAP))
        return getattr(own, "room", memoryview(b"")), getattr(own, "waste", memoryview(b""))

    def _fill(self, parts: list[memoryview], offset: int) -> None:
        got = os.preadv(self.file.fileno(), parts, offset)
        self.reads += 1
        self.bytes_read += got
        if got != sum(map(len, parts)):
            raise CorruptIndexError(
                f"expected {sum(map(len, parts))} bytes at {offset} of a file of the engine",
                got=got,
                fix="build the engine again from the vectors",
            )


def run_of(positions: Ints) -> tuple[Ints, Ints]:
    """Return the runs of neighbouring numbers in rising `positions`: starts and sizes, int64[r]."""
    if not len(positions):
        return positions, positions
    first = np.concatenate([[0], np.flatnonzero(np.diff(positions) != 1) + 1])
    return positions[first], np.diff(first, append=len(positions))


@dataclass(frozen=True)
class Coder:
    """What a posting says of a row: where it lies, and its place relative to the centroid of the list.

    A code holds the place in units of the list's scale: with 8 bits whole numbers up to 127, with 32 bits
    any. With q, c, u the query, the centroid and a code, and s the scale, the squared distance is::

        |q - c - s u|^2 = |q - c|^2 + (s^2 |u|^2 + 2 s c.u) - 2 s q.u

    The part in brackets is stored, so that a search multiplies codes by one vector, whichever list they are
    of.

    Attributes
    ----------
    dim : int
        Entries of a code.
    bits : int
        8 or 32.
    """

    dim: int
    bits: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a posting."""
        code = "i1" if self.bits == 8 else "<f4"
        return np.dtype([("position", "<u4"), ("own", "<f4"), ("code", code, (self.dim,))])

    def encode(
        self, points: Floats, positions: Ints, centroids: Floats, sizes: Ints
    ) -> tuple[Records, Floats]:
        """Return postings and scales of some lists.

        Parameters
        ----------
        points : float32[e, dim]
            Of the rows, list by list.
        positions : int64[e]
            Where the rows lie.
        centroids : float32[n, dim]
        sizes : int64[n]
            Rows of each list, at least 1.

        Returns
        -------
        structured array [e], float32[n]
        """
        places = points - np.repeat(centroids, sizes, axis=0)
        scales = np.ones(len(sizes), dtype=np.float32)
        if self.bits == 8:
            widest = np.maximum.reduceat(np.abs(places).max(axis=1), np.cumsum(sizes) - sizes)
            scales = np.maximum(widest / 127, np.finfo(np.float32).tiny).astype(np.float32)
        each = np.repeat(scales, sizes)
        codes = places / each[:, None]
        if self.bits == 8:
            codes = np.rint(codes)
        found = np.empty(len(points), dtype=self.dtype)
        found["position"], found["code"] = positions, codes
        back = (codes * each[:, None]).astype(np.float64)
        found["own"] = np.einsum("ij,ij->i", back, back + 2 * np.repeat(centroids, sizes, axis=0))
        return found, scales

    def squared(self, postings: Records, point: Floats, away: Floats, scales: Floats, sizes: Ints) -> Floats:
        """Return the squared distances of a point float32[dim] to postings, as far as codes tell.

        Parameters
        ----------
        postings : structured array [e]
            Of some lists, one after the other.
        point : float32[dim]
        away, scales : float32[n]
            Of each list: squared distance of its centroid to the point, and its scale.
        sizes : int64[n]
            Postings of each list.

        Returns
        -------
        float32[e]
        """
        products = np.einsum("ij,j->i", postings["code"].astype(np.float32), point)
        found: Floats = np.repeat(away, sizes) + postings["own"] - np.repeat(2 * scales, sizes) * products
        return found
