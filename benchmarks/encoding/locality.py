"""Does near mean alike? What lies nearest, how far apart things lie and what lies between, for every encoder.

Beside the encoders stands the one-hot encoding of what the benchmark itself writes down.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.canonical import arch_ids
from archindex.core.edit_distance import SmallGraphs
from archindex.encoders import ENCODERS, make_encoder
from archindex.encoders.fitting import fit_to
from archindex.evaluate.embedding import (
    distance_agreement,
    interpolation_error,
    nearest_others,
    neighbour_difference,
    neighbour_regression,
    random_difference,
)
from archindex.spaces.nasbench101_cells import PackedCells
from archindex.spaces.registry import space

NB101_SAMPLE: Final = 20_000
PAIRS: Final = 2_000
LINES: Final = 1_000
ONE_HOT: Final = "one-hot"
HARDLY_TRAINED: Final[dict[str, dict[str, int]]] = {"gin": {"epochs": 2}, "vae": {"steps": 20}}
"""Options of the encoders that train for long, in the short version."""

PROTOCOL: Final = (
    "tau: Kendall's tau between accuracy and the mean of the 10 nearest others (Euclidean, ties drawn "
    "with seed 0). difference: mean |accuracy difference| to these ten, in percent; ratio: as a share of "
    "that of all pairs. between: on 1,000 lines between random pairs (seed 0), mean |accuracy of the "
    "nearest other row - what is proportionally between the ends| at 7 points, as a share of the mean "
    "difference of the ends. spearman: rank correlation of Euclidean with exact graph edit distance of "
    "the functional DAGs (unit costs; op and attributes are one label) on 2,000 pairs of different cells "
    "drawn with seed 0. The columns *_of_best say how near the best of all rows of the same data a figure"
    " is: 1 is the best. Data: nb201, all 15,625 strings, aliases included; nb201 distinct, the first "
    "string of each of the 5,425 arch_ids; nb101, 20,000 cells drawn with seed 0 from those that the "
    "weights of the structural encoder were not chosen on (chosen on CIFAR-100 of nb201 and 8,000 other "
    "cells of nb101). Accuracies are test accuracies in percent, CIFAR-10 for nb101. Encoders that need "
    "fitting are fitted with seed 0 and their defaults on the unlabelled graphs of the row (of nb201 "
    "distinct: on all strings); universal is fitted on none of them. one-hot: the op of every edge of "
    "nb201; edges and the op of every vertex of nb101."
)

Floats = npt.NDArray[Any]


@dataclass(frozen=True)
class Cells:
    """Architectures with accuracies, as graphs and as the benchmark writes them.

    Attributes
    ----------
    space : str
        Search space.
    natives : list of str
        Native strings.
    batch : GraphBatch
        The graphs.
    one_hot : ndarray, shape (n, d)
        What the benchmark writes.
    accuracy : dict from str to ndarray of float64, shape (n,)
        Test accuracies in percent by data set.
    subsets : dict from str to ndarray of int64
        Rows by name of the data; pairs for edit distances are drawn from the last.
    """

    space: str
    natives: list[str]
    batch: GraphBatch
    one_hot: Floats
    accuracy: dict[str, Floats]
    subsets: dict[str, npt.NDArray[np.int64]]


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Return a row for each data set, accuracy and encoder, then one for each encoder's edit distances."""
    near: list[dict[str, Any]] = []
    far: list[dict[str, Any]] = []
    for cells in (nasbench201(data, quick), nasbench101(data, quick)):
        name, rows = list(cells.subsets.items())[-1]
        a, b = _pairs(rows, PAIRS // 10 if quick else PAIRS)
        edits = SmallGraphs(cells.batch).distances(a, b)
        for encoder, vectors, about in _encoded(cells, quick):
            for row in _neighbours(cells, encoder, vectors, LINES // 10 if quick else LINES):
                near.append(row | about)
            spearman = distance_agreement(vectors, a, b, edits)
            far.append(
                {"data": name, "encoder": encoder, "pairs": len(a), "edits_mean": float(edits.mean()),
                 "spearman": spearman}
            )  # fmt: skip
    for figure, lower in (("tau", False), ("ratio", True), ("between", True)):
        _compare(near, figure, lower)
    _compare(far, "spearman", False)
    for group in (near, far):
        group.sort(key=lambda row: (row["data"], row.get("accuracy", "")))  # stable: encoders stay in order
    return near + far


def nasbench201(data: Path, quick: bool) -> Cells:
    """Read NAS-Bench-201."""
    columns = {"cifar10": "cifar10_test_acc", "in16_120": "in16_120_test_acc"}
    order = "hash(arch_str) LIMIT 1500" if quick else "arch_idx"
    rows = duckdb.execute(
        f"SELECT arch_str, {', '.join(columns.values())} FROM '{data / 'nb201.parquet'}' ORDER BY {order}"
    ).fetchnumpy()
    cells = space("nasbench201")
    natives = list(rows["arch_str"])
    one_hot = np.eye(5)[np.array([cells._parse(text) for text in natives])].reshape(len(natives), -1)
    batch = cells.graphs(natives)
    distinct = np.sort(np.unique(arch_ids(batch), return_index=True)[1])
    return Cells(
        "nasbench201",
        natives,
        batch,
        one_hot,
        {name: np.asarray(rows[column], dtype=np.float64) for name, column in columns.items()},
        {"nb201": np.arange(len(natives)), "nb201 distinct": distinct},
    )


def nasbench101(data: Path, quick: bool) -> Cells:
    """Draw cells of NAS-Bench-101."""
    rows = duckdb.execute(
        f"SELECT adj_bits, ops, cifar10_test_acc_108ep AS accuracy FROM '{data / 'nb101.parquet'}' "
        "ORDER BY hash"
    ).fetchnumpy()
    n = len(rows["ops"])
    # The 8,000 cells that the weights of the structural encoder were chosen on.
    chosen_on = np.random.default_rng(7).choice(n, 8_000, replace=False)
    others = np.setdiff1d(np.arange(n), chosen_on)
    drawn = np.random.default_rng(0).permutation(others)[: 1_500 if quick else NB101_SAMPLE]
    cells = PackedCells.from_table(rows["adj_bits"][drawn], rows["ops"][drawn].astype(str))
    bits = (cells.bits[:, None] >> np.arange(21)) & 1
    ops = np.eye(4)[cells.ops.astype(int)].reshape(len(drawn), -1)
    accuracy = np.asarray(rows["accuracy"][drawn], dtype=np.float64)
    return Cells(
        "nasbench101",
        cells.natives(),
        cells.graphs(),
        np.hstack([bits, ops]),
        {"cifar10": accuracy},
        {"nb101": np.arange(len(drawn))},
    )


def _encoded(cells: Cells, quick: bool) -> Iterator[tuple[str, Floats, dict[str, Any]]]:
    """Give the vectors of every encoder, and what to tell of it.

    The CPU seconds of fitting are those of the graphs alone where there is nothing to fit.
    """
    yield ONE_HOT, cells.one_hot, {"dim": cells.one_hot.shape[1], "fit_cpu_seconds": 0.0, "fingerprint": ""}
    for name in ENCODERS:
        encoder = make_encoder(name, **(HARDLY_TRAINED.get(name, {}) if quick else {}))
        start = time.process_time()
        fit_to(encoder, space(cells.space), cells.natives[: 150 if quick else None], seed=0)
        seconds = round(time.process_time() - start, 1)
        about = {"dim": encoder.dim, "fit_cpu_seconds": seconds, "fingerprint": encoder.fingerprint[:8]}
        yield name, encoder.encode(cells.batch), about


def _neighbours(cells: Cells, encoder: str, vectors: Floats, lines: int) -> Iterator[dict[str, Any]]:
    for data, rows in cells.subsets.items():
        nearest = nearest_others(vectors[rows])
        for target, accuracy in cells.accuracy.items():
            values = accuracy[rows]
            difference = neighbour_difference(nearest, values)
            yield {
                "data": data,
                "accuracy": target,
                "encoder": encoder,
                "tau": neighbour_regression(nearest, values),
                "difference": difference,
                "ratio": difference / random_difference(values),
                "between": interpolation_error(vectors[rows], values, pairs=lines),
            }


def _pairs(rows: npt.NDArray[np.int64], n: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Draw pairs of two different of the rows."""
    rng = np.random.default_rng(0)
    first = rng.integers(len(rows), size=n)
    return rows[first], rows[(first + rng.integers(1, len(rows), size=n)) % len(rows)]


def _compare(rows: list[dict[str, Any]], figure: str, lower: bool) -> None:
    """Add to every row how near the best of its data its figure is."""
    for row in rows:
        alike = [
            o[figure] for o in rows if (o["data"], o.get("accuracy")) == (row["data"], row.get("accuracy"))
        ]
        share = min(alike) / row[figure] if lower else row[figure] / max(alike)
        row[f"{figure}_of_best"] = share
