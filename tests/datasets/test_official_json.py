"""NAS-Bench-Macro, NAS-Bench-NLP and Accel-NASBench, from JSON that the tests write in the official forms."""

from __future__ import annotations

import io
import json
import math
import tarfile
import zipfile
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archindex.core.errors import DataUnavailableError
from archindex.datasets import Table, load
from archindex.datasets.folder import data_folder
from archindex.datasets.kept import keep_table, load_table
from archindex.datasets.official import accel_nasbench, nasbench_macro, nasbench_nlp
from archindex.datasets.official.reading import members
from archindex.datasets.parquet import column_types, read_parquet

needs_tables = pytest.mark.skipif(
    data_folder() is None, reason="ARCHINDEX_DATA does not name the folder of tables"
)


def read_all(name: str) -> dict[str, list[Any]]:
    folder = data_folder()
    assert folder is not None
    path = folder / f"{name}.parquet"
    return {key: values.tolist() for key, values in read_parquet(path, column_types(path)).items()}


def comes_back(table: Table) -> None:
    keep_table(table)
    back = load_table(table.name)
    assert back.natives == table.natives
    for one, other in zip(back.series, table.series, strict=True):
        assert one.spec == other.spec
        np.testing.assert_array_equal(one.values, other.values)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHINDEX_HOME", str(tmp_path / "home"))


# NAS-Bench-Macro


def macro_results() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    results = {}
    for digits in product("012", repeat=8):
        runs = rng.uniform(80, 93, 3).tolist()
        results["".join(digits)] = {
            "test_acc": runs,
            "mean_acc": float(np.mean(runs)),
            "std": float(np.std(runs)),
            "params": int(rng.integers(10**5, 10**6)),
            "flops": int(rng.integers(10**6, 10**8)),
        }
    return results


def macro(path: Path, content: Any) -> Table:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return nasbench_macro.convert({nasbench_macro.FILE: path})


def test_all_of_nasbench_macro_is_read_value_by_value(tmp_path: Path) -> None:
    results = macro_results()
    table = macro(tmp_path / "macro.json", results)
    assert len(table) == 6_561 == nasbench_macro.SPEC.rows
    assert table.natives == tuple(results)
    runs = {one.spec.seed: one for one in table.series if one.spec.metric == "acc"}
    for seed in range(3):
        assert runs[seed].spec.column == "cifar10_test_acc"
        assert runs[seed].values.tolist() == [one["test_acc"][seed] for one in results.values()]
    columns = table.columns()
    assert columns["cifar10_params_m"].values.tolist() == [one["params"] / 1e6 for one in results.values()]
    assert columns["cifar10_flops_m"].values.tolist() == [one["flops"] / 1e6 for one in results.values()]
    comes_back(table)


GOOD = {"test_acc": [90.0, 91.0, 92.0], "mean_acc": 91.0, "std": 1.0, "params": 10, "flops": 10}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '"text"',
        "[" * 100_000,
        {"0123": GOOD},
        {"00000003": GOOD},
        {"00000000": {}},
        {"00000000": {**GOOD, "test_acc": [90.0, 92.0]}},
        {"00000000": {**GOOD, "test_acc": [90.0, 91.0, "92.0"]}},
        {"00000000": {**GOOD, "mean_acc": 90.0}},
        {"00000000": {**GOOD, "test_acc": [90.0, 91.0, 101.0], "mean_acc": 94.0}},
        {"00000000": {**GOOD, "params": -1}},
        {"00000000": {**GOOD, "flops": True}},
    ],
)
def test_macro_results_of_another_form_are_told(tmp_path: Path, content: Any) -> None:
    with pytest.raises(DataUnavailableError, match=r"macro\.json"):
        macro(tmp_path / "macro.json", content)


# NAS-Bench-NLP

RECIPES = [
    {
        "node_0": {"op": "linear", "input": ["x", "h_prev_0"]},
        "h_new_0": {"op": "activation_tanh", "input": ["node_0"]},
    },
    {
        "node_0": {"op": "linear", "input": ["x", "h_prev_0"]},
        "h_new_0": {"op": "activation_sigm", "input": ["node_0"]},
    },
]


