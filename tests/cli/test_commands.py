"""Every command does what it says, in every format."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archindex as ax
from archindex.cli import demo
from archindex.datasets import Table
from archindex.datasets.parquet import column_types, read_parquet

Check = Callable[[dict[str, Any], str], None]
WHERE = "cifar10_latency_ms < 14"


@pytest.fixture
def some(small_table: Table) -> tuple[str, str]:
    return small_table.natives[0], small_table.natives[1]


@pytest.fixture
def stranger(small_table: Table) -> str:
    known = set(small_table.natives)
    return next(a.native for a in ax.space("nasbench201").sample(50, seed=1) if a.native not in known)


@pytest.fixture
def default_data(small_table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the default data set be the small one."""
    monkeypatch.setattr("archindex.datasets.nasbench201.load", lambda: small_table)


def test_build_and_info(cli: Any, check_json: Check, default_data: None, tmp_path: Path) -> None:
    made = cli(
        "build",
        tmp_path / "x",
        "--data",
        "nasbench201",
        "--metric",
        "cosine",
        "--seed",
        3,
        "--format",
        "json",
    )
    assert (made.code, made.err) == (0, "")
    check_json(made.json, "index")
    assert (made.json["rows"], made.json["metric"], made.json["seed"]) == (400, "cosine", 3)
    assert cli("info", tmp_path / "x", "--format", "json").json == made.json
    assert cli("info", tmp_path / "x", "--format", "quiet").lines == [str(tmp_path / "x")]
    table = cli("info", tmp_path / "x", "--format", "tsv").lines
    assert table[0] == "column\ttype\tvalues\tmin\tmax"
    assert len(table) == 1 + len(made.json["columns"])
    assert "universal" in cli("info", tmp_path / "x").out


def test_a_memory_limit_chooses_the_engine(
    cli: Any, check_json: Check, default_data: None, tmp_path: Path
) -> None:
    build = ("build", tmp_path / "small", "--data", "nasbench201")
    made = cli(*build, "--memory-limit", "60kB", "--format", "json")
    check_json(made.json, "index")
    assert made.json["engine"] == "ivf_sq8"
    assert "allowed" in made.json["engine_reason"]
    again = cli("info", tmp_path / "small", "--format", "json").json
    assert again["engine_reason"] == made.json["engine_reason"]
    assert cli("verify", tmp_path / "small").code == 0
    for limit in ("1kB", "none"):
        refused = cli(*build, "--overwrite", "--memory-limit", limit)
        assert refused.code == 2
        assert "expected a" in refused.err


def test_build_overwrites_only_when_told(cli: Any, default_data: None, index_path: Path) -> None:
    refused = cli("build", index_path, "--data", "nasbench201", "--engine", "exact")
    assert refused.code == 2
    assert "--overwrite" in refused.err
    made = cli(
        "build", index_path, "--data", "nasbench201", "--engine", "exact", "--overwrite", "--format", "json"
    )
    assert (made.json["engine"], made.json["version"]) == ("exact", 2)


def test_query_answers_as_the_facade(
    cli: Any, check_json: Check, built_index: Path, some: tuple[str, str]
) -> None:
    found = cli("query", built_index, "--like", some[0], "-k", 7, "--where", WHERE, "--format", "json")
    check_json(found.json, "query")
    with ax.open(built_index) as index:
        expected = index.query(some[0], k=7, where=WHERE)
    assert [hit["row_id"] for hit in found.json["hits"]] == expected.ids.tolist()
    assert found.json["columns"][0] == "cifar10_latency_ms"
    assert len(found.json["columns"]) == 4
    assert all(hit["attributes"]["cifar10_latency_ms"] < 14 for hit in found.json["hits"])
    quiet = cli("query", built_index, "--like", some[0], "-k", 7, "--where", WHERE, "--format", "quiet")
    assert quiet.lines == [str(a) for a in expected.architectures]


@pytest.mark.parametrize("form", ["native", "space:native", "arch_id", "stranger"])
def test_query_takes_every_address(
    cli: Any, built_index: Path, small_table: Table, stranger: str, form: str
) -> None:
    native = stranger if form == "stranger" else small_table.natives[3]
    arch = ax.space("nasbench201").parse(native)
    address = {"space:native": str(arch), "arch_id": arch.arch_id[:12]}.get(form, native)
    hit = cli("query", built_index, "--like", address, "-k", 1, "--format", "json").json["hits"][0]
    if form != "stranger":
        assert hit["distance"] == pytest.approx(0, abs=1e-5)
        assert hit["arch_id"] == arch.arch_id
    else:
        assert hit["architecture"] != str(arch)


