"""NATS-Bench archives that the tests write in the official form: a tar of a bzip2 pickle for each network."""

from __future__ import annotations

import bz2
import io
import pickle
import tarfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archindex.core.errors import DataUnavailableError, UnsafeDataError
from archindex.datasets import Table
from archindex.datasets.kept import keep_table, load_table
from archindex.datasets.official import nats_sss, nats_tss

NATIVES = {
    "tss": [
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
        "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
        "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|avg_pool_3x3~2|",
    ],
    "sss": ["64:64:64:64:64", "8:16:24:32:40", "8:8:8:8:64"],
}
RUNS = {"tss": ("12", "200"), "sss": ("01", "12", "90")}
SETS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}
MODULES = {"tss": nats_tss, "sss": nats_sss}


def value(*key: object) -> float:
    """A value for each place in the archive, the same in every process."""
    return 1 + zlib.crc32(repr(key).encode()) / 2**32 * 98


def trial(index: int, run: str, dataset: str, seed: int) -> dict[str, Any]:
    """The state of one ResultsCount."""
    epochs = int(run)
    names = [f"{subset}@{epoch}" for subset in SETS[dataset] for epoch in range(epochs)]
    return {
        "name": "infer.tiny",
        "net_state_dict": None,
        "train_acc1es": OrderedDict((epoch, 50.0) for epoch in range(epochs)),
        "train_acc5es": None,
        "train_losses": OrderedDict((epoch, 1.0) for epoch in range(epochs)),
        "train_times": OrderedDict((e, value(index, run, dataset, seed, "time", e)) for e in range(epochs)),
        "arch_config": {"channel": 16, "num_cells": 5, "class_num": 10},
        "params": value(index, dataset, "params"),
        "flop": value(index, dataset, "flop"),
        "seed": seed,
        "epochs": epochs,
        "latency": [value(index, dataset, seed, "latency")] if dataset != "cifar100" else [-1.0],
        "eval_names": list(SETS[dataset]),
        "eval_acc1es": {name: value(index, run, dataset, seed, name) for name in names},
        "eval_times": dict.fromkeys(names, 1.0),
        "eval_losses": dict.fromkeys(names, 1.0),
    }


def seeds(index: int, dataset: str) -> list[int]:
    """Not every network was trained with the same seeds."""
    return [777, 888, 999][: 1 + (index + len(dataset)) % 3]


def results(space: str, index: int) -> dict[str, Any]:
    """The state of the ArchResults of each number of epochs."""
    return {
        run: {
            "arch_index": index,
            "arch_str": NATIVES[space][index],
            "all_results": {(d, s): trial(index, run, d, s) for d in SETS for s in seeds(index, d)},
            "dataset_seed": {d: seeds(index, d) for d in SETS},
            "clear_net_done": True,
        }
        for run in RUNS[space]
    }


def files(space: str, change: Callable[[Any], None] = lambda content: None) -> dict[str, bytes]:
    content = {f"{i:06d}.pickle.pbz2": results(space, i) for i in range(3)}
    change(content["000001.pickle.pbz2"])
    everything = {**content, "meta.pickle.pbz2": {"meta_archs": NATIVES[space]}}
    return {name: bz2.compress(pickle.dumps(one, protocol=4)) for name, one in everything.items()}


