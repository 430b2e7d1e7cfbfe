"""Snapshot: one consistent view of an index, the published version with its log applied."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archindex.core.errors import (
    ArgumentError,
    CorruptIndexError,
    UnknownNameError,
)
from archindex.core.metrics import Measurement, MeasurementSpec, Series, check_range
from archindex.encoders import Encoder, load_encoder
from archindex.indexes import ExactIndex, VectorIndex, load_index
from archindex.indexes.list_files import load_lists
from archindex.indexes.probe import ListSearch
from archindex.queries import Filters, Found, Plan, Searched, filtered_search
from archindex.queries.columns import Schema
from archindex.store.arrange import LISTED_FOLDER
from archindex.store.catalog import Catalog
from archindex.store.columns import ColumnFolder
from archindex.store.delta_columns import DeltaColumns
from archindex.store.lease import Lease
from archindex.store.log import Delta, replay
from archindex.store.rows import RowInfo
from archindex.store.version import VersionInfo, current_version, log_path, read_version, version_folder

_ARCH_ID = re.compile(r"[0-9a-f]{6,24}")


class Snapshot:
    """What an index holds at one moment; later writes do not change it.

    Parameters
    ----------
    path : Path
        Folder of the index.

    Attributes
    ----------
    info : VersionInfo
        The published version.
    ids : ndarray of int64, shape (n,)
        Row id at each position.
    vectors : ndarray of float32, shape (n, dim)
        Embedding at each position; memory-mapped while the log is empty.
    whole_log : int
        Bytes of whole records in the log.

    Raises
    ------
    IndexMissingError, IndexVersionError, CorruptIndexError, EncoderMismatchError
        If the folder cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.info, self._delta, self.whole_log, self._lease = _read_consistent(path)
        self.folder = version_folder(path, self.info.number)
        self.catalog = Catalog(self.folder / "catalog.duckdb")
        self._base_ids = _load_array(self.folder / "ids.npy", (self.info.n_rows,), np.int64)
        base_vectors = _load_array(self.folder / "vectors.npy", (self.info.n_rows, self.info.dim), np.float32)
        self._columns = ColumnFolder(self.folder / "columns")
        delta = self._delta
        self.ids: npt.NDArray[np.int64] = self._base_ids
        self.vectors: npt.NDArray[np.float32] = base_vectors
        self._kept: npt.NDArray[np.bool_] | None = None
        if delta.removed:
            self._kept = ~np.isin(self._base_ids, np.fromiter(delta.removed, np.int64))
            self.ids, self.vectors = self._base_ids[self._kept], base_vectors[self._kept]
        if delta.added:
            self.ids = np.concatenate([self.ids, np.fromiter(delta.added, np.int64)])
            self.vectors = np.concatenate([self.vectors, np.stack([r.vector for r in delta.added.values()])])

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def delta(self) -> Delta:
        """What the log adds to the published version."""
        return self._delta

    @property
    def next_row_id(self) -> int:
        """The row id that the next new row gets."""
        return max(self.info.next_row_id, self._delta.next_row_id)

    @cached_property
    def columns(self) -> ColumnFolder | DeltaColumns:
        """Attribute columns in the order of `ids`."""
        return DeltaColumns(self) if len(self._delta) else self._columns

    @property
    def schema(self) -> Schema:
        """Name and type of every attribute column."""
        return self.columns.schema

    @cached_property
    def exact(self) -> ExactIndex:
        """Exact search over the vectors, without a copy of them."""
        index = ExactIndex(self.info.dim, self.info.metric)
        # Read-only arrays are used where they lie.
        vectors = self.vectors.view()
        vectors.flags.writeable = False
        index.build(vectors, self.ids)
        return index

    @cached_property
    def engine(self) -> VectorIndex:
        """The engine that the index was built with, brought up to date with the log."""
        if self.info.engine == "exact":
            return self.exact
        engine = load_index(self.folder / "ann")
        if self._delta.removed:
            engine.remove(np.fromiter(self._delta.removed, np.int64))
        if self._delta.added:
            engine.add(
                np.stack([r.vector for r in self._delta.added.values()]),
                np.fromiter(self._delta.added, np.int64),
            )
        return engine

    @cached_property
    def lists(self) -> ListSearch | None:
        """The lists in which the rows lie, ready to be searched; None for few rows."""
        found = load_lists(self.folder / LISTED_FOLDER)
        if found is None:
            return None
        lists, calibration = found
        if self._kept is not None:
            lists = lists.keeping(self._kept)
        return ListSearch(lists, self.vectors, self.ids, calibration)

    @cached_property
    def searched(self) -> Searched:
        """What the planner searches."""
        proves = self.info.engine == "exact"
        return Searched(lambda: self.engine, lambda: self.exact, proves, self.ids, self.lists)

    @cached_property
    def filters(self) -> Filters:
        """Filters over the rows by position, and what was learned of them by those asked before."""
        starts = np.array([0, len(self)]) if self.lists is None else self.lists.starts
        return Filters(self.columns, starts, self.schema)

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder that made the vectors."""
        return load_encoder(self.folder / "encoder")

    def positions(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the position of each row id.

        Raises
        ------
        UnknownNameError
            If a row id is not in the index.
        """
        order = self._id_order
        place = np.searchsorted(self.ids, ids, sorter=order)
        found = order[np.minimum(place, len(order) - 1)] if len(order) else np.zeros(len(ids), dtype=np.int64)
        wrong = self.ids[found] != ids if len(order) else np.ones(len(ids), dtype=bool)
        if wrong.any():
            raise UnknownNameError("expected row ids of this index", got=int(ids[wrong][0]))
        return found

    def matching(self, where: str | None) -> npt.NDArray[np.int64] | None:
        """Return the ids of the rows that satisfy a ``where`` expression; None for None.

        Raises
        ------
        FilterError
            If the expression cannot be parsed or uses what is not allowed.
        UnknownNameError
            If it names a column that is not there.
        """
        if where is None:
            return None
        return np.asarray(self.ids[self.filters.filter(where).positions()])

    def search(
        self,
        vectors: npt.NDArray[np.float32],
        k: int,
        where: str | None = None,
        *,
        recall: str | float = "balanced",
        strategy: str = "auto",
    ) -> tuple[Found, Plan]:
        """Return the k rows nearest to each vector among those that satisfy `where`, and how it was done.

        Parameters
        ----------
        vectors : ndarray of float32, shape (m, dim)
            Query vectors.
        k : int
            Rows a query, at least 1; more than there are is legal.
        where : str, optional
            Boolean expression over the attribute columns.
        recall : str or float
            Mean recall to reach: ``"fast"`` (.90), ``"balanced"`` (.95), ``"high"`` (.99), ``"exact"`` (all,
            proved), or a number.
        strategy : str
            Plan to force; ``"auto"`` chooses.
        """
        started = time.perf_counter()
        allowed = None if where is None else self.filters.filter(where)
        seconds = time.perf_counter() - started
        found, plan = filtered_search(
            vectors,
            min(k, max(len(self), 1)),
            self.searched,
            allowed,
            recall=recall,
            strategy=strategy,
        )
        return found, plan if where is None else plan.preceded_by("where", seconds)

    def find(self, text: str, space: str | None = None) -> list[RowInfo]:
        """Return the rows that a native string, or an arch_id (6 digits of it are enough), names.

        Parameters
        ----------
        text : str
            Native string, arch_id or its beginning.
        space : str, optional
            Only rows of this space.
        """
        found = self.find_natives([text])
        if not found and _ARCH_ID.fullmatch(text):
            found = self._present(self.catalog.find_arch_id(text), lambda row: row.arch_id.startswith(text))
        return [row for row in found if space in (None, row.space)]

    def find_natives(self, natives: Sequence[str]) -> list[RowInfo]:
        """Return the rows with any of these native strings, by row id."""
        wanted = set(natives)
        return self._present(self.catalog.find(natives), lambda row: row.native in wanted)

    def _present(self, published: list[RowInfo], fits: Callable[[RowInfo], bool]) -> list[RowInfo]:
        """Return the published rows that are still there, and the rows of the log that fit as well."""
        delta = self._delta
        fresh = [row.info for row in delta.added.values() if fits(row.info)]
        return [row for row in published if row.row_id not in delta.removed] + fresh

    def describe(self, ids: npt.NDArray[np.int64]) -> list[RowInfo]:
        """Return what the catalogue says of the given row ids, in their order."""
        known = self.catalog.describe(ids)
        known.update({i: self._delta.added[int(i)].info for i in ids if int(i) in self._delta.added})
        return [known[int(i)] for i in ids]

    def all_rows(self) -> dict[str, npt.NDArray[Any]]:
        """Return ``row_id``, ``space``, ``native`` and ``arch_id`` of all rows, in the order of `ids`."""
        rows = self.catalog.all_rows()
        fresh = [r.info for r in self._delta.added.values()]
        if fresh:
            rows = {
                name: np.concatenate(
                    [values, np.array([getattr(r, name) for r in fresh], dtype=values.dtype)]
                )
                for name, values in rows.items()
            }
        order = np.argsort(rows["row_id"])
        place = order[np.searchsorted(rows["row_id"], self.ids, sorter=order)]
        return {name: values[place] for name, values in rows.items()}

    def measurements(self, row_id: int) -> list[Measurement]:
        """Return every measurement of one row, each training seed by itself."""
        values = self.catalog.values(np.array([row_id]))[row_id]
        values.update(self._delta.values.get(row_id, {}))
        return [Measurement(spec, value) for spec, value in values.items()]

    def specs(self) -> list[MeasurementSpec]:
        """Return the spec of every series in the index."""
        fresh = [spec for by_spec in self._delta.values.values() for spec in by_spec]
        return list(dict.fromkeys(self.catalog.specs() + fresh))

    def close(self) -> None:
        """Let go of the files; a writer may remove them from now on."""
        self.catalog.close()
        self._lease.close()

    @cached_property
    def _id_order(self) -> npt.NDArray[np.int64]:
        return np.argsort(self.ids, kind="stable")