def test_query_table_and_tsv_show_whole_strings(cli: Any, built_index: Path, some: tuple[str, str]) -> None:
    table = cli("query", built_index, "--like", some[0], "--select", "*").lines
    assert table[0].split()[:4] == ["row_id", "distance", "arch_id", "architecture"]
    assert some[0] in table[1]
    rows = list(
        csv.DictReader(cli("query", built_index, "--like", some[0], "--format", "tsv").lines, delimiter="\t")
    )
    assert rows[0]["architecture"] == f"nasbench201:{some[0]}"
    assert len(rows) == 10
    assert len(rows[0]["arch_id"]) == 24


def test_query_selects_explains_and_forces(cli: Any, built_index: Path, some: tuple[str, str]) -> None:
    shown = cli("query", built_index, "--like", some[0], "--select", "n_ops, cifar100_valid_acc", "--explain")
    assert shown.lines[0].split()[4:] == ["n_ops", "cifar100_valid_acc"]
    assert "strategy   engine: there is no filter" in shown.out
    forced = cli("query", built_index, "--like", some[0], "--strategy", "exact", "--format", "json")
    assert forced.json["plan"]["strategy"] == "exact"


def test_query_without_a_match_says_so(cli: Any, built_index: Path, some: tuple[str, str]) -> None:
    empty = cli("query", built_index, "--like", some[0], "--where", "cifar10_latency_ms < 0")
    assert (empty.code, empty.out.strip()) == (0, "no architecture satisfies the filter")
    assert (
        cli("query", built_index, "--like", some[0], "--where", "n_ops < 0", "--format", "json").json["hits"]
        == []
    )


def test_k_beyond_the_index_returns_all(cli: Any, built_index: Path, some: tuple[str, str]) -> None:
    assert len(cli("query", built_index, "--like", some[0], "-k", 5000, "--format", "quiet").lines) == 400


def test_add_and_remove(
    cli: Any, check_json: Check, index_path: Path, stranger: str, some: tuple[str, str]
) -> None:
    added = cli("add", index_path, stranger, some[0], "--measure", "pi5_latency_ms=7.5,", "--format", "json")
    check_json(added.json, "add")
    assert (added.json["added"], added.json["row_ids"][0]) == (1, 400)
    with ax.open(index_path) as index:
        assert index.get(stranger).attributes["pi5_latency_ms"] == 7.5
        assert index.get(some[0]).attributes["pi5_latency_ms"] is None
    removed = cli("remove", index_path, stranger, stranger, "--format", "json")
    check_json(removed.json, "remove")
    assert (removed.json["removed"], removed.json["left"]) == (1, 400)
    assert cli("remove", index_path, stranger, "--format", "quiet").lines == ["0"]


def test_add_takes_back_what_export_wrote(
    cli: Any, default_data: None, index_path: Path, tmp_path: Path
) -> None:
    cli("export", index_path, tmp_path / "all.csv", "--where", "n_ops = 3")
    rows = list(csv.DictReader((tmp_path / "all.csv").read_text().splitlines()))
    short = tmp_path / "timed.csv"
    short.write_text(
        "native,pi5_latency_ms,n_ops\n" + "".join(f"{r['native']},{i},9\n" for i, r in enumerate(rows))
    )
    added = cli("add", index_path, "--from", short, "--format", "json")
    assert added.json["row_ids"] == [int(r["row_id"]) for r in rows]
    assert added.json["added"] == 0
    with ax.open(index_path) as index:
        assert index.get(rows[2]["native"]).attributes["pi5_latency_ms"] == 2.0
        assert index.get(rows[2]["native"]).attributes["n_ops"] == 3