def tar(path: Path, content: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        # Not in the order of the index.
        for name in sorted(content, reverse=True):
            info = tarfile.TarInfo(f"NATS-simple/{name}")
            info.size = len(content[name])
            archive.addfile(info, io.BytesIO(content[name]))
    return path


def convert(space: str, path: Path) -> Table:
    module: Any = MODULES[space]
    table: Table = module.convert({module.FILE: path})
    return table


@pytest.mark.parametrize("space", NATIVES)
def test_the_official_archive_is_read_value_by_value(
    space: str, tmp_path: Path, as_promised: Callable[..., Any]
) -> None:
    table = convert(space, tar(tmp_path / "archive.tar", files(space)))
    timed = [c for c in table.columns() if c.endswith(("_train_time_s", "_latency_ms"))]
    as_promised(table.name, table.series, more=timed)
    assert table.natives == tuple(NATIVES[space])
    by_spec = {(one.spec.column, one.spec.seed): one for one in table.series}
    final = RUNS[space][-1]
    for run in RUNS[space]:
        suffix = "" if run == final else f"_{int(run)}ep"
        for dataset, subset, column in (
            ("cifar10-valid", "x-valid", f"cifar10{suffix}_valid_acc"),
            ("cifar10", "ori-test", f"cifar10{suffix}_test_acc"),
            ("cifar100", "x-test", f"cifar100{suffix}_test_acc"),
            ("ImageNet16-120", "x-valid", f"in16_120{suffix}_valid_acc"),
        ):
            for seed in (777, 888, 999):
                one = by_spec[column, seed]
                assert one.spec.epochs == int(run)
                for index in range(3):
                    if seed in seeds(index, dataset):
                        expected = value(index, run, dataset, seed, f"{subset}@{int(run) - 1}")
                        assert one.values[index] == expected
                    else:
                        assert np.isnan(one.values[index])
        times = [value(0, run, "cifar10", 777, "time", epoch) for epoch in range(int(run))]
        assert by_spec[f"cifar10{suffix}_train_time_s", 777].values[0] == pytest.approx(sum(times), rel=1e-12)
    assert by_spec["cifar10_params_m", None].values[1] == value(1, "cifar10", "params")
    assert by_spec["in16_120_flops_m", None].values[2] == value(2, "ImageNet16-120", "flop")
    latencies = [value(1, "cifar10", seed, "latency") for seed in seeds(1, "cifar10")]
    assert by_spec["cifar10_latency_ms", None].values[1] == pytest.approx(1e3 * np.mean(latencies))
    # -1 is no latency.
    assert ("cifar100_latency_ms", None) not in by_spec


def test_a_folder_will_do_and_the_table_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHINDEX_HOME", str(tmp_path / "home"))
    folder = tmp_path / "NATS-tss-v1_0-3ffb9-simple"
    folder.mkdir()
    for name, data in files("tss").items():
        (folder / name).write_bytes(data)
    table = convert("tss", folder)
    packed = convert("tss", tar(tmp_path / "archive.tar", files("tss")))
    keep_table(table)
    for other in (packed, load_table("nats_tss")):
        assert other.natives == table.natives
        theirs = {one.spec: one.values for one in other.series}
        assert set(theirs) == {one.spec for one in table.series}
        for one in table.series:
            np.testing.assert_array_equal(one.values, theirs[one.spec])


def test_a_malicious_pickle_is_refused_and_nothing_ran(
    tmp_path: Path, touch: Callable[[Path], object]
) -> None:
    witness = tmp_path / "witness"
    path = tar(tmp_path / "archive.tar", files("tss", lambda one: one.update(x=touch(witness))))
    with pytest.raises(UnsafeDataError):
        convert("tss", path)
    assert not witness.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.pop("200"),
        lambda one: one.update({"200": []}),
        lambda one: one["200"].update(arch_index="1"),
        lambda one: one["200"].update(arch_index=0),
        lambda one: one["200"].update(arch_str="no"),
        lambda one: one["200"].update(all_results={}),
        lambda one: one["200"]["all_results"]["cifar10", 777].update(eval_acc1es={}),
        lambda one: one["200"]["all_results"]["cifar10", 777].update(params="1"),
        lambda one: one["200"]["all_results"]["cifar10", 777].update(params=-1.0),
        lambda one: one["200"]["all_results"]["cifar10", 777]["eval_acc1es"].update({"ori-test@199": 101.0}),
    ],
)
def test_results_of_another_form_are_told(tmp_path: Path, change: Any) -> None:
    path = tar(tmp_path / "archive.tar", files("tss", change))
    with pytest.raises(DataUnavailableError, match=r"archive\.tar"):
        convert("tss", path)


def test_a_damaged_archive_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = files("tss")
    whole = tar(tmp_path / "archive.tar", content).read_bytes()
    path = tmp_path / "cut.tar"
    for damaged in (b"", b"no archive", whole[:600], whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(DataUnavailableError, match=r"cut\.tar"):
            convert("tss", path)
    for data in (b"", b"BZh9", content["000001.pickle.pbz2"][:-30], bz2.compress(b"\x80")):
        tar(path, {**content, "000001.pickle.pbz2": data})
        with pytest.raises(DataUnavailableError, match=r"cut\.tar"):
            convert("tss", path)
    with pytest.raises(DataUnavailableError, match="none"):
        convert("tss", tar(path, {"other.txt": b""}))
    # A small file may hold a very large one.
    monkeypatch.setattr("archindex.datasets.official.nats_bench.MEMBER_BYTES", 10_000)
    with pytest.raises(DataUnavailableError, match="at most 10000 bytes"):
        convert("tss", tar(path, content))
