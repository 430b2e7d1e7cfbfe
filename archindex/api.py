"""The facade that users hold: open or build an index, query it, add to it, walk in it, decode from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
import numpy.typing as npt

from archindex.core.canonical import graph_sizes
from archindex.core.checks import check_int, check_path, check_vectors
from archindex.core.errors import UnknownNameError
from archindex.core.metrics import MeasurementSpec, series_of
from archindex.core.progress import Progress, silent
from archindex.hits import Hits, Record, selected
from archindex.indexes import Metric
from archindex.queries.columns import Schema
from archindex.spaces.base import Architecture
from archindex.store.addresses import Address, Addresses, Batch, Query, arch_ids_of, architecture_of, pack
from archindex.store.rows import Rows
from archindex.store.snapshot import Snapshot
from archindex.store.version import VersionInfo
from archindex.store.writer import add_rows, fold, remove_rows, writing

if TYPE_CHECKING:
    from archindex.datasets import Table
    from archindex.search.decode import Decoded
    from archindex.search.walk import Walk


class Index:
    """An index folder, opened.

    It shows the index as it was when it was opened or last changed through this object; `refresh` shows
    what other processes have written since.

    Parameters
    ----------
    path : str or Path
        Folder of the index.

    Raises
    ------
    IndexMissingError, IndexVersionError, CorruptIndexError, EncoderMismatchError
        If the folder cannot be opened.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = check_path(path)
        self._snapshot = Snapshot(self.path)
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
    def spaces(self) -> tuple[str, ...]:
        """Names of the search spaces in the index."""
        return self._addresses.spaces

    def close(self) -> None:
        """Let go of the files."""
        self._snapshot.close()

    def refresh(self) -> None:
        """Show what has been written since."""
        old, self._snapshot = self._snapshot, Snapshot(self.path)
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
            vector=np.array(self._snapshot.vectors[place[0]]),
        )

    def encode(self, architectures: Sequence[Architecture | str]) -> npt.NDArray[np.float32]:
        """Return the embeddings of architectures, in the index or not; float32, shape (n, dim)."""
        return self._snapshot.encoder.encode(pack(self._addresses.architectures(architectures)))

    @overload
    def query(
        self, like: Address, k: int = ..., where: str | None = ..., *,
        select: Sequence[str] | str | None = ..., recall: str | float = ..., strategy: str = ...,
    ) -> Hits: ...  # fmt: skip

    @overload
    def query(
        self, like: Batch, k: int = ..., where: str | None = ..., *,
        select: Sequence[str] | str | None = ..., recall: str | float = ..., strategy: str = ...,
    ) -> list[Hits]: ...  # fmt: skip

    @overload
    def query(
        self, like: list[float] | tuple[float, ...], k: int = ..., where: str | None = ..., *,
        select: Sequence[str] | str | None = ..., recall: str | float = ..., strategy: str = ...,
    ) -> Hits: ...  # fmt: skip

    @overload
    def query(
        self, like: npt.NDArray[Any], k: int = ..., where: str | None = ..., *,
        select: Sequence[str] | str | None = ..., recall: str | float = ..., strategy: str = ...,
    ) -> Hits | list[Hits]: ...  # fmt: skip

    def query(
        self,
        like: Query,
        k: int = 10,
        where: str | None = None,
        *,
        select: Sequence[str] | str | None = None,
        recall: str | float = "balanced",
        strategy: str = "auto",
    ) -> Hits | list[Hits]:
        """Return the architectures nearest to one or many.

        Parameters
        ----------
        like : str, int, Architecture, ndarray or a sequence of them
            Native string, ``space:native``, arch_id (6 digits do; of several rows the first counts), row id,
            architecture, or vector of shape (dim,). An array of shape (m, dim) is a batch, and so is a list
            of these; but a flat list of numbers is a vector, unless all are whole: these are row ids.
        k : int
            How many; fewer come back only where fewer rows satisfy `where`.
        where : str, optional
            Boolean SQL expression over the attribute columns, e.g. ``"cifar10_latency_ms < 14"``.
        select : str or sequence of str, optional
            Attribute columns of the hits to read, in any case; None: all.
        recall : {"fast", "balanced", "high", "exact"} or float
            Share of the true nearest to be found, in the mean: .90, .95, .99, all with a proof, or a number.
        strategy : {"auto", "engine", "lists", "ids", "exact"}
            Way to force, of those that `archindex.queries.plan` describes.

        Returns
        -------
        Hits, or list of Hits for a batch

        Raises
        ------
        InputError
            If an argument cannot be used; the message says what was expected.
        """
        check_int("k", k, low=1)
        names = selected(select, self.schema)
        vectors, batched = self._addresses.query_vectors(like)
        found, plan = self._snapshot.search(vectors, k, where, recall=recall, strategy=strategy)
        hits = Hits.of(self._snapshot, found, names, plan)
        return hits if batched else hits[0]

    def add(
        self,
        architectures: Sequence[Architecture | str],
        measurements: Mapping[str | MeasurementSpec, npt.ArrayLike] | None = None,
        *,
        source: str = "user",
    ) -> npt.NDArray[np.int64]:
        """Add architectures with measurements; on return they are safe on disk.

        Of an architecture that is there already only the measurements are added.

        Parameters
        ----------
        architectures : sequence of Architecture or str
            What to add; of strings, native ones or ``space:native``. An arch_id must fit one row.
        measurements : mapping, optional
            Values of shape (n,) by attribute column (``"cifar10_valid_acc"``; its name says metric and
            unit) or by full spec; NaN where missing.
        source : str
            Where values given by column come from.

        Returns
        -------
        ndarray of int64, shape (n,)
            Row ids.

        Raises
        ------
        InputError
            If an argument cannot be used; nothing was added.
        IndexLockedError, StorageError
            If the index cannot be written to; nothing was added.
        """
        parsed = self._addresses.architectures(architectures)
        series = series_of(measurements, source)
        if not parsed:
            return np.empty(0, dtype=np.int64)
        graphs = pack(parsed)
        rows = Rows(
            spaces=[a.space.name for a in parsed],
            natives=[a.native for a in parsed],
            arch_ids=arch_ids_of(parsed),
            vectors=self._snapshot.encoder.encode(graphs),
            sizes=graph_sizes(graphs),
            series=series,
        )
        ids = add_rows(self.path, rows, self.info.fingerprint)
        self.refresh()
        return ids

    def remove(self, addresses: Iterable[Address]) -> int:
        """Remove architectures; on return their removal is safe on disk. Return how many were there.

        Raises
        ------
        UnknownNameError
            If an arch_id fits several rows; nothing was removed.
        IndexLockedError, StorageError
            If the index cannot be written to; nothing was removed.
        """
        ids = np.array([row.row_id for row in self._addresses.sole_rows(addresses)], dtype=np.int64)
        removed = remove_rows(self.path, ids) if len(ids) else 0
        self.refresh()
        return removed

    def publish(self) -> VersionInfo:
        """Fold what was added and removed since the last version into a new one, as a grown log is."""
        with writing(self.path):
            info = fold(self.path)
        self.refresh()
        return info

    def decode(self, vectors: npt.ArrayLike) -> list[Decoded]:
        """Return the valid architecture nearest to each vector that the index or its spaces can give.

        Parameters
        ----------
        vectors : array_like of float32, shape (n, dim) or (dim,)
            Points of the embedding space.

        Raises
        ------
        ArgumentError
            If the shape does not fit or an entry is not finite.
        """
        from archindex.search.decode import decode

        return decode(self._snapshot, check_vectors("vectors", vectors, dim=self.info.dim))

    def interpolate(self, a: Address, b: Address, steps: int = 5) -> list[Decoded]:
        """Decode `steps` points evenly spaced from `a` to `b`, both included.

        Raises
        ------
        InputError
            If `steps` is less than 2, or an architecture cannot be found.
        """
        check_int("steps", steps, low=2, high=1_000_000)
        ends = self._addresses.vectors([a, b])
        share = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
        return self.decode(ends[0] * (1 - share) + ends[1] * share)

    def walk(
        self,
        objective: str,
        where: str | None = None,
        seed: int = 0,
        *,
        maximize: bool | None = None,
    ) -> Walk:
        """Start a search around the best of what it is told; see `archindex.search.walk.Walk`.

        Parameters
        ----------
        objective : str
            Attribute column, or any name; whoever calls `tell` is the oracle.
        where : str, optional
            Constraint that every asked architecture satisfies.
        seed : int
            The same seed gives the same walk.
        maximize : bool, optional
            Which way is better; None: as the metric of the column says.
        """
        from archindex.search.pool import Pool
        from archindex.search.walk import Walk

        # A view of its own, which stays while this index is written to and refreshed.
        return Walk(Pool(Snapshot(self.path), where), objective, seed=seed, maximize=maximize)


