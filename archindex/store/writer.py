"""Writing: one process at a time appends to the log, and folds it into a new version when it has grown."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.disk import disk_errors
from archindex.core.errors import (
    ArgumentError,
    EncoderMismatchError,
    IndexExistsError,
    IndexLockedError,
    StorageError,
    UnknownNameError,
)
from archindex.core.metrics import MeasurementSpec, Series
from archindex.store.files import make_folder
from archindex.store.folder import folder_kind, is_our_work, only_ours
from archindex.store.log import AddedRow, append, cut_torn_record, encode_add, encode_remove
from archindex.store.manifest import current_version, migrate
from archindex.store.publishing import fold
from archindex.store.rows import RowInfo, Rows
from archindex.store.snapshot import Snapshot, check_measurements
from archindex.store.version import discard_unpublished, log_path

FOLD_BYTES: Final = 8 << 20
"""Size of the log (bytes) from which an add or remove folds it into a new version."""

LOCK_SECONDS: Final = 30.0
"""How long a writer waits for another one."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Hold the index at `path` for writing.

    Raises
    ------
    IndexLockedError
        If another process holds it for more than `LOCK_SECONDS`.
    StorageError
        If the folder cannot be written to.
    """
    from filelock import FileLock, Timeout  # late: a query is to start fast and never writes

    with disk_errors("the lock of the index"):
        make_folder(path)
        lock = FileLock(path / "writer.lock")
        try:
            lock.acquire(timeout=LOCK_SECONDS)
        except Timeout:
            raise IndexLockedError(
                "expected to be the only writer",
                got=f"another process writing to {path}",
                fix="wait for it to end",
            ) from None
    try:
        yield
    finally:
        lock.release()


def check_target(path: Path, *, overwrite: bool) -> bool:
    """Return whether there is an index at `path` that a build is to replace.

    An unfinished build may be finished; an index, sound or damaged, may be replaced if `overwrite` says so;
    anything else that is not empty is left alone.

    Raises
    ------
    IndexExistsError
        If no new index may be built there.
    CorruptIndexError
        If a damaged index may not be replaced.
    """
    kind = folder_kind(path)
    if kind == "foreign" and not path.is_dir():
        raise IndexExistsError(
            "expected a folder to build in", got=f"{path}, a file", fix="give another path"
        )
    if kind == "index" and not overwrite:
        raise IndexExistsError(
            "expected a path without an index", got=str(path), fix="add --overwrite, or give another path"
        )
    if kind == "damaged" and not overwrite:
        current_version(path)  # says what is wrong, and how to repair it
    # A sound index may have other files beside it, but not where a build clears away.
    ours = is_our_work(path / "building") if kind == "index" else kind != "foreign"
    if not ours or (kind == "damaged" and not only_ours(path)):
        raise IndexExistsError(
            "expected an empty folder or an index", got=f"{path}, with other files", fix="give another path"
        )
    return kind in ("index", "damaged")


def add_rows(path: Path, rows: Rows, fingerprint: str) -> npt.NDArray[np.int64]:
    """Add architectures, or measurements of ones that are there, and return their row ids; shape (n,).

    On return the rows are in the log on disk. A native string that the index has keeps its row id and
    vector, and its measurements are added; a measurement of the same spec is replaced.

    Parameters
    ----------
    path : Path
        Folder of the index.
    rows : Rows
        What to add.
    fingerprint : str
        Of the encoder that made the vectors.

    Raises
    ------
    ArgumentError
        If a measurement is infinite.
    EncoderMismatchError
        If the index was built again with another encoder meanwhile; nothing was added.
    IndexLockedError, StorageError
        If the index cannot be written to; nothing was added.
    """
    check_measurements(rows.series, len(rows))
    with _appending(path) as (snapshot, log):
        if snapshot.info.fingerprint != fingerprint:
            raise EncoderMismatchError(
                f"expected vectors of the index's encoder {snapshot.info.fingerprint[:12]}",
                got=fingerprint[:12],
                fix="open the index again: it was built anew meanwhile",
            )
        ids, added = _assign(snapshot, rows)
        values = _by_row(ids, rows.series)
        if added or values:
            append(log, encode_add(added, values))
    return ids


def update_rows(
    path: Path,
    ids: npt.NDArray[np.int64],
    series: tuple[Series, ...],
    drop: str | Sequence[str | MeasurementSpec] = (),
) -> None:
    """Replace measurements of rows that are there; on return that is in the log on disk.

    Parameters
    ----------
    path : Path
        Folder of the index.
    ids : ndarray of int64, shape (n,)
        Row ids.
    series : tuple of Series
        New values of shape (n,); NaN leaves what is there.
    drop : str, or sequence of str or MeasurementSpec
        What is taken away of these rows first: all measurements of an attribute column, or of one spec.

    Raises
    ------
    ArgumentError
        If a measurement is infinite, or a column to drop holds no measurements.
    UnknownNameError
        If a row is not there (any more), or there is no such column to drop; nothing was changed.
    IndexLockedError, StorageError
        If the index cannot be written to; nothing was changed.
    """
    check_measurements(series, len(ids))
    dropped = [drop] if isinstance(drop, str) else drop
    if not isinstance(dropped, Sequence) or not all(isinstance(d, (str, MeasurementSpec)) for d in dropped):
        raise ArgumentError("expected columns or specs to drop", got=drop)
    with _appending(path) as (snapshot, log):
        snapshot.positions(ids)
        values = _taken_away(snapshot, ids, dropped)
        for row_id, by_spec in _by_row(ids, series).items():
            values.setdefault(row_id, {}).update(by_spec)
        if values:
            append(log, encode_add([], values))


def remove_rows(path: Path, ids: npt.NDArray[np.int64]) -> int:
    """Remove rows; on return their removal is in the log on disk. Return how many there were.

    Raises
    ------
    IndexLockedError, StorageError
        If the index cannot be written to; nothing was removed.
    """
    with _appending(path) as (snapshot, log):
        there = np.unique(ids[np.isin(ids, snapshot.ids)])
        if len(there):
            append(log, encode_remove(there.tolist()))
    return len(there)


@contextmanager
def _appending(path: Path) -> Iterator[tuple[Snapshot, Path]]:
    """Give what the index holds and its log, to be appended to; a log that has grown is folded afterwards."""
    with writing(path):
        snapshot = Snapshot(path)
        try:
            migrate(path)
            log = log_path(path, snapshot.info.number)
            cut_torn_record(log, snapshot.whole_log)
            discard_unpublished(path, snapshot.info.number)
            yield snapshot, log
        finally:
            snapshot.close()
        _fold_if_grown(path, log)


def _fold_if_grown(path: Path, log: Path) -> None:
    if log.exists() and log.stat().st_size > FOLD_BYTES:
        try:
            fold(path)
        except StorageError as error:
            # What was asked for is safe in the log; an error would say that it is not.
            warnings.warn(f"the log has grown and was not folded: {error}", RuntimeWarning, stacklevel=6)


def _assign(snapshot: Snapshot, rows: Rows) -> tuple[npt.NDArray[np.int64], list[AddedRow]]:
    """Return the row id of every row, and those that are new."""
    ids = np.empty(len(rows), dtype=np.int64)
    added: list[AddedRow] = []
    known = {(row.space, row.native): row.row_id for row in snapshot.find_natives(rows.natives)}
    following = snapshot.next_row_id
    for i, (space, native) in enumerate(zip(rows.spaces, rows.natives, strict=True)):
        if (space, native) not in known:
            known[space, native] = following
            info = RowInfo(following, space, native, str(rows.arch_ids[i]))
            sizes = {name: int(values[i]) for name, values in rows.sizes.items()}
            added.append(AddedRow(info, rows.vectors[i], sizes))
            following += 1
        ids[i] = known[space, native]
    return ids, added


def _by_row(
    ids: npt.NDArray[np.int64], series: tuple[Series, ...]
) -> dict[int, dict[MeasurementSpec, float]]:
    """Return the values that are there, by row id and spec; of a row that is named twice the last count."""
    values: dict[int, dict[MeasurementSpec, float]] = {}
    for one in series:
        for i in np.flatnonzero(~np.isnan(one.values)):
            values.setdefault(int(ids[i]), {})[one.spec] = float(one.values[i])
    return values


def _taken_away(
    snapshot: Snapshot, ids: npt.NDArray[np.int64], drop: Sequence[str | MeasurementSpec]
) -> dict[int, dict[MeasurementSpec, float]]:
    """Return NaN for every measurement of some rows that is to go, by row id and spec."""
    specs = snapshot.specs()
    measured = {spec.column for spec in specs}
    for what in drop:
        if isinstance(what, str) and what in snapshot.schema and what not in measured:
            raise ArgumentError("expected a column of measurements to drop", got=what)
        if (what if isinstance(what, str) else what.column) not in measured:
            raise UnknownNameError.of("column", str(what), measured)
    gone = {spec for spec in specs if spec in drop or spec.column in drop}
    found = snapshot.measured(np.unique(ids)) if gone else {}
    return {
        row_id: {spec: float("nan") for spec in by_spec if spec in gone}
        for row_id, by_spec in found.items()
        if not gone.isdisjoint(by_spec)
    }
