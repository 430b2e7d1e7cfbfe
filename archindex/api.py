"""The facade that users hold: open or build an index, query it, add to it, walk in it, decode from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from archindex.core.canonical import graph_sizes
from archindex.core.checks import check_path
from archindex.core.metrics import MeasurementSpec, series_of
from archindex.core.progress import Progress, silent
from archindex.indexes import Metric
from archindex.retrieval import Retrieval
from archindex.spaces.base import Architecture
from archindex.store.addresses import Address, arch_ids_of, pack
from archindex.store.rows import Rows
from archindex.store.version import VersionInfo
from archindex.store.writer import add_rows, fold, remove_rows, writing

if TYPE_CHECKING:
    from archindex.datasets import Table


class Index(Retrieval):
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
