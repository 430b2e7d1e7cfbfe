"""The published tables, read from the folder that ARCHINDEX_DATA names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pytest

Columns = Mapping[str, npt.NDArray[Any]]


def _read(name: str, columns: str) -> Columns:
    folder = os.environ.get("ARCHINDEX_DATA")
    if not folder:
        pytest.skip("ARCHINDEX_DATA is unset: the published tables are not here")
    path = Path(folder) / f"{name}.parquet"
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    with duckdb.connect() as connection:
        table = connection.read_parquet(str(path)).project(columns).fetchnumpy()
    return {column: np.ma.getdata(values) for column, values in table.items()}


@pytest.fixture(scope="session")
def nb101() -> Columns:
    """All 423,624 cells of NAS-Bench-101: ``adj_bits``, ``ops``, ``params_m``, vertices and edges."""
    return _read("nb101", "adj_bits, ops, params_m, num_vertices, num_edges")


@pytest.fixture(scope="session")
def nb201() -> Columns:
    """All 15,625 cells of NAS-Bench-201: ``arch_str``, ``ops``, params and FLOPs of the three data sets."""
    costs = ", ".join(f"{d}_params_m, {d}_flops_m" for d in ("cifar10", "cifar100", "in16_120"))
    return _read("nb201", f"arch_str, ops, {costs}")
