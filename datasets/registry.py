"""Data sets by name: those that archindex knows, and the tables that the user imported."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from archindex.core.errors import DataUnavailableError, UnknownNameError
from archindex.datasets.kept import kept_info, kept_names, load_table
from archindex.datasets.known import DATASETS, DatasetInfo
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
    about: DatasetInfo = module.info() if module else kept_info(name)
    return about


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
    table: Table = module.load() if module else load_table(name)
    return table


def get(name: str) -> DatasetInfo:
    """Make sure that a data set is on this machine, and return what is known about it.

    No data set known so far is fetched: one comes with a Python package, the others from a folder.

    Raises
    ------
    UnknownNameError
        If there is none of that name; the message names the nearest.
    DataUnavailableError
        If it is not here; the message says how to have it.
    """
    about = info(name)
    if not about.available:
        raise DataUnavailableError(f"expected the data set {name}: {about.origin}", fix=about.remedy)
    return about


def _module(name: str) -> Any:
    """Return the module of a data set that archindex knows, or None for one of the user's own."""
    if name in DATASETS:
        return import_module(DATASETS[name])
    if name not in kept_names():
        raise UnknownNameError.of("data set", name, dataset_names())
    return None
