"""Versions: the immutable folders that an index consists of, and the manifest that names the current one.

::

    PATH/
        manifest.json               format, current version
        writer.lock                 held by the one process that writes
        snapshots/NAME.json         which version the name stands for
        versions/000001/
            version.json            what made it: encoder, engine, data; checksums of every file
            catalog.duckdb          architectures and measurements: the truth
            vectors.npy  ids.npy    float32 (n, dim) and the stable row id at each position
            columns/                attribute columns, derived from the catalogue
            ann/                    the engine's files, derived from the vectors
            lists/                  the lists in which the rows lie, derived from the vectors
            motifs/                 the graphs packed for `contains`, derived from the catalogue
            encoder/                what made the vectors; inside the version, so that both change at once
        log/000001.log              what was acknowledged since that version was published
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from archindex.core.disk import disk_errors
from archindex.core.errors import CorruptIndexError, EncoderMismatchError, IndexMissingError
from archindex.indexes import Metric
from archindex.store.files import (
    file_crc,
    file_digest,
    lasting,
    list_files,
    read_json,
    remove_tree,
    sync_folder,
    sync_tree,
    write_atomic,
    write_json,
)
from archindex.store.folder import repair_command, verify_command
from archindex.store.lease import unless_leased
from archindex.store.manifest import current_version, write_manifest
from archindex.store.migrations import FORMAT_VERSION, present_form
from archindex.store.names import kept_versions

DERIVED: Final = ("columns/", "ann/", "lists/", "motifs/")
"""What can be worked out again from the catalogue and the vectors."""


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
    engine_arguments : mapping
        The engine's own constructor arguments, by name; dimensions, metric and seed are above.
    data : tuple of str
        Data sets that went in.
    data_digests : tuple of str
        BLAKE2b of the content of each of them; see `archindex.jobs.build`.
    seed : int
        Seed of the build.
    next_row_id : int
        Row ids from here on were never used.
    created : str
        UTC time, ISO 8601.
    archindex : str
        Version of archindex that wrote it.
    made_by : {"build", "publish", "compact", "merge", "repair", "unknown"}
        What made it; ``"unknown"`` in format 1.
    files : mapping
        ``{relative path: {"bytes": n, "blake2b": digest, "crc32c": crc}}``.
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
    made_by: str
    engine_arguments: Mapping[str, int | None] = field(default_factory=dict)
    data_digests: tuple[str, ...] = ()
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


def read_version(path: Path, number: int) -> VersionInfo:
    """Read a version's description and check the size and the CRC-32C of its files.

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
    problems = check_files(folder, info, quick=True)
    if problems:
        raise CorruptIndexError(
            "expected the files of the index as they were written",
            got="; ".join(problems.values()),
            fix=repair_command(path) if all(map(is_derived, problems)) else verify_command(path),
        )
    return info


def parse_version(folder: Path) -> VersionInfo:
    """Read a version's description without looking at its other files.

    Raises
    ------
    IndexVersionError
        If it was written in a newer format.
    CorruptIndexError
        If it is missing or damaged.
    """
    try:
        file = folder / "version.json"
        content = present_form(read_json(file), file)
        return VersionInfo(
            **{**content, "data": tuple(content["data"]), "data_digests": tuple(content["data_digests"])}
        )
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
            fix=f"put the index's own encoder back, or see what can be done: {verify_command(path)}",
        )


def is_derived(name: str) -> bool:
    """Return whether a file of a version can be worked out again from the others."""
    return name.startswith(DERIVED)


def check_files(folder: Path, info: VersionInfo, *, quick: bool = False) -> dict[str, str]:
    """Return what is wrong with each file of a version that is not as it was written.

    Parameters
    ----------
    folder : Path
        The version's folder.
    info : VersionInfo
        Its description.
    quick : bool
        Compare CRC-32C where the description has it (most of format 2), and read no file twice that was not
        written to since; False: BLAKE2b of all.
    """
    problems = {}
    for name, stated in info.files.items():
        file = folder / name
        if not file.is_file():
            problems[name] = f"{name} is missing"
        elif (size := file.stat().st_size) != stated["bytes"]:
            problems[name] = f"{name} has {size} bytes instead of {stated['bytes']}"
        elif not (_as_stated(file, stated) if quick else file_digest(file) == stated["blake2b"]):
            problems[name] = f"{name} was altered"
    return problems


def _as_stated(file: Path, stated: Mapping[str, Any]) -> bool:
    if "crc32c" in stated:
        return bool(lasting(file, file_crc) == stated["crc32c"])
    return bool(lasting(file, file_digest) == stated["blake2b"])


def publish(path: Path, info: VersionInfo, *, log: bytes = b"") -> VersionInfo:
    """Make the staged version the current one: flush, rename, then switch the manifest.

    A crash at any moment leaves either the old version current or the new one. Older versions go, but for the
    one before, which readers may just be opening, those that readers hold, and those that have a name.

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
        write_json(staged / "version.json", {"format_version": FORMAT_VERSION, **asdict(described)})
        sync_tree(staged)
        remove_tree(final)
        try:
            # Before the version has its name: whoever finds the version without a manifest finds its log.
            _start_log(log_path(path, info.number), log)
            staged.rename(final)
            sync_folder(final.parent)
            if not (path / "manifest.json").exists():
                _sync_names(path)
            write_manifest(path, info.number)
        except OSError:
            if _published(path) != info.number:
                _drop(path, info.number)
            raise
        drop_old_versions(path, info.number - 1)
    return described


def following_number(path: Path, number: int) -> int:
    """Return the number of the version to publish after a version: one that no name stands for.

    After a repair that fell back to an older version, a name may stand for a newer one that is lost; it must
    not come to mean another.
    """
    return max(number, *(kept_versions(path) or ()), 0) + 1


def drop_old_versions(path: Path, before: int) -> None:
    """Remove the versions with a number below `before` that have no name and that no reader holds."""
    kept = kept_versions(path)
    for number in _folders(path):
        if number < before and kept is not None and number not in kept:
            with unless_leased(version_folder(path, number)) as free:
                if free:
                    _drop(path, number)


def discard_unpublished(path: Path, current: int) -> None:
    """Remove versions newer than the current one, which a stopped writer left behind unpublished.

    A writer does so before it appends to the log: they lack what is appended, and must not be taken for the
    newest version should the manifest be lost.
    """
    newer = [number for number in _folders(path) if number > current]
    if newer:
        with disk_errors("the list of versions"):
            for number in newer:
                _drop(path, number)
            sync_folder(path / "versions")


def _published(path: Path) -> int:
    try:
        return current_version(path)
    except (IndexMissingError, CorruptIndexError):
        return 0


def _drop(path: Path, number: int) -> None:
    # The log first: without its folder nothing would lead to it any more.
    log_path(path, number).unlink(missing_ok=True)
    remove_tree(version_folder(path, number))


def _folders(path: Path) -> list[int]:
    return [int(folder.name) for folder in (path / "versions").iterdir() if folder.name.isdigit()]


def _start_log(log: Path, content: bytes) -> None:
    if content:
        write_atomic(log, content)
    elif log.parent.exists():
        log.unlink(missing_ok=True)
        sync_folder(log.parent)  # a log that comes back after a power cut would be replayed


def _sync_names(path: Path) -> None:
    """Flush the names that lead to a new index: those in it, and its own."""
    sync_folder(path)
    with suppress(PermissionError):  # A folder may be passed through that must not be read.
        sync_folder(path.resolve().parent)
