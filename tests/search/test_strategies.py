"""Every strategy keeps the contract of ask and tell, and finds what it should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import archindex as ax
from archindex.core.errors import ArchitectureError, ArgumentError, UnknownNameError
from archindex.datasets import Table
from archindex.search.base import Strategy
from archindex.search.pool import Pool
from archindex.search.registry import STRATEGIES, make_strategy
from archindex.spaces.base import Architecture

OBJECTIVE = "cifar10_valid_acc"


@pytest.fixture(scope="module")
def index(built_index: Path) -> ax.Index:
    return ax.open(built_index)


def value(architecture: Architecture) -> float:
    """Any deterministic value that differs between most architectures."""
    return float(sum(i * ord(c) for i, c in enumerate(architecture.native)) % 1009)


@pytest.fixture(params=list(STRATEGIES))
def strategy(request: pytest.FixtureRequest, index: ax.Index) -> Strategy:
    return make_strategy(request.param, Pool(index.snapshot), OBJECTIVE, seed=1)


def search(strategy: Strategy, queries: int, batch: int) -> list[str]:
    asked = []
    while len(asked) < queries:
        architectures = strategy.ask(min(batch, queries - len(asked)))
        strategy.tell(architectures, [value(a) for a in architectures])
        asked.extend(a.native for a in architectures)
    return asked


@pytest.mark.parametrize("batch", [1, 7])
def test_nothing_is_asked_twice_and_the_best_is_kept(strategy: Strategy, batch: int) -> None:
    asked = search(strategy, 60, batch)
    assert len(set(asked)) == 60
    space = ax.space("nasbench201")
    assert strategy.best is not None
    assert strategy.best[1] == max(value(space.parse(native)) for native in asked)
    assert [a.native for a, _ in strategy.told] == asked


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_the_same_seed_gives_the_same_search(name: str, index: ax.Index) -> None:
    runs = [
        search(make_strategy(name, Pool(index.snapshot), OBJECTIVE, seed=seed), 40, 4) for seed in (5, 5, 6)
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_every_architecture_asked_satisfies_the_constraint(name: str, index: ax.Index) -> None:
    where = "cifar10_latency_ms < 14 AND n_ops >= 2"
    allowed = {
        h.architecture.native for h in index.query(0, k=len(index), where="cifar10_latency_ms < 14 AND n_ops > 1")
    }
    strategy = make_strategy(name, Pool(index.snapshot, where), OBJECTIVE, seed=0)
    asked = search(strategy, 30, 5)
    # The index holds a part of the space: what it does not know has no latency and is not admitted.
    assert set(asked) <= allowed
    outside = next(h for h in index.query(0, k=len(index), where="cifar10_latency_ms >= 14"))
    with pytest.raises(ArchitectureError, match="constraint"):
        strategy.tell([outside.architecture], [1.0])


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_a_search_ends_when_no_candidate_is_left(name: str, index: ax.Index) -> None:
    ids = index.query(0, k=12).ids
    natives = ", ".join(f"'{index.get(int(i)).architecture.arch_id}'" for i in ids)
    assert natives
    limit = sorted(h.attributes["cifar10_valid_acc"] for h in index.query(0, k=len(index)))[10]
    pool = Pool(index.snapshot, f"cifar10_valid_acc < {limit}")
    strategy = make_strategy(name, pool, OBJECTIVE, seed=0)
    asked = []
    while batch := strategy.ask(4):
        strategy.tell(batch, [value(a) for a in batch])
        asked.extend(batch)
    assert len(asked) == len(set(asked)) == len(pool) == 10


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_failures_are_told_as_nan(name: str, index: ax.Index) -> None:
    strategy = make_strategy(name, Pool(index.snapshot), OBJECTIVE, seed=3)
    for i in range(12):
        batch = strategy.ask(3)
        strategy.tell(batch, [np.nan if (i + j) % 2 else value(a) for j, a in enumerate(batch)])
    assert strategy.best is not None
    assert len(strategy.told) == 36
    only_failures = make_strategy(name, Pool(index.snapshot), OBJECTIVE, seed=3)
    for _ in range(4):
        batch = only_failures.ask(3)
        only_failures.tell(batch, [np.nan] * 3)
    assert only_failures.best is None


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_minimizing_is_maximizing_the_negative(name: str, index: ax.Index) -> None:
    up = make_strategy(name, Pool(index.snapshot), "my_figure", seed=2, maximize=True)
    down = make_strategy(name, Pool(index.snapshot), "my_figure", seed=2, maximize=False)
    for _ in range(8):
        batch = up.ask(4)
        assert down.ask(4) == batch
        up.tell(batch, [value(a) for a in batch])
        down.tell(batch, [-value(a) for a in batch])


def test_what_was_never_asked_can_be_told(strategy: Strategy) -> None:
    stranger = ax.space("nasbench201").sample(3, seed=99)
    strategy.tell(stranger, [1e6, 2e6, 3e6])
    assert strategy.best == (stranger[2], 3e6)
    asked = search(strategy, 30, 3)
    assert not {a.native for a in stranger} & set(asked)


def test_bad_values_are_refused(strategy: Strategy) -> None:
    batch = strategy.ask(2)
    for values in ([1.0], [1.0, np.inf]):
        with pytest.raises(ArgumentError):
            strategy.tell(batch, values)
    with pytest.raises(ArgumentError):
        strategy.ask(0)
    assert strategy.best is None


def test_unknown_names(index: ax.Index) -> None:
    pool = Pool(index.snapshot)
    with pytest.raises(UnknownNameError, match="walk"):
        make_strategy("wlak", pool, OBJECTIVE)
    with pytest.raises(ArgumentError, match="--maximize"):
        make_strategy("walk", pool, "my_figure")


def test_the_walk_leaves_the_index_where_the_space_goes_on(index: ax.Index) -> None:
    """400 of 15,625 cells are in the index; with a constraint on computed columns the walk finds others."""
    walk = index.walk("cifar10_flops_m", where="cifar10_params_m < 0.6 AND depth >= 1", seed=0, maximize=True)
    space = ax.space("nasbench201")
    for _ in range(12):
        batch = walk.ask(4)
        flops = space.costs([a.native for a in batch], "cifar10").flops / 1e6
        walk.tell(batch, flops)
    told = [a for a, _ in walk.told]
    costs = space.costs([a.native for a in told], "cifar10")
    assert (costs.params < 600_000).all()
    assert any(not index.snapshot.find(a.native) for a in told)
    in_index = index.query(0, k=len(index), where="cifar10_params_m < 0.6 AND depth >= 1")
    assert walk.best is not None
    assert walk.best[1] >= max(h.attributes["cifar10_flops_m"] for h in in_index)


def test_the_walk_beats_random_search_on_real_accuracies(nasbench201: Table, tmp_path: Path) -> None:
    index = ax.build(tmp_path / "all", nasbench201)
    rows = index.snapshot.all_rows()["native"].tolist()
    truth = dict(zip(rows, index.snapshot.columns[OBJECTIVE].values.tolist(), strict=True))
    pool = Pool(index.snapshot)
    best: dict[str, list[float]] = {"walk": [], "random": []}
    for name, found in best.items():
        for seed in range(4):
            strategy = make_strategy(name, pool, OBJECTIVE, seed=seed)
            for _ in range(10):
                batch = strategy.ask(4)
                strategy.tell(batch, [truth[a.native] for a in batch])
            assert strategy.best is not None
            found.append(strategy.best[1])
    assert min(best["walk"]) > max(best["random"])
    assert np.mean(best["walk"]) > 91.4
