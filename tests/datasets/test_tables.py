"""Every table of ARCHINDEX_DATA: all rows are architectures, and values are those of the file.

Values are compared with queries of the Parquet files that DuckDB runs, not with our reader.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pytest

from archindex.core.errors import TableError
from archindex.datasets import DATASETS, Table, info, load, measurements, raw_columns
from archindex.datasets.folder import data_folder
from archindex.spaces.nasbench101_cells import PackedCells
from archindex.spaces.registry import space

pytestmark = pytest.mark.skipif(
    data_folder() is None, reason="ARCHINDEX_DATA does not name the folder of tables"
)

ACCEL = "||'|'||".join(
    f"'e'||block{b}_e||'k'||block{b}_k||'l'||block{b}_l||'se'||block{b}_se::INT" for b in range(7)
)


class Rows(NamedTuple):
    """What a table has: rows of the file that count, architectures, and what names one in SQL."""

    rows: int
    architectures: int
    native: str
    where: str = "true"


TABLES = {
    "nb201": Rows(15_625, 15_625, "arch_str"),
    "nb201_help_latency": Rows(15_625, 15_625, "arch_str"),
    "fbnet5000_help_latency": Rows(5_000, 5_000, "arch"),
    "accel_nasbench_mnasnet": Rows(5_138, 5_125, ACCEL),
    "darts_oncenas545": Rows(545, 545, "genotype"),
    "nb_nlp_wikitext2": Rows(345, 291, "recipe"),
    "vit_bench_101": Rows(200, 200, "arch", "space = 'AutoFormer'"),
    "vit_bench_101_pit": Rows(100, 100, "arch", "space = 'PiT'"),
    "timm_imagenet": Rows(1_556, 900, "arch"),
    "timm_infer_benchmark": Rows(28_766, 1_415, "model"),
    "torchvision_models": Rows(329, 121, "model"),
    "pytorchcv_models": Rows(600, 414, "model"),
    "archai_facial_landmark": Rows(224, 224, "config"),
}
"""All tables but hat_transformer_latency and those of NAS-Bench-101 cells, whose rows are adjacency bits."""


def query(name: str, sql: str) -> list[Any]:
    file = Path(os.environ["ARCHINDEX_DATA"]) / info(name).tables[0]
    return duckdb.execute(sql.replace("FROM @", f"FROM read_parquet('{file}')")).fetchall()


@cache
def loaded(name: str) -> Table:
    return load(name)


def test_every_table_is_tried_here() -> None:
    others = {"nb101", "ecnas_4ep_energy", "hat_transformer_latency"}
    assert set(TABLES) | others == {name for name in DATASETS if info(name).tables}


@pytest.mark.parametrize("name", TABLES)
def test_all_rows_parse_and_format_back_to_themselves(name: str) -> None:
    table = loaded(name)
    expected = TABLES[name]
    natives = [row[0] for row in query(name, f"SELECT {expected.native} FROM @ WHERE {expected.where}")]
    target = space(table.space)
    failures = [native for native in natives if target.format(target.parse(native)) != native]
    assert (len(natives), len(failures)) == (expected.rows, 0), failures[:3]
    assert set(table.natives) == set(natives)
    assert len(table) == expected.architectures == info(name).rows


@pytest.mark.parametrize("name", ["nb101", "ecnas_4ep_energy"])
def test_all_cells_parse_and_format_back_to_themselves(name: str) -> None:
    rows = query(name, "SELECT adj_bits, ops FROM @")
    natives = PackedCells.from_table(*zip(*rows, strict=True)).natives()
    assert len(natives) == {"nb101": 423_624, "ecnas_4ep_energy": 2_805}[name]
    assert len(set(natives)) == info(name).rows
    target = space("nasbench101")
    # A tenth of the large table here: each one is parsed by the test of the space.
    some = natives[:: 10 if name == "nb101" else 1]
    assert [native for native in some if target.format(target.parse(native)) != native] == []
    assert set(loaded(name).natives) == set(natives)


LARGEST = "img_size = (SELECT max(img_size) FROM @ u WHERE u.{0} = t.{0})"
VALUES = [
    ("nb201", "in16_120_test_acc", "SELECT arch_str, in16_120_test_acc FROM @"),
    ("nb201", "cifar10_latency_ms", "SELECT arch_str, cifar10_latency_ms FROM @"),
    ("nb201_help_latency", "titan_rtx_b256_latency_ms", "SELECT arch_str, titan_rtx_256_latency_ms FROM @"),
    ("nb201_help_latency", "eyeriss_latency_ms", "SELECT arch_str, eyeriss_latency_ms FROM @"),
    ("fbnet5000_help_latency", "gpu_1080ti_b64_latency_ms", 'SELECT arch, "1080ti_64_latency_ms" FROM @'),
    ("fbnet5000_help_latency", "raspi4_latency_ms", "SELECT arch, raspi4_latency_ms FROM @"),
    ("fbnet5000_help_latency", "cifar100_params_m", "SELECT arch, params_m FROM @"),
    (
        "accel_nasbench_mnasnet",
        "zcu102_latency_ms",
        f"SELECT {ACCEL} a, avg(latency_zcu102_ms) FROM @ GROUP BY a",
    ),
    (
        "accel_nasbench_mnasnet",
        "imagenet_proxy_valid_acc",
        f"SELECT {ACCEL} a, avg(imagenet_val_top1_proxy) FROM @ GROUP BY a",
    ),
    ("darts_oncenas545", "cifar10_50ep_valid_acc", "SELECT genotype, valid_acc50 FROM @"),
    ("darts_oncenas545", "gpu_latency_ms", "SELECT genotype, gpu_latency_ms FROM @"),
    (
        "nb_nlp_wikitext2",
        "wikitext2_test_loss",
        "SELECT recipe, avg(test_loss_at_best_val) FILTER (status = 'OK') FROM @ GROUP BY recipe",
    ),
    ("nb_nlp_wikitext2", "wikitext2_params_m", "SELECT recipe, max(num_params) / 1e6 FROM @ GROUP BY recipe"),
    ("vit_bench_101", "flowers_acc", "SELECT arch, flower_base_acc FROM @ WHERE space = 'AutoFormer'"),
    (
        "vit_bench_101",
        "imagenet_supernet_acc_predicted",
        "SELECT arch, imagenet_super_acc FROM @ WHERE space = 'AutoFormer'",
    ),
    ("vit_bench_101_pit", "chaoyang_kd_acc", "SELECT arch, chaoyang_kd_acc FROM @ WHERE space = 'PiT'"),
    (
        "timm_imagenet",
        "imagenet_valid_acc",
        f"SELECT arch, max(in1k_top1) FROM @ t WHERE {LARGEST.format('arch')} GROUP BY arch",
    ),
    (
        "timm_infer_benchmark",
        "rtx3090_amp_nhwc_pt210_bmax1024_throughput_ips",
        "SELECT model, max(samples_per_s) FILTER (hardware = 'rtx3090' AND layout = 'nhwc' AND "
        f"torch = '2.10') FROM @ t WHERE {LARGEST.format('model')} GROUP BY model",
    ),
    (
        "timm_infer_benchmark",
        "i7_12700h_fp32_pt240_compiled_b1_latency_ms",
        "SELECT model, max(step_time_ms) FILTER (hardware = 'i7_12700h') "
        f"FROM @ t WHERE {LARGEST.format('model')} GROUP BY model",
    ),
    (
        "timm_infer_benchmark",
        "imagenet_flops_m",
        "SELECT model, 1000 * arg_max(gmacs, torch) FILTER (torch IN ('1.13', '2.40', '2.91')) "
        f"FROM @ t WHERE {LARGEST.format('model')} GROUP BY model",
    ),
    (
        "torchvision_models",
        "imagenet1k_v2_valid_top5_acc",
        "SELECT model, max(value) FILTER (weights = 'IMAGENET1K_V2' AND metric = 'acc@5') FROM @ "
        "GROUP BY model",
    ),
    (
        "torchvision_models",
        "torchvision_flops_m",
        "SELECT model, 1000 * coalesce(max(gflops) FILTER (weights NOT IN ('COCO_LEGACY') AND "
        "NOT contains(weights, 'E2E')), max(gflops)) FROM @ GROUP BY model",
    ),
    (
        "pytorchcv_models",
        "cifar100_test_error",
        "SELECT model, max(err) FILTER (dataset = 'CIFAR-100') FROM @ GROUP BY model",
    ),
    (
        "pytorchcv_models",
        "imagenet_top5_valid_error",
        "SELECT model, max(top5_err) FILTER (dataset = 'ImageNet-1K') FROM @ GROUP BY model",
    ),
    (
        "archai_facial_landmark",
        "landmarks_valid_error",
        "SELECT config, 100 * Full_Training_Validation_Error FROM @",
    ),
]


@pytest.mark.parametrize(("name", "column", "sql"), VALUES, ids=[f"{n}-{c}" for n, c, _ in VALUES])
def test_values_are_those_of_the_file(name: str, column: str, sql: str) -> None:
    table = loaded(name)
    expected = dict(query(name, sql))
    assert len(expected) == len(table)
    wanted = np.array([expected[native] for native in table.natives], dtype=np.float64)
    np.testing.assert_allclose(table.columns()[column].values, wanted, rtol=1e-12)


def test_all_columns_of_a_timm_model_are_of_one_set_of_weights() -> None:
    table = loaded("timm_imagenet")
    columns = {
        "imagenet_valid_acc": "in1k_top1",
        "imagenet_v2_acc": "in_v2_top1",
        "imagenet_a_acc": "in_a_top1",
        "imagenet_r_acc": "in_r_top1",
    }
    there: dict[str, set[tuple[float, ...]]] = {
        row[0]: set() for row in query("timm_imagenet", "SELECT DISTINCT arch FROM @")
    }
    for arch, *values in query("timm_imagenet", f"SELECT arch, {', '.join(columns.values())} FROM @"):
        there[arch].add(tuple(np.nan_to_num(np.array(values, dtype=np.float64), nan=-1.0)))
    got = np.stack([np.nan_to_num(table.columns()[name].values, nan=-1.0) for name in columns], axis=1)
    assert all(tuple(row) in there[native] for native, row in zip(table.natives, got, strict=True))


def test_repeats_of_ecnas_are_seeds() -> None:
    table = loaded("ecnas_4ep_energy")
    energy = [one for one in table.series if one.spec.column == "cifar10_4ep_train_energy_kj"]
    assert [one.spec.seed for one in energy] == [0, 1, 2, 3]
    assert [int((~np.isnan(one.values)).sum()) for one in energy] == [2_532, 91, 91, 91]
    assert {one.spec.epochs for one in energy} == {4}
    rows = query("ecnas_4ep_energy", "SELECT adj_bits, ops, total_energy_kwh, valid_acc FROM @")
    bits, ops, kwh, accuracy = zip(*rows, strict=True)
    natives = PackedCells.from_table(bits, ops).natives()
    row = {native: i for i, native in enumerate(table.natives)}
    turn = dict.fromkeys(natives, 0)
    valid = [one for one in table.series if one.spec.column == "cifar10_4ep_valid_acc"]
    for native, k, a in zip(natives, kwh, accuracy, strict=True):
        # Energy and accuracy of one run have one seed.
        assert energy[turn[native]].values[row[native]] == pytest.approx(3600 * k, rel=1e-12)
        assert valid[turn[native]].values[row[native]] == a
        turn[native] += 1


def test_nan_runs_of_nasbench_nlp_stay_missing() -> None:
    table = loaded("nb_nlp_wikitext2")
    loss = [one.values for one in table.series if one.spec.column == "wikitext2_valid_loss"]
    assert sum(int((~np.isnan(values)).sum()) for values in loss) == 341
    assert not np.isnan(table.columns()["wikitext2_params_m"].values).any()


def test_what_is_no_measurement_says_so() -> None:
    predicted = loaded("vit_bench_101").columns()["imagenet_supernet_acc_predicted"]
    assert predicted.spec.provenance == "predicted"
    assert "imagenet_supernet_acc" not in loaded("vit_bench_101").columns()
    assert not [c for c in loaded("darts_oncenas545").columns() if "test" in c]


def test_fbnet_latencies_that_are_called_summed_are_sums_over_blocks_and_no_others() -> None:
    table = loaded("fbnet5000_help_latency")
    choices = np.array([native.split("_") for native in table.natives], dtype=np.int64)
    one_hot = (choices[:, :, None] == np.arange(9)).reshape(len(table), -1).astype(np.float64)
    for name, one in table.columns().items():
        if one.spec.metric == "latency":
            weights, *_ = np.linalg.lstsq(one_hot, one.values, rcond=None)
            off = np.abs(one_hot @ weights - one.values).max() / one.values.mean()
            assert (off < 1e-9) == (one.spec.provenance == "summed"), name


def test_hat_names_no_architecture_but_has_measurements() -> None:
    with pytest.raises(TableError, match="raw_columns"):
        load("hat_transformer_latency")
    series = {one.spec.column: one.values for one in measurements("hat_transformer_latency")}
    assert len(series) == 16
    sums = query(
        "hat_transformer_latency",
        "SELECT sum(decoder_latency_ms), count(*) FROM @ "
        "WHERE task = 'wmt14enfr' AND device = 'cpu_raspberrypi'",
    )
    values = series["raspi4_wmt14enfr_decoder_latency_ms"]
    assert float(np.nansum(values)) == pytest.approx(sums[0][0])
    assert int((~np.isnan(values)).sum()) == sums[0][1] == 2_000
    raw = raw_columns("hat_transformer_latency")
    assert len(raw) == 16
    assert {len(column) for column in raw.values()} == {16_000}
