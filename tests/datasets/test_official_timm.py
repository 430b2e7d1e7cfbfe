"""timm's CSV files, written by the tests in the official form: with published rows where they are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archindex.core.errors import DataUnavailableError
from archindex.datasets import Table, load
from archindex.datasets.folder import data_folder
from archindex.datasets.official import timm_benchmark_infer, timm_results

needs_tables = pytest.mark.skipif(
    data_folder() is None, reason="ARCHINDEX_DATA does not name the folder of tables"
)

# The first lines of the official results, and two sizes of one model.
HEADER = "model,top1,top1_err,top5,top5_err,param_count,img_size,crop_pct,interpolation"
LINES = """\
eva02_large_patch14_448.mim_m38m_ft_in22k_in1k,90.052,9.948,99.048,0.952,305.08,448,1.000,bicubic
eva02_large_patch14_448.mim_in22k_ft_in22k_in1k,89.966,10.034,99.012,0.988,305.08,448,1.000,bicubic
eva_giant_patch14_560.m30m_ft_in22k_in1k,89.786,10.214,98.992,1.008,"1,014.45",560,1.000,bicubic
resnet50.a1_in1k,80.2,19.8,94.6,5.4,25.56,224,0.95,bicubic
resnet50.a1_in1k,81.2,18.8,95.1,4.9,25.56,288,1.0,bicubic
resnet50.tv_in1k,76.1,23.9,92.9,7.1,25.56,224,0.875,bilinear""".splitlines()


def results(folder: Path) -> dict[str, Path]:
    """The six files; all but the first have columns of differences, and lack a model."""
    paths = {}
    for number, name in enumerate(timm_results.TESTS):
        rows = LINES if number == 0 else [f"{line},-1.0,-0.5,+{number}" for line in LINES[1:]]
        header = HEADER if number == 0 else f"{HEADER},top1_diff,top5_diff,rank_diff"
        paths[name] = folder / name
        paths[name].write_text("\n".join([header, *rows]) + "\n")
    return paths


def test_results_count_the_best_weights_at_the_largest_input(
    tmp_path: Path, as_promised: Callable[..., Any]
) -> None:
    table = timm_results.convert(results(tmp_path))
    as_promised(table.name, table.series)
    assert table.natives == ("eva02_large_patch14_448", "eva_giant_patch14_560", "resnet50")
    columns = table.columns()
    assert columns["imagenet_valid_acc"].values.tolist() == [90.052, 89.786, 81.2]
    assert columns["imagenet_valid_top5_acc"].values.tolist() == [99.048, 98.992, 95.1]
    assert columns["imagenet_params_m"].values.tolist() == [305.08, 1014.45, 25.56]
    # The weights that count are not in the other files: missing, and not those of others.
    np.testing.assert_array_equal(columns["imagenet_a_acc"].values, [np.nan, 89.786, 81.2])


BENCHMARK = "model,infer_img_size,infer_samples_per_sec,infer_step_time,infer_batch_size,param_count"


def benchmarks(folder: Path) -> dict[str, Path]:
    paths = {}
    for number, name in enumerate(timm_benchmark_infer.FILES):
        rows = [
            f"resnet18,224,{1000 + number},{number + 1}.5,256,11.69,1.82,2.48",
            f"resnet50,224,{500 + number},{number + 2}.5,256,25.56,4.11,11.11",
            f"resnet50,288,{300 + number},{number + 3}.5,256,25.56,6.8,18.37",
        ]
        paths[name] = folder / name
        paths[name].write_text("\n".join([f"{BENCHMARK},infer_gmacs,infer_macts", *rows]) + "\n")
    return paths


def test_benchmarks_have_a_column_for_each_setting(tmp_path: Path, as_promised: Callable[..., Any]) -> None:
    table = timm_benchmark_infer.convert(benchmarks(tmp_path))
    as_promised(table.name, table.series)
    assert table.natives == ("resnet18", "resnet50")
    columns = table.columns()
    assert len(columns) == len(timm_benchmark_infer.FILES) + 2
    at = list(timm_benchmark_infer.FILES).index
    number = at("benchmark-infer-amp-nchw-pt240-cu124-rtx4090-dynamo.csv")
    throughput = columns["rtx4090_amp_pt240_compiled_bmax256_throughput_ips"]
    assert throughput.values.tolist() == [1000 + number, 300 + number]
    number = at("benchmark-infer-fp32-nchw-pt240-cpu-i7_12700h-dynamo.csv")
    latency = columns["i7_12700h_fp32_pt240_compiled_b1_latency_ms"]
    assert latency.values.tolist() == [number + 1.5, number + 3.5]
    assert columns["imagenet_flops_m"].values.tolist() == [1820.0, 6800.0]


def text(value: object) -> str:
    """A number as timm's scripts write it; what is missing is empty."""
    return "" if value is None or value != value else f"{value}"


