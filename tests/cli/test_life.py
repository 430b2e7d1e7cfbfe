"""The commands on the life of an index: snapshots, versions, compact and merge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import archindex as ax
from archindex.datasets import Table


def test_snapshots_are_taken_listed_read_and_removed(
    cli: Any, index_path: Path, small_table: Table, check_json: Any, tmp_path: Path
) -> None:
    native = small_table.natives[0]
    taken = cli("snapshot", "take", index_path, "before", "--format", "json")
    check_json(taken.json, "snapshot")
    assert taken.json["version"] == 1
    assert cli("remove", index_path, native).code == 0
    with ax.open(index_path) as index:
        index.publish()
    listed = cli("snapshot", "ls", index_path, "--format", "json")
    check_json(listed.json, "snapshot-list")
    assert [(v["version"], v["names"], v["rows"], v["current"]) for v in listed.json["versions"]] == [
        (1, ["before"], 400, False),
        (2, [], 399, True),
    ]
    assert cli("snapshot", "ls", index_path, "--format", "quiet").lines == ["before"]
    assert cli("query", index_path, "--like", native, "-k", "1", "--format", "quiet").lines != [
        f"nasbench201:{native}"
    ]
    for version in ("before", "1"):
        found = cli(
            "query", index_path, "--like", native, "-k", "1", "--version", version, "--format", "quiet"
        )
        assert found.lines == [f"nasbench201:{native}"]
        assert cli("info", index_path, "--version", version, "--format", "json").json["rows"] == 400
    assert cli("export", index_path, tmp_path / "old.csv", "--version", "before").code == 0
    assert len((tmp_path / "old.csv").read_text().splitlines()) == 401
    refused = cli("snapshot", "take", index_path, "before")
    assert (refused.code, "no snapshot has" in refused.err) == (2, True)
    assert cli("snapshot", "rm", index_path, "before").code == 0
    refused = cli("info", index_path, "--version", "before")
    assert (refused.code, "snapshot" in refused.err) == (2, True)
    assert cli("snapshot", "rm", index_path, "before").code == 2


def test_compact(cli: Any, index_path: Path, small_table: Table, check_json: Any) -> None:
    assert cli("remove", index_path, *small_table.natives[:100]).code == 0
    done = cli("compact", index_path, "--format", "json")
    check_json(done.json, "compact")
    assert (done.json["version"], done.json["rows"]) == (2, 300)
    assert done.json["freed_bytes"] > 0
    assert [entry.name for entry in (index_path / "versions").iterdir()] == ["000002"]


def test_merge(cli: Any, index_path: Path, small_table: Table, tmp_path: Path, check_json: Any) -> None:
    half = tmp_path / "half.index"
    ax.build(half, small_table.take(range(350, 400))).close()
    done = cli("merge", tmp_path / "all.index", index_path, half, "--format", "json")
    check_json(done.json, "index")
    assert done.json["rows"] == 400
    assert cli("merge", tmp_path / "all.index", index_path, half).code == 2


@pytest.mark.parametrize("command", [("snapshot", "ls"), ("snapshot", "rm"), ("compact",), ("info",)])
def test_without_an_index(cli: Any, tmp_path: Path, command: tuple[str, ...]) -> None:
    more = ["name"] if "rm" in command else []
    failed = cli(*command, tmp_path / "none", *more)
    assert (failed.code, "Traceback" in failed.err) == (2, False)
