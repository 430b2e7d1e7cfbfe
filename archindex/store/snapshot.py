"""Snapshot: one consistent view of an index, the published version with its log applied."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArgumentError, UnknownNameError
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
from archindex.store.log import Delta
from archindex.store.motifs import MOTIF_FOLDER, MotifColumns, Motifs, Part, packed, read_motifs
from archindex.store.opening import load_array, read_consistent, read_published
from archindex.store.rows import RowInfo
from archindex.store.version import version_folder

_ARCH_ID = re.compile(r"[0-9a-f]{6,24}")


class Snapshot:
    """What an index holds at one moment; later writes do not change it.

    Parameters
    ----------
    path : Path
        Folder of the index.
    version : int or str, optional
        Number or name of a version, to see what it held when it was published; None: all that was written.

    Attributes
    ----------
    info : VersionInfo
        The published version.
    ids : ndarray of int64, shape (n,)
        Row id at each position.
    whole_log : int
        Bytes of whole records in the log.

    Raises
    ------
    IndexMissingError, IndexVersionError, CorruptIndexError, EncoderMismatchError
        If the folder cannot be opened.
    UnknownNameError
        If there is no such version (any more).
    """

    def __init__(self, path: Path, version: int | str | None = None) -> None:
        self.path = path
        self.info, self._delta, self.whole_log, self._lease = (
            read_consistent(path) if version is None else read_published(path, version)
        )
        self.folder = version_folder(path, self.info.number)
        self.catalog = Catalog(self.folder / "catalog.duckdb")
        self._base_ids = load_array(self.folder / "ids.npy", (self.info.n_rows,), np.int64)
        self._base_vectors: npt.NDArray[np.float32] = load_array(
            self.folder / "vectors.npy", (self.info.n_rows, self.info.dim), np.float32
        )
        self._columns = ColumnFolder(self.folder / "columns")
        delta = self._delta
        self.ids: npt.NDArray[np.int64] = self._base_ids
        self._kept: npt.NDArray[np.bool_] | None = None
        if delta.removed:
            self._kept = ~np.isin(self._base_ids, np.fromiter(delta.removed, np.int64))
            self.ids = self._base_ids[self._kept]
        if delta.added:
            self.ids = np.concatenate([self.ids, np.fromiter(delta.added, np.int64)])

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def vectors(self) -> npt.NDArray[np.float32]:
        """Embedding at each position, float32 (n, dim); memory-mapped while the log is empty, else a copy.

        A copy is made when it is first asked for: writing needs none.
        """
        base, kept, added = self._base_vectors, self._kept, self._delta.added
        if kept is None and not added:
            return base
        vectors = np.empty((len(self.ids), self.info.dim), dtype=np.float32)
        published = len(vectors) - len(added)
        if kept is None:
            vectors[:published] = base
        else:
            np.compress(kept, base, axis=0, out=vectors[:published])
        for place, row in enumerate(added.values(), start=published):
            vectors[place] = row.vector
        return vectors

    def vectors_of(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the embeddings of some rows, float32 (len(ids), dim), without a copy of all.

        Raises
        ------
        UnknownNameError
            If a row id is not in the index.
        """
        if self._kept is None and not self._delta.added:
            return np.asarray(self._base_vectors[self.positions(ids)])
        place = self.positions(ids)
        published = len(self.ids) - len(self._delta.added)
        old = place < published
        found = np.empty((len(ids), self.info.dim), dtype=np.float32)
        base = place[old] if self._kept is None else np.flatnonzero(self._kept)[place[old]]
        found[old] = self._base_vectors[base]
        for i in np.flatnonzero(~old):
            found[i] = self._delta.added[int(ids[i])].vector
        return found

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
        columns = MotifColumns(self.columns, lambda motif: self.motifs.found(motif))
        return Filters(columns, starts, self.schema)

    @cached_property
    def motifs(self) -> Motifs:
        """The graphs of all rows, for `contains` in a filter; packed anew where the version has none."""
        kept = read_motifs(self.folder / MOTIF_FOLDER)
        parts = [packed(self.catalog) if kept is None else kept]
        fresh = [row.info for row in self._delta.added.values()]
        if fresh:
            ids = np.array([row.row_id for row in fresh], dtype=np.int64)
            parts.append(Part.of([row.space for row in fresh], [row.native for row in fresh], ids))
        return Motifs(parts, self.ids)

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
        found = self.measured(np.array([row_id]))[row_id]
        return [Measurement(spec, value) for spec, value in found.items()]

    def measured(self, ids: npt.NDArray[np.int64]) -> dict[int, dict[MeasurementSpec, float]]:
        """Return all measurements of the given rows, by row id and spec."""
        found = self.catalog.values(ids)
        for row_id, by_spec in found.items():
            by_spec.update(self._delta.values.get(row_id, {}))
        return {
            row_id: {spec: value for spec, value in by_spec.items() if value == value}
            for row_id, by_spec in found.items()
        }

    def series(self) -> Iterator[Series]:
        """Yield every series over all rows (float64, NaN where missing), in the order of `ids`."""
        changed: dict[MeasurementSpec, dict[int, float]] = {}
        for row_id, by_spec in self._delta.values.items():
            for spec, value in by_spec.items():
                changed.setdefault(spec, {})[row_id] = value
        known = (one for one in self.catalog.series(self.ids))
        fresh = [spec for spec in self.specs() if spec not in set(self.catalog.specs())]
        for one in chain(known, (Series(spec, np.full(len(self), np.nan)) for spec in fresh)):
            new = changed.get(one.spec, {})
            one.values[self.positions(np.fromiter(new, np.int64))] = list(new.values())
            yield one

    def specs(self) -> list[MeasurementSpec]:
        """Return the spec of every series in the index."""
        fresh = [spec for by_spec in self._delta.values.values() for spec in by_spec]
        return list(dict.fromkeys(self.catalog.specs() + fresh))

    def close(self) -> None:
        """Let go of the files; a writer may remove them from now on."""
        self.catalog.close()
        self._lease.close()
        # What leads back to itself is freed some time later, and until then its files count as open.
        if "filters" in self.__dict__:
            self.filters.forget()
        for name in ("columns", "searched", "filters", "motifs"):
            self.__dict__.pop(name, None)

    @cached_property
    def _id_order(self) -> npt.NDArray[np.int64]:
        return np.argsort(self.ids, kind="stable")


def check_measurements(series: tuple[Series, ...], n: int) -> None:
    """Raise `ArgumentError` unless every series has `n` values, none infinite."""
    for one in series:
        if one.values.shape != (n,):
            raise ArgumentError(f"expected {n} values of {one.spec.column}", got=one.values.shape)
        check_range(one)
