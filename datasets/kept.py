"""Tables kept in folders of their own, values as Parquet and the rest as JSON.

These are the tables that the user imported, and the data sets that were converted from official files.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from archindex.core.errors import (
    ArchindexError,
    ArgumentError,
    DataUnavailableError,
    StorageError,
    UnknownNameError,
)
from archindex.core.metrics import MeasurementSpec, Series
from archindex.datasets.folder import user_folder
from archindex.datasets.known import DATASETS, DatasetInfo
from archindex.datasets.parquet import read_parquet, write_parquet
from archindex.datasets.table import Table

FORMAT: Final = 1
NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)
_VALUES, _ABOUT = "table.parquet", "table.json"
_TEXTS: Final = ("name", "space", "licence", "citation", "homepage", "description")


def save_table(table: Table, *, replace: bool = False) -> Path:
    """Keep a table of the user's own under its name, for `load_table`, and return its folder.

    The folder appears complete or not at all.

    Parameters
    ----------
    table : Table
        What to keep.
    replace : bool
        Whether a table of the same name may be replaced.

    Raises
    ------
    ArgumentError
        If the name is not of the form ``[a-z][a-z0-9_-]*``, or there is a data set of that name.
    StorageError
        If the disk refuses.
    """
    if table.name in DATASETS:
        raise ArgumentError("expected a name that no data set of archindex has", got=table.name)
    return keep_table(table, replace=replace)


def keep_table(table: Table, *, replace: bool = False) -> Path:
    """Keep a table as `save_table` does, under the name of a data set that archindex knows too."""
    if not NAME.fullmatch(table.name):
        raise ArgumentError("expected a name of small letters, digits, _ and -", got=table.name)
    home = user_folder()
    place = home / table.name
    if place.exists() and not replace:
        raise ArgumentError(
            "expected the name of a new table", got=table.name, fix="choose another name, or replace it"
        )
    about: dict[str, Any] = {"format": FORMAT} | {key: getattr(table, key) for key in _TEXTS}
    about["rows"] = len(table)
    about["series"] = [asdict(one.spec) for one in table.series]
    columns = {_key(one.spec): one.values for one in table.series}
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=home, ignore_cleanup_errors=True) as scratch:
            made = Path(scratch) / "new"
            made.mkdir()
            write_parquet(made / _VALUES, {"native": np.array(table.natives, dtype=object), **columns})
            (made / _ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
            _swap(made, place, Path(scratch) / "old")
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"expected to write {place}", got=str(error)) from error
    return place


def load_table(name: str) -> Table:
    """Return a table that was kept with `save_table`.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    DataUnavailableError
        If its files are damaged.
    """
    place = _place(name)
    about = _about(place)
    try:
        specs = [MeasurementSpec(**spec) for spec in about["series"]]
        read = read_parquet(place / _VALUES, ["native", *map(_key, specs)])
        table = Table(
            natives=tuple(str(native) for native in read["native"]),
            series=tuple(Series(spec, read[_key(spec)]) for spec in specs),
            **{key: about[key] for key in _TEXTS},
        )
        if len(table) != about["rows"]:
            raise ArgumentError(f"expected {about['rows']} rows", got=len(table))
    except (ArchindexError, KeyError, TypeError) as error:
        raise _damaged(place, error) from error
    return table


def remove_table(name: str) -> None:
    """Delete a table that was kept with `save_table`.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    StorageError
        If the disk refuses.
    """
    place = _place(name)
    try:
        shutil.rmtree(place)
    except OSError as error:
        raise StorageError(f"expected to delete {place}", got=str(error)) from error


def kept_names() -> list[str]:
    """Return the names of all tables that were kept."""
    return sorted(path.parent.name for path in user_folder().glob(f"[!.]*/{_ABOUT}"))


def kept_info(name: str) -> DatasetInfo:
    """Return what is known about a table that was kept, without loading it; a damaged one is not available.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    """
    place = _place(name)
    try:
        about = _about(place)
        texts: dict[str, Any] = {key: str(about[key]) for key in _TEXTS}
        measures = ", ".join(dict.fromkeys(str(spec["metric"]) for spec in about["series"]))
        return DatasetInfo(**texts, rows=int(about["rows"]), measures=measures, place=str(place))
    except (DataUnavailableError, KeyError, TypeError, ValueError):
        # A list of all data sets goes on; loading this one says what is wrong.
        return DatasetInfo(name, "", 0, "", "damaged", "", "", "")


def _swap(made: Path, place: Path, old: Path) -> None:
    """Put `made` at `place`; what was there goes to `old`, or stays where that fails."""
    if place.exists():
        place.rename(old)
    try:
        made.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise


def kept_place(name: str) -> Path | None:
    """Return the folder of a table that was kept, or None where there is none."""
    return user_folder() / name if name in kept_names() else None


def _place(name: str) -> Path:
    place = kept_place(name)
    if place is None:
        raise UnknownNameError.of("table of your own", name, kept_names())
    return place


def _about(place: Path) -> dict[str, Any]:
    try:
        about = json.loads((place / _ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(place, error) from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise _damaged(place, f"not format {FORMAT}")
    return about


def _damaged(place: Path, error: object) -> DataUnavailableError:
    return DataUnavailableError(
        f"expected the table {place.name} in {place}",
        got=str(error),
        fix=f"it is damaged or was written by another version: delete {place} and import it again",
    )


def _key(spec: MeasurementSpec) -> str:
    """Return the Parquet column of a series."""
    return spec.column if spec.seed is None else f"{spec.column}_seed{spec.seed}"
