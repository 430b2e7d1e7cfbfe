"""Files that survive a crash: written beside, flushed to the disk, then renamed into place."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archindex.core.disk import reading
from archindex.core.errors import CorruptIndexError, StorageError

_CHUNK = 1 << 20
_SETTLED = 2_000_000_000
"""Nanoseconds after a write from which on a file's times would tell another one; some disks count in 2 s."""


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder with those above it, and flush the names of those that were not there."""
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in made:
        sync_folder(one.parent)


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below `folder`, and `folder` itself."""
    for parent, _, names in os.walk(folder):
        for name in names:
            handle = os.open(Path(parent) / name, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_folder(Path(parent))


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves either the old content or the new."""
    beside = path.with_name(path.name + ".new")
    try:
        with beside.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON with a checksum of itself, atomically."""
    body = {**content, "checksum": _json_checksum(content)}
    write_atomic(path, (json.dumps(body, indent=2, sort_keys=True) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read what `write_json` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CorruptIndexError
        If it is not JSON, or its checksum does not fit.
    """
    try:
        content = json.loads(path.read_bytes())
        stated = content.pop("checksum")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise CorruptIndexError("expected JSON with a checksum", got=str(path)) from None
    if stated != _json_checksum(content):
        raise CorruptIndexError("expected a file as it was written", got=f"{path}, altered")
    assert isinstance(content, dict)
    return content


def map_array(path: Path, *, empty: bool = False) -> npt.NDArray[Any]:
    """Map an array into memory; one that is `empty` cannot be mapped, and is read.

    Raises
    ------
    CorruptIndexError
        If it is no array, or not there.
    StorageError
        If the disk refuses.
    """
    try:
        with reading(path.name):
            return np.load(path, mmap_mode=None if empty else "r", allow_pickle=False)  # type: ignore[no-any-return]
    except StorageError:
        raise
    except Exception:  # of a damaged header, NumPy raises many kinds
        raise CorruptIndexError("expected a NumPy array", got=str(path)) from None


def file_digest(path: Path) -> str:
    """Return the BLAKE2b-128 digest of a file, hexadecimal."""
    return _sums(path, crc=False)["blake2b"]


def file_crc(path: Path) -> str:
    """Return the CRC-32C of a file, hexadecimal: any flipped bit shows, in a tenth of the digest's time."""
    return _sums(path, digest=False)["crc32c"]


def _sums(path: Path, *, digest: bool = True, crc: bool = True) -> dict[str, str]:
    """Return checksums of a file, which is read once."""
    from google_crc32c import extend

    blake, rest = hashlib.blake2b(digest_size=16), 0
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            if digest:
                blake.update(chunk)
            if crc:
                rest = extend(rest, chunk)
    return {"blake2b": blake.hexdigest(), "crc32c": f"{rest:08x}"}


@lru_cache(maxsize=4096)
def _read_as(path: str, read: Callable[[Path], str], stamp: tuple[int, ...]) -> str:
    return read(Path(path))


def lasting(path: Path, read: Callable[[Path], str]) -> str:
    """Return what `read` makes of a file that nobody should write to, again only when its times tell a write.

    A process that adds rows one by one opens its index each time, and the files of a version do not change. A
    file that was written less than `_SETTLED` ago is always read: its times may not tell another write.
    """
    stated = path.stat()
    if time.time_ns() - max(stated.st_mtime_ns, stated.st_ctime_ns) < _SETTLED:
        return read(path)
    stamp = (stated.st_dev, stated.st_ino, stated.st_size, stated.st_mtime_ns, stated.st_ctime_ns)
    return _read_as(str(path.absolute()), read, stamp)


def list_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Return ``{relative path: {"bytes": n, "blake2b": digest, "crc32c": crc}}`` of files below `folder`."""
    found = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): {"bytes": p.stat().st_size, **_sums(p)} for p in found}


def remove_tree(folder: Path) -> None:
    """Remove a folder and all below it; fine when there is none."""
    shutil.rmtree(folder, ignore_errors=True)


def _json_checksum(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