def test_add_maps_columns_of_a_file(cli: Any, index_path: Path, tmp_path: Path, stranger: str) -> None:
    file = tmp_path / "timed.tsv"
    file.write_text(f"cell\tlat\n{stranger}\t0.25\n")
    arguments = ("--from", file, "--arch-column", "cell", "--map", "lat=pi5:latency@s")
    assert cli("add", index_path, *arguments, "--format", "json").json["added"] == 1
    with ax.open(index_path) as index:
        assert index.get(stranger).attributes["pi5_latency_ms"] == 250.0


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_export(cli: Any, check_json: Check, built_index: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"rows.{suffix}"
    done = cli("export", built_index, out, "--where", WHERE, "--vectors", "--format", "json")
    check_json(done.json, "export")
    with ax.open(built_index) as index:
        ids = index.snapshot.matching(WHERE)
        assert ids is not None
        record = index.get(int(ids[0]))
    if suffix == "csv":
        rows = list(csv.DictReader(out.read_text().splitlines()))
        columns, first = list(rows[0]), {k: rows[0][k] for k in rows[0]}
    else:
        columns = list(column_types(out))
        read = read_parquet(out, columns)
        rows, first = list(read["row_id"]), {name: read[name][0] for name in columns}
    assert columns == done.json["columns"]
    assert len(rows) == done.json["rows"] == len(ids)
    assert first["native"] == record.architecture.native
    assert float(first["cifar10_valid_acc"]) == record.attributes["cifar10_valid_acc"]
    assert float(first["v63"]) == pytest.approx(float(record.vector[63]), rel=1e-6)
    assert list(tmp_path.glob(".rows*")) == []
    assert cli("export", built_index, out).code == 2
    assert cli("export", built_index, out, "--overwrite").code == 0


def test_decode(
    cli: Any, check_json: Check, built_index: Path, tmp_path: Path, some: tuple[str, str]
) -> None:
    with ax.open(built_index) as index:
        np.save(tmp_path / "points.npy", np.stack([index.get(native).vector for native in some]))
    found = cli("decode", built_index, "--vector", tmp_path / "points.npy", "--format", "json")
    check_json(found.json, "decode")
    ids = [
        ax.space("nasbench201").parse(p["architecture"].partition(":")[2]).arch_id
        for p in found.json["points"]
    ]
    assert ids == [ax.space("nasbench201").parse(native).arch_id for native in some]
    between = cli("decode", built_index, "--between", *some, "--steps", 3, "--format", "tsv").lines
    assert len(between) == 4


def test_diff(cli: Any, check_json: Check, built_index: Path, small_table: Table) -> None:
    a = "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"
    alias = "|skip_connect~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|none~2|"
    other = "|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|"
    same = cli("diff", a, alias, "--format", "json")
    check_json(same.json, "diff")
    assert same.json["alias"] is True
    assert (same.json["live_ops"], same.json["costs"], same.json["distance"]) == ([], [], 0.0)
    assert {c["what"] for c in same.json["cell"]} == {"op on edge 0->1", "op on edge 0->3", "op on edge 1->3"}
    differs = cli("diff", a, other, "--format", "json").json
    assert differs["live_ops"] == [
        {"what": "conv(kernel=1)", "a": 0, "b": 1},
        {"what": "conv(kernel=3)", "a": 1, "b": 0},
    ]
    assert sum(c["share"] for c in differs["contributions"]) == pytest.approx(1)
    assert "op on edge 0->3" in cli("diff", a, other).out
    first, second = small_table.natives[:2]
    inside = cli("diff", first, second, "--index", built_index, "--format", "json").json
    with ax.open(built_index) as index:
        hits = index.query(first, k=400, strategy="exact")
        place = [a.native for a in hits.architectures].index(second)
    assert inside["nearer"] <= place
    assert inside["distance"] == pytest.approx(float(hits.distances[place]), rel=1e-4)
    assert "cifar10_valid_acc" in {c["what"] for c in inside["columns"]}


@pytest.mark.parametrize("strategy", ["walk", "random", "evolution", "local"])
def test_search(cli: Any, check_json: Check, index_path: Path, strategy: str) -> None:
    asked = ("search", index_path, "--objective", "cifar10_valid_acc", "--strategy", strategy, "--batch", 4)
    found = cli(*asked, "--where", WHERE, "--budget", 14, "--format", "json")
    assert found.code == 0, found.err
    check_json(found.json, "search")
    assert len(set(found.json["asked"])) == found.json["queries"] == 14
    assert found.json["value"] == max(found.json["values"])
    with ax.open(index_path) as index:
        latencies = [index.get(a).attributes["cifar10_latency_ms"] for a in found.json["asked"]]
    assert all(isinstance(x, float) and x < 14 for x in latencies)
    assert found.json["curve"] == np.maximum.accumulate(found.json["values"]).tolist()


def test_search_minimizes_and_goes_on(cli: Any, index_path: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    asked = (
        "search",
        index_path,
        "--objective",
        "cifar10_valid_acc",
        "--minimize",
        "--strategy",
        "random",
        "--budget",
        9,
    )
    whole = cli(*asked, "--out", run, "--format", "json").json
    assert whole["value"] == min(whole["values"])
    events = (run / "events.jsonl").read_text().splitlines(keepends=True)
    (run / "events.jsonl").write_text("".join(events[:4]))
    (run / "result.json").unlink()
    assert cli(*asked, "--out", run, "--format", "json").json == whole
    assert len((run / "events.jsonl").read_text().splitlines()) == 9
    other = cli(*asked, "--out", run, "--seed", 5)
    assert other.code == 2
    assert "seed" in other.err


def test_verify(cli: Any, check_json: Check, index_path: Path) -> None:
    sound = cli("verify", index_path, "--format", "json")
    check_json(sound.json, "verify")
    assert (sound.code, sound.json["ok"]) == (0, True)
    column = index_path / "versions" / "000001" / "columns" / "n_ops.npy"
    data = bytearray(column.read_bytes())
    data[-1] ^= 1
    column.write_bytes(data)
    damaged = cli("verify", index_path, "--format", "json")
    assert (damaged.code, damaged.json["ok"]) == (1, False)
    assert "n_ops.npy" in damaged.json["problems"][0]
    assert "--repair" in cli("verify", index_path).out
    repaired = cli("verify", index_path, "--repair", "--format", "json")
    assert (repaired.code, repaired.json["ok"]) == (0, True)
    assert cli("verify", index_path).code == 0


def test_data(cli: Any, check_json: Check, tmp_path: Path, default_data: None, small_table: Table) -> None:
    listed = cli("data", "ls", "--format", "json")
    check_json(listed.json, "data-list")
    assert listed.json["datasets"][0]["name"] == "nasbench201"
    shown = cli("data", "show", "nasbench201", "--format", "json")
    check_json(shown.json, "data")
    assert {"cifar10_valid_acc", "cifar10_params_m"} <= {c["name"] for c in shown.json["columns"]}
    assert next(c for c in shown.json["columns"] if c["name"] == "cifar10_valid_acc")["seeds"] == 3
    got = cli("data", "get", "nasbench201", "--format", "json")
    check_json(got.json, "data")
    assert cli("data", "get", "nb201").code == 1
    file = tmp_path / "mine.csv"
    file.write_text(f"native,lat\n{small_table.natives[0]},0.5\n")
    kept = ("data", "import", file, "--name", "mine", "--space", "nasbench201", "--map", "lat=pi5:latency@s")
    imported = cli(*kept, "--format", "json")
    check_json(imported.json, "data-import")
    assert (imported.json["rows"], imported.json["columns"]) == (1, ["pi5_latency_ms"])
    assert "mine" in cli("data", "ls", "--format", "quiet").lines
    assert cli(*kept).code == 2
    assert cli(*kept, "--replace").code == 0


def test_demo(
    cli: Any, check_json: Check, default_data: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "BUDGET", 12)
    monkeypatch.setattr(demo, "MARKS", (4, 8, 12))
    shown = cli("demo", "--out", tmp_path / "demo", "--seeds", 2)
    assert shown.code == 0, shown.err
    assert "proved" in shown.out
    assert "+-" in shown.out
    again = cli("demo", "--out", tmp_path / "demo", "--seeds", 2, "--format", "json")
    check_json(again.json, "demo")
    check_json({"archindex": 1, "kind": "query", **again.json["query"]}, "query")
    assert [s["strategy"] for s in again.json["strategies"]] == ["walk", "evolution", "local", "random"]
    for picture in again.json["pictures"]:
        assert Path(picture).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert f"wrote {picture}" in shown.out


def test_version_and_help(cli: Any) -> None:
    assert cli("--version").out == f"archindex {ax.__version__}\n"
    assert "Commands:" in cli().out
    assert json.loads(cli("data", "ls", "--format", "json").out)["archindex"] == 1
