"""History: the versions of an index that are there, and those that are kept under a name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from archindex.store.folder import version_numbers
from archindex.store.manifest import current_version, migrate
from archindex.store.names import NamedVersion, check_new_name, read_names, remove_name, write_name
from archindex.store.publishing import fold
from archindex.store.snapshot import Snapshot
from archindex.store.version import VersionInfo, drop_old_versions, parse_version, version_folder
from archindex.store.writer import writing


@dataclass(frozen=True)
class VersionEntry:
    """One version of an index.

    Attributes
    ----------
    info : VersionInfo
        What made it, and what it holds.
    names : tuple of str
        What it is called; a version with a name is kept.
    current : bool
        Whether it is the one that opens without being asked for.
    """

    info: VersionInfo
    names: tuple[str, ...]
    current: bool


def versions(path: Path) -> list[VersionEntry]:
    """Return the versions of the index at `path` that are there, oldest first.

    Raises
    ------
    IndexMissingError, IndexVersionError, CorruptIndexError
        If the folder cannot be read.
    """
    current, names = current_version(path), read_names(path)
    return [
        VersionEntry(
            info=parse_version(version_folder(path, number)),
            names=tuple(one.name for one in names.values() if one.version == number),
            current=number == current,
        )
        for number in version_numbers(path)
        if number <= current
    ]


def take_snapshot(path: Path, name: str) -> NamedVersion:
    """Keep what the index holds now under a name; what is in the log is published first.

    Raises
    ------
    ArgumentError
        If `name` cannot be a name, or is one already; nothing was changed.
    IndexLockedError, StorageError
        If the index cannot be written to.
    """
    with writing(path):
        check_new_name(path, name)
        migrate(path)
        snapshot = Snapshot(path)
        number, changed = snapshot.info.number, len(snapshot.delta)
        snapshot.close()
        return write_name(path, name, fold(path).number if changed else number)


def drop_snapshot(path: Path, name: str) -> NamedVersion:
    """Take a name away; its version goes unless it has another, is one of the last two, or has a reader.

    Raises
    ------
    UnknownNameError
        If no version has the name.
    IndexLockedError, StorageError
        If the index cannot be written to.
    """
    with writing(path):
        current = current_version(path)
        removed = remove_name(path, name)
        drop_old_versions(path, current - 1)
        return removed
