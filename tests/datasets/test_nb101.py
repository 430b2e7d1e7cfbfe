from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from archindex.core.errors import DataUnavailableError
from archindex.datasets import load
from archindex.datasets.folder import data_folder
from archindex.datasets.parquet import read_parquet, write_parquet
from archindex.spaces.registry import space


@pytest.mark.skipif(data_folder() is None, reason="ARCHINDEX_DATA does not name the folder of tables")
def test_nb101_has_every_cell_with_the_values_of_its_row() -> None:
    table = load("nb101")
    assert len(table) == 423_624
    columns = table.columns()
    assert list(columns) == ["cifar10_test_acc", "cifar10_params_m", "cifar10_flops_m"]
    assert not any(np.isnan(one.values).any() for one in columns.values())
    assert columns["cifar10_test_acc"].spec.epochs == 108
    # The best cell of the benchmark: 94.32% mean test accuracy.
    assert columns["cifar10_test_acc"].values.max() == pytest.approx(94.32, abs=0.005)
    path = Path(os.environ["ARCHINDEX_DATA"]) / "nb101.parquet"
    # Params are integers, given in millions.
    np.testing.assert_allclose(
        columns["cifar10_params_m"].values, read_parquet(path, ["params_m"])["params_m"], rtol=1e-12
    )
    parse = space("nasbench101").parse
    assert all(parse(native).native == native for native in table.natives[::5000])


def test_nb101_with_a_row_that_is_no_cell_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHINDEX_DATA", str(tmp_path))
    columns = {"adj_bits": np.array([1, 0]), "ops": np.array(["", ""], dtype=object)}
    write_parquet(tmp_path / "nb101.parquet", columns | {"cifar10_test_acc_108ep": np.array([90.0, 80.0])})
    with pytest.raises(DataUnavailableError, match="expected the NAS-Bench-101 table"):
        load("nb101")
