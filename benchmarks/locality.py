"""Does near mean alike? How well the neighbours of an architecture tell its accuracy, for each encoding.

Every architecture is predicted by the mean accuracy of its ten nearest others (Euclidean). Reported are
Kendall's tau between prediction and accuracy, and the mean |accuracy difference| to the ten.

Run with ``ARCHINDEX_DATA=... python -m benchmarks.locality``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
from scipy.stats import kendalltau

from archindex.core.batch import GraphBatch
from archindex.core.canonical import arch_ids
from archindex.encoders import make_encoder
from archindex.encoders.features import Dags, op_counts
from archindex.spaces.nasbench101_cells import PackedCells
from archindex.spaces.registry import space

K: Final = 10
NB101_SAMPLE: Final = 20_000
PROTOCOL: Final = (
    "Leave-one-out regression by the mean of the 10 nearest (Euclidean, ties broken at random by seed 0). "
    "nb201: all 15,625 strings, aliases included. nb201 distinct: one string of each of the 5,425 arch_ids. "
    "nb101: 20,000 cells drawn with seed 0 from those that the weights of the structural encoder were not "
    "chosen on; these weights were chosen on CIFAR-100 of nb201 and 8,000 other cells of nb101. "
    "gin: trained without labels on the graphs of its row, distinct strings of nb201 with all strings. "
    "Accuracies are test accuracies in percent; CIFAR-10 for nb101."
)

Floats = npt.NDArray[Any]


@dataclass
class Table:
    """Architectures with accuracies, as graphs and as the benchmark writes them."""

    batch: GraphBatch
    as_written: Floats
    accuracy: dict[str, Floats]


def nasbench201(folder: Path, most: int) -> Table:
    """Read NAS-Bench-201, `most` rows of it; one-hot of the op of every edge."""
    columns = {"cifar10": "cifar10_test_acc", "in16_120": "in16_120_test_acc"}
    rows = duckdb.execute(
        f"SELECT arch_str, {', '.join(columns.values())} FROM '{folder / 'nb201.parquet'}' ORDER BY arch_idx "
        f"LIMIT {most}"
    ).fetchnumpy()
    cells = space("nasbench201")
    natives = list(rows["arch_str"])
    genotypes = np.array([cells._parse(text) for text in natives])
    accuracy = {name: np.asarray(rows[column], dtype=np.float64) for name, column in columns.items()}
    return Table(cells.graphs(natives), np.eye(5)[genotypes].reshape(len(natives), -1), accuracy)


def nasbench101(folder: Path, most: int) -> Table:
    """Draw `most` cells of NAS-Bench-101; bits of the adjacency and one-hot of the op of every vertex."""
    rows = duckdb.execute(
        f"SELECT adj_bits, ops, cifar10_test_acc_108ep AS accuracy FROM '{folder / 'nb101.parquet'}' "
        "ORDER BY hash"
    ).fetchnumpy()
    n = len(rows["ops"])
    tuned_on = np.random.default_rng(7).choice(n, 8_000, replace=False)
    drawn = np.random.default_rng(0).permutation(np.setdiff1d(np.arange(n), tuned_on))[:most]
    cells = PackedCells.from_table(rows["adj_bits"][drawn], rows["ops"][drawn].astype(str))
    bits = (cells.bits[:, None] >> np.arange(21)) & 1
    ops = np.eye(4)[cells.ops.astype(int)].reshape(len(drawn), -1)
    accuracy = np.asarray(rows["accuracy"][drawn], dtype=np.float64)
    return Table(cells.graphs(), np.hstack([bits, ops]), {"cifar10": accuracy})


def path_encoding(batch: GraphBatch) -> Floats:
    """Return which op sequences lie between input and output (White et al., BANANAS, AAAI 2021)."""
    column: dict[tuple[str, ...], int] = {}
    found: list[set[int]] = []
    for graph in batch:
        names = [f"{op}{attrs.get('kernel', '')}" for op, attrs in zip(graph.ops, graph.attrs, strict=True)]
        paths: list[set[tuple[str, ...]]] = [set() for _ in names]
        for node in range(graph.n_nodes):  # both spaces number their nodes in topological order
            for source, _ in graph.predecessors(node):
                before = paths[source] if graph.ops[source] != "input" else {()}
                paths[node] |= {(*path, names[node]) for path in before}
        found.append({column.setdefault(path, len(column)) for path in paths[-1]})
    encoded = np.zeros((len(batch), len(column)))
    for row, columns in enumerate(found):
        encoded[row, list(columns)] = 1.0
    return encoded


def locality(vectors: Floats, accuracy: Floats, block: int = 1024) -> tuple[float, float]:
    """Return Kendall's tau of 10-nearest regression, and the mean |difference| to the ten."""
    order = np.random.default_rng(0).permutation(len(vectors))
    points, values = vectors[order].astype(np.float32), accuracy[order]
    squares = (points * points).sum(axis=1)
    predicted, difference = np.empty(len(points)), np.empty(len(points))
    for start in range(0, len(points), block):
        rows = slice(start, min(start + block, len(points)))
        distances = squares[None] - 2 * points[rows] @ points.T
        np.fill_diagonal(distances[:, rows], np.inf)
        nearest = values[np.argpartition(distances, K, axis=1)[:, :K]]
        predicted[rows] = nearest.mean(axis=1)
        difference[rows] = np.abs(nearest - values[rows, None]).mean(axis=1)
    return float(kendalltau(predicted, values)[0]), float(difference.mean())


