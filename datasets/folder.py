"""Folders that hold data: ``ARCHINDEX_DATA``, Python packages, and the tables kept for the user."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from archindex.core.errors import DataUnavailableError
from archindex.datasets.known import DatasetSpec, PackageFiles


def data_folder() -> Path | None:
    """Return the folder that the environment variable ``ARCHINDEX_DATA`` names, or None."""
    named = os.environ.get("ARCHINDEX_DATA")
    return Path(named) if named else None


def data_place(names: Sequence[str]) -> Path | None:
    """Return ``ARCHINDEX_DATA`` if it holds all of these files, or None."""
    folder = data_folder()
    return folder if folder and all((folder / name).is_file() for name in names) else None


def data_files(spec: DatasetSpec) -> list[Path]:
    """Return the paths of a data set's files in ``ARCHINDEX_DATA``.

    Raises
    ------
    DataUnavailableError
        If the variable is not set or a file is not there.
    """
    folder = data_place(spec.tables)
    if folder is None:
        raise missing(spec)
    return [folder / name for name in spec.tables]


def package_place(package: PackageFiles) -> Path | None:
    """Return the folder of a Python package that holds its data files, or None; imports nothing of it."""
    found = find_spec(package.module)
    for place in (found.submodule_search_locations or ()) if found else ():
        if all((Path(place) / name).is_file() for name in package.names):
            return Path(place)
    return None


def package_files(spec: DatasetSpec) -> list[Path]:
    """Return the paths of a data set's files in a Python package.

    Raises
    ------
    DataUnavailableError
        If the package is not installed, or a file is not there.
    """
    place = package_place(spec.package) if spec.package else None
    if spec.package is None or place is None:
        raise missing(spec)
    return [place / name for name in spec.package.names]


def missing(spec: DatasetSpec) -> DataUnavailableError:
    """Return the error that says how to have a data set."""
    return DataUnavailableError(f"expected the data set {spec.name}: {spec.origin}", fix=spec.remedy)


def user_folder() -> Path:
    """Return the folder of the user's own tables: ``$ARCHINDEX_HOME`` or ``~/.local/share/archindex``."""
    named = os.environ.get("ARCHINDEX_HOME")
    return (Path(named) if named else Path.home() / ".local" / "share" / "archindex") / "tables"
