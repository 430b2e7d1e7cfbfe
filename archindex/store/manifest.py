"""The manifest: one small file that says which version of an index is the current one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from archindex.core.disk import disk_errors
from archindex.core.errors import CorruptIndexError, IndexMissingError
from archindex.store.files import read_json, write_json
from archindex.store.folder import folder_kind, repair_command, version_numbers
from archindex.store.migrations import FORMAT_VERSION, check_format

FILE: Final = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What the manifest of an index says.

    Attributes
    ----------
    current : int
        Number of the published version.
    format_version : int
        Format of the folder as it lies on the disk.
    """

    current: int
    format_version: int = FORMAT_VERSION


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of the index at `path`.

    Raises
    ------
    IndexMissingError
        If there is no index at `path`.
    IndexVersionError
        If it was written in a newer format.
    CorruptIndexError
        If the manifest is damaged, or lost while there are versions.
    """
    try:
        content = read_json(path / FILE)
    except FileNotFoundError:
        raise _missing(path) from None
    except NotADirectoryError:
        raise IndexMissingError(
            "expected the folder of an index", got=str(path), fix="that is a file"
        ) from None
    except CorruptIndexError:
        raise _bad_manifest(path, "a damaged one") from None
    try:
        written = check_format(content.get("format_version"), path / FILE)
    except CorruptIndexError:
        raise _bad_manifest(path, "one without a format") from None
    if not isinstance(content.get("current"), int):
        raise _bad_manifest(path, "one without a version")
    return Manifest(content["current"], written)


def current_version(path: Path) -> int:
    """Return the number of the published version; errors as `read_manifest`."""
    return read_manifest(path).current


def write_manifest(path: Path, number: int) -> None:
    """Make a version the current one, in the present format."""
    write_json(path / FILE, {"format_version": FORMAT_VERSION, "current": number})


def migrate(path: Path) -> None:
    """Put the manifest into the present format, before anything is written that an older one lacks.

    Raises
    ------
    StorageError
        If the disk refuses; the manifest stays as it was.
    """
    manifest = read_manifest(path)
    if manifest.format_version < FORMAT_VERSION:
        with disk_errors("the manifest of the index"):
            write_manifest(path, manifest.current)


def _missing(path: Path) -> IndexMissingError | CorruptIndexError:
    """Build the error for a path without a manifest, saying what to type."""
    kind = folder_kind(path)
    if kind == "damaged":
        return _bad_manifest(path, "no such file")
    if not path.exists():
        got, fix = f"{path}, which does not exist", f"archindex build {path} --data nasbench201"
    elif kind == "unfinished":
        got, fix = f"{path}, an unfinished build", "run the same archindex build again to finish it"
    else:
        got, fix = f"{path}, without manifest.json", "give the folder that archindex build wrote"
    return IndexMissingError("expected the folder of an index", got=got, fix=fix)


def _bad_manifest(path: Path, got: str) -> CorruptIndexError:
    fix = repair_command(path) if version_numbers(path) else "give the folder that archindex build wrote"
    return CorruptIndexError(
        f"expected manifest.json of the index {path} as it was written", got=got, fix=fix
    )