def open_index(path: str | Path) -> Index:
    """Open the index at `path`; ``archindex.open`` is this function. See `Index`."""
    return Index(path)


def build(
    path: str | Path,
    data: str | Table | Sequence[str | Table] = "nasbench201",
    *,
    encoder: str = "universal",
    engine: str = "auto",
    metric: Metric = "l2",
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Index:
    """Build an index and open it.

    Parameters
    ----------
    path : str or Path
        Folder of the index; made if it is not there.
    data : str, Table, or a sequence of them
        Data sets by name, or tables.
    encoder : str
        ``"universal"`` (comes trained), ``"structural"`` (nothing learned), ``"gin"`` (learns from these
        architectures) or another of ``archindex encoder ls``.
    engine : str
        ``"exact"``, ``"hnsw"``, ``"ivf"`` or ``"auto"``.
    metric : {"l2", "cosine"}
        Distance of the index.
    seed : int
        Seed of the training and of the engine.
    overwrite : bool
        Whether an index at `path` may be replaced.
    progress : Progress
        Told how far it is.

    Raises
    ------
    InputError, DataUnavailableError, StorageError, IndexLockedError
        As `archindex.jobs.build.build_index`.
    """
    from archindex.jobs.build import build_index

    items = [data] if isinstance(data, str) or not isinstance(data, Sequence) else list(data)
    build_index(
        check_path(path),
        items,
        encoder=encoder,
        engine=engine,
        metric=metric,
        seed=seed,
        overwrite=overwrite,
        progress=progress,
    )
    return Index(path)
