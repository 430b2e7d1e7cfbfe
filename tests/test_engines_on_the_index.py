"""Every engine on the whole default index: recall, distances by value, filters by value."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pytest

import archindex as ax
from archindex.datasets import Table
from archindex.evaluate.recall import recall_at_k
from archindex.indexes import DISTANCE_ATOL, DISTANCE_RTOL, Metric

FILTERS = (
    None,
    "cifar10_latency_ms < 14",
    "cifar10_latency_ms < 14 AND cifar10_valid_acc > 90 OR n_ops = 6",
    "cifar10_params_m BETWEEN 0.3 AND 0.32",
    "n_ops >= 2 AND NOT (depth = 3) AND in16_120_valid_acc / cifar10_valid_acc > 0.4",
)
K = 10

Vectors = npt.NDArray[np.float32]


ENGINES = (
    ("exact", "l2"),
    ("hnsw", "l2"),
    ("hnsw", "cosine"),
    ("ivf", "l2"),
    ("ivf", "cosine"),
    ("ivf_sq8", "l2"),
    ("ivf_opq", "cosine"),
)


@pytest.fixture(scope="module", params=ENGINES, ids="-".join)
def index(
    request: pytest.FixtureRequest, nasbench201: Table, tmp_path_factory: pytest.TempPathFactory
) -> ax.Index:
    engine: str
    metric: Metric
    engine, metric = request.param
    path: Path = tmp_path_factory.mktemp("engines") / f"{engine}-{metric}"
    return ax.build(path, nasbench201, engine=engine, metric=metric)


@pytest.fixture(scope="module")
def queries(index: ax.Index) -> Vectors:
    """200 rows of the index and 50 points between rows."""
    rng = np.random.default_rng(0)
    vectors = np.asarray(index.snapshot.vectors)
    rows = vectors[rng.choice(len(vectors), 200, replace=False)]
    between = (vectors[rng.choice(len(vectors), 50)] + vectors[rng.choice(len(vectors), 50)]) / 2
    return np.concatenate([rows, between]).astype(np.float32)


@pytest.mark.parametrize("where", FILTERS)
@pytest.mark.parametrize("strategy", ["auto", "engine"])
def test_recall_and_distances(index: ax.Index, queries: Vectors, where: str | None, strategy: str) -> None:
    found, _ = index.snapshot.search(queries, K, where, strategy=strategy)
    truth, _ = index.snapshot.search(queries, K, where, strategy="exact")
    assert (found.counts == K).all()  # more than K rows satisfy each of the filters
    assert recall_at_k(found.distances, truth.distances, K).mean() >= 0.98
    vectors = np.asarray(index.snapshot.vectors, dtype=np.float64)
    hits = vectors[index.snapshot.positions(found.ids.ravel())].reshape(*found.ids.shape, -1)
    points = queries.astype(np.float64)[:, None, :]
    if index.info.metric == "l2":
        recomputed = np.linalg.norm(hits - points, axis=2)
    else:
        norms = np.linalg.norm(hits, axis=2) * np.linalg.norm(points, axis=2)
        recomputed = 1 - np.divide(
            (hits * points).sum(axis=2), norms, out=np.zeros_like(norms), where=norms > 0
        )
    assert (np.abs(found.distances - recomputed) <= DISTANCE_ATOL + DISTANCE_RTOL * recomputed).all()


@pytest.mark.parametrize("where", FILTERS[1:])
def test_rows_satisfy_the_filter_as_duckdb_sees_it(index: ax.Index, where: str) -> None:
    columns = {
        name: np.asarray(index.snapshot.columns[name].values) for name in index.schema if name != "space"
    }
    columns["row_id"] = np.asarray(index.snapshot.ids)
    with duckdb.connect() as con:
        con.register("attributes", columns)
        rows = con.execute(f"SELECT row_id FROM attributes WHERE {where}").fetchall()
    matching = index.snapshot.matching(where)
    assert matching is not None
    assert sorted(matching.tolist()) == sorted(row for (row,) in rows)
    hits = index.query(0, k=len(rows) + 5, where=where)
    assert sorted(hits.ids.tolist()) == sorted(matching.tolist())
