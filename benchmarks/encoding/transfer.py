"""Cells of one search space ranked by labels of another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from archindex.datasets.parquet import read_parquet
from archindex.encoders.live_features import LIVE_NAMES
from archindex.predict.transfer import TransferRanker, normal_scores, transfer_groups
from archindex.spaces.nasbench101_cells import CELLS_PER_STACK, STACKS, STEM_CHANNELS, PackedCells
from archindex.spaces.registry import space

Floats = npt.NDArray[np.float64]
Cells = dict[str, npt.NDArray[np.float32]]

CHUNK: Final = 1 << 14
SEEDS: Final = 5

PROTOCOL: Final = (
    "Spearman's rho over all cells of the target, mean and standard deviation over 5 seeds, each of which "
    "draws 20,000 labels. NAS-Bench-101: nb101.parquet, mean test accuracy after 108 epochs. NAS- "
    "Bench-201: nb201.parquet, CIFAR-10 test accuracy. DARTS: darts_oncenas545.parquet, accuracy after 50 "
    "epochs; it chose nothing. Learners and settings were chosen by the mean rho of four transfers within "
    "NAS-Bench-101: to cells with a structural twin in NAS-Bench-201, to outputs that are not "
    "concatenated, to cells of at most 5 vertices, and from networks above 4M params to those of at most "
    "1.5M. That criterion was revised twice after NAS-Bench-201 had been scored, and 15 variants had been "
    "scored there before this table was first run. 'weighted' draws labelled cells by the density ratio of "
    "the unlabelled features of both spaces; the criterion does not prefer it (.875 against .890), so it "
    "is a second row and no default. 'trees, shared features' is one boosted-trees model on the same "
    "features with live params and FLOPs in absolute units. Training-free: 'area' is log(1 + 9 conv3x3 + "
    "conv1x1) over live ops; 'area and depth' is the mean of its normal scores and those of the mean "
    "number of weighted ops on a random walk."
)


def nasbench101(data: Path, rows: int | None) -> tuple[Cells, Floats, Floats]:
    """Return features, [log params, log FLOPs] and accuracy of the first `rows` cells."""
    read = read_parquet(data / "nb101.parquet", ["adj_bits", "ops", "cifar10_test_acc_108ep"])
    accuracy = np.asarray(read["cifar10_test_acc_108ep"], dtype=np.float64)[:rows]
    packed = PackedCells.from_table(read["adj_bits"][:rows], read["ops"][:rows])
    counted = packed.costs()
    side = 32
    stem, classifier = 27 * STEM_CHANNELS * side**2, 5130
    # Channels double where pixels quarter: every cell has the same multiply-adds.
    unit = STACKS * CELLS_PER_STACK * STEM_CHANNELS**2 * side**2
    cost = (counted.flops - stem - classifier) / unit
    parts = []
    for start in range(0, len(packed), CHUNK):
        now = np.arange(start, min(start + CHUNK, len(packed)))
        parts.append(transfer_groups(packed.take(now).graphs(), projected=True, cost=cost[now]))
    cells = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return cells, np.log(np.stack([counted.params, counted.flops], axis=1) / 1e6), accuracy


def nasbench201(data: Path) -> tuple[Cells, Floats, Floats]:
    """Return features, [log params, log FLOPs] of the live ops and accuracy of all cells."""
    read = read_parquet(data / "nb201.parquet", ["arch_str", "cifar10_test_acc"])
    cells = transfer_groups(space("nasbench201").graphs([str(text) for text in read["arch_str"]]))
    wide, narrow = (
        np.asarray(cells["cell"][:, LIVE_NAMES.index(f"{k}_ops")], np.float64) for k in ("wide", "narrow")
    )
    # Live params and FLOPs depend on the numbers of convolutions alone: read them off cells with these.
    natives = [
        f"|{c[0]}~0|+|{c[1]}~0|{c[2]}~1|+|{c[3]}~0|{c[4]}~1|{c[5]}~2|" for c in _fillings(wide, narrow)
    ]
    costs = space("nasbench201").costs(natives, "cifar10")  # type: ignore[attr-defined]
    live = np.log(np.stack([costs.params, costs.flops], axis=1) / 1e6)
    return cells, live, np.asarray(read["cifar10_test_acc"], dtype=np.float64)


def _fillings(wide: Floats, narrow: Floats) -> Iterator[list[str]]:
    for w, n in zip(wide.astype(int), narrow.astype(int), strict=True):
        yield ["nor_conv_3x3"] * w + ["nor_conv_1x1"] * n + ["none"] * (6 - w - n)


def darts(data: Path) -> tuple[Cells, Floats]:
    """Return features and accuracy of the DARTS networks."""
    from archindex.datasets.tables import darts_oncenas545 as table

    loaded = table.load()
    accuracy = next(
        s.values
        for s in loaded.series
        if s.spec.epochs == 50 and s.spec.split == "valid" and s.spec.metric == "acc"
    )
    return transfer_groups(space("darts").graphs(list(loaded.natives))), np.asarray(
        accuracy, dtype=np.float64
    )


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Measure rankings of NAS-Bench-201, of NAS-Bench-101 and of DARTS."""
    seeds = 1 if quick else SEEDS
    cells101, costs101, told101 = nasbench101(data, 6000 if quick else None)
    cells201, costs201, told201 = nasbench201(data)
    rows = [
        *_ranked("nb101", "nb201", (cells101, costs101, told101), (cells201, costs201, told201), seeds),
        *_ranked("nb201", "nb101", (cells201, costs201, told201), (cells101, costs101, told101), seeds),
    ]
    found, accuracy = darts(data)
    rhos = []
    for seed in range(seeds):
        ranker = TransferRanker()
        ranker.fit(cells101, told101, seed=seed)
        rhos.append(_rho(ranker.scores(found), accuracy))
    area = np.asarray(found["cost"][:, 0], dtype=np.float64)
    rows += [_row("nb101", "darts", "TransferRanker", rhos)]
    rows += [_row("-", "darts", "area, training-free", [_rho(area, accuracy)])]
    return rows


