"""What is said about the official files, and one data set from end to end."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from archindex.core.errors import DataUnavailableError
from archindex.datasets import DATASETS, get, info, load
from archindex.datasets.known import OfficialFile
from archindex.datasets.official.hw_nas_bench import METRICS

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
    # What was there stays, and nothing else is left behind.
    assert load("nasbench_macro").natives == table.natives
    assert [one.name for one in (Path(about.place).parent).iterdir()] == ["nasbench_macro"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "archindex", "data", "get", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_takes_a_file_and_tells_what_to_type(tmp_path: Path) -> None:
    path = tmp_path / "HW-NAS-Bench-v1_0.pickle"
    numbers = {key: [1.5] for key in METRICS}
    config = [{"arch_str": "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"}]
    part = {data: {**numbers, "config": config} for data in ("cifar10", "cifar100", "ImageNet16-120")}
    path.write_bytes(pickle.dumps({"nasbench201": part}))
    name = "hw_nas_bench_nasbench201"
    done = run(name, "--from-file", str(path), "--offline", "--format", "quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == info(name).place
    assert load(name).columns()["fpga_energy_mj"].values.tolist() == [1.5]
    missing = run("nasbench101", "--offline")
    assert missing.returncode == 1
    assert "archindex data get nasbench101 --from-file FILE" in missing.stderr
    assert run("nasbench101", "--from-file", str(tmp_path / "none")).returncode == 2