def log(recipe: Mapping[str, Any], seed: int, *, status: str = "OK", epochs: int = 50) -> dict[str, Any]:
    """What main_one_model_train.py dumps."""
    rng = np.random.default_rng(seed)
    losses = {part: rng.uniform(4, 7, epochs).tolist() for part in ("train", "val", "test")}
    if status != "OK":
        losses["val"][-1] = math.nan
    return {
        "data": "data/ptb",
        "recepie_id": seed,
        "cuda": True,
        "recepie": json.dumps(recipe),
        "experiment_id": 999_999_000 + seed,
        "init_time": "2020-05-01_12-00-00",
        "num_params": 20_000_000 + RECIPES.index(dict(recipe)),
        "wall_times": rng.uniform(30, 60, epochs).tolist(),
        **{f"{part}_losses": of for part, of in losses.items()},
        "status": status,
    }


def logs(folder: Path, **changes: Any) -> dict[str, Path]:
    """The three archives: the second repeats the first log, and one run broke off."""
    one, other = RECIPES
    content: dict[str, dict[str, Any]] = {
        "nas-bench-nlp-single-run.zip": {
            "a": log(one, 1),
            "b": log(other, 2, status="loss is nan!", epochs=7),
        },
        "nas-bench-nlp-multi-runs.zip": {"a": log(one, 1), "c": log(one, 3)},
        "nas-bench-nlp-wikitext-2.zip": {"d": log(other, 4)},
    }
    content["nas-bench-nlp-single-run.zip"].update(changes)
    paths = {}
    for name, of in content.items():
        paths[name] = folder / name
        with zipfile.ZipFile(paths[name], "w") as archive:
            for key, value in of.items():
                text = value if isinstance(value, (str, bytes)) else json.dumps(value)
                archive.writestr(f"logs/log_stats_model_{key}_2020.json", text)
            archive.writestr("logs/README.txt", "not a log")
    return paths


def test_runs_of_nasbench_nlp_are_seeds(tmp_path: Path) -> None:
    table = nasbench_nlp.convert(logs(tmp_path))
    assert len(table) == 2
    by_spec = {(one.spec.column, one.spec.seed): one.values for one in table.series}
    for seed, made in ((0, log(RECIPES[0], 1)), (1, log(RECIPES[0], 3))):
        best = int(np.argmin(made["val_losses"]))
        for part, split in (("train", "train"), ("val", "valid"), ("test", "test")):
            assert by_spec[f"ptb_{split}_loss", seed][0] == made[f"{part}_losses"][best]
        total = by_spec["ptb_train_time_s", seed][0]
        assert total == pytest.approx(sum(made["wall_times"]), rel=1e-12)
    # The run that broke off has params, and nothing that was measured.
    assert np.isnan(by_spec["ptb_valid_loss", 0][1])
    assert by_spec["ptb_params_m", None].tolist() == [20.0, 20.000001]
    made = log(RECIPES[1], 4)
    assert by_spec["wikitext2_valid_loss", 0][1] == min(made["val_losses"])
    assert np.isnan(by_spec["wikitext2_valid_loss", 0][0])
    comes_back(table)


@needs_tables
def test_published_wikitext2_runs_are_those_of_the_table(tmp_path: Path) -> None:
    rows = read_all("nb_nlp_wikitext2")
    paths = logs(tmp_path)
    for name in paths:
        with zipfile.ZipFile(paths[name], "w") as archive:
            if "wikitext" not in name:
                continue
            for i, recipe in enumerate(rows["recipe"]):
                finished = rows["status"][i] == "OK"
                valid, test = (
                    rows[key][i] if finished else 9.0 for key in ("best_val_loss", "test_loss_at_best_val")
                )
                made = {
                    "recepie": recipe,
                    "num_params": rows["num_params"][i],
                    "wall_times": [rows["mean_epoch_time_s"][i]] * 2,
                    "train_losses": [5.0, 5.0],
                    "val_losses": [valid, valid + 1],
                    "test_losses": [test, test - 1],
                    "status": rows["status"][i],
                }
                archive.writestr(f"log_stats_model_{i:04d}.json", json.dumps(made))
    ours, theirs = nasbench_nlp.convert(paths), load("nb_nlp_wikitext2")
    assert ours.natives == theirs.natives
    ours_by_spec = {(one.spec.column, one.spec.seed): one.values for one in ours.series}
    for one in theirs.series:
        if one.spec.metric in ("loss", "params"):
            np.testing.assert_allclose(
                ours_by_spec[one.spec.column, one.spec.seed], one.values, rtol=1e-12, err_msg=one.spec.column
            )


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "{",
        "[]",
        b"\xff",
        {},
        {**log(RECIPES[0], 5), "recepie": "{}"},
        {**log(RECIPES[0], 5), "recepie": 7},
        {**log(RECIPES[0], 5), "num_params": "many"},
        {**log(RECIPES[0], 5), "num_params": 7},
        {**log(RECIPES[0], 5), "val_losses": []},
        {**log(RECIPES[0], 5), "val_losses": [1.0]},
        {**log(RECIPES[0], 5), "val_losses": [math.nan] * 50},
        {**log(RECIPES[0], 5), "wall_times": [-1e9]},
    ],
)
def test_logs_of_another_form_are_told(tmp_path: Path, broken: Any) -> None:
    with pytest.raises(DataUnavailableError, match="single-run"):
        nasbench_nlp.convert(logs(tmp_path, z=broken))


