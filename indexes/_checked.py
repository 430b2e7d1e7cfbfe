"""What all engines of this package share: checks, the table of ids, saving and loading."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from archindex.core.checks import check_choice, check_ids, check_int, check_vectors
from archindex.core.errors import ArgumentError
from archindex.indexes._files import Manifest, read_manifest, storage_errors, write_manifest
from archindex.indexes._points import short
from archindex.indexes._scan import rows_per_block
from archindex.indexes._tables import EMPTY, Floats, IdTable, Ints, Pairs
from archindex.indexes.base import METRICS, Metric, SearchResult, VectorIndex

ROWS = "rows.npy"


class CheckedIndex(VectorIndex):
    """Checks the arguments, keeps the ids, and leaves the vectors to the engine.

    An engine knows its rows by labels of its own choice and implements the hooks below. They are called
    with checked arguments, and :meth:`_find` and :meth:`_append` only while there are rows.

    Parameters
    ----------
    dim : int
        Entries of a vector, at least 1.
    metric : {"l2", "cosine"}
    seed : int
        Of everything random in the engine, at least 0.
    **parameters : int or None
        The engine's own constructor arguments, to be saved with it.
    """

    name: ClassVar[str]

    def __init__(self, dim: int, metric: Metric, seed: int, **parameters: int | None) -> None:
        self._dim = check_int("dim", dim, low=1)
        self._metric: Metric = METRICS[METRICS.index(check_choice("metric", metric, METRICS))]
        self._seed = check_int("seed", seed, low=0)
        self._parameters = parameters
        self._table = EMPTY

    @property
    def dim(self) -> int:
        """Entries of a vector."""
        return self._dim

    @property
    def metric(self) -> Metric:
        """How distances are counted."""
        return self._metric

    def __len__(self) -> int:
        return len(self._table)

    def build(self, vectors: npt.ArrayLike, ids: npt.ArrayLike) -> None:
        """Hold exactly these rows; see :meth:`VectorIndex.build`."""
        checked, rows = self._check_rows(vectors, ids)
        self._replace(checked, rows)

    def add(self, vectors: npt.ArrayLike, ids: npt.ArrayLike) -> None:
        """Add rows under new ids; see :meth:`VectorIndex.add`."""
        checked, rows = self._check_rows(vectors, ids)
        known = self._table.positions(rows)
        if len(known):
            raise ArgumentError(
                "ids to add must be new", got=int(self._table.ids[known[0]]), fix="remove it first"
            )
        if not len(self._table):
            self._replace(checked, rows)
        elif len(rows):
            labels = self._append(checked, rows)  # first: it may number the rows held anew
            self._table = self._table.union(IdTable.of(rows, labels))

    def remove(self, ids: npt.ArrayLike) -> int:
        """Remove rows and return how many there were; see :meth:`VectorIndex.remove`."""
        known = self._table.positions(check_ids("ids", ids))
        if len(known):
            gone = self._table.take(known)
            self._table = self._table.without(known)
            self._drop(gone)
        return len(known)

    def search(self, queries: npt.ArrayLike, k: int, allowed: npt.ArrayLike | None = None) -> SearchResult:
        """Return up to k nearest rows of each query; see :meth:`VectorIndex.search`."""
        if (
            allowed is None
            and type(k) is int
            and 0 < k <= len(self._table)
            and isinstance(queries, np.ndarray)
            and queries.dtype == np.float32
            and queries.shape in ((self._dim,), (1, self._dim))
        ):
            query = queries.reshape(1, -1)
            found = self._one(query, k) if short(query) else None
            if found is not None:
                return found
        checked = _finite("queries", queries, self._dim)
        k = check_int("k", k, low=1)
        rows = None
        if allowed is not None:
            rows = self._table.take(self._table.positions(check_ids("allowed", allowed)))
        if not len(checked) or not len(self._table if rows is None else rows):
            none = np.empty(0, dtype=np.int64)
            return Pairs(none, none, np.empty(0, dtype=np.float32)).result(len(checked), k, 0)
        pairs, work = self._find(checked, k, rows)
        return pairs.result(len(checked), k, work)

    def _one(self, query: Floats, k: int) -> SearchResult | None:
        """Answer one query float32[1, dim] as :meth:`search` does; None: it is to go the usual way.

        Graphs and lists answer in tens of microseconds; checks and tables for batches take as long again.
        """
        return None

    def save(self, folder: Path) -> None:
        """Write the index into `folder`; see :meth:`VectorIndex.save`."""
        folder = Path(folder)
        arguments = {"dim": self._dim, "metric": self._metric, "seed": self._seed, **self._parameters}
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            names = [ROWS, *self._write(folder)]
            # Last, so that a save cut short is seen as damage and not as an index.
            write_manifest(folder, Manifest(self.name, arguments), names)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote; see :meth:`VectorIndex.load`."""
        folder = Path(folder)
        index = cls(**read_manifest(folder, cls.name).arguments)
        index._table = IdTable(*np.load(folder / ROWS, allow_pickle=False))
        index._read(folder)
        return index

    def _replace(self, vectors: Floats, ids: Ints) -> None:
        self._table = IdTable.of(ids, self._fill(vectors, ids))

    def _check_rows(self, vectors: npt.ArrayLike, ids: npt.ArrayLike) -> tuple[Floats, Ints]:
        checked, rows = _finite("vectors", vectors, self._dim), check_ids("ids", ids)
        if len(checked) != len(rows):
            raise ArgumentError(f"ids must be one for each of {len(checked)} vectors", got=len(rows))
        ordered = np.sort(rows)
        twice = ordered[:-1][ordered[1:] == ordered[:-1]]
        if len(twice):
            raise ArgumentError("ids must be distinct", got=int(twice[0]), fix="it comes twice")
        return checked, rows

    @abstractmethod
    def _fill(self, vectors: Floats, ids: Ints) -> Ints:
        """Hold only `vectors` (maybe none) and return their labels int64[n]."""

    @abstractmethod
    def _append(self, vectors: Floats, ids: Ints) -> Ints:
        """Hold `vectors` as well and return their labels int64[n]."""

    @abstractmethod
    def _drop(self, gone: IdTable) -> None:
        """Forget the rows of `gone`, which are no longer in the table."""

    @abstractmethod
    def _find(self, queries: Floats, k: int, allowed: IdTable | None) -> tuple[Pairs, int]:
        """Return at least the k best of each query by row id, and the number of vectors compared."""

    @abstractmethod
    def _write(self, folder: Path) -> list[str]:
        """Write the table (:data:`ROWS`) and the engine's own files, whose names are returned."""

    @abstractmethod
    def _read(self, folder: Path) -> None:
        """Read the engine's own files; the table is there already."""


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write `array` as .npy; what the disk refuses is raised, also on close."""
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def _finite(name: str, value: npt.ArrayLike, dim: int) -> Floats:
    """Return `value` as check_vectors does, but pass float32 rows through uncopied, mapped ones too."""
    if (
        isinstance(value, np.ndarray)
        and value.dtype == np.float32
        and value.ndim == 2
        and value.shape[1] == dim
        and value.flags.c_contiguous
    ):
        step = rows_per_block(dim)
        if all(np.isfinite(value[i : i + step]).all() for i in range(0, len(value), step)):
            return value
    return check_vectors(name, value, dim=dim)
