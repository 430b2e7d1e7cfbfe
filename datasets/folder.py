"""Folders that hold data: the tables of ``ARCHINDEX_DATA`` and the tables that the user imported."""

from __future__ import annotations

import os
from pathlib import Path

from archindex.core.errors import DataUnavailableError


def data_folder() -> Path | None:
    """Return the folder that the environment variable ``ARCHINDEX_DATA`` names, or None."""
    named = os.environ.get("ARCHINDEX_DATA")
    return Path(named) if named else None


def data_file(name: str) -> Path:
    """Return the path of a file in ``ARCHINDEX_DATA``.

    Raises
    ------
    DataUnavailableError
        If the variable is not set or the file is not there.
    """
    folder = data_folder()
    path = folder / name if folder else None
    if path is None or not path.is_file():
        raise DataUnavailableError(f"expected the file {name}", got=folder, fix=folder_remedy(name))
    return path


def folder_remedy(*names: str) -> str:
    """Return what to do to have files in ``ARCHINDEX_DATA``."""
    return f"set the environment variable ARCHINDEX_DATA to a folder that holds {' and '.join(names)}"


def user_folder() -> Path:
    """Return the folder of the user's own tables: ``$ARCHINDEX_HOME`` or ``~/.local/share/archindex``."""
    named = os.environ.get("ARCHINDEX_HOME")
    return (Path(named) if named else Path.home() / ".local" / "share" / "archindex") / "tables"
