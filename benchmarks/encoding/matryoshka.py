"""What prefixes of the vectors are worth: recall with re-ranking, and against a short encoder of its own."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.canonical import arch_ids
from archindex.encoders.recipes import recipe, train_recipe
from archindex.encoders.universal import UniversalEncoder
from archindex.evaluate.embedding import nearest_others, neighbour_difference, neighbour_regression
from archindex.spaces.nasbench101_cells import PackedCells
from archindex.spaces.registry import NAMED, SPACES, space

PROTOCOL: Final = (
    "Encoder `universal`, Euclidean. recall@10: 100,000 architectures, one of each arch_id (50,000 "
    "cells of NAS-Bench-101, 5,425 of NAS-Bench-201, 2,500 drawn of each other space, seed 1), 1,000 of "
    "them as queries, each left out of its own answer; the 10 nearest by all 64 numbers are right. "
    "'first n': the 10 nearest by the first n numbers; 're-ranked': the 100 nearest by the first n, the "
    "best 10 of them by all 64. Alone: an encoder of 16 dimensions trained by the same recipe and seed; "
    "its vectors and the first 16 of `universal` by 10-nearest regression of test accuracy (Kendall's "
    "tau; mean absolute difference to the ten, percent), on NAS-Bench-201 (distinct arch_ids) and on "
    "20,000 cells of NAS-Bench-101 drawn with seed 0, CIFAR-10."
)
K: Final = 10
DEEP: Final = 100

Singles = npt.NDArray[np.float32]


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Return rows of recall, then rows of locality."""
    encoder = UniversalEncoder()
    rows = recalls(encoder.encode(_mixed(data, quick)), 50 if quick else 1_000)
    return rows + alone(encoder, data, quick)


def recalls(vectors: Singles, queries: int) -> list[dict[str, Any]]:
    """Compare the nearest by prefixes with the nearest by everything."""
    chosen = np.random.default_rng(2).permutation(len(vectors))[:queries]
    full = _nearest(vectors, vectors[chosen], chosen, K)
    rows = []
    for length in (8, 16, 32):
        near = _nearest(vectors[:, :length], vectors[chosen, :length], chosen, DEEP)
        gaps = np.linalg.norm(vectors[near].astype(np.float64) - vectors[chosen][:, None], axis=2)
        ranked = np.take_along_axis(near, np.argsort(gaps, axis=1)[:, :K], axis=1)
        rows.append(
            {
                "prefix": length,
                "graphs": len(vectors),
                "recall@10 first n": _overlap(near[:, :K], full),
                "recall@10 re-ranked": _overlap(ranked, full),
            }
        )
    return rows


def alone(encoder: UniversalEncoder, data: Path, quick: bool) -> list[dict[str, Any]]:
    """Compare the first 16 numbers with an encoder of 16 dimensions."""
    plan = recipe("universal")
    if quick:
        short = {"nasbench201": 300, "nasbench101": 300}
        plan = replace(plan, cells=short, networks={}, edit_groups=2, plan=replace(plan.plan, epochs=1))
    with tempfile.TemporaryDirectory() as folder:
        train_recipe(replace(plan, dim=16), Path(folder))
        small = UniversalEncoder.load(Path(folder))
    most = 500 if quick else 20_000
    rows = []
    for name, (batch, accuracy) in {"nb201": _nb201(data, most), "nb101": _nb101(data, most)}.items():
        vectors = encoder.encode(batch)
        ways = {
            "all 64": vectors,
            "first 16 of 64": vectors[:, :16],
            "16 trained alone": small.encode(batch),
        }
        for way, found in ways.items():
            near = nearest_others(found)
            tau, gap = neighbour_regression(near, accuracy), neighbour_difference(near, accuracy)
            rows.append({"data": name, "vectors": way, "tau": round(tau, 4), "difference": round(gap, 4)})
    return rows


def _nearest(vectors: Singles, queries: Singles, own: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
    """Return the `k` nearest others of every query, nearest first."""
    # In double precision: near distances drown in the rounding of large squares.
    points = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    squares = (points * points).sum(axis=1)
    found = []
    for start in range(0, len(queries), 100):
        rows = own[start : start + 100]
        gaps = squares - 2 * points[rows] @ points.T
        gaps[np.arange(len(rows)), rows] = np.inf
        some = np.argpartition(gaps, k, axis=1)[:, :k]
        found.append(np.take_along_axis(some, np.argsort(np.take_along_axis(gaps, some, 1), axis=1), axis=1))
    return np.vstack(found)


def _overlap(found: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> float:
    return round(float((found[:, :, None] == right[:, None, :]).any(axis=1).mean()), 4)


def _mixed(data: Path, quick: bool) -> GraphBatch:
    parts = [_nb101_cells(data, np.random.default_rng(1), 500 if quick else 50_000)[0]]
    for name in SPACES:
        if name not in NAMED and name != "nasbench101":
            n = 100 if quick else 15_625 if name == "nasbench201" else 2_500
            found = space(name)
            parts.append(found.graphs([a.native for a in found.sample(n, seed=1)]))
    return GraphBatch.concat([_distinct(part)[0] for part in parts])


def _distinct(batch: GraphBatch) -> tuple[GraphBatch, npt.NDArray[np.int64]]:
    rows = np.sort(np.unique(arch_ids(batch), return_index=True)[1])
    return batch.pick(rows), rows


def _nb201(data: Path, most: int) -> tuple[GraphBatch, npt.NDArray[np.float64]]:
    table = duckdb.execute(
        f"SELECT arch_str, cifar10_test_acc FROM '{data / 'nb201.parquet'}' ORDER BY arch_idx"
    ).fetchnumpy()
    batch, rows = _distinct(space("nasbench201").graphs(list(table["arch_str"])))
    some = np.sort(np.random.default_rng(0).permutation(len(batch))[:most])
    return batch.pick(some), np.asarray(table["cifar10_test_acc"], dtype=np.float64)[rows[some]]


def _nb101(data: Path, most: int) -> tuple[GraphBatch, npt.NDArray[np.float64]]:
    return _nb101_cells(data, np.random.default_rng(0), most)


def _nb101_cells(
    data: Path, rng: np.random.Generator, most: int
) -> tuple[GraphBatch, npt.NDArray[np.float64]]:
    table = duckdb.execute(
        "SELECT adj_bits, ops, cifar10_test_acc_108ep AS accuracy "
        f"FROM '{data / 'nb101.parquet'}' ORDER BY hash"
    ).fetchnumpy()
    drawn = rng.permutation(len(table["ops"]))[:most]
    cells = PackedCells.from_table(table["adj_bits"][drawn], table["ops"][drawn].astype(str))
    return cells.graphs(), np.asarray(table["accuracy"][drawn], dtype=np.float64)
