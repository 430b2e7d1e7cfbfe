"""Versions: the immutable folders that an index consists of, and the manifest that names the current one.

::

    PATH/
        manifest.json               format, current version
        writer.lock                 held by the one process that writes
        versions/000001/
            version.json            what made it: encoder, engine, data; checksums of every file
            catalog.duckdb          architectures and measurements: the truth
            vectors.npy  ids.npy    float32 (n, dim) and the stable row id at each position
            columns/                attribute columns, derived from the catalogue
            ann/                    the engine's files, derived from the vectors
            encoder/                what made the vectors; inside the version, so that both change at once
        log/000001.log              what was acknowledged since that version was published
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from archindex.core.errors import (
    CorruptIndexError,
    EncoderMismatchError,
    IndexMissingError,
    IndexVersionError,
)
from archindex.indexes import Metric
from archindex.store.files import (
    disk_errors,
    file_digest,
    list_files,
    read_json,
    remove_tree,
    sync_folder,
    sync_tree,
    write_atomic,
    write_json,
)

FORMAT_VERSION: Final = 1
"""Number of the on-disk format; a reader refuses higher ones."""

CHECKED_AT_OPEN: Final = 64 << 20
"""Files up to this size (bytes) have their checksum compared on opening, larger ones only their size."""


@dataclass(frozen=True)
class VersionInfo:
    """What made a version, and what it holds.

    Attributes
    ----------
    number : int
        1, 2, ...
    n_rows, dim : int
        Rows, and dimensions of a vector.
    metric : {"l2", "cosine"}
        Distance of the index.
    engine : str
        Name of the vector engine.
    engine_reason : str
        Why this engine.
    encoder, fingerprint : str
        Name and content hash of the encoder.
    data : tuple of str
        Data sets that went in.
    seed : int
        Seed of the build.
    next_row_id : int
        Row ids from here on were never used.
    created : str
        UTC time, ISO 8601.
    archindex : str
        Version of archindex that wrote it.
    files : mapping
        ``{relative path: {"bytes": n, "blake2b": digest}}``.
    """

    number: int
    n_rows: int
    dim: int
    metric: Metric
    engine: str
    engine_reason: str
    encoder: str
    fingerprint: str
    data: tuple[str, ...]
    seed: int
    next_row_id: int
    created: str
    archindex: str
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def version_folder(path: Path, number: int) -> Path:
    """Return the folder of a version."""
    return path / "versions" / f"{number:06d}"


def log_path(path: Path, number: int) -> Path:
    """Return the log of a version."""
    return path / "log" / f"{number:06d}.log"


def staging_folder(path: Path) -> Path:
    """Return the folder in which the next version is being written."""
    return path / "versions" / "new"


def current_version(path: Path) -> int:
    """Return the number of the published version.

    Raises
    ------
    IndexMissingError
        If there is no index at `path`.
    IndexVersionError
        If it was written in a newer format.
    CorruptIndexError
        If the manifest is damaged.
    """
    try:
        manifest = read_json(path / "manifest.json")
    except FileNotFoundError:
        raise missing(path) from None
    except NotADirectoryError:
        raise IndexMissingError(
            "expected the folder of an index", got=str(path), fix="that is a file"
        ) from None
    written = manifest.get("format_version")
    if not isinstance(written, int):
        raise CorruptIndexError("expected a manifest with a format version", got=str(path / "manifest.json"))
    if written > FORMAT_VERSION:
        raise IndexVersionError(
            f"expected an index of format {FORMAT_VERSION} or older",
            got=written,
            fix="pip install -U archindex",
        )
    return int(manifest["current"])


def missing(path: Path) -> IndexMissingError:
    """Build the error for a path without an index, saying what to type."""
    if not path.exists():
        got, fix = f"{path}, which does not exist", f"archindex build {path} --data nasbench201"
    elif (path / "versions").is_dir() or (path / "building").is_dir():
        got, fix = f"{path}, an unfinished build", "run the same archindex build again to finish it"
    else:
        got, fix = f"{path}, without manifest.json", "give the folder that archindex build wrote"
    return IndexMissingError("expected the folder of an index", got=got, fix=fix)


def read_version(path: Path, number: int) -> VersionInfo:
    """Read a version's description and check its files: sizes always, checksums up to `CHECKED_AT_OPEN`.

    Raises
    ------
    EncoderMismatchError
        If the encoder in it is not the one that made the vectors.
    CorruptIndexError
        If a file is missing, truncated or altered.
    """
    folder = version_folder(path, number)
    info = parse_version(folder)
    _check_encoder(path, folder, info)
    problems = check_files(folder, info, limit=CHECKED_AT_OPEN)
    if problems:
        raise CorruptIndexError(
            "expected the files of the index as they were written",
            got="; ".join(problems),
            fix=f"archindex verify {path} --repair",
        )
    return info


def parse_version(folder: Path) -> VersionInfo:
    """Read a version's description without looking at its other files.

    Raises
    ------
    CorruptIndexError
        If it is missing or damaged.
    """
    try:
        content = read_json(folder / "version.json")
        return VersionInfo(**{**content, "data": tuple(content["data"])})
    except FileNotFoundError:
        raise CorruptIndexError("expected a version as the manifest names it", got=str(folder)) from None
    except (TypeError, KeyError):
        raise CorruptIndexError(
            "expected the description of a version", got=str(folder / "version.json")
        ) from None


def _check_encoder(path: Path, folder: Path, info: VersionInfo) -> None:
    try:
        stated = json.loads((folder / "encoder" / "encoder.json").read_bytes())["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # Damaged rather than another one: `check_files` names what is wrong.
    if stated != info.fingerprint:
        raise EncoderMismatchError(
            f"expected the encoder that made the vectors ({info.encoder} {info.fingerprint[:12]})",
            got=str(stated)[:12],
            fix=f"put the index's own encoder back, or build again: archindex build {path} --overwrite",
        )


def check_files(folder: Path, info: VersionInfo, *, limit: int | None = None) -> list[str]:
    """Return what is wrong with the files of a version, one phrase each; empty when all is well.

    Parameters
    ----------
    folder : Path
        The version's folder.
    info : VersionInfo
        Its description.
    limit : int, optional
        Compare checksums only of files up to this size, in bytes; None: of all.
    """
    problems = []
    for name, stated in info.files.items():
        file = folder / name
        if not file.is_file():
            problems.append(f"{name} is missing")
        elif (size := file.stat().st_size) != stated["bytes"]:
            problems.append(f"{name} has {size} bytes instead of {stated['bytes']}")
        elif (limit is None or size <= limit) and file_digest(file) != stated["blake2b"]:
            problems.append(f"{name} was altered")
    return problems


def publish(path: Path, info: VersionInfo, *, log: bytes = b"") -> VersionInfo:
    """Make the staged version the current one: flush, rename, then switch the manifest.

    A crash at any moment leaves either the old version current or the new one. The version before stays
    for readers that are still opening it; older ones go.

    Parameters
    ----------
    path : Path
        Folder of the index.
    info : VersionInfo
        The new version; its files are listed here.
    log : bytes
        Log that the new version starts with.

    Raises
    ------
    StorageError
        If the disk refuses; the old version stays current.
    """
    staged, final = staging_folder(path), version_folder(path, info.number)
    with disk_errors("a new version of the index"):
        described = VersionInfo(**{**asdict(info), "files": list_files(staged)})
        write_json(staged / "version.json", asdict(described))
        sync_tree(staged)
        remove_tree(final)
        staged.rename(final)
        try:
            sync_folder(final.parent)
            if log:
                write_atomic(log_path(path, info.number), log)
            else:
                log_path(path, info.number).unlink(missing_ok=True)
            write_json(path / "manifest.json", {"format_version": FORMAT_VERSION, "current": info.number})
        except OSError:
            _discard_unpublished(path, info.number)
            raise
        for folder in final.parent.iterdir():
            if folder.name.isdigit() and int(folder.name) < info.number - 1:
                # The log first: without its folder nothing would lead to it any more.
                log_path(path, int(folder.name)).unlink(missing_ok=True)
                remove_tree(folder)
    return described


def _discard_unpublished(path: Path, number: int) -> None:
    """Give the space of a version back, unless the manifest names it already."""
    try:
        published = current_version(path)
    except IndexMissingError:
        published = 0
    if published != number:
        remove_tree(version_folder(path, number))
        log_path(path, number).unlink(missing_ok=True)
