"""The commands within, diverse, cover, hops and join, and relative filters and motifs of query."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import archindex as ax

Check = Callable[[dict[str, Any], str], None]


@pytest.fixture(scope="module")
def native(built_index: Path) -> Iterator[str]:
    """Some architecture of the index."""
    with ax.open(built_index) as index:
        yield index.get(17).architecture.native


def test_within(cli: Any, built_index: Path, native: str, check_json: Check) -> None:
    asked = ("within", built_index, "--like", native, "--radius", 2, "--where", "cifar10_latency_ms < 20")
    found = cli(*asked, "--format", "json").json
    check_json(found, "within")
    with ax.open(built_index) as index:
        expected = index.within(native, 2.0, "cifar10_latency_ms < 20")
    assert [h["row_id"] for h in found["hits"]] == expected.ids.tolist()
    assert found["total"] == len(expected)
    assert not found["cut"]
    cut = cli(*asked, "--limit", 1)
    assert f"1 of {found['total']} shown: raise --limit" in cut.out + cut.err
    none = cli("within", built_index, "--like", native, "--radius", 1, "--where", "cifar10_latency_ms < 0")
    assert "no architecture satisfies the filter" in none.out + none.err


def test_diverse(cli: Any, built_index: Path, native: str, check_json: Check) -> None:
    asked = ("diverse", built_index, "--like", native, "-k", 5, "--format", "json")
    near, apart = (cli(*asked, "--diversity", d).json for d in (0, 1))
    check_json(near, "diverse")
    nearest = cli("query", built_index, "--like", native, "-k", 5, "--format", "json").json
    assert [h["row_id"] for h in near["hits"]] == [h["row_id"] for h in nearest["hits"]]
    assert sum(h["distance"] for h in apart["hits"]) > sum(h["distance"] for h in near["hits"])
    assert cli(*asked, "--diversity", 2).code == 2
    assert cli(*asked, "--candidates", 3).code == 2


def test_cover(cli: Any, built_index: Path, check_json: Check) -> None:
    found = cli("cover", built_index, "-k", 4, "--where", "cifar10_valid_acc > 80", "--format", "json").json
    check_json(found, "cover")
    assert len(found["chosen"]) == 4
    assert sum(c["count"] for c in found["chosen"]) == found["rows"] > 4
    table = cli("cover", built_index, "-k", 4)
    assert "400 rows lie" in table.out + table.err
    refused = cli("cover", built_index, "--where", "cifar10_valid_acc > 101")
    assert refused.code == 2
    assert "expected rows to stand for" in refused.err


def test_hops(cli: Any, built_index: Path, native: str, check_json: Check) -> None:
    where = "cifar10_latency_ms <= query.cifar10_latency_ms"
    asked = ("hops", built_index, "--like", native, "--hops", 2, "-k", 3, "--where", where)
    found = cli(*asked, "--format", "json").json
    check_json(found, "hops")
    assert {row["hops"] for row in found["found"]} == {1, 2}
    assert all(len(row["path"]) == row["hops"] for row in found["found"])
    own = ax.open(built_index).get(17).attributes["cifar10_latency_ms"]
    assert all(row["attributes"]["cifar10_latency_ms"] <= own for row in found["found"])
    cut = cli(*asked, "--limit", 2)
    assert "raise --limit" in cut.out + cut.err


def test_join(cli: Any, built_index: Path, native: str, check_json: Check) -> None:
    where = "cifar10_latency_ms < query.cifar10_latency_ms / 2"
    asked = ("join", built_index, "--of", "cifar10_valid_acc > 88", "--where", where)
    found = cli(*asked, "--format", "json").json
    check_json(found, "join")
    pairs = [(row, hit) for row in found["rows"] for hit in row["hits"]]
    assert pairs
    column = "cifar10_latency_ms"
    assert all(2 * hit["attributes"][column] < row["attributes"][column] for row, hit in pairs)
    table = cli(*asked, "--limit", 2, "--select", column)
    assert f"2 of {found['total']} rows were asked from" in table.out + table.err
    assert "query.cifar10_latency_ms" in table.out
    two = cli("join", built_index, "--like", native, "--like", native, "-k", 2, "--format", "json").json
    check_json(two, "join")
    assert len(two["rows"]) == 2
    assert two["rows"][0] == two["rows"][1]
    assert 17 not in [hit["row_id"] for hit in two["rows"][0]["hits"]]
    assert cli("join", built_index, "--where", where).code == 2


def test_relative_filters_and_motifs_of_query(cli: Any, built_index: Path, native: str) -> None:
    where = "cifar10_latency_ms < 0.9 * query.cifar10_latency_ms AND contains('conv3x3')"
    found = cli("query", built_index, "--like", native, "--where", where, "--format", "json").json
    own = ax.open(built_index).get(17).attributes["cifar10_latency_ms"]
    assert isinstance(own, float)
    assert found["columns"][0] == "cifar10_latency_ms"
    for hit in found["hits"]:
        assert hit["attributes"]["cifar10_latency_ms"] < 0.9 * own
        assert "nor_conv_3x3" in hit["architecture"]
    stranger = next(
        a.native for a in ax.space("nasbench201").sample(400, seed=5) if not _held(built_index, a.native)
    )
    refused = cli("query", built_index, "--like", stranger, "--where", where)
    assert refused.code == 2
    assert "write the number instead" in refused.err
    unknown = cli("query", built_index, "--like", native, "--where", "contains('skipp -> conv')")
    assert unknown.code == 2
    assert "did you mean 'skip'" in unknown.err


def _held(path: Path, native: str) -> bool:
    with ax.open(path) as index:
        return bool(index.snapshot.find_natives([native]))
