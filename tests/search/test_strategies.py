"""The walk's reach: beyond the index, beyond what it considers at first, and beyond random search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import archindex as ax
from archindex.core.errors import ArgumentError, UnknownNameError
from archindex.datasets import Table
from archindex.search.pool import Pool
from archindex.search.registry import STRATEGIES, make_strategy
from archindex.spaces.nasbench201 import NASBench201

OBJECTIVE = "cifar10_valid_acc"


@pytest.fixture(scope="module")
def index(built_index: Path) -> ax.Index:
    return ax.open(built_index)


def test_strategies_by_name(index: ax.Index) -> None:
    pool = Pool(index.snapshot)
    assert {make_strategy(name, pool, OBJECTIVE).name for name in STRATEGIES} == set(STRATEGIES)
    with pytest.raises(UnknownNameError, match="walk"):
        make_strategy("wlak", pool, OBJECTIVE)
    with pytest.raises(ArgumentError, match="--maximize"):
        make_strategy("walk", pool, "my_figure")
    with pytest.raises(ArgumentError, match="seed"):
        make_strategy("walk", pool, OBJECTIVE, seed=-1)


def test_the_walk_leaves_the_index_where_the_space_goes_on(index: ax.Index) -> None:
    """400 of 15,625 cells are in the index; with a constraint on computed columns the walk finds others."""
    where = "cifar10_params_m < 0.6 AND depth >= 1"
    walk = index.walk("cifar10_flops_m", where=where, seed=0, maximize=True)
    space = NASBench201()
    for _ in range(10):
        batch = walk.ask(4)
        walk.tell(batch, space.costs([a.native for a in batch], "cifar10").flops / 1e6)
    told = [a for a, _ in walk.told]
    assert (space.costs([a.native for a in told], "cifar10").params < 600_000).all()
    assert any(not index.snapshot.find(a.native) for a in told)
    in_index = index.query(0, k=len(index), where=where)
    assert walk.best is not None
    assert walk.best[1] >= max(space.costs([h.architecture.native for h in in_index], "cifar10").flops) / 1e6


def test_the_walk_leaves_what_it_considers_at_first(index: ax.Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large index a part is considered from the start; what lies near the best comes into view."""
    monkeypatch.setattr("archindex.search.candidates.MAX_CLASSES", 40)
    where = f"{OBJECTIVE} IS NOT NULL"
    walk = index.walk(OBJECTIVE, where=where, seed=1)
    rows = index.snapshot.all_rows()["native"].tolist()
    truth = dict(zip(rows, index.snapshot.columns[OBJECTIVE].values.tolist(), strict=True))
    first = set(walk._candidates.classes)
    assert len(first) == 40
    for _ in range(8):
        batch = walk.ask(4)
        walk.tell(batch, [truth[a.native] for a in batch])
    asked = [int(walk.pool.classes[i]) for i in walk._told]
    assert set(asked[:8]) <= first
    assert set(asked) - first
    around = {int(walk.pool.classes[j]) for i in walk._told for j in walk.pool.neighbors(i)}
    assert set(walk._candidates.classes) - first - around  # rows near the best, not only neighbours
    assert walk.best is not None
    reached = sorted(truth.values(), reverse=True).index(walk.best[1])
    assert reached < 20  # of 400, with 40 of them in view at first


def test_what_is_out_counts_as_in_a_batch(index: ax.Index) -> None:
    """Asked one by one before any value comes back, the same architectures are asked."""
    at_once, one_by_one = index.walk(OBJECTIVE, seed=2), index.walk(OBJECTIVE, seed=2)
    for walk in (at_once, one_by_one):
        first = walk.ask(10)
        walk.tell(first, np.arange(10) % 7)
    assert [one_by_one.ask(1)[0] for _ in range(4)] == at_once.ask(4)


def test_the_walk_beats_random_search_on_real_accuracies(nasbench201: Table, tmp_path: Path) -> None:
    index = ax.build(tmp_path / "all", nasbench201, engine="exact")
    rows = index.snapshot.all_rows()["native"].tolist()
    truth = dict(zip(rows, index.snapshot.columns[OBJECTIVE].values.tolist(), strict=True))
    pool = Pool(index.snapshot)
    best: dict[str, list[float]] = {"walk": [], "random": []}
    for name, found in best.items():
        for seed in range(3):
            strategy = make_strategy(name, pool, OBJECTIVE, seed=seed)
            for _ in range(8):
                batch = strategy.ask(4)
                strategy.tell(batch, [truth[a.native] for a in batch])
            assert strategy.best is not None
            found.append(strategy.best[1])
    assert min(best["walk"]) > max(best["random"])
    assert np.mean(best["walk"]) > 91.3
