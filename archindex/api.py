"""The facade that users hold: open or build an index, query it, add to it, walk in it, decode from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from archindex.core.canonical import graph_sizes
from archindex.core.checks import check_path
from archindex.core.errors import ReadOnlyError
from archindex.core.metrics import MeasurementSpec, series_of
from archindex.core.progress import Progress, silent
from archindex.indexes import Metric
from archindex.relations import Relations
from archindex.spaces.base import Architecture
from archindex.store.addresses import Address, arch_ids_of, pack
from archindex.store.history import drop_snapshot, take_snapshot
from archindex.store.manifest import migrate
from archindex.store.names import NamedVersion
from archindex.store.publishing import compact, fold
from archindex.store.rows import Rows
from archindex.store.version import VersionInfo
from archindex.store.writer import add_rows, remove_rows, update_rows, writing

if TYPE_CHECKING:
    from archindex.datasets import Table


class Index(Relations):
    """An index folder, opened.

    It shows the index as it was when it was opened or last changed through this object; `refresh` shows
    what other processes have written since.

    Parameters
    ----------
    path : str or Path
        Folder of the index.
    version : int or str, optional
        Number or name of a version; see `open_index`.

    Raises
    ------
    IndexMissingError, IndexVersionError, CorruptIndexError, EncoderMismatchError
        If the folder cannot be opened.
    UnknownNameError
        If there is no such version.
    """

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
        ReadOnlyError, IndexLockedError, StorageError
            If the index cannot be written to; nothing was added.
        """
        self._check_writable()
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

    def update(
        self,
        addresses: Iterable[Address],
        measurements: Mapping[str | MeasurementSpec, npt.ArrayLike] | None = None,
        *,
        drop: str | Sequence[str | MeasurementSpec] = (),
        source: str = "user",
    ) -> npt.NDArray[np.int64]:
        """Replace or take away measurements of architectures that are there; on return that is safe on disk.

        Row ids stay. `add` refuses nothing that is new; this refuses architectures that are not in the index.

        Parameters
        ----------
        addresses : iterable of Address
            Which architectures; one row each.
        measurements : mapping, optional
            Values of shape (n,), as in `add`. A value of the same full spec is replaced; NaN leaves what is
            there.
        drop : str, or sequence of str or MeasurementSpec
            What is taken away of these architectures first: all that an attribute column is made of (every
            training seed and source), or the values of one spec.
        source : str
            Where values given by column come from.

        Returns
        -------
        ndarray of int64, shape (n,)
            Row ids.

        Raises
        ------
        InputError
            If an argument cannot be used, or an architecture is not in the index; nothing was changed.
        ReadOnlyError, IndexLockedError, StorageError
            If the index cannot be written to; nothing was changed.
        """
        self._check_writable()
        ids = np.array([row.row_id for row in self._addresses.present_rows(addresses)], dtype=np.int64)
        update_rows(self.path, ids, series_of(measurements, source), drop)
        self.refresh()
        return ids

    def remove(self, addresses: Iterable[Address]) -> int:
        """Remove architectures; on return their removal is safe on disk. Return how many were there.

        Raises
        ------
        UnknownNameError
            If an arch_id fits several rows; nothing was removed.
        ReadOnlyError, IndexLockedError, StorageError
            If the index cannot be written to; nothing was removed.
        """
        self._check_writable()
        ids = np.array([row.row_id for row in self._addresses.sole_rows(addresses)], dtype=np.int64)
        removed = remove_rows(self.path, ids) if len(ids) else 0
        self.refresh()
        return removed

    def publish(self) -> VersionInfo:
        """Fold what was added and removed since the last version into a new one, as a grown log is.

        Raises
        ------
        ReadOnlyError, IndexLockedError, StorageError
            If the index cannot be written to; version and log stay as they were.
        """
        self._check_writable()
        with writing(self.path):
            migrate(self.path)
            info = fold(self.path)
        self.refresh()
        return info

    def compact(self) -> int:
        """Publish a version without anything that removed rows left behind; drop those before it.

        The engine, the lists and the catalogue are made anew. Versions that have a name or a reader stay.

        Returns
        -------
        int
            Bytes that were freed.

        Raises
        ------
        ReadOnlyError, IndexLockedError, StorageError
            If the index cannot be written to; what it holds stays as it was.
        """
        self._check_writable()
        self._snapshot.close()  # else this object itself would hold the version before
        try:
            with writing(self.path):
                migrate(self.path)
                freed = compact(self.path)
        finally:
            self.refresh()
        return freed

    def take_snapshot(self, name: str) -> NamedVersion:
        """Keep what the index holds now under a name: ``open(path, version=name)`` shows it.

        It takes the disk space of what later versions change, and stays until `drop_snapshot`.

        Parameters
        ----------
        name : str
            A letter, then up to 63 letters, digits, ``.``, ``_`` or ``-``.

        Raises
        ------
        ArgumentError
            If it cannot be a name, or is one already.
        ReadOnlyError, IndexLockedError, StorageError
            If the index cannot be written to.
        """
        self._check_writable()
        taken = take_snapshot(self.path, name)
        self.refresh()
        return taken

    def drop_snapshot(self, name: str) -> None:
        """Take a name away; its version goes as any other does, by the publish after the next at the latest.

        Raises
        ------
        UnknownNameError
            If no version has that name.
        ReadOnlyError, IndexLockedError, StorageError
            If the index cannot be written to.
        """
        self._check_writable()
        drop_snapshot(self.path, name)

    def _check_writable(self) -> None:
        if self._version is not None:
            raise ReadOnlyError(
                "expected the index as it is now to write to",
                got=f"version {self._version} of {self.path}",
                fix="open it without version=",
            )


def open_index(path: str | Path, *, version: int | str | None = None) -> Index:
    """Open the index at `path`; ``archindex.open`` is this function. See `Index`.

    Parameters
    ----------
    path : str or Path
        Folder of the index.
    version : int or str, optional
        Number of a version, or the name of a snapshot: shows what it held when it was published, and refuses
        writes. None: all that was written until now.
    """
    return Index(path, version=version)


def build(
    path: str | Path,
    data: str | Table | Sequence[str | Table] = "nasbench201",
    *,
    encoder: str = "universal",
    engine: str = "auto",
    metric: Metric = "l2",
    seed: int = 0,
    memory_limit: int | None = None,
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
        A key of `archindex.indexes.ENGINES`, or ``"auto"``: by size, memory and how the vectors lie.
    metric : {"l2", "cosine"}
        Distance of the index.
    seed : int
        Seed of the training and of the engine.
    memory_limit : int, optional
        Bytes that the engine may take once the index is open; ``"auto"`` keeps it.
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
        memory_limit=memory_limit,
        overwrite=overwrite,
        progress=progress,
    )
    return Index(path)


def merge(target: str | Path, *sources: str | Path, progress: Progress = silent) -> Index:
    """Make one new index of two or more that have the same encoder and metric, and open it.

    Parameters
    ----------
    target : str or Path
        Folder of the new index.
    *sources : str or Path
        The indexes; they stay as they are. Rows of the same native string become one, with all measurements;
        of two values of the same measurement the later index's stands. Rows of the first keep their ids.
    progress : Progress
        Told how far it is.

    Raises
    ------
    InputError, CorruptIndexError, StorageError, IndexLockedError
        As `archindex.jobs.merge.merge_indexes`; nothing was published.
    """
    from archindex.jobs.merge import merge_indexes

    path = check_path(target)
    merge_indexes(path, [check_path(source) for source in sources], progress=progress)
    return Index(path)
