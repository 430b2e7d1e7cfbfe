"""Accel-NASBench from JSON that the tests write in the official form."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archindex.core.errors import DataUnavailableError
from archindex.datasets import Table, load
from archindex.datasets.folder import data_folder
from archindex.datasets.official import accel_nasbench

needs_tables = pytest.mark.skipif(
    data_folder() is None, reason="ARCHINDEX_DATA does not name the folder of tables"
)


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


def test_accel_nasbench_is_read_value_by_value(
    tmp_path: Path, comes_back: Callable[..., Any], as_promised: Callable[..., Any]
) -> None:
    results = {f"result_{i}.json": accel_result(i) for i in range(12)}
    twice = {**accel_result(99), "architecture": results["result_3.json"]["architecture"]}
    path = accel_archive(
        tmp_path / "anb.tar.gz", {**results, "result_12.json": twice, "readme.md": "no result"}
    )
    table = accel(path)
    as_promised(table.name, table.series)
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
def test_published_accel_results_are_those_of_the_table(tmp_path: Path, read_all: Callable[..., Any]) -> None:
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
