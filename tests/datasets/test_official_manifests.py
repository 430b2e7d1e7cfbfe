"""What is said about the official files, and one data set from end to end."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from archindex.core.errors import DataUnavailableError
from archindex.datasets import DATASETS, get, info, load
from archindex.datasets.known import OfficialFile
from archindex.datasets.official import hw_nas_bench_fbnet, nasbench_macro
from archindex.datasets.official.hw_nas_bench import METRICS
from archindex.spaces.nasbench201 import NASBench201
from archindex.spaces.registry import space

OFFICIAL = [name for name, module in DATASETS.items() if ".official." in module]


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_manifest_is_whole(name: str) -> None:
    module: Any = import_module(DATASETS[name])
    about = info(name)
    assert (module.SPEC.name, about.available) == (name, False)
    assert about.files
    assert callable(module.convert)
    assert about.rows > 0
    assert all((about.measures, about.description, about.licence, about.citation))
    assert about.homepage.startswith("https://")
    for file in about.files:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]+", file.name)
        assert all(url.startswith("https://") for url in file.urls)
        assert re.fullmatch(r"([0-9a-f]{64})?", file.sha256)
    # Whoever publishes no address for programs is said to.
    assert ("publish the" in about.description) == any(not file.urls for file in about.files)


def test_rows_are_certain_where_a_data_set_is_all_of_a_space_or_a_sample_of_ours() -> None:
    certain = {name for name in OFFICIAL if info(name).exact}
    assert set(OFFICIAL) - certain == {
        *("nasbench_nlp", "accel_nasbench", "timm_results", "timm_benchmark_infer"),
    }
    for name in certain - {"hw_nas_bench_fbnet", "nasbench101", "nasbench101_full"}:
        assert info(name).rows == space(info(name).space).size
    # Of this space the benchmark trained one cell of each kind.
    assert info("nasbench101").rows == info("nasbench101_full").rows == info("nb101").rows
    assert info("hw_nas_bench_fbnet").rows == hw_nas_bench_fbnet.ROWS


def test_files_of_one_name_are_one_file() -> None:
    known: dict[str, OfficialFile] = {}
    for name in OFFICIAL:
        for file in info(name).files:
            assert known.setdefault(file.name, file) == file


@pytest.mark.parametrize("name", OFFICIAL)
def test_offline_and_without_a_file_the_remedy_is_told(name: str) -> None:
    with pytest.raises(DataUnavailableError, match=f"archindex data get {name}"):
        load(name)
    with pytest.raises(DataUnavailableError, match=f"archindex data get {name} --from-file FILE"):
        get(name, offline=True)
    assert "--from-file" in info(name).remedy or all(file.urls for file in info(name).files)


@pytest.mark.parametrize("name", OFFICIAL)
def test_what_cannot_be_fetched_leaves_nothing_on_the_disk(name: str, home: Path) -> None:
    with pytest.raises(DataUnavailableError):
        get(name, offline=True)
    assert not home.exists()


def test_a_list_that_its_authors_extend_may_have_any_number_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.json"
    result = {"test_acc": [90.0, 91.0, 92.0], "mean_acc": 91.0, "std": 1.0, "params": 10, "flops": 10}
    path.write_text(json.dumps({"00000000": result}))
    monkeypatch.setattr(nasbench_macro, "SPEC", replace(nasbench_macro.SPEC, exact=False))
    get("nasbench_macro", from_files=[path])
    assert len(load("nasbench_macro")) == 1


def test_a_data_set_from_a_file_to_a_table(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    keys = ["".join(digits) for digits in product("012", repeat=8)]
    result = {"test_acc": [90.0, 91.0, 92.0], "mean_acc": 91.0, "std": 1.0, "params": 10, "flops": 10}
    path.write_text(json.dumps(dict.fromkeys(keys, result)))
    about = get("nasbench_macro", from_files=[path], offline=True)
    assert about.available
    table = load("nasbench_macro")
    assert len(table) == about.rows
    assert table.columns()["cifar10_test_acc"].values[0] == 91.0
    path.write_text(json.dumps(dict.fromkeys([*keys, "9"], result)))
    with pytest.raises(DataUnavailableError, match="get it again"):
        get("nasbench_macro", from_files=[path])
    path.write_text(json.dumps({keys[0]: result}))
    with pytest.raises(
        DataUnavailableError, match="expected 6561 rows of the data set nasbench_macro, got 1;"
    ):
        get("nasbench_macro", from_files=[path])
    # What was there stays, and nothing else is left behind.
    assert load("nasbench_macro").natives == table.natives
    assert [one.name for one in (Path(about.place).parent).iterdir()] == ["nasbench_macro"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "archindex", "data", "get", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_takes_a_file_and_tells_what_to_type(tmp_path: Path) -> None:
    path = tmp_path / "HW-NAS-Bench-v1_0.pickle"
    natives = [arch.native for arch in NASBench201().enumerate()]
    numbers = {key: [1.5] * len(natives) for key in METRICS}
    config = [{"arch_str": native} for native in natives]
    part = {data: {**numbers, "config": config} for data in ("cifar10", "cifar100", "ImageNet16-120")}
    path.write_bytes(pickle.dumps({"nasbench201": part}))
    name = "hw_nas_bench_nasbench201"
    done = run(name, "--from-file", str(path), "--offline", "--format", "quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == info(name).place
    assert load(name).columns()["fpga_energy_mj"].values.tolist() == [1.5] * 15_625
    missing = run("nasbench101", "--offline")
    assert missing.returncode == 1
    assert "archindex data get nasbench101 --from-file FILE" in missing.stderr
    assert run("nasbench101", "--from-file", str(tmp_path / "none")).returncode == 2