def _ranked(
    source: str,
    target: str,
    known: tuple[Cells, Floats, Floats],
    asked: tuple[Cells, Floats, Floats],
    seeds: int,
) -> Iterator[dict[str, Any]]:
    cells, costs, told = known
    found, found_costs, truth = asked
    fed = found["cell"][:, 0] > 0
    by_method: dict[str, list[float]] = {"TransferRanker": [], "TransferRanker, weighted": []}
    trees: list[float] = []
    for seed in range(seeds):
        for method, rhos in by_method.items():
            ranker = TransferRanker()
            ranker.fit(cells, told, target=found if "weighted" in method else None, seed=seed)
            rhos.append(_rho(ranker.scores(found), truth))
        trees.append(
            _rho(np.where(fed, _trees(cells, costs, told, found, found_costs, seed), -np.inf), truth)
        )
    for method, rhos in by_method.items():
        yield _row(source, target, method, rhos)
    yield _row(source, target, "trees, shared features", trees)
    area = found["cell"][:, LIVE_NAMES.index("log_area")].astype(np.float64)
    steps = sum(
        found["cell"][:, LIVE_NAMES.index(f"{k}_walk")].astype(np.float64) for k in ("wide", "narrow")
    )
    yield _row("-", target, "area, training-free", [_rho(area, truth)])
    both = normal_scores(area) + normal_scores(np.asarray(steps))
    yield _row("-", target, "area and depth, training-free", [_rho(both, truth)])


def _trees(cells: Cells, costs: Floats, told: Floats, found: Cells, found_costs: Floats, seed: int) -> Floats:
    from sklearn.ensemble import HistGradientBoostingRegressor

    rows = np.random.default_rng(seed).permutation(len(told))[:20_000]
    model = HistGradientBoostingRegressor(max_iter=150, learning_rate=0.1, random_state=seed)
    model.fit(np.hstack([cells["cell"][rows, 1:], costs[rows]]), normal_scores(told)[rows])
    return np.asarray(model.predict(np.hstack([found["cell"][:, 1:], found_costs])), dtype=np.float64)


def _rho(scores: Floats, truth: Floats) -> float:
    return float(spearmanr(scores, truth).statistic)


def _row(source: str, target: str, method: str, rhos: list[float]) -> dict[str, Any]:
    return {
        "labels of": source, "ranked": target, "method": method, "seeds": len(rhos),
        "spearman": round(float(np.mean(rhos)), 4), "std": round(float(np.std(rhos)), 4),
    }  # fmt: skip
