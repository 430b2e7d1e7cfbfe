"""Exact search in NumPy: every row is compared, in blocks, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from archindex.core.checks import check_int
from archindex.indexes._checked import ROWS, CheckedIndex, write_array
from archindex.indexes._scan import Block, norms, rows_per_block, scan
from archindex.indexes._stored import StoredVectors
from archindex.indexes._tables import Floats, IdTable, Ints, Pairs
from archindex.indexes.base import Capabilities, Metric

VECTORS = "vectors.npy"


class ExactIndex(CheckedIndex):
    """The reference engine: the k nearest, always, ordered by (distance, id).

    A read-only float32 array, such as ``numpy.load(path, mmap_mode="r")``, is used where it lies and never
    copied; a writable one is copied once, so that writing to it later cannot change the index. Added rows
    lie beside it. Removed rows are skipped; once they are more than the rest, the rest is copied together.

    Work reported: every row (every allowed row) once a query.

    Parameters
    ----------
    dim : int
        Entries of a vector.
    metric : {"l2", "cosine"}
    seed : int
        Taken so that all engines are made alike; nothing here is random.
    """

    name = "exact"

    def __init__(self, dim: int, metric: Metric = "l2", *, seed: int = 0) -> None:
        super().__init__(dim, metric, seed)
        self._fill(np.empty((0, self._dim), dtype=np.float32), self._table.ids)

    @property
    def capabilities(self) -> Capabilities:
        """Exact, filtered, removable."""
        return Capabilities(exact=True, filtered=True, removable=True)

    def memory_bytes(self) -> int:
        """Return the bytes of vectors (mapped ones too), norms and ids."""
        arrays = (self._norms, self._table.ids, self._table.labels)
        return self._stored.nbytes + sum(array.nbytes for array in arrays)

    def expected_memory(self, n: int) -> int:
        """Return what `memory_bytes` will say; see `archindex.indexes.base.MemoryPlanned`."""
        return check_int("n", n, low=0) * (4 * self._dim + 4 + 16)

    def _fill(self, vectors: Floats, ids: Ints) -> Ints:
        self._stored = StoredVectors(vectors)
        self._norms: Floats = norms(self._stored.base)
        return np.arange(len(ids), dtype=np.int64)

    def _append(self, vectors: Floats, ids: Ints) -> Ints:
        first = len(self._norms)
        self._stored.append(vectors)
        self._norms = np.concatenate([self._norms, norms(vectors)])
        return np.arange(first, first + len(ids), dtype=np.int64)

    def _drop(self, gone: IdTable) -> None:
        if len(self._norms) > 2 * len(self._table):
            left = self._table
            kept = self._stored.at(left.labels)
            kept.flags.writeable = False  # ours alone: saves _fill a copy
            self._replace(kept, left.ids)

    def _find(self, queries: Floats, k: int, allowed: IdTable | None) -> tuple[Pairs, int]:
        rows = self._table if allowed is None else allowed
        whole = len(rows) == len(self._norms)
        pairs = scan(self._whole() if whole else self._some(rows), queries, k, self._metric)
        return pairs, len(queries) * len(rows)

    def _whole(self) -> Iterator[Block]:
        """Yield every row, in place."""
        names = np.empty(len(self._norms), dtype=np.int64)
        names[self._table.labels] = self._table.ids
        step = rows_per_block(self._dim)
        base, tail = self._stored.base, self._stored.tail
        for offset, part in ((0, base), (len(base), tail)):
            for start in range(0, len(part), step):
                here = slice(offset + start, offset + min(start + step, len(part)))
                yield Block(part[start : start + step], names[here], self._norms[here])

    def _some(self, rows: IdTable) -> Iterator[Block]:
        """Yield `rows` only, gathered block by block in the order they lie in."""
        order = np.argsort(rows.labels)
        step = rows_per_block(self._dim)
        for start in range(0, len(rows), step):
            here = order[start : start + step]
            labels = rows.labels[here]
            yield Block(self._stored.at(labels), rows.ids[here], self._norms[labels])

    def _write(self, folder: Path) -> list[str]:
        ids = self._table.ids
        write_array(folder / ROWS, np.stack([ids, np.arange(len(ids))]))
        write_array(folder / VECTORS, self._stored.at(self._table.labels))
        return [VECTORS]

    def _read(self, folder: Path) -> None:
        self._stored = StoredVectors.read(folder / VECTORS)
        self._norms = norms(self._stored.base)
