"""Fixtures that the tests of several spaces share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pytest

Columns = Mapping[str, npt.NDArray[Any]]


@pytest.fixture(scope="session")
def published() -> Callable[[str, str], Columns]:
    """Read columns of a published table in the folder ARCHINDEX_DATA; skips where the table is not here."""

    def read(name: str, columns: str = "*") -> Columns:
        folder = os.environ.get("ARCHINDEX_DATA")
        if not folder:
            pytest.skip("ARCHINDEX_DATA is unset: the published tables are not here")
        path = Path(folder) / f"{name}.parquet"
        if not path.is_file():
            pytest.skip(f"{path} is missing")
        with duckdb.connect() as connection:
            table = connection.read_parquet(str(path)).project(columns).fetchnumpy()
        return {column: np.ma.getdata(values) for column, values in table.items()}

    return read