def gin_vectors(batch: GraphBatch, seed: int) -> tuple[Floats, float, str]:
    """Train a GIN encoder on `batch`; return vectors, CPU seconds of training, fingerprint."""
    encoder = make_encoder("gin")
    start = time.process_time()
    encoder.fit(batch, seed=seed)
    return encoder.encode(batch), time.process_time() - start, encoder.fingerprint


def main() -> None:
    """Measure, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--gin-seeds", type=int, default=1, help="trainings of the GIN encoder, 0 for none")
    parser.add_argument("--most", type=int, default=NB101_SAMPLE, help="architectures of each space")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/locality.json")
    arguments = parser.parse_args()
    folder = Path(os.environ["ARCHINDEX_DATA"])
    results: list[dict[str, Any]] = []

    def report(data: str, encoding: str, vectors: Floats, table: Table, rows: Floats, **more: Any) -> None:
        for target, accuracy in table.accuracy.items():
            tau, difference = locality(vectors[rows], accuracy[rows])
            results.append(
                {
                    "data": data, "accuracy": target, "encoding": encoding, "dim": vectors.shape[1],
                    "tau": round(tau, 4), "difference": round(difference, 4), **more,
                }
            )  # fmt: skip
            print(
                f"{data:15} {target:9} {encoding:12} {vectors.shape[1]:4} {tau:6.4f} {difference:7.3f}",
                flush=True,
            )

    print(f"{'data':15} {'accuracy':9} {'encoding':12} {'dim':>4} {'tau':6} |difference|")
    structural = make_encoder("structural")
    for name, read in (("nb201", nasbench201), ("nb101", nasbench101)):
        table = read(folder, arguments.most)
        everything = np.arange(len(table.batch))
        subsets = {name: everything}
        if name == "nb201":
            subsets["nb201 distinct"] = np.unique(arch_ids(table.batch), return_index=True)[1]
        encodings: dict[str, Callable[[Table], Floats]] = {
            "one-hot": lambda t: t.as_written,
            "op counts": lambda t: op_counts(Dags(t.batch)),
            "paths": lambda t: path_encoding(t.batch),
            "structural": lambda t: structural.encode(t.batch),
        }
        for encoding, encode in encodings.items():
            vectors = encode(table)
            for data, rows in subsets.items():
                report(data, encoding, vectors, table, rows)
        for seed in range(arguments.gin_seeds):
            vectors, seconds, fingerprint = gin_vectors(table.batch, seed)
            more = {"seed": seed, "training_cpu_seconds": round(seconds, 1), "fingerprint": fingerprint}
            for data, rows in subsets.items():
                report(data, "gin", vectors, table, rows, **more)

    content = {
        "protocol": PROTOCOL,
        "k": K,
        "structural_fingerprint": structural.fingerprint,
        "results": results,
    }
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
