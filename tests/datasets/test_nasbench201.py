from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from archindex.core.errors import DataUnavailableError
from archindex.datasets import Table, load
from archindex.datasets.folder import data_folder
from archindex.datasets.parquet import read_parquet
from archindex.datasets.tables import nb201_help_latency
from archindex.spaces.nasbench201 import NASBench201

CONTEXTS = ("cifar10", "cifar100", "in16_120")
LATENCIES = [column.spec("").column for column in nb201_help_latency.COLUMNS]
needs_tables = pytest.mark.skipif(
    data_folder() is None, reason="ARCHINDEX_DATA does not name the folder of tables"
)


@cache
def default() -> Table:
    return load("nasbench201")


@cache
def rich() -> Table:
    return load("nb201")


def recorded(*columns: str) -> dict[str, np.ndarray]:
    return read_parquet(Path(os.environ["ARCHINDEX_DATA"]) / "nb201.parquet", columns)


def test_default_holds_every_architecture_once() -> None:
    assert len(default()) == 15_625
    assert set(default().natives) == {architecture.native for architecture in NASBench201().enumerate()}


def test_default_has_these_columns_and_no_value_missing() -> None:
    columns = default().columns()
    assert list(columns) == [
        *(f"{c}_{m}" for c in CONTEXTS for m in ("valid_acc", "latency_ms", "train_time_s")),
        *(f"{c}_{m}" for c in CONTEXTS for m in ("params_m", "flops_m")),
    ]
    assert not any(np.isnan(one.values).any() for one in columns.values())


def test_default_keeps_seeds_apart() -> None:
    for context in CONTEXTS:
        seeds = [one for one in default().series if one.spec.column == f"{context}_valid_acc"]
        assert [one.spec.seed for one in seeds] == [0, 1, 2]
        assert [one.spec.epochs for one in seeds] == [200, 200, 200]
        there = [int((~np.isnan(one.values)).sum()) for one in seeds]
        assert there == [15_625, 15_625, 8_169]


def test_default_says_what_was_computed() -> None:
    for column, one in default().columns().items():
        computed = column.endswith(("params_m", "flops_m"))
        assert one.spec.provenance == ("computed" if computed else "measured")
        assert one.spec.source


def test_default_has_the_published_best_accuracies() -> None:
    columns = default().columns()
    best = {context: float(columns[f"{context}_valid_acc"].values.max()) for context in CONTEXTS}
    assert best == pytest.approx({"cifar10": 91.61, "cifar100": 73.49, "in16_120": 46.73}, abs=0.005)
    row = int(np.argmax(columns["cifar10_valid_acc"].values))
    assert default().natives[row] == (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
    )


@needs_tables
def test_default_agrees_with_the_table() -> None:
    columns = default().columns()
    table = recorded("arch_idx", "arch_str", *columns)
    # The package keeps the order of the official index.
    order = np.argsort(table["arch_idx"])
    assert default().natives == tuple(table["arch_str"][order])
    for name, one in columns.items():
        # Means of the same two or three doubles may differ in the last digits.
        np.testing.assert_allclose(one.values, table[name][order], rtol=1e-12, err_msg=name)


@needs_tables
def test_default_has_as_many_seeds_as_the_table() -> None:
    for context in CONTEXTS:
        table = recorded("arch_idx", f"{context}_n_seeds")
        seeds = [one.values for one in default().series if one.spec.column == f"{context}_valid_acc"]
        there = (~np.isnan(np.stack(seeds))).sum(axis=0)
        assert np.array_equal(there, table[f"{context}_n_seeds"][np.argsort(table["arch_idx"])])


@needs_tables
def test_nb201_has_the_devices_and_no_value_missing() -> None:
    columns = rich().columns()
    assert len(LATENCIES) == 27
    assert set(LATENCIES) < set(columns)
    assert {"gpu_1080ti_b1_latency_ms", "pixel3_latency_ms", "titan_rtx_b256_latency_ms"} < set(columns)
    assert len(columns) == 3 * 4 + 27 + 3 * 2
    assert not any(np.isnan(one.values).any() for one in columns.values())
    assert columns["cifar10_test_acc"].spec.aggregate == "mean"
    assert columns["in16_120_test_acc"].values.max() == pytest.approx(47.3111, abs=1e-3)


@needs_tables
def test_nb201_joins_latencies_by_architecture() -> None:
    folder = Path(os.environ["ARCHINDEX_DATA"])
    read = read_parquet(folder / "nb201_help_latency.parquet", ["arch_str", "raspi4_latency_ms"])
    by_native = dict(zip(read["arch_str"], read["raspi4_latency_ms"], strict=True))
    got = rich().columns()["raspi4_latency_ms"].values
    assert got.tolist() == [by_native[native] for native in rich().natives]


@needs_tables
def test_what_is_called_summed_is_a_sum_over_ops_and_nothing_else_is() -> None:
    ops = NASBench201().genotypes(rich().natives)
    counts = np.stack([np.ones(len(ops)), *((ops == op).sum(axis=1) for op in range(1, 5))], axis=1)
    for column in LATENCIES:
        latency = rich().columns()[column]
        weights, *_ = np.linalg.lstsq(counts, latency.values, rcond=None)
        off = np.abs(counts @ weights - latency.values).max() / latency.values.mean()
        assert (off < 1e-9) == (latency.spec.provenance == "summed"), column


@needs_tables
def test_merging_adds_what_the_default_lacks() -> None:
    both = default().merge(rich())
    assert both.natives == default().natives
    assert set(both.columns()) == set(rich().columns())
    assert len([one for one in both.series if one.spec.column == "cifar10_valid_acc"]) == 3


def test_nb201_without_the_folder_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARCHINDEX_DATA", raising=False)
    with pytest.raises(DataUnavailableError, match="set the environment variable ARCHINDEX_DATA"):
        load("nb201")


def test_nb201_with_a_damaged_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHINDEX_DATA", str(tmp_path))
    for name in ("nb201.parquet", "nb201_help_latency.parquet"):
        (tmp_path / name).write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataUnavailableError, match="expected the NAS-Bench-201 tables"):
        load("nb201")
