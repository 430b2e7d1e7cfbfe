"""Which engine is taken when nobody says."""

from __future__ import annotations

import numpy as np
import pytest

from archindex.core.errors import ArgumentError
from archindex.indexes import Metric, choose_engine, make_index
from archindex.indexes.base import MemoryPlanned
from archindex.indexes.dimension import estimate_dimension
from archindex.testing.index_case import both_metrics

MILLION = 10**6


@pytest.mark.parametrize(
    ("n", "dim", "expected"),
    [(0, 64, "exact"), (15_625, 1024, "exact"), (100_000, 8, "exact"), (MILLION, 64, "hnsw")],
)
def test_size_decides_first(n: int, dim: int, expected: str) -> None:
    chosen = choose_engine(n, dim)
    assert chosen.name == expected
    assert f"{n:,} vectors" in chosen.reason


@both_metrics
def test_the_fastest_engine_within_the_limit_is_taken(metric: Metric) -> None:
    needs = {}
    for name in ("hnsw", "ivf_sq8", "ivf_opq", "spann"):
        engine = make_index(name, 64, metric)
        assert isinstance(engine, MemoryPlanned)
        needs[name] = engine.expected_memory(MILLION)
    assert needs["hnsw"] > 4 * needs["ivf_sq8"] > 6 * needs["ivf_opq"] > 30 * needs["spann"]
    for name, need in needs.items():
        chosen = choose_engine(MILLION, 64, metric, memory_limit=need)
        assert chosen.name == name
        assert f"{need / 1e6:,.1f} MB" in chosen.reason
    with pytest.raises(ArgumentError, match="spann takes"):
        choose_engine(MILLION, 64, metric, memory_limit=needs["spann"] - 1)


def test_a_limit_holds_for_few_rows_too() -> None:
    assert choose_engine(40_000, 64, memory_limit=20_000_000).name == "exact"
    assert choose_engine(40_000, 64, memory_limit=6_000_000).name == "ivf_sq8"


def test_a_high_intrinsic_dimension_is_said_and_minded() -> None:
    low, high = (choose_engine(MILLION, 64, intrinsic_dimension=lies) for lies in (7.0, 39.0))
    assert low.name == "hnsw"
    assert high.name == "ivf_sq8"
    assert "intrinsic dimension of 39 is high" in high.reason
    small = choose_engine(MILLION, 64, intrinsic_dimension=39.0, memory_limit=60_000_000)
    assert small.name == "ivf_pq"
    assert "39" in small.reason


def test_what_is_chosen_in_a_high_dimension_holds_its_recall() -> None:
    vectors = np.random.default_rng(0).normal(size=(6_000, 64)).astype(np.float32)
    queries = np.random.default_rng(1).normal(size=(30, 64)).astype(np.float32)
    exact = make_index("exact", 64)
    exact.build(vectors, np.arange(len(vectors)))
    reach = exact.search(queries, 10).distances[:, -1:] * (1 + 1e-5)
    for limit in (None, 60_000_000):
        chosen = choose_engine(MILLION, 64, intrinsic_dimension=39.0, memory_limit=limit)
        index = make_index(chosen.name, 64, "l2", 0, **chosen.arguments)
        index.build(vectors, np.arange(len(vectors)))
        assert (index.search(queries, 10).distances <= reach).mean() >= 0.95


def test_bad_arguments() -> None:
    for n, dim in ((-1, 4), (10, 0)):
        with pytest.raises(ArgumentError):
            choose_engine(n, dim)
    with pytest.raises(ArgumentError, match="memory_limit"):
        choose_engine(10, 4, memory_limit=0)
    with pytest.raises(ArgumentError, match="intrinsic_dimension"):
        choose_engine(10, 4, intrinsic_dimension=-1.0)


@both_metrics
def test_the_dimension_is_estimated(metric: Metric) -> None:
    random = np.random.default_rng(0)
    flat = random.normal(size=(4000, 5)) @ random.normal(size=(5, 32))
    inner = 5 if metric == "l2" else 4  # of a direction
    assert estimate_dimension(flat.astype(np.float32), metric) == pytest.approx(inner, abs=1)
    assert estimate_dimension(random.normal(size=(4000, 64)).astype(np.float32), metric) > 20
    for nothing in (np.empty((0, 3)), np.zeros((50, 3)), np.ones((3, 3))):
        assert estimate_dimension(nothing.astype(np.float32), metric) == 0