def _read_consistent(path: Path) -> tuple[VersionInfo, Delta, int, Lease]:
    """Read manifest, version and log that belong together, while a writer may be publishing.

    A version that was still the current one after the lease was taken stays for as long as the lease.
    """
    for _ in range(20):
        number = current_version(path)
        lease = Lease(version_folder(path, number))
        try:
            info = read_version(path, number)
            delta, whole = replay(log_path(path, number), info.dim)
        except CorruptIndexError:
            lease.close()
            if current_version(path) == number:
                raise
            continue
        if current_version(path) == number:
            return info, delta, whole, lease
        lease.close()
    raise CorruptIndexError("expected to read the index between two writes", got="20 new versions meanwhile")


def _load_array(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r" if shape[0] else None, allow_pickle=False)
    except Exception:  # of a damaged header, NumPy raises many kinds
        raise CorruptIndexError("expected a NumPy array", got=str(path)) from None
    if array.shape != shape or array.dtype != dtype:
        raise CorruptIndexError(
            f"expected {np.dtype(dtype)} of shape {shape} in {path.name}", got=array.shape
        )
    return array


def check_measurements(series: tuple[Series, ...], n: int) -> None:
    """Raise `ArgumentError` unless every series has `n` values, none infinite."""
    for one in series:
        if one.values.shape != (n,):
            raise ArgumentError(f"expected {n} values of {one.spec.column}", got=one.values.shape)
        check_range(one)
