"""Kendall's tau on the rest of a space, learned from a few labels."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
from scipy.stats import kendalltau

from archindex.encoders import make_encoder
from archindex.predict.base import Groups, Predictor
from archindex.predict.features import COSTS, UNITS, architecture_features
from archindex.predict.registry import make_predictor
from archindex.spaces.nasbench101_cells import PackedCells
from archindex.spaces.registry import space

DRAWS: Final = 10
SIZES: Final = {"nb201": (78, 156, 469, 1563), "nb101": (100, 172, 424, 4236)}
ISSUE: Final = {
    "nb101": dict(zip(SIZES["nb101"], (0.75, 0.78, 0.82, 0.88), strict=True)),
    "nb201": dict(zip(SIZES["nb201"], (0.83, 0.86, 0.90, 0.92), strict=True)),
}
TESTED: Final = {"nb101": 20_000, "nb201": None}
PEERS: Final = ("gp", "boosted_trees", "ensemble", "pairwise")
PEER_DRAWS: Final = 3
PEER_SIZE: Final = 1  # the second size of each space
PROTOCOL: Final = (
    "Labels: the first n of a random permutation of the table, seeds 0 to 9 (mean test accuracies; nb101 "
    "after 108 epochs, nb201 CIFAR-10). Test: nb201 all others; nb101 those not labelled of 20,000 drawn by "
    "seed 10, a sample of the rest. No label of another space is used. All that is learned comes from the "
    "labelled ones, by marginal likelihood or cross-validation; features, settings and weights of the blend "
    "were developed by their tau on both tables with label draws of other seeds (from 100). structural: one "
    "Matern 5/2 kernel on the vectors of the structural encoder. plain gp: the same on ops, flow, paths, "
    "neighbourhoods, log params and log FLOPs, each group scaled to equal spread (features of "
    "benchmarks.plain_gp). coverage: share of test labels inside 1.645 standard deviations. Other "
    "predictors: three draws, one size of each space, beside the blend on the same draws."
)

_PLAIN: Final = ("ops", "flow", "paths", "neighbourhoods", COSTS)
_QUICK_ROWS: Final = 800


@dataclass(frozen=True)
class Table:
    """Features and labels of the rows that are needed, and where a row of the space stands among them."""

    groups: Mapping[str, npt.NDArray[np.float32]]
    labels: npt.NDArray[np.float64]
    draws: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]  # labelled, in order; tested

    def take(self, rows: npt.NDArray[np.int64], names: tuple[str, ...] | None = None) -> Groups:
        """Return the features of some rows."""
        return {name: self.groups[name][rows] for name in names or self.groups if name != "structural"}


def read(name: str, data: Path, most: int | None) -> Table:
    """Read labels, compute features; `most` rows of the table, or all."""
    columns = {"nb101": "adj_bits, ops, cifar10_test_acc_108ep", "nb201": "arch_str, cifar10_test_acc"}[name]
    order = {"nb101": "hash", "nb201": "arch_idx"}[name]
    rows = duckdb.execute(f"SELECT {columns} FROM '{data / name}.parquet' ORDER BY {order}").fetchnumpy()
    labels = np.asarray(rows[columns.split(", ")[-1]], dtype=np.float64)
    if most is not None:
        kept = np.random.default_rng(0).choice(len(labels), most, replace=False)
        rows, labels = {key: values[kept] for key, values in rows.items()}, labels[kept]
    tested = TESTED[name]
    sample = np.arange(len(labels))
    if tested is not None and tested < len(labels):
        sample = np.random.default_rng(DRAWS).choice(len(labels), tested, replace=False)
    draws = []
    for seed in range(DRAWS):
        order_of = np.random.default_rng(seed).permutation(len(labels))
        labelled = order_of[: min(max(SIZES[name]), len(labels) // 2)]
        draws.append((labelled, np.setdiff1d(sample, labelled)))
    needed = np.unique(np.concatenate([part for draw in draws for part in draw]))
    place = np.zeros(len(labels), dtype=np.int64)
    place[needed] = np.arange(len(needed))
    if name == "nb101":
        natives = PackedCells.from_table(rows["adj_bits"][needed], rows["ops"][needed].astype(str)).natives()
    else:
        natives = [str(text) for text in rows["arch_str"][needed]]
    cells = space({"nb101": "nasbench101", "nb201": "nasbench201"}[name])
    groups = architecture_features(cells, natives, dataset="cifar10")
    groups["structural"] = make_encoder("structural").encode(cells.graphs(natives))
    return Table(groups, labels[needed], [(place[labelled], place[tested]) for labelled, tested in draws])


def structural(table: Table, rows: npt.NDArray[np.int64]) -> Groups:
    """Return the vectors of the structural encoder alone."""
    return {"structural": table.groups["structural"][rows]}


def plain(table: Table, rows: npt.NDArray[np.int64]) -> Groups:
    """Return the features of `benchmarks.plain_gp` as one group, each part scaled to equal spread."""
    parts = []
    for name in _PLAIN:
        values = table.groups[name].astype(np.float64)
        if name in UNITS:
            spread = values.std(axis=0)
            values /= np.where(spread > 0, spread, 1.0)
        parts.append(values[rows] / np.sqrt(max(float(values.var(axis=0).sum()), 1e-9)))
    return {"plain": np.hstack(parts).astype(np.float32)}


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Return a row for each space, number of labels and predictor."""
    most = _QUICK_ROWS if quick else None
    tables = {name: read(name, data, most) for name in SIZES}
    rows: list[dict[str, Any]] = []
    for name, table in tables.items():
        for n in SIZES[name][1:2] if quick else SIZES[name]:
            for method in ("blend", "structural", "plain gp"):
                rows.append(_row(table, name, method, n, 1 if quick else DRAWS))
    for name, table in tables.items():
        for method in ("gp", "boosted_trees") if quick else ("blend", *PEERS):
            compared = _row(table, name, method, SIZES[name][PEER_SIZE], 1 if quick else PEER_DRAWS)
            rows.append(compared | {"beside": "predictors"})
    return rows


def _row(table: Table, name: str, method: str, n: int, draws: int) -> dict[str, Any]:
    taus, covered, start = [], [], time.process_time()
    for seed, (labelled, tested) in enumerate(table.draws[:draws]):
        few = labelled[:n]
        # Those labelled for larger sizes alone are part of the rest.
        rest = tested if TESTED[name] else np.concatenate([labelled[n:], tested])
        predictor = _predictor(method)
        features = {"structural": structural, "plain gp": plain}.get(method, Table.take)
        predictor.fit(features(table, few), table.labels[few], seed=seed)
        believed = predictor.predict(features(table, rest))
        taus.append(float(kendalltau(believed.mean, table.labels[rest])[0]))
        covered.append(float((np.abs(believed.mean - table.labels[rest]) <= 1.645 * believed.std).mean()))
    row = {
        "space": name, "labels": n, "predictor": method, "draws": draws, "tested": len(rest),
        "tau": round(float(np.mean(taus)), 4),
        "standard_error": round(float(np.std(taus, ddof=1) / np.sqrt(draws)), 4) if draws > 1 else 0.0,
        "issue": ISSUE[name][n] if method == "blend" else None,
        "coverage": round(float(np.mean(covered)), 4),
        "seconds_a_draw": round((time.process_time() - start) / draws, 1),
    }  # fmt: skip
    print(row, flush=True)
    return row


def _predictor(method: str) -> Predictor:
    if method in ("structural", "plain gp"):
        return make_predictor("gp", members=1, relevance="group")
    return make_predictor(method)
