"""Data sets by name: those that archindex knows, and the tables that the user imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy.typing as npt

from archindex.core.errors import ArgumentError, DataUnavailableError, UnknownNameError
from archindex.core.metrics import MeasurementSpec, Series
from archindex.core.progress import Progress, silent
from archindex.datasets.folder import data_place, missing, package_place
from archindex.datasets.kept import keep_table, kept_info, kept_names, kept_place, load_table
from archindex.datasets.known import DATASETS, DatasetInfo, DatasetSpec
from archindex.datasets.table import Table


def dataset_names() -> list[str]:
    """Return the names of all data sets, the user's own last."""
    return [*DATASETS, *(name for name in kept_names() if name not in DATASETS)]


def info(name: str) -> DatasetInfo:
    """Return what is known about a data set, without loading it.

    Raises
    ------
    UnknownNameError
        If there is none of that name; the message names the nearest.
    """
    module = _module(name)
    if module is None:
        return kept_info(name)
    spec: DatasetSpec = module.SPEC
    known = {part.name: getattr(spec, part.name) for part in fields(spec)}
    return DatasetInfo(**known, place=str(_place(spec) or ""))


def load(name: str) -> Table:
    """Return the data set called `name`.

    Raises
    ------
    UnknownNameError
        If there is none of that name; the message names the nearest.
    DataUnavailableError
        If its package or files are not on this machine, or are damaged; the message says what to do.
    """
    module = _module(name)
    if module is not None and not module.SPEC.files:
        table: Table = module.load()
        return table
    if module is not None and kept_place(name) is None:
        raise missing(module.SPEC)
    return load_table(name)


def measurements(name: str) -> tuple[Series, ...]:
    """Return the measurements of a data set, also of one whose rows name no architectures.

    Raises
    ------
    UnknownNameError
        If there is none of that name; the message names the nearest.
    DataUnavailableError
        If its package or files are not on this machine, or are damaged; the message says what to do.
    """
    module = _module(name)
    if hasattr(module, "measurements"):
        series: tuple[Series, ...] = module.measurements()
        return series
    return load(name).series


def promised(name: str) -> tuple[MeasurementSpec, ...]:
    """Return what the columns of a data set are, as far as that is certain without the data.

    Every column is there once, without seeds. Of the user's own tables all is known.

    Raises
    ------
    UnknownNameError
        If there is none of that name; the message names the nearest.
    DataUnavailableError
        If it is a table of the user's own that is damaged.
    """
    module = _module(name)
    specs = [one.spec for one in load(name).series] if module is None else module.promised()
    return tuple({spec.column: replace(spec, seed=None) for spec in specs}.values())


def raw_columns(name: str) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of a table in ``ARCHINDEX_DATA`` as they are in its file, each of shape (rows,).

    Floating point columns have NaN where a value is missing; others may be masked arrays.

    Raises
    ------
    UnknownNameError
        If there is no data set of that name; the message names the nearest.
    ArgumentError
        If the data set is not one file of that folder.
    DataUnavailableError
        If the file is not there or is damaged.
    """
    about = info(name)
    if len(about.tables) != 1:
        raise ArgumentError(
            "expected a data set that is one file of ARCHINDEX_DATA", got=f"{name}: {about.origin}"
        )
    from archindex.datasets.tables.reader import raw_rows

    return dict(raw_rows(about))


def get(
    name: str,
    *,
    from_files: Sequence[str | Path] = (),
    offline: bool = False,
    progress: Progress = silent,
) -> DatasetInfo:
    """Make sure that a data set is on this machine, and return what is known about it.

    Official files are fetched and converted once. Data sets that come with a Python package or from a folder
    are looked for and never fetched.

    Parameters
    ----------
    name : str
        Name of the data set.
    from_files : sequence of str or Path
        Copies of the official files, instead of a download; then the data set is converted anew.
    offline : bool
        Whether nothing may be fetched.
    progress : Progress
        Told about bytes that arrived.

    Raises
    ------
    UnknownNameError
        If there is none of that name; the message names the nearest.
    ArgumentError
        If files are given for a data set that is not made from official files.
    DataUnavailableError
        If it is not here and cannot be had, or the files hold only a part of it; the message says what to
        do.
    """
    about = info(name)
    if from_files and not about.files:
        raise ArgumentError(f"expected no files for {name}: {about.origin}", got=[str(p) for p in from_files])
    if about.files and (from_files or not about.available):
        from archindex.datasets.download import fetch

        paths = fetch(about, from_files=from_files, offline=offline, progress=progress)
        # Large archives take minutes: a bar on a terminal shows that they do.
        progress("convert", 0, 1)
        table = _module(name).convert(paths)
        if about.exact and len(table) != about.rows:
            raise DataUnavailableError(
                f"expected {about.rows} rows of the data set {name}",
                got=len(table),
                fix=f"the files are not whole: get them again ({about.homepage}); nothing was changed",
            )
        keep_table(table, replace=True)
        progress("convert", 1, 1)
        return info(name)
    if not about.available:
        raise missing(about)
    return about


def _place(spec: DatasetSpec) -> Path | None:
    """Return the folder of the data on this machine, or None where they are not."""
    if spec.package:
        return package_place(spec.package)
    return data_place(spec.tables) if spec.tables else kept_place(spec.name)


def _module(name: str) -> Any:
    """Return the module of a data set that archindex knows, or None for one of the user's own."""
    if name in DATASETS:
        return import_module(DATASETS[name])
    if name not in kept_names():
        raise UnknownNameError.of("data set", name, dataset_names())
    return None
