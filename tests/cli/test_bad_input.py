"""Bad input ends in one line on stderr and the right exit code, and leaves the index as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archindex as ax
from archindex.core.errors import ArgumentError
from archindex.datasets import Table
from archindex.store.files import list_files

ARCH = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|"


@pytest.fixture
def untouched(index_path: Path) -> Iterator[Path]:
    """An index that must be byte for byte the same afterwards."""
    before = list_files(index_path)
    yield index_path
    after = list_files(index_path)
    # Writers make their lock file, and leave it.
    after.pop("writer.lock", None)
    before.pop("writer.lock", None)
    assert after == before


def refused(result: Any, code: int, *parts: str) -> None:
    """Assert one line on stderr, an exit code, and parts of the line; nothing on stdout."""
    assert result.code == code, result.err
    assert result.out == ""
    assert result.err.count("\n") == 1
    assert result.err.startswith("archindex: error: ")
    assert "expected " in result.err or " must " in result.err
    assert ", got" in result.err or ", but" in result.err or code == 1
    assert "; " in result.err
    for part in parts:
        assert part in result.err


QUERIES: list[tuple[list[str], int, list[str]]] = [
    (
        ["--like", "|nor_conv_9x9~0|+|none~0|none~1|+|none~0|none~1|none~2|"],
        2,
        ["nor_conv_9x9~0", "nor_conv_3x3"],
    ),
    (["--like", ""], 2, ["NAS-Bench-201 cell"]),
    (["--like", "nasbench201:oops"], 2, ["oops"]),
    (["--like", "abcdef0123"], 2, ["abcdef0123"]),
    (["--like", ARCH, "--where", "cifar10_latency < 5"], 2, ["'cifar10_latency_ms'"]),
    (["--like", ARCH, "--select", "cifar10_valid_accuracy"], 2, ["'cifar10_valid_acc'"]),
    (["--like", ARCH, "--where", "n_ops > 1; DROP TABLE architectures"], 2, []),
    (["--like", ARCH, "--where", "n_ops > (SELECT count(*) FROM read_csv('/etc/passwd'))"], 2, []),
    (["--like", ARCH, "--where", "read_text('/etc/passwd') = 'x'"], 2, []),
    (["--like", ARCH, "--where", "n_ops > 1 -- AND depth < 0"], 2, []),
    (["--like", ARCH, "--where", "n_ops > 1 /* OR */ OR TRUE"], 2, []),
    (["--like", ARCH, "--where", "n_ops > 1) OR (1 = 1"], 2, []),
    (["--like", ARCH, "--where", ""], 2, []),
    (["--like", ARCH, "--where", "n_ops"], 2, []),
    (["--like", ARCH, "-k", "0"], 2, ["k must be a whole number of at least 1, got 0"]),
    (["--like", ARCH, "-k", "-3"], 2, ["got -3"]),
    (["--like", ARCH, "-k", "many"], 2, ["-k", "archindex query --help"]),
    (["--like", ARCH, "--strategy", "exakt"], 2, ["'exact'"]),
    (["--like", ARCH, "--format", "yaml"], 2, ["--format"]),
    (["--like", ARCH, "--explian"], 2, ["--explian", "--explain"]),
    ([], 2, ["--like, got nothing", "archindex query --help"]),
]


@pytest.mark.parametrize(
    ("options", "code", "parts"), QUERIES, ids=lambda x: " ".join(x) if isinstance(x, list) else ""
)
def test_query(cli: Any, untouched: Path, options: list[str], code: int, parts: list[str]) -> None:
    refused(cli("query", untouched, *options), code, *parts)


COMMANDS: list[tuple[list[str], int, list[str]]] = [
    (["add", "PATH"], 2, ["--from FILE"]),
    (["add", "PATH", "|oops|"], 2, ["|oops|"]),
    (["add", "PATH", ARCH, "--measure", "speed=3"], 2, ["speed", "latency_ms"]),
    (["add", "PATH", ARCH, "--measure", "pi5_latency_ms=fast"], 2, ["pi5_latency_ms=fast"]),
    (["add", "PATH", ARCH, "--measure", "pi5_latency_ms=1,2"], 2, ["each of 1 architectures"]),
    (["add", "PATH", ARCH, "--measure", "pi5_latency_ms=inf"], 2, ["finite"]),
    (["add", "PATH", "--from", "nowhere.csv"], 2, ["nowhere.csv"]),
    (["remove", "PATH", "|oops|"], 2, ["|oops|"]),
    (["remove", "PATH"], 2, ["got nothing"]),
    (["export", "PATH", "out.xlsx"], 2, [".csv or .parquet"]),
    (["export", "PATH", "out.csv", "--where", "nops = 1"], 2, ["'n_ops'"]),
    (["export", "PATH", "no/such/folder/out.csv"], 1, ["no/such/folder"]),
    (["decode", "PATH"], 2, ["neither"]),
    (["decode", "PATH", "--vector", "nowhere.npy"], 2, ["nowhere.npy"]),
    (["decode", "PATH", "--between", ARCH, ARCH, "--steps", "1"], 2, ["steps"]),
    (["diff", ARCH, "|oops|"], 2, ["|oops|"]),
    (["diff", ARCH, "abcdef01", "--index", "PATH"], 2, ["abcdef01"]),
    (["search", "PATH", "--objective", "cifar10_acc"], 2, ["'cifar10_valid_acc'"]),
    (["search", "PATH", "--objective", "space"], 2, ["space"]),
    (["search", "PATH", "--objective", "n_ops"], 2, ["--maximize"]),
    (["search", "PATH", "--objective", "cifar10_valid_acc", "--budget", "0"], 2, ["budget"]),
    (["search", "PATH", "--objective", "cifar10_valid_acc", "--batch", "-1"], 2, ["batch"]),
    (["search", "PATH", "--objective", "cifar10_valid_acc", "--strategy", "evolve"], 2, ["evol"]),
    (["search", "PATH", "--objective", "cifar10_valid_acc", "--where", "1=1) OR (1=1"], 2, []),
    (["build", "PATH", "--data", "nasbench201"], 2, ["--overwrite"]),
    (["build", "PATH", "--data", "nasbench20", "--overwrite"], 2, ["'nasbench201'"]),
    (["build", "PATH", "--data", "nasbench201", "--encoder", "gim", "--overwrite"], 2, ["'gin'"]),
    (["build", "PATH", "--data", "nasbench201", "--engine", "hsnw", "--overwrite"], 2, ["'hnsw'"]),
    (["build", "PATH", "--data", "nasbench201", "--metric", "l3", "--overwrite"], 2, ["'l2'"]),
    (["build", "PATH", "--data", "nasbench201", "--seed", "-1", "--overwrite"], 2, ["seed"]),
    (["build", "PATH"], 2, ["--data, got nothing"]),
    (["data", "show", "nasbench"], 2, ["nasbench201"]),
    (["data", "get", "nb201"], 1, ["ARCHINDEX_DATA"]),
    (["demo", "--seeds", "0"], 2, ["--seeds"]),
    (["frobnicate"], 2, ["frobnicate", "; archindex --help"]),
    (["data", "frobnicate"], 2, ["frobnicate", "; archindex data --help"]),
]


@pytest.mark.parametrize(
    ("arguments", "code", "parts"), COMMANDS, ids=lambda x: " ".join(x) if isinstance(x, list) else ""
)
def test_other_commands(
    cli: Any,
    untouched: Path,
    small_table: Table,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    parts: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if "nasbench201" in arguments:
        monkeypatch.setattr("archindex.datasets.nasbench201.load", lambda: small_table)
    refused(cli(*(untouched if a == "PATH" else a for a in arguments)), code, *parts)


@pytest.mark.parametrize(
    "command", ["info", "query", "remove", "export", "decode", "search", "verify", "add"]
)
def test_missing_index(cli: Any, tmp_path: Path, command: str) -> None:
    options: dict[str, list[object]] = {
        "query": ["--like", ARCH],
        "remove": [ARCH],
        "add": [ARCH],
        "export": [tmp_path / "out.csv"],
        "decode": ["--between", ARCH, ARCH],
        "search": ["--objective", "cifar10_valid_acc"],
    }
    refused(
        cli(command, tmp_path / "none", *options.get(command, [])), 2, "does not exist", "archindex build"
    )
    assert not (tmp_path / "none").exists()


def test_foreign_folder_and_file(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    before = list_files(tmp_path)
    refused(cli("query", tmp_path, "--like", ARCH), 2, "without manifest.json")
    refused(cli("query", tmp_path / "notes.txt", "--like", ARCH), 2, "notes.txt")
    refused(cli("build", tmp_path, "--data", "nasbench201", "--overwrite"), 2, "other files")
    assert list_files(tmp_path) == before


@pytest.mark.parametrize(
    "name", ["vectors.npy", "catalog.duckdb", "columns/n_ops.npy", "ann", "version.json"]
)
@pytest.mark.parametrize("how", ["truncated", "missing", "altered"])
def test_damaged_index(cli: Any, index_path: Path, name: str, how: str) -> None:
    file = index_path / "versions" / "000001" / name
    if file.is_dir():
        file = max(file.iterdir(), key=lambda f: f.stat().st_size)
    if how == "missing":
        file.unlink()
    else:
        data = file.read_bytes()
        half = len(data) // 2
        file.write_bytes(
            data[:half] if how == "truncated" else data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :]
        )
    before = list_files(index_path)
    refused(cli("query", index_path, "--like", ARCH), 1)
    assert list_files(index_path) == before


def test_wrong_encoder(cli: Any, index_path: Path) -> None:
    file = index_path / "versions" / "000001" / "encoder" / "encoder.json"
    content = json.loads(file.read_text())
    content.update(encoder="gin", fingerprint="0" * 32)
    file.write_text(json.dumps(content))
    before = list_files(index_path)
    refused(cli("query", index_path, "--like", ARCH), 2, "encoder")
    refused(cli("add", index_path, ARCH), 2, "encoder")
    before.pop("writer.lock", None)
    assert {k: v for k, v in list_files(index_path).items() if k != "writer.lock"} == before


def test_newer_format(cli: Any, index_path: Path) -> None:
    from archindex.store.files import read_json, write_json

    manifest = read_json(index_path / "manifest.json")
    write_json(index_path / "manifest.json", {**manifest, "format_version": 99})
    refused(cli("info", index_path), 2, "99", "pip install -U archindex")


def test_vectors_that_are_no_points(cli: Any, untouched: Path, tmp_path: Path) -> None:
    nan = np.zeros((2, 64), dtype=np.float32)
    nan[1, 5] = np.nan
    for name, points, part in (
        ("nan", nan, "row 1, column 5"),
        ("wide", np.zeros((2, 65)), "(n, 64)"),
        ("text", np.array(["a"]), "numbers"),
        ("pickled", np.array([{}], dtype=object), ".npy"),
    ):
        np.save(tmp_path / f"{name}.npy", points, allow_pickle=True)
        refused(cli("decode", untouched, "--vector", tmp_path / f"{name}.npy"), 2, part)
    (tmp_path / "torn.npy").write_bytes((tmp_path / "wide.npy").read_bytes()[:100])
    refused(cli("decode", untouched, "--vector", tmp_path / "torn.npy"), 2, "torn.npy")
    with ax.open(untouched) as index, pytest.raises(ArgumentError, match="finite"):
        index.query(nan[1])


@pytest.mark.parametrize(
    ("text", "options", "parts"),
    [
        ("native,acc\n|oops|,90\n", [], ["row 1", "|oops|"]),
        (f"native,acc\n{ARCH},90\n{ARCH},91\n", [], ["row 2", "once"]),
        (f"native,acc\n{ARCH},high\n", [], ["row 1", "high"]),
        (f"native,acc\n{ARCH},900\n", [], ["900"]),
        (f"cell,acc\n{ARCH},90\n", [], ["native"]),
        ("native,acc\n", [], ["row"]),
        ("", [], ["mine.csv"]),
        (f"native,acc\n{ARCH},90\n", ["--map", "lat=pi5:latency"], ["lat"]),
        (f"native,acc\n{ARCH},90\n", ["--map", "acc=cifar10:valid:acc"], ["once"]),
        (f"native,acc\n{ARCH},90\n", ["--map", "nothing"], ["COLUMN=MEASURE"]),
        (f"native,acc\n{ARCH},90\n", ["--space", "nasbench"], ["nasbench"]),
        (f"native,acc\n{ARCH},90\n", ["--name", "nasbench201"], ["nasbench201"]),
        (f"native,acc\n{ARCH},90\n", ["--name", "../x"], ["../x"]),
    ],
)
def test_import(cli: Any, tmp_path: Path, text: str, options: list[str], parts: list[str]) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(text)
    given = ["--name", "mine", "--space", "nasbench201", "--map", "acc=cifar10:valid:acc", *options]
    refused(cli("data", "import", file, *given), 2, *parts)
    assert "mine" not in cli("data", "ls", "--format", "quiet").lines


def test_add_from_a_file_is_all_or_nothing(cli: Any, untouched: Path, tmp_path: Path) -> None:
    file = tmp_path / "timed.csv"
    for text, part in (
        (f"native,pi5_latency_ms\n{ARCH},1\n|oops|,2\n", "row 2"),
        (f"cell,pi5_latency_ms\n{ARCH},1\n", "native"),
        (f"native,pi5_latency_ms\n{ARCH},-1\n", "from 0"),
        (f"native,pi5_latency_ms\n{ARCH},quick\n", "quick"),
    ):
        file.write_text(text)
        refused(cli("add", untouched, ARCH, "--from", file), 2, part)


def test_run_folder_of_something_else(cli: Any, untouched: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    asked = ("search", untouched, "--objective", "cifar10_valid_acc", "--strategy", "random", "--budget", 3)
    assert cli(*asked, "--out", run).code == 0
    before = list_files(run)
    refused(cli(*asked[:-1], 4, "--out", run), 2, "budget", "--out")
    refused(cli(*asked, "--out", run, "--where", "n_ops > 1"), 2, "where")
    assert list_files(run) == before
    shutil.copytree(untouched, tmp_path / "other")
    refused(cli(*asked, "--out", tmp_path / "other"), 2, "--out")
