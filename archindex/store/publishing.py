"""Publishing: a version is built from rows, folded from the one before and its log, or compacted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from archindex.core.disk import disk_errors
from archindex.core.errors import CorruptIndexError
from archindex.encoders import Encoder
from archindex.indexes import Metric, VectorIndex, make_index
from archindex.store.arrange import grown_order, new_order, write_arrays, write_lists
from archindex.store.catalog import amend_catalog, create_catalog, rewrite_catalog
from archindex.store.columns import derive_columns, write_columns
from archindex.store.files import remove_tree
from archindex.store.folder import folder_kind, version_numbers
from archindex.store.log import highest_row_id
from archindex.store.manifest import current_version
from archindex.store.motifs import MOTIF_FOLDER, Part, write_motifs
from archindex.store.rows import Rows
from archindex.store.snapshot import Snapshot, check_measurements
from archindex.store.version import (
    VersionInfo,
    drop_old_versions,
    following_number,
    log_path,
    parse_version,
    publish,
    staging_folder,
    version_folder,
)


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
    ids: npt.NDArray[np.int64] | None = None,
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
    ids : ndarray of int64, shape (n,), optional
        Row ids, rising, of rows that are merged from other indexes; None: new ones.

    Raises
    ------
    StorageError
        If the disk refuses; what was published before stays.
    """
    check_measurements(rows.series, len(rows))
    n = len(rows)
    earlier = _published_versions(path)
    first = max((_first_free_id(path, number) for number in earlier), default=0)
    made_by = "build" if ids is None else "merge"
    ids = np.arange(first, first + n, dtype=np.int64) if ids is None else ids
    number = following_number(path, max(earlier, default=0))
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
        graphs = rows.structures
        part = Part.of(rows.spaces, rows.natives, ids) if graphs is None else Part(graphs, ids).sorted()
        write_motifs(staged / MOTIF_FOLDER, part)
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
                next_row_id=max(first, int(ids.max(initial=-1)) + 1),
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                archindex=package_version("archindex"),
                made_by=made_by,
                engine_arguments=dict(engine_arguments or {}),
                data_digests=tuple(data_digests),
            ),
        )


def fold(path: Path) -> VersionInfo:
    """Publish a version that holds what the current one and its log hold; call it inside `writing`.

    Raises
    ------
    StorageError
        If the disk refuses; version and log stay as they were.
    """
    return _revised(path, anew=False)


def compact(path: Path) -> int:
    """Publish the same with nothing in it that is no longer needed, and remove the versions before.

    The engine is built without removed rows, lists and catalogue are made anew. Versions that have a name, or
    that readers hold, stay. Call it inside `writing`.

    Returns
    -------
    int
        Bytes that were freed; below 0 where what is made anew takes more.

    Raises
    ------
    StorageError
        If the disk refuses; what was published stays.
    """
    before = _size(path)
    drop_old_versions(path, _revised(path, anew=True).number)
    return before - _size(path)


def _revised(path: Path, *, anew: bool) -> VersionInfo:
    snapshot = Snapshot(path)
    try:
        with staging(path) as staged:
            info, listed = snapshot.info, None if anew else snapshot.lists
            lists, order = grown_order(
                None if listed is None else listed.lists, snapshot.vectors, info.metric, info.seed
            )
            vectors, ids = snapshot.vectors[order], snapshot.ids[order]
            write_arrays(staged, vectors, ids)
            columns = ((name, snapshot.columns[name].take(order)) for name in snapshot.schema)
            write_columns(staged / "columns", dict(columns))
            # What was learned holds as long as the lists do; only to learn anew is the engine needed.
            kept = listed is not None and lists is not None and lists.trained == listed.lists.trained
            known = listed.calibration if listed is not None and kept else None
            engine = None
            if anew:
                engine = built_engine(info, vectors, ids)
            elif info.engine != "exact" or (lists is not None and known is None):
                engine = snapshot.engine
            if info.engine != "exact" and engine is not None:
                engine.save(staged / "ann")
            write_lists(staged, lists, vectors, ids, engine, info.seed, known)
            shutil.copytree(snapshot.folder / "encoder", staged / "encoder")
            graphs = [part.keeping(ids) for part in snapshot.motifs.parts]
            write_motifs(staged / MOTIF_FOLDER, Part.joined(graphs))
            delta = snapshot.delta
            snapshot.catalog.close()
            catalog = staged / "catalog.duckdb"
            shutil.copy2(snapshot.folder / "catalog.duckdb", catalog)
            amend_catalog(
                catalog, [row.info for row in delta.added.values()], delta.values, sorted(delta.removed)
            )
            if anew:
                rewrite_catalog(catalog)
            return publish(
                path,
                replace(
                    snapshot.info,
                    number=following_number(path, snapshot.info.number),
                    n_rows=len(snapshot),
                    next_row_id=snapshot.next_row_id,
                    created=datetime.now(UTC).isoformat(timespec="seconds"),
                    archindex=package_version("archindex"),
                    made_by="compact" if anew else "publish",
                ),
            )
    finally:
        snapshot.close()


def built_engine(
    info: VersionInfo, vectors: npt.NDArray[np.float32], ids: npt.NDArray[np.int64]
) -> VectorIndex:
    """Build the engine of a version from its vectors, float32 (n, dim), and row ids, int64 (n,)."""
    engine = make_index(info.engine, info.dim, info.metric, info.seed, **info.engine_arguments)
    engine.build(vectors, ids)
    return engine


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


def _size(path: Path) -> int:
    """Return the bytes that versions and logs take."""
    files = [file for name in ("versions", "log") for file in (path / name).rglob("*")]
    return sum(file.stat().st_size for file in files if file.is_file())
