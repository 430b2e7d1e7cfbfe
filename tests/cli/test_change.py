"""The commands that write: what they take, what they refuse, and what they tell."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import archindex as ax
from archindex.datasets import Table


@pytest.fixture
def row_values(index_path: Path) -> Callable[[], list[dict[str, Any]]]:
    def read() -> list[dict[str, Any]]:
        with ax.open(index_path) as index:
            columns = {name: index.snapshot.columns[name].to_list() for name in sorted(index.schema)}
            return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    return read


def test_an_arch_id_of_several_rows_is_refused(cli: Any, index_path: Path, small_table: Table) -> None:
    ids = ax.space("nasbench201").arch_ids(small_table.natives).tolist()
    (arch_id, count), *_ = Counter(ids).most_common(1)
    for arguments in (
        ("add", index_path, arch_id, "--measure", "pi5_latency_ms=1"),
        ("remove", index_path, arch_id),
    ):
        refused = cli(*arguments)
        assert refused.code == 2
        assert f"fits {count}" in refused.err
        assert "native string" in refused.err
    with ax.open(index_path) as index:
        assert len(index) == 400
        assert "pi5_latency_ms" not in index.schema


@pytest.mark.parametrize("measure", ["pi5_latency_ms=-5", "cifar10_valid_acc=500"])
def test_impossible_values_are_refused(
    cli: Any, index_path: Path, small_table: Table, measure: str, row_values: Any
) -> None:
    before = row_values()
    refused = cli("add", index_path, small_table.natives[0], "--measure", measure)
    assert refused.code == 2
    assert "from 0 to" in refused.err
    assert row_values() == before


def test_a_measurement_that_was_stored_is_told(cli: Any, index_path: Path, small_table: Table) -> None:
    native = small_table.natives[0]
    added = cli("add", index_path, native, "--measure", "pi5_latency_ms=7.5")
    assert "0 architectures added, 1 were there already" in added.out
    assert "measurements stored in pi5_latency_ms" in added.out
    assert "measurements" not in cli("add", index_path, native).out


def test_other_columns_of_a_file_are_left_out_with_a_note(
    cli: Any, index_path: Path, tmp_path: Path, small_table: Table
) -> None:
    file = tmp_path / "timed.csv"
    file.write_text(
        f"native,lat,pi5_latency_ms,x_acc_predicted,note\n{small_table.natives[0]},1,2.5,50,slow\n"
    )
    added = cli("add", index_path, "--from", file, "--format", "json")
    assert added.code == 0
    assert json.loads(added.out)["row_ids"] == [0]
    assert "lat, note" in added.err
    with ax.open(index_path) as index:
        assert index.get(0).attributes["pi5_latency_ms"] == 2.5
        assert index.get(0).attributes["x_acc_predicted"] == 50.0
        assert not {"lat", "note"} & set(index.schema)


def test_a_file_of_architectures_alone(
    cli: Any, index_path: Path, tmp_path: Path, small_table: Table
) -> None:
    known = set(small_table.natives)
    fresh = [a.native for a in ax.space("nasbench201").sample(50, seed=1) if a.native not in known]
    file = tmp_path / "new.csv"
    file.write_text("native\n" + "".join(f"{native}\n" for native in dict.fromkeys(fresh)))
    added = cli("add", index_path, "--from", file, "--format", "json")
    assert (added.err, json.loads(added.out)["added"]) == ("", len(set(fresh)))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_export_with_vectors_comes_back(
    cli: Any, index_path: Path, tmp_path: Path, suffix: str, row_values: Any
) -> None:
    before = row_values()
    file = tmp_path / f"all.{suffix}"
    assert cli("export", index_path, file, "--vectors").code == 0
    added = cli("add", index_path, "--from", file, "--format", "json")
    assert added.code == 0
    assert "v0, v1, v2" in added.err
    assert len(added.err) < 250
    assert row_values() == before
    # And into an index that lacks what the file has.
    with ax.open(index_path) as index:
        index.remove(range(0, 400, 2))
    assert json.loads(cli("add", index_path, "--from", file, "--format", "json").out)["added"] == 200
    key = [name for name in before[0] if name != "row_id"]
    assert sorted(str([r[n] for n in key]) for r in row_values()) == sorted(
        str([r[n] for n in key]) for r in before
    )


def test_columns_are_selected_in_any_case(cli: Any, built_index: Path, small_table: Table) -> None:
    arguments = ("query", built_index, "--like", small_table.natives[0], "--format", "tsv", "--select")
    header = next(csv.reader(cli(*arguments, "CIFAR10_Valid_Acc,n_ops").lines[:1], delimiter="\t"))
    assert header[-2:] == ["cifar10_valid_acc", "n_ops"]


def test_an_index_needs_a_path(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (("build", "", "--data", "x"), ("info", ""), ("query", "", "--like", "abcdef")):
        refused = cli(*arguments)
        assert refused.code == 2
        assert "expected a path" in refused.err


def test_update_replaces_and_takes_away(
    cli: Any, index_path: Path, small_table: Table, check_json: Any
) -> None:
    first, second = small_table.natives[:2]
    done = cli("update", index_path, first, second, "--measure", "pi5_latency_ms=1.5,", "--format", "json")
    assert done.code == 0
    check_json(done.json, "update")
    assert (done.json["row_ids"], done.json["measured"], done.json["dropped"]) == (
        [0, 1],
        ["pi5_latency_ms"],
        [],
    )
    assert cli("update", index_path, first, "--drop", "cifar10_valid_acc").code == 0
    with ax.open(index_path) as index:
        assert index.get(0).attributes["pi5_latency_ms"] == 1.5
        assert index.get(1).attributes["pi5_latency_ms"] is None
        assert index.get(0).attributes["cifar10_valid_acc"] is None
        assert index.get(1).attributes["cifar10_valid_acc"] is not None


@pytest.mark.parametrize("more", [(), ("--drop", "nothing_of_the_kind"), ("--measure", "pi5_latency_ms=1,2")])
def test_an_update_that_is_refused(
    cli: Any, index_path: Path, small_table: Table, more: tuple[str, ...], row_values: Any
) -> None:
    before = row_values()
    assert cli("update", index_path, small_table.natives[0], *more).code == 2
    assert row_values() == before
