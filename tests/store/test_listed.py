"""Indexes whose rows lie in lists: whatever is done to them, they answer as brute force does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import archindex as ax
from archindex.core.errors import CorruptIndexError
from archindex.datasets import Table
from archindex.indexes import ExactIndex, rebalance
from archindex.indexes import lists as lists_module
from archindex.indexes.list_files import load_lists, save_lists
from archindex.store import arrange
from archindex.store.files import list_files, read_json, write_json
from archindex.store.verify import verify
from archindex.store.version import version_folder

WHERE = (
    None,
    "cifar10_valid_acc > 85",
    "n_ops <= 4 AND cifar10_latency_ms < 14",
    "depth > 100",
    "n_ops IS NOT NULL",
)


@pytest.fixture(autouse=True)
def lists_for_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrange, "LISTED_ROWS", 300)
    monkeypatch.setattr(lists_module, "LIST_ROWS", 16)
    monkeypatch.setattr(rebalance, "LARGEST_LIST", 64)
    monkeypatch.setattr(rebalance, "SMALL_LIST", 1)


@pytest.fixture(params=["hnsw", "exact"])
def index(request: pytest.FixtureRequest, small_table: Table, tmp_path: Path) -> ax.Index:
    return ax.build(tmp_path / "index", small_table, engine=request.param)


def answers_like_brute_force(index: ax.Index, at_least: int, at_most: int | None = None) -> None:
    snapshot = index.snapshot
    assert snapshot.lists is not None
    assert at_least <= len(snapshot.lists.lists) <= (at_most or at_least)
    vectors = np.array(snapshot.vectors)
    for where in WHERE:
        matching = snapshot.matching(where)
        kept = np.ones(len(snapshot), dtype=bool) if matching is None else np.isin(snapshot.ids, matching)
        exact = ExactIndex(index.info.dim)
        exact.build(vectors[kept], snapshot.ids[kept])
        for position in (0, len(snapshot) - 1):
            query = vectors[position : position + 1]
            truth = exact.search(query, 7)
            for recall, strategy in (
                ("exact", "auto"),
                ("balanced", "auto"),
                ("exact", "lists"),
                ("high", "ids"),
            ):
                found, plan = snapshot.search(query, 7, where, recall=recall, strategy=strategy)
                assert np.array_equal(found.counts, truth.counts)
                if plan.proved:
                    assert np.allclose(found.distances, truth.distances, rtol=1e-5, atol=1e-6)
                    assert found.ids.tolist() == truth.ids.tolist()
                assert set(found.ids[0, : found.counts[0]]) <= set(snapshot.ids[kept].tolist())
            assert plan.proved
    batch, _ = snapshot.search(vectors[:5], 3, WHERE[1])
    single = [snapshot.search(vectors[i : i + 1], 3, WHERE[1])[0].ids[0].tolist() for i in range(5)]
    assert batch.ids.tolist() == single


def test_life_of_an_index_with_lists(index: ax.Index, nasbench201: Table, small_table: Table) -> None:
    answers_like_brute_force(index, 25)
    assert sorted(index.snapshot.ids.tolist()) == list(range(400))
    known = set(small_table.natives)
    strangers = [native for native in nasbench201.natives if native not in known]
    index.add(strangers[:40], {"cifar10_valid_acc": np.linspace(10, 95, 40)})
    answers_like_brute_force(index, 25)
    natives = [row.native for row in index.snapshot.describe(index.snapshot.ids[100:160])]
    assert index.remove(natives) == 60
    answers_like_brute_force(index, 25)
    before = {native: index.get(native).row_id for native in strangers[:40:7]}
    index.publish()
    answers_like_brute_force(index, 18, 25)  # lists that ran empty are gone
    assert index.snapshot.lists is not None
    assert index.snapshot.lists.lists.sizes.min() > 0
    assert index.snapshot.lists.lists.starts[-1] == 380  # those added lie in lists now
    assert {native: index.get(native).row_id for native in before} == before
    index.add(strangers[40:540])
    index.publish()
    answers_like_brute_force(index, 50, 60)  # grown to more than twice: made anew
    assert verify(index.path).problems == ()


def test_damaged_lists_are_named_and_made_anew(index: ax.Index) -> None:
    path = index.path
    index.close()
    file = version_folder(path, 1) / "lists" / "lists.npz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(CorruptIndexError, match=r"lists\.npz"):
        ax.open(path)
    assert verify(path, repair=True).ok
    with ax.open(path) as again:
        answers_like_brute_force(again, 25)


def test_lists_that_do_not_hold_their_rows_are_found(
    index: ax.Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = index.path
    index.close()
    folder = version_folder(path, 1)
    found = load_lists(folder / "lists")
    assert found is not None
    lists, calibration = found
    lists.radii[:] /= 2
    save_lists(folder / "lists", lists, calibration)
    stated = read_json(folder / "version.json")
    stated["files"] = {name: entry for name, entry in list_files(folder).items() if name != "version.json"}
    write_json(folder / "version.json", stated)
    assert [problem.file for problem in verify(path).found] == ["lists/"]


def test_few_rows_have_no_lists(small_table: Table, tmp_path: Path) -> None:
    with ax.build(tmp_path / "few", small_table.take(range(299))) as index:
        assert index.snapshot.lists is None
        assert index.query(0, 3, "n_ops > 1").plan.strategy == "ids"
