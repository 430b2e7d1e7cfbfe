"""Data sets by name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from archindex.core.errors import UnknownNameError
from archindex.datasets.table import Table

DATASETS: Final[Mapping[str, str]] = {
    "nasbench201": "archindex.datasets.nasbench201",
}
"""Module of every data set that archindex knows."""


def dataset_names() -> list[str]:
    """Return the names of all data sets."""
    return list(DATASETS)


def load(name: str) -> Table:
    """Return the data set called `name`.

    Raises
    ------
    UnknownNameError
        If there is none; the message names the nearest.
    DataUnavailableError
        If its package or files are not on this machine; the message says what to do.
    """
    if name not in DATASETS:
        raise UnknownNameError.of("data set", name, dataset_names())
    table: Table = import_module(DATASETS[name]).load()
    return table
