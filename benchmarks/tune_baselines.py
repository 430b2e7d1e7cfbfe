"""Tune the baselines of the search benchmark on another data set than they are judged on.

Regularised evolution has a population and a tournament size, local search a number of starts. Each setting
searches NAS-Bench-101 (mean test accuracy, the only labels of its table) with the same seeds; the one with
the highest mean best-so-far over the marks wins and stands in ``archindex/search/baselines.py``.

::

    ARCHINDEX_DATA=... python -m benchmarks.tune_baselines --index nb101.index
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Final

import numpy as np

import archindex as ax
from archindex.core.errors import IndexMissingError
from archindex.datasets import load
from archindex.evaluate.contest import within_table
from archindex.search import baselines
from archindex.search.oracle import ColumnOracle, Objective
from archindex.search.pool import Pool
from archindex.search.registry import make_strategy
from archindex.search.run import run_search

OBJECTIVE: Final = "cifar10_test_acc"
MARKS: Final = (32, 64, 100, 150)
POPULATIONS: Final = (10, 20, 50)
SAMPLES: Final = (3, 5, 10)
STARTS: Final = (1, 5, 10)


def main() -> None:
    """Search with every setting, print the table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--index", type=Path, default=Path("nb101.index"), help="built if it is not there")
    parser.add_argument("--rows", type=int, help="build the index of that many rows only, for a quick look")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/tune_baselines.json"))
    args = parser.parse_args()
    try:
        index = ax.open(args.index)
    except IndexMissingError:
        table = load("nb101")
        index = ax.build(args.index, table if args.rows is None else table.take(range(args.rows)))
    pool = Pool(index.snapshot, within_table(index.schema, OBJECTIVE))
    oracle = ColumnOracle(index.snapshot, Objective.of(OBJECTIVE))
    rows = []
    settings = [
        ("evolution", {"POPULATION": p, "SAMPLE": s}) for p, s in itertools.product(POPULATIONS, SAMPLES)
    ]
    settings += [("local", {"STARTS": n}) for n in STARTS]
    for name, constants in settings:
        for constant, value in constants.items():
            setattr(baselines, constant, value)
        curves = np.stack(
            [
                run_search(make_strategy(name, pool, OBJECTIVE, seed=seed), oracle, MARKS[-1]).curve
                for seed in range(args.seeds)
            ]
        )
        means = curves[:, [m - 1 for m in MARKS]].mean(axis=0)
        rows.append({"strategy": name, **constants, "means": means.tolist(), "score": float(means.mean())})
        shown = "  ".join(f"{m}: {v:.3f}" for m, v in zip(MARKS, means, strict=True))
        print(f"{name:10} {constants!s:34} {shown}  mean {means.mean():.4f}", flush=True)
    best = {
        name: max((r for r in rows if r["strategy"] == name), key=lambda r: r["score"])
        for name in ("evolution", "local")
    }
    protocol = (
        f"NAS-Bench-101 mean test accuracy, {args.seeds} seeds, one architecture a query, {MARKS[-1]} queries"
    )
    args.out.write_text(
        json.dumps({"protocol": protocol, "marks": MARKS, "rows": rows, "best": best}, indent=1) + "\n"
    )
    print("best:", best["evolution"], best["local"])


if __name__ == "__main__":
    main()
