"""What tests of data sets share: a home of their own, published rows, and the way to the disk and back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archindex.core.metrics import Series, wide_columns
from archindex.datasets import Table, promised
from archindex.datasets.folder import data_folder
from archindex.datasets.kept import keep_table, load_table
from archindex.datasets.parquet import column_types, read_parquet


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what tests keep in a folder of their own."""
    monkeypatch.setenv("ARCHINDEX_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def read_all() -> Callable[[str], dict[str, list[Any]]]:
    """Read all columns of a table of ARCHINDEX_DATA."""

    def read(name: str) -> dict[str, list[Any]]:
        folder = data_folder()
        assert folder is not None
        path = folder / f"{name}.parquet"
        return {key: values.tolist() for key, values in read_parquet(path, column_types(path)).items()}

    return read


@pytest.fixture
def as_promised() -> Callable[..., None]:
    """Assert that columns are those that are promised without the data, in that order.

    Means over seeds are no part of the promise, nor are epochs that only the data tell.
    """

    def check(name: str, series: Sequence[Series], *, more: Collection[str] = ()) -> None:
        found = {column: one.spec for column, one in wide_columns(series).items() if column not in more}
        specs = {spec.column: spec for spec in promised(name)}
        assert sorted(specs) == sorted(found)
        for column, spec in specs.items():
            one = found[column]
            epochs = one.epochs if spec.epochs is None else spec.epochs
            assert spec.seed is None
            assert replace(one, seed=None, aggregate=spec.aggregate) == replace(spec, epochs=epochs)

    return check


@pytest.fixture
def comes_back() -> Callable[[Table], None]:
    """Assert that a table that was kept is the same when it is loaded."""

    def check(table: Table) -> None:
        keep_table(table)
        back = load_table(table.name)
        assert back.natives == table.natives
        for one, other in zip(back.series, table.series, strict=True):
            assert one.spec == other.spec
            np.testing.assert_array_equal(one.values, other.values)

    return check


class _Touch:
    """Creates a file when it is unpickled by the standard library."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.fixture
def touch() -> Callable[[Path], object]:
    """Make an object whose pickle, read without care, creates the file at a path."""
    return _Touch
