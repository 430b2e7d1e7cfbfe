"""Limits of a query: its time, and how much comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archindex as ax
from archindex import hits as hits_module
from archindex.core.errors import ArgumentError, QueryTimeoutError
from archindex.datasets import Table
from archindex.queries import timed
from archindex.store import arrange

WAYS = [
    (where, strategy, recall)
    for where in (None, "n_ops > 0", "n_ops < query.n_ops + 1")
    for strategy in ("auto", "engine", "lists", "ids", "exact")
    for recall in ("balanced", "exact")
]


@pytest.fixture(scope="module")
def index(small_table: Table, tmp_path_factory: pytest.TempPathFactory) -> ax.Index:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrange, "LISTED_ROWS", 300)
        return ax.build(tmp_path_factory.mktemp("limits") / "index", small_table, engine="hnsw")


@pytest.mark.parametrize(("where", "strategy", "recall"), WAYS)
def test_whatever_the_way_a_query_ends_when_its_time_is_over(
    index: ax.Index, where: str | None, strategy: str, recall: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert index.snapshot.lists is not None
    monkeypatch.setattr(timed, "BLOCK", 4)
    options: dict[str, Any] = {"where": where, "strategy": strategy, "recall": recall, "select": ()}
    many = index.snapshot.ids[:10].tolist()  # several blocks
    expected = index.query(many, k=3, **options)
    found = index.query(many, k=3, timeout=1000, **options)
    assert [h.ids.tolist() for h in found] == [h.ids.tolist() for h in expected]
    assert [h.distances.tolist() for h in found] == [h.distances.tolist() for h in expected]
    for like in (many[0], many):
        with pytest.raises(QueryTimeoutError, match="within 1e-09 s"):
            index.query(like, k=3, timeout=1e-9, **options)
    assert len(index.query(0, k=3, **options)) > 0  # and nothing of it is left


def test_a_timeout_has_to_be_a_time(index: ax.Index) -> None:
    for timeout in (0, -1, float("nan"), "soon"):
        with pytest.raises(ArgumentError, match="timeout"):
            index.query(0, timeout=timeout)  # type: ignore[arg-type]


def test_more_results_than_a_call_gives(index: ax.Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hits_module, "MOST_RESULTS", 1000)
    assert len(index.query(0, k=1_000_000)) == 400  # all that there are
    assert len(index.query([0, 1], k=400)) == 2
    with pytest.raises(ArgumentError, match="at most 1,000 results"):
        index.query([0, 1, 2], k=400)
    with pytest.raises(ArgumentError, match="at most 1,000 results"):
        index.query(np.zeros((1001, index.info.dim), dtype=np.float32), k=1)


def test_the_command_line_gives_up_too(
    index_path: Path, small_table: Table, capsys: pytest.CaptureFixture[str]
) -> None:
    from archindex.cli.main import main

    asked = ["query", str(index_path), "--like", small_table.natives[0]]
    assert main([*asked, "--timeout", "1e-9"]) == 1
    assert "within 1e-09 s" in capsys.readouterr().err
    assert main([*asked, "--timeout", "1000"]) == 0