def test_archives_without_logs_are_told(tmp_path: Path) -> None:
    paths = logs(tmp_path)
    single = paths["nas-bench-nlp-single-run.zip"]
    whole = single.read_bytes()
    for content in (b"", whole[: len(whole) // 2], whole[100:]):
        single.write_bytes(content)
        with pytest.raises(DataUnavailableError, match="single-run"):
            nasbench_nlp.convert(paths)
    for path in paths.values():
        with zipfile.ZipFile(path, "w"):
            pass
    with pytest.raises(DataUnavailableError, match="none"):
        nasbench_nlp.convert(paths)


# Accel-NASBench

DEVICES = ("a100", "3090", "tpuv2", "tpuv3", "zcu102", "vck190")


def accel_result(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    architecture: dict[str, Any] = {}
    for block in range(7):
        architecture |= {
            f"block{block}_e": [1, 4, 6][rng.integers(3)],
            f"block{block}_k": [3, 5][rng.integers(2)],
            f"block{block}_l": int(rng.integers(1, 4)),
            # The authors' reader takes both.
            f"block{block}_se": [True, False, "True", "False"][rng.integers(4)],
        }
    timed = {f"throughput_{device}": "throughput" for device in DEVICES}
    timed |= {f"latency_{device}": "latency" for device in ("zcu102", "vck190")}
    return {
        "architecture": architecture,
        "metrics": {
            "val_top1": rng.uniform(50, 70),
            "val_top5": rng.uniform(70, 90),
            "train_time": rng.uniform(1000, 3000),
        },
        "platform_perf": {
            key: {f"{metric}_mean": rng.uniform(1, 5000), f"{metric}_std": rng.uniform(0, 1)}
            for key, metric in timed.items()
        },
    }


def accel_native(architecture: Mapping[str, Any]) -> str:
    return "|".join(
        f"e{architecture[f'block{b}_e']}k{architecture[f'block{b}_k']}l{architecture[f'block{b}_l']}"
        f"se{int(str(architecture[f'block{b}_se']) == 'True')}"
        for b in range(7)
    )


def accel_archive(path: Path, results: Mapping[str, Any]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in results.items():
            data = (content if isinstance(content, str) else json.dumps(content)).encode()
            info = tarfile.TarInfo(f"anb_dataset/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def accel(path: Path) -> Table:
    return accel_nasbench.convert({accel_nasbench.FILE: path})


def test_accel_nasbench_is_read_value_by_value(tmp_path: Path) -> None:
    results = {f"result_{i}.json": accel_result(i) for i in range(12)}
    twice = {**accel_result(99), "architecture": results["result_3.json"]["architecture"]}
    path = accel_archive(
        tmp_path / "anb.tar.gz", {**results, "result_12.json": twice, "readme.md": "no result"}
    )
    table = accel(path)
    assert table.natives == tuple(accel_native(one["architecture"]) for one in results.values())
    by_spec = {(one.spec.column, one.spec.seed): one.values for one in table.series}
    for row, one in enumerate(results.values()):
        assert by_spec["imagenet_proxy_valid_acc", 0][row] == one["metrics"]["val_top1"]
        assert by_spec["imagenet_proxy_valid_top5_acc", 0][row] == one["metrics"]["val_top5"]
        assert by_spec["imagenet_proxy_train_time_s", 0][row] == one["metrics"]["train_time"]
        for device in DEVICES:
            name = "rtx3090" if device == "3090" else device
            mean = one["platform_perf"][f"throughput_{device}"]["throughput_mean"]
            assert by_spec[f"{name}_throughput_ips", 0][row] == mean
        assert by_spec["vck190_latency_ms", 0][row] == one["platform_perf"]["latency_vck190"]["latency_mean"]
    again = by_spec["imagenet_proxy_valid_acc", 1]
    assert again[3] == twice["metrics"]["val_top1"]
    assert np.isnan(np.delete(again, 3)).all()
    folder = tmp_path / "extracted"
    folder.mkdir()
    for name, content in {**results, "result_12.json": twice}.items():
        (folder / name).write_text(json.dumps(content))
    for extracted, packed in zip(accel(folder).series, table.series, strict=True):
        np.testing.assert_array_equal(extracted.values, packed.values)
    comes_back(table)


@needs_tables
def test_published_accel_results_are_those_of_the_table(tmp_path: Path) -> None:
    rows = read_all("accel_nasbench_mnasnet")
    results = {}
    for i, name in enumerate(rows["result_file"]):
        timed = {f"throughput_{d}": ("throughput", rows[f"throughput_{d}_img_s"][i]) for d in DEVICES}
        timed |= {f"latency_{d}": ("latency", rows[f"latency_{d}_ms"][i]) for d in ("zcu102", "vck190")}
        results[name] = {
            "architecture": {key: rows[key][i] for key in rows if key.startswith("block")},
            "metrics": {
                "val_top1": rows["imagenet_val_top1_proxy"][i],
                "val_top5": rows["imagenet_val_top5_proxy"][i],
                "train_time": rows["train_time_s"][i],
            },
            "platform_perf": {key: {f"{metric}_mean": mean} for key, (metric, mean) in timed.items()},
        }
    ours = accel(accel_archive(tmp_path / "anb.tar.gz", results))
    theirs = load("accel_nasbench_mnasnet")
    assert len(ours) == accel_nasbench.SPEC.rows
    place = {native: i for i, native in enumerate(ours.natives)}
    order = [place[native] for native in theirs.natives]
    columns = ours.columns()
    for name, one in theirs.columns().items():
        if one.spec.metric not in ("params", "flops"):
            np.testing.assert_allclose(columns[name].values[order], one.values, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.clear(),
        lambda one: one["architecture"].pop("block3_k"),
        lambda one: one["architecture"].update(block3_k=3.0),
        lambda one: one["architecture"].update(block3_k=9),
        lambda one: one["architecture"].update(block3_se="yes"),
        lambda one: one["architecture"].update(block7_se=True),
        lambda one: one["metrics"].update(val_top1="61"),
        lambda one: one["metrics"].update(val_top1=161.0),
        lambda one: one["metrics"].pop("train_time"),
        lambda one: one["platform_perf"]["latency_zcu102"].pop("latency_mean"),
        lambda one: one["platform_perf"]["latency_zcu102"].update(latency_mean=-1.0),
    ],
)
def test_accel_results_of_another_form_are_told(tmp_path: Path, change: Any) -> None:
    result = accel_result(0)
    change(result)
    path = accel_archive(tmp_path / "anb.tar.gz", {"result_0.json": result, "result_1.json": accel_result(1)})
    with pytest.raises(DataUnavailableError, match=r"anb\.tar\.gz"):
        accel(path)


def test_a_damaged_archive_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = accel_archive(tmp_path / "anb.tar.gz", {f"result_{i}.json": accel_result(i) for i in range(50)})
    whole = path.read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2], whole[:-20]):
        path.write_bytes(content)
        with pytest.raises(DataUnavailableError, match=r"anb\.tar\.gz"):
            accel(path)
    with pytest.raises(DataUnavailableError, match="none"):
        accel(accel_archive(path, {"other.json": "{}"}))
    monkeypatch.setattr("archindex.datasets.official.reading.MEMBER_BYTES", 1000)
    with pytest.raises(DataUnavailableError, match="at most 1000 bytes"):
        accel(accel_archive(path, {"result_0.json": accel_result(0)}))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_no_cut_of_a_tar_archive_goes_unseen(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "some.tar"
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for i in range(4):
            info = tarfile.TarInfo(f"{i}.json")
            info.size = 700
            archive.addfile(info, io.BytesIO(np.random.default_rng(i).bytes(700)))
    whole = path.read_bytes()
    assert len(list(members(path, "*.json"))) == 4
    # An archive that is not compressed ends in many blocks of zeros, of which the first is enough.
    last = len(whole) if mode != "w" else 4 * 3 * 512 + 511
    for cut in [*range(0, last, 97), last - 1]:
        path.write_bytes(whole[:cut])
        with pytest.raises(DataUnavailableError, match=r"some\.tar"):
            list(members(path, "*.json"))
    if mode == "w":
        # A header in the middle that is damaged is no end.
        at = 3 * 512 + 40
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(DataUnavailableError, match=r"some\.tar"):
            list(members(path, "*.json"))
