"""Writing: one process at a time appends to the log, and folds it into a new version when it has grown."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.disk import disk_errors
from archindex.core.errors import (
    CorruptIndexError,
    EncoderMismatchError,
    IndexExistsError,
    IndexLockedError,
    StorageError,
)
from archindex.core.metrics import MeasurementSpec
from archindex.encoders import Encoder
from archindex.indexes import Metric, VectorIndex
from archindex.store.arrange import grown_order, new_order, write_arrays, write_lists
from archindex.store.catalog import amend_catalog, create_catalog
from archindex.store.columns import derive_columns, write_columns
from archindex.store.files import make_folder, remove_tree
from archindex.store.folder import folder_kind, is_our_work, only_ours, version_numbers
from archindex.store.log import AddedRow, append, cut_torn_record, encode_add, encode_remove, highest_row_id
from archindex.store.rows import RowInfo, Rows
from archindex.store.snapshot import Snapshot, check_measurements
from archindex.store.version import (
    VersionInfo,
    current_version,
    discard_unpublished,
    log_path,
    parse_version,
    publish,
    staging_folder,
    version_folder,
)

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


def create_version(
    path: Path,
    rows: Rows,
    *,
    encoder: Encoder,
    engine: VectorIndex,
    engine_name: str,
    engine_reason: str,
    metric: Metric,
    data: Sequence[str],
    seed: int,
    engine_arguments: Mapping[str, int | None] | None = None,
    data_digests: Sequence[str] = (),
) -> VersionInfo:
    """Publish `rows` as the index at `path`, replacing what it held; call it inside `writing`.

    Parameters
    ----------
    path : Path
        Folder of the index.
    rows : Rows
        Everything that it is to hold. Row ids go on after those of an index that was there, so that an id
        never comes to mean another row.
    encoder : Encoder
        What made the vectors.
    engine : VectorIndex
        An empty engine; it is built here.
    engine_name, engine_reason : str
        Its name, and why it was taken.
    metric : {"l2", "cosine"}
        Distance of the index.
    data : sequence of str
        Data sets that went in.
    seed : int
        Seed of the build.
    engine_arguments : mapping, optional
        What the engine was made with beside dimensions, metric and seed.
    data_digests : sequence of str
        Checksum of the content of each data set.

    Raises
    ------
    StorageError
        If the disk refuses; what was published before stays.
    """
    check_measurements(rows.series, len(rows))
    n = len(rows)
    earlier = _published_versions(path)
    first = max((_first_free_id(path, number) for number in earlier), default=0)
    ids = np.arange(first, first + n, dtype=np.int64)
    number = max(earlier, default=0) + 1
    with staging(path) as staged:
        create_catalog(staged / "catalog.duckdb", rows, ids)
        lists, order = new_order(rows.vectors, metric, seed)
        write_arrays(staged, rows.vectors[order], ids[order])
        columns = derive_columns(rows.spaces, rows.sizes, rows.series)
        write_columns(staged / "columns", {name: column.take(order) for name, column in columns.items()})
        engine.build(rows.vectors, ids)
        if engine_name != "exact":
            engine.save(staged / "ann")
        write_lists(staged, lists, rows.vectors[order], ids[order], engine, seed)
        encoder.save(staged / "encoder")
        return publish(
            path,
            VersionInfo(
                number=number,
                n_rows=n,
                dim=rows.vectors.shape[1],
                metric=metric,
                engine=engine_name,
                engine_reason=engine_reason,
                encoder=encoder.name,
                fingerprint=encoder.fingerprint,
                data=tuple(data),
                seed=seed,
                next_row_id=first + n,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                archindex=package_version("archindex"),
                engine_arguments=dict(engine_arguments or {}),
                data_digests=tuple(data_digests),
            ),
        )


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
    with writing(path):
        snapshot = Snapshot(path)
        try:
            if snapshot.info.fingerprint != fingerprint:
                raise EncoderMismatchError(
                    f"expected vectors of the index's encoder {snapshot.info.fingerprint[:12]}",
                    got=fingerprint[:12],
                    fix="open the index again: it was built anew meanwhile",
                )
            log = log_path(path, snapshot.info.number)
            cut_torn_record(log, snapshot.whole_log)
            discard_unpublished(path, snapshot.info.number)
            ids, added = _assign(snapshot, rows)
            values: dict[int, dict[MeasurementSpec, float]] = {}
            for one in rows.series:
                for i in np.flatnonzero(~np.isnan(one.values)):
                    values.setdefault(int(ids[i]), {})[one.spec] = float(one.values[i])
            if added or values:
                append(log, encode_add(added, values))
        finally:
            snapshot.close()
        _fold_if_grown(path, log)
    return ids


def remove_rows(path: Path, ids: npt.NDArray[np.int64]) -> int:
    """Remove rows; on return their removal is in the log on disk. Return how many there were.

    Raises
    ------
    IndexLockedError, StorageError
        If the index cannot be written to; nothing was removed.
    """
    with writing(path):
        snapshot = Snapshot(path)
        try:
            log = log_path(path, snapshot.info.number)
            cut_torn_record(log, snapshot.whole_log)
            discard_unpublished(path, snapshot.info.number)
            there = np.unique(ids[np.isin(ids, snapshot.ids)])
            if len(there):
                append(log, encode_remove(there.tolist()))
        finally:
            snapshot.close()
        _fold_if_grown(path, log)
    return len(there)


def fold(path: Path) -> VersionInfo:
    """Publish a version that holds what the current one and its log hold; call it inside `writing`.

    Raises
    ------
    StorageError
        If the disk refuses; version and log stay as they were.
    """
    snapshot = Snapshot(path)
    try:
        with staging(path) as staged:
            info, listed = snapshot.info, snapshot.lists
            lists, order = grown_order(
                None if listed is None else listed.lists, snapshot.vectors, info.metric, info.seed
            )
            vectors, ids = snapshot.vectors[order], snapshot.ids[order]
            write_arrays(staged, vectors, ids)
            columns = ((name, snapshot.columns[name].take(order)) for name in snapshot.schema)
            write_columns(staged / "columns", dict(columns))
            if info.engine != "exact":
                snapshot.engine.save(staged / "ann")
            # What was learned holds as long as the lists do; only to learn anew is the engine needed.
            kept = listed is not None and lists is not None and lists.trained == listed.lists.trained
            known = listed.calibration if listed is not None and kept else None
            engine = snapshot.engine if lists is not None and known is None else None
            write_lists(staged, lists, vectors, ids, engine, info.seed, known)
            shutil.copytree(snapshot.folder / "encoder", staged / "encoder")
            delta = snapshot.delta
            snapshot.catalog.close()
            shutil.copy2(snapshot.folder / "catalog.duckdb", staged / "catalog.duckdb")
            amend_catalog(
                staged / "catalog.duckdb",
                [row.info for row in delta.added.values()],
                delta.values,
                sorted(delta.removed),
            )
            return publish(
                path,
                replace(
                    snapshot.info,
                    number=snapshot.info.number + 1,
                    n_rows=len(snapshot),
                    next_row_id=snapshot.next_row_id,
                    created=datetime.now(UTC).isoformat(timespec="seconds"),
                    archindex=package_version("archindex"),
                ),
            )
    finally:
        snapshot.close()


def _fold_if_grown(path: Path, log: Path) -> None:
    if log.exists() and log.stat().st_size > FOLD_BYTES:
        try:
            fold(path)
        except StorageError as error:
            # What was asked for is safe in the log; an error would say that it is not.
            warnings.warn(f"the log has grown and was not folded: {error}", RuntimeWarning, stacklevel=4)


@contextmanager
def staging(path: Path) -> Iterator[Path]:
    """Give an empty folder to write the next version in; it is gone afterwards, published or not."""
    staged = staging_folder(path)
    with disk_errors("a new version of the index"):
        remove_tree(staged)
        staged.mkdir(parents=True)
        try:
            yield staged
        finally:
            remove_tree(staged)


def _published_versions(path: Path) -> list[int]:
    """Return the numbers of the versions that are there and were published, as far as can be told."""
    kind = folder_kind(path)
    if kind == "damaged":
        return version_numbers(path)
    if kind != "index":
        return []
    current = current_version(path)
    return [*(number for number in version_numbers(path) if number < current), current]


def _first_free_id(path: Path, number: int) -> int:
    """Return the row id after all that a version and its log ever gave, as far as they can be read."""
    folder = version_folder(path, number)
    free = highest_row_id(log_path(path, number)) + 1
    with suppress(CorruptIndexError):
        free = max(free, parse_version(folder).next_row_id)
    with suppress(Exception):  # NumPy raises many kinds for a damaged header
        free = max(free, int(np.load(folder / "ids.npy", allow_pickle=False).max(initial=-1)) + 1)
    return free


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