def same_values(ours: Any, theirs: Any) -> None:
    """Compare two tables column by column, whatever the order of their rows."""
    assert set(ours.natives) == set(theirs.natives)
    place = {native: i for i, native in enumerate(ours.natives)}
    order = [place[native] for native in theirs.natives]
    columns = ours.columns()
    for name, one in theirs.columns().items():
        np.testing.assert_allclose(columns[name].values[order], one.values, rtol=1e-12, err_msg=name)


@needs_tables
def test_the_published_results_are_those_of_the_table(tmp_path: Path, read_all: Callable[..., Any]) -> None:
    rows = read_all("timm_imagenet")
    keys = ("in1k", "real", "in_v2", "in_a", "in_r", "in_sketch")
    paths = {}
    for key, name in zip(keys, timm_results.TESTS, strict=True):
        lines = [
            f'{model},{text(top1)},,{text(top5) if key == "in1k" else ""},,"{params:,.2f}",{size},,'
            for model, top1, top5, params, size in zip(
                rows["model"],
                rows[f"{key}_top1"],
                rows["in1k_top5"],
                rows["params_m"],
                rows["img_size"],
                strict=True,
            )
            if top1 is not None and top1 == top1
        ]
        paths[name] = tmp_path / name
        paths[name].write_text("\n".join([HEADER, *lines]) + "\n")
    same_values(timm_results.convert(paths), load("timm_imagenet"))


@needs_tables
def test_the_published_benchmarks_are_those_of_the_table(
    tmp_path: Path, read_all: Callable[..., Any]
) -> None:
    rows = read_all("timm_infer_benchmark")
    columns = ("img_size", "samples_per_s", "step_time_ms", "batch_size", "params_m", "gmacs", "macts")
    paths = {name: tmp_path / name for name in timm_benchmark_infer.FILES}
    lines: dict[str, list[str]] = {name: [f"{BENCHMARK},infer_gmacs,infer_macts"] for name in paths}
    for i, name in enumerate(rows["src"]):
        lines[name].append(",".join([rows["model"][i], *(text(rows[column][i]) for column in columns)]))
    for name, path in paths.items():
        path.write_text("\n".join(lines[name]) + "\n")
    same_values(timm_benchmark_infer.convert(paths), load("timm_infer_benchmark"))


def test_what_was_converted_is_kept_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comes_back: Callable[[Table], None]
) -> None:
    monkeypatch.setenv("ARCHINDEX_HOME", str(tmp_path / "home"))
    for table in (
        timm_results.convert(results(tmp_path)),
        timm_benchmark_infer.convert(benchmarks(tmp_path)),
    ):
        comes_back(table)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [HEADER],
        ["model,top1", "resnet50,1"],
        [HEADER, "resnet50.a1_in1k,80.2"],
        [HEADER, "resnet50.a1_in1k,high,19.8,94.6,5.4,25.56,224,0.95,bicubic"],
        [HEADER, "resnet50.a1_in1k,180.2,19.8,94.6,5.4,25.56,288,0.95,bicubic"],
        [HEADER, 'resnet50.a1_in1k,"80.2'],
        ["\ufffd\x00"],
    ],
)
def test_a_file_of_another_form_is_told(tmp_path: Path, lines: Sequence[str]) -> None:
    paths = results(tmp_path)
    for name in ("results-imagenet.csv", "results-sketch.csv"):
        kept = paths[name].read_text()
        paths[name].write_text("\n".join(lines))
        with pytest.raises(DataUnavailableError, match=name):
            timm_results.convert(paths)
        paths[name].write_text(kept)
    paths = benchmarks(tmp_path)
    paths[next(iter(paths))].write_text("\n".join(lines))
    with pytest.raises(DataUnavailableError, match=next(iter(paths))):
        timm_benchmark_infer.convert(paths)


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    paths = results(tmp_path)
    paths["results-imagenet.csv"].write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataUnavailableError, match=r"results-imagenet\.csv"):
        timm_results.convert(paths)
    sizes = [HEADER, "resnet50.a1_in1k,80.2,19.8,94.6,5.4,25.56,large,0.95,bicubic"]
    paths["results-imagenet.csv"].write_text("\n".join(sizes))
    with pytest.raises(DataUnavailableError, match=r"results-imagenet\.csv"):
        timm_results.convert(paths)
    paths["results-imagenet.csv"].unlink()
    with pytest.raises(DataUnavailableError, match=r"results-imagenet\.csv"):
        timm_results.convert(paths)
