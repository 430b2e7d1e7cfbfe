from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archindex.core.errors import DataUnavailableError, TableError
from archindex.datasets import Table
from archindex.datasets.known import DatasetSpec
from archindex.datasets.parquet import write_parquet
from archindex.datasets.tables.reader import Column, largest_input, picked, raw_rows, read_table
from archindex.spaces.nasbench201 import NASBench201

SPEC = DatasetSpec("t", "nasbench201", 3, "", "", "", "", "", tables=("t.parquet",))
A, B, C = (architecture.native for architecture in NASBench201().sample(3, seed=1))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARCHINDEX_DATA", str(tmp_path))
    return tmp_path


def texts(*values: str) -> np.ndarray:
    return np.array(values, dtype=object)


def write(folder: Path, natives: np.ndarray, **columns: Any) -> None:
    (folder / "t.parquet").unlink(missing_ok=True)
    write_parquet(folder / "t.parquet", {"arch": natives, **{k: np.array(v) for k, v in columns.items()}})


def read(*columns: Column, **how: Any) -> Table:
    return read_table(SPEC, columns, "arch", "paper", **how)


def test_values_come_in_the_units_of_their_metrics(folder: Path) -> None:
    write(folder, texts(A, B), joule=[0.5, np.nan], share=[0.25, 1.0])
    table = read(
        Column("joule", "pi5:energy@j", device="Raspberry Pi 5"),
        Column("share", "cifar10:valid:acc@fraction", epochs=3, source="other paper"),
    )
    assert table.natives == (A, B)
    energy, accuracy = table.series
    np.testing.assert_array_equal(energy.values, [500, np.nan])
    assert (energy.spec.column, energy.spec.device, energy.spec.source) == (
        "pi5_energy_mj",
        "Raspberry Pi 5",
        "paper",
    )
    np.testing.assert_array_equal(accuracy.values, [25, 100])
    assert (accuracy.spec.epochs, accuracy.spec.source) == (3, "other paper")


def test_repeats_become_seeds_in_file_order(folder: Path) -> None:
    write(folder, texts(A, B, A, A), x=[1.0, 2.0, np.nan, 3.0])
    table = read(Column("x", "cifar10:valid:acc", repeats="seeds"))
    assert table.natives == (A, B)
    assert [one.spec.seed for one in table.series] == [0, 1, 2]
    np.testing.assert_array_equal(
        [one.values for one in table.series], [[1, 2], [np.nan, np.nan], [3, np.nan]]
    )
    np.testing.assert_array_equal(table.columns()["cifar10_valid_acc"].values, [2, 2])


def test_repeats_are_refused_unless_said_what_they_are(folder: Path) -> None:
    write(folder, texts(A, B, A), x=[1.0, 2.0, 3.0], y=[1.0, 2.0, 1.0], z=[np.nan, 2.0, 3.0])
    with pytest.raises(TableError, match="one value an architecture"):
        read(Column("x", "cifar10:valid:acc"))
    with pytest.raises(TableError, match=r"same value in all rows.*got 3\.0"):
        read(Column("x", "cifar10:valid:acc", repeats="same"))
    same = read(Column("y", "cifar10:valid:acc", repeats="same")).series[0].values
    last = read(Column("x", "cifar10:valid:acc", repeats="last")).series[0].values
    once = read(Column("z", "cifar10:valid:acc")).series[0].values
    np.testing.assert_array_equal([same, last, once], [[1, 2], [3, 2], [3, 2]])


def test_a_later_gap_does_not_hide_an_earlier_value(folder: Path) -> None:
    write(folder, texts(A, A), x=[1.0, np.nan])
    assert read(Column("x", "cifar10:valid:acc", repeats="last")).series[0].values.tolist() == [1]


def test_a_column_may_be_taken_from_some_rows(folder: Path) -> None:
    write(folder, texts(A, A, B, B), x=[1.0, 2.0, 3.0, 4.0], gpu=texts("old", "new", "old", "other"))
    old = Column("x", "old:latency", {"gpu": ("old",)})
    new = Column("x", "new:latency", {"gpu": ("new",)})
    np.testing.assert_array_equal([s.values for s in read(old, new).series], [[1, 3], [2, np.nan]])
    none = read(Column("x", "none:latency", {"gpu": ("none",)})).series[0].values
    np.testing.assert_array_equal(none, [np.nan, np.nan])
    chosen = read(Column("x", "other:latency"), chosen=picked("gpu", "other"))
    assert (chosen.natives, chosen.series[0].values.tolist()) == ((B,), [4])


def test_rows_that_name_no_architecture_are_counted_and_the_first_is_named(folder: Path) -> None:
    write(folder, texts(A, "|nonsense|", B, ""), x=[1.0] * 4)
    with pytest.raises(TableError, match=r"each of 4 rows, 2 hold none; the first is row 2.*nonsense"):
        read(Column("x", "cifar10:valid:acc"))


def test_values_outside_their_metric_are_refused(folder: Path) -> None:
    write(folder, texts(A), x=[101.0])
    with pytest.raises(TableError, match=r"column x: .* from 0 to 100, got 101"):
        read(Column("x", "cifar10:valid:acc"))


def test_what_is_not_there_or_damaged_says_what_to_do(folder: Path) -> None:
    with pytest.raises(DataUnavailableError, match=r"holds t\.parquet"):
        read(Column("x", "cifar10:valid:acc"))
    (folder / "t.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataUnavailableError, match=r"expected the table t\.parquet"):
        raw_rows(SPEC)
    write(folder, texts(A), y=[1.0])
    for column in (Column("x", "cifar10:valid:acc"), Column("y", "cifar10:valid:acc", {"x": (1,)})):
        with pytest.raises(DataUnavailableError, match=r"expected a column 'x' in t\.parquet"):
            read(column)


def test_the_largest_input_of_each_model() -> None:
    rows = {
        "m": texts("b", "a", "a", "b", "a"),
        "img_size": np.ma.array([224, 288, 224, 160, 288]),
    }
    assert largest_input(rows, "m").tolist() == [0, 1, 4]
