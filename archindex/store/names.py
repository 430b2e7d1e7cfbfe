"""Names of versions: a version that has one stays until the name is taken away.

One small file a name, ``snapshots/NAME.json``, beside the manifest and not in it: a manifest that is lost
takes no name with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from archindex.core.disk import disk_errors
from archindex.core.errors import ArgumentError, CorruptIndexError, UnknownNameError
from archindex.store.files import read_json, sync_folder, write_json

FOLDER: Final = "snapshots"

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class NamedVersion:
    """A version that is kept.

    Attributes
    ----------
    name : str
        What it is called.
    version : int
        Its number.
    taken : str
        When it was named; UTC, ISO 8601.
    """

    name: str
    version: int
    taken: str


def read_names(path: Path) -> dict[str, NamedVersion]:
    """Return the versions of the index at `path` that have a name, by name, in alphabetical order.

    Raises
    ------
    CorruptIndexError
        If the file of a name is damaged.
    """
    found, damaged = _read(path)
    if damaged:
        raise CorruptIndexError(
            "expected the names of snapshots as they were written",
            got=str(damaged[0]),
            fix="the version it named is still there: put the file back from a copy, or remove it",
        )
    return found


def damaged_names(path: Path) -> list[Path]:
    """Return the files of names that cannot be read."""
    return _read(path)[1]


def kept_versions(path: Path) -> frozenset[int] | None:
    """Return the numbers of the versions that have a name; None if that cannot be told of all."""
    found, damaged = _read(path)
    return None if damaged else frozenset(one.version for one in found.values())


def check_new_name(path: Path, name: str) -> None:
    """Raise `ArgumentError` unless `name` can be given to a version."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ArgumentError(
            "expected the name of a snapshot: a letter, then up to 63 letters, digits, '.', '_' or '-'",
            got=name,
        )
    for known in read_names(path):
        if known.lower() == name.lower():  # one file on a disk that does not tell case
            raise ArgumentError("expected a name that no snapshot has", got=name, fix="remove that one first")


def write_name(path: Path, name: str, version: int) -> NamedVersion:
    """Give a version a name; on return it is on the disk.

    Raises
    ------
    StorageError
        If the disk refuses.
    """
    named = NamedVersion(name, version, datetime.now(UTC).isoformat(timespec="seconds"))
    with disk_errors("the name of a snapshot"):
        if not (path / FOLDER).exists():
            (path / FOLDER).mkdir()
            sync_folder(path)
        write_json(path / FOLDER / f"{name}.json", {"version": version, "taken": named.taken})
    return named


def remove_name(path: Path, name: str) -> NamedVersion:
    """Take a name away; on return it is off the disk. The version itself stays for now.

    Raises
    ------
    UnknownNameError
        If no version has it.
    StorageError
        If the disk refuses.
    """
    names = read_names(path)
    if name not in names:
        raise UnknownNameError.of("snapshot", name, names)
    with disk_errors("the name of a snapshot"):
        (path / FOLDER / f"{name}.json").unlink()
        sync_folder(path / FOLDER)
    return names[name]


def resolve(path: Path, version: int | str) -> int:
    """Return the number of the version that a number, or a name, stands for.

    Raises
    ------
    ArgumentError
        If it is neither.
    UnknownNameError
        If no version has that name.
    """
    if isinstance(version, bool) or not isinstance(version, (int, str)):
        raise ArgumentError("expected the number or the name of a version", got=version)
    if isinstance(version, int):
        return version
    if version.isdecimal():
        return int(version)
    names = read_names(path)
    if version not in names:
        raise UnknownNameError.of("snapshot", version, names, "archindex snapshot ls shows all")
    return names[version].version


def _read(path: Path) -> tuple[dict[str, NamedVersion], list[Path]]:
    found: dict[str, NamedVersion] = {}
    damaged: list[Path] = []
    for file in sorted((path / FOLDER).glob("*.json")):
        try:
            content = read_json(file)
            found[file.stem] = NamedVersion(file.stem, int(content["version"]), str(content["taken"]))
        except FileNotFoundError:  # taken away meanwhile
            continue
        except (CorruptIndexError, KeyError, ValueError, TypeError):
            damaged.append(file)
    return found, damaged
