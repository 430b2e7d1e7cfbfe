"""Repair: the manifest is written again from the versions, what is derived is made anew from the truth."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.canonical import graph_sizes
from archindex.core.disk import disk_errors
from archindex.core.errors import ArchindexError, CorruptIndexError
from archindex.encoders import Encoder, load_encoder, make_encoder
from archindex.queries.columns import Column
from archindex.spaces.registry import space
from archindex.store.arrange import new_order, write_arrays, write_lists
from archindex.store.catalog import Catalog
from archindex.store.columns import derive_columns, write_columns
from archindex.store.folder import version_numbers
from archindex.store.manifest import write_manifest
from archindex.store.motifs import MOTIF_FOLDER, packed_in, write_motifs
from archindex.store.publishing import built_engine, staging
from archindex.store.version import (
    VersionInfo,
    check_files,
    following_number,
    is_derived,
    log_path,
    parse_version,
    publish,
    version_folder,
)

SIZES: Final = ("n_ops", "depth")
"""Columns that are worked out from the graphs."""


def newest_sound_version(path: Path) -> int | None:
    """Return the highest version whose description, catalogue and vectors are as they were written."""
    for number in reversed(version_numbers(path)):
        folder = version_folder(path, number)
        try:
            info = parse_version(folder)
        except CorruptIndexError:
            continue
        if info.number == number and all(can_be_made(name, info) for name in check_files(folder, info)):
            return number
    return None


def can_be_made(name: str, info: VersionInfo) -> bool:
    """Return whether a file of a version can be made again from the others."""
    return is_derived(name) or (name.startswith("encoder") and untrained_encoder(info) is not None)


def untrained_encoder(info: VersionInfo) -> Encoder | None:
    """Return the encoder of a version if it needs no training; None if its weights were learned."""
    try:
        encoder = make_encoder(info.encoder)
        return encoder if encoder.fingerprint == info.fingerprint else None
    except ArchindexError:
        return None


def restore_manifest(path: Path, number: int) -> None:
    """Write the manifest again; call it inside `writing`.

    Raises
    ------
    StorageError
        If the disk refuses.
    """
    with disk_errors("the manifest of the index"):
        write_manifest(path, number)


def rebuild(path: Path, number: int) -> None:
    """Publish a version again with its derived files made anew; call it inside `writing`.

    Raises
    ------
    StorageError
        If the disk refuses; the version stays as it was.
    """
    folder = version_folder(path, number)
    info = parse_version(folder)
    with staging(path) as staged:
        ignore = shutil.ignore_patterns(
            "columns", "ann", "lists", "motifs", "encoder", "version.json", "vectors.npy", "ids.npy"
        )
        shutil.copytree(folder, staged, ignore=ignore, dirs_exist_ok=True)
        vectors, ids = load_arrays(folder)
        engine = built_engine(info, vectors, ids)
        if info.engine != "exact":
            engine.save(staged / "ann")
        lists, order = new_order(vectors, info.metric, info.seed)
        vectors, ids = vectors[order], ids[order]
        write_arrays(staged, vectors, ids)
        columns = derive(folder)
        write_columns(staged / "columns", {name: column.take(order) for name, column in columns.items()})
        write_lists(staged, lists, vectors, ids, engine, info.seed)
        write_motifs(staged / MOTIF_FOLDER, packed_in(folder))
        (untrained_encoder(info) or load_encoder(folder / "encoder")).save(staged / "encoder")
        log = log_path(path, number)
        publish(
            path,
            replace(
                info,
                number=following_number(path, number),
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                made_by="repair",
            ),
            log=log.read_bytes() if log.exists() else b"",
        )


def load_arrays(folder: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return the vectors and row ids of a version."""
    return (
        np.load(folder / "vectors.npy", mmap_mode="r", allow_pickle=False),
        np.load(folder / "ids.npy", allow_pickle=False),
    )


def derive(folder: Path) -> dict[str, Column]:
    """Work the attribute columns out from the catalogue."""
    ids = load_arrays(folder)[1]
    catalog = Catalog(folder / "catalog.duckdb")
    rows = catalog.all_rows()
    place = np.searchsorted(rows["row_id"], ids)
    spaces, natives = rows["space"][place].tolist(), rows["native"][place].tolist()
    sizes = {name: np.zeros(len(ids), dtype=np.int64) for name in SIZES}
    for name in dict.fromkeys(spaces):
        of_space = np.flatnonzero(np.array(spaces) == name)
        found = graph_sizes(space(name).graphs([natives[i] for i in of_space]))
        for size, values in found.items():
            sizes[size][of_space] = values
    columns = derive_columns(spaces, sizes, catalog.series(ids))
    catalog.close()
    return columns
