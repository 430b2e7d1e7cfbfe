"""The whole NAS-Bench-101 table to graphs, arch_ids and Parquet, without a Python object per architecture.

The published table (edge bits, ops, accuracy) is read into arrays, taken a fixed number of cells at a time to
packed graphs, arch_ids, params and FLOPs, and written to Parquet. Each size runs in a process of its own, so
that its peak of memory is its own; seconds are medians over the rounds. The cost of an architecture must not
grow with their number.

::

    python -m benchmarks.nb101_flat
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt

from archindex.core.canonical import ARCH_ID_LENGTH, arch_ids
from archindex.spaces.nasbench101_cells import PackedCells

ROWS: Final = 423_624
SIZES: Final = (50_000, 200_000, ROWS)
CHUNK: Final = 1 << 14
"""Cells whose graphs exist at one time."""

PROTOCOL: Final = (
    f"nb101.parquet, its first rows, in chunks of {CHUNK} cells: DuckDB to NumPy (ops as codes, not as "
    "texts), PackedCells.from_table (checks every cell), graphs (GraphBatch), arch_ids, costs, and one "
    "Parquet file with edge bits, ops, arch_id, accuracy, params and FLOPs. Every run is a process of its "
    "own that imports everything before the clock starts. peak_mb: largest resident memory of the "
    "process, of which base_mb was there before. objects: how many more small blocks Python holds after a "
    "chunk, its arrays still alive, at most (sys.getallocatedblocks); arch_ids writes its digits through "
    "strings of 8192 cells at a time, which are gone by then. distinct_ids is counted in the file that "
    "was written."
)

_READ: Final = """
SELECT adj_bits::BIGINT AS bits, enum_code(ops::kinds)::BIGINT AS code, cifar10_test_acc_108ep AS acc
FROM read_parquet($path) LIMIT $rows
"""
_WRITE: Final = """
COPY (
    SELECT bits AS adj_bits, code::kinds::VARCHAR AS ops, printf('%016x%08x', high, low) AS arch_id,
        acc AS cifar10_test_acc, params AS cifar10_params, flops AS cifar10_flops
    FROM (SELECT * REPLACE (enum_range(NULL::kinds)[code + 1] AS code) FROM cells)
) TO '{}' (FORMAT parquet, COMPRESSION zstd)
"""


def id_numbers(ids: npt.NDArray[np.str_]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Return hexadecimal arch_ids as two numbers each: the first 16 digits, and the last 8."""
    codes = ids.view(np.uint32).reshape(len(ids), ARCH_ID_LENGTH)
    digits = np.where(codes > ord("9"), codes - (ord("a") - 10), codes - ord("0")).astype(np.uint64)
    halves = []
    for part in (digits[:, :16], digits[:, 16:]):
        number = np.zeros(len(ids), dtype=np.uint64)
        for column in part.T:
            number = number << np.uint64(4) | column
        halves.append(number)
    return halves[0], halves[1]


def convert(table: Path, rows: int, out: Path) -> dict[str, Any]:
    """Convert the first rows of the table, and return what it took."""
    base_mb, before = peak_mb(), sys.getallocatedblocks()
    started = time.perf_counter()
    objects = 0
    with closing(duckdb.connect()) as connection:
        connection.execute("SET preserve_insertion_order = true")
        connection.execute(f"CREATE TYPE kinds AS ENUM (SELECT DISTINCT ops FROM '{table}' ORDER BY ops)")
        [(texts,)] = connection.execute("SELECT enum_range(NULL::kinds)").fetchall()
        kinds = np.array(texts)
        read = connection.execute(_READ, {"path": str(table), "rows": rows}).fetchnumpy()
        numbers = {name: np.zeros(rows, dtype=np.uint64) for name in ("high", "low")}
        counts = {name: np.zeros(rows, dtype=np.int64) for name in ("params", "flops")}
        for start in range(0, rows, CHUNK):
            at = slice(start, min(start + CHUNK, rows))
            cells = PackedCells.from_table(read["bits"][at], kinds[read["code"][at]])
            graphs = cells.graphs()
            ids = arch_ids(graphs, "nasbench101")
            numbers["high"][at], numbers["low"][at] = id_numbers(ids)
            costs = cells.costs()
            counts["params"][at], counts["flops"][at] = costs.params, costs.flops
            objects = max(objects, sys.getallocatedblocks() - before)
        connection.register("cells", {**read, **numbers, **counts})
        connection.execute(_WRITE.format(out))
        objects = max(objects, sys.getallocatedblocks() - before)
    seconds = time.perf_counter() - started
    with closing(duckdb.connect()) as connection:
        [(written, distinct)] = connection.execute(
            f"SELECT count(*), count(DISTINCT arch_id) FROM '{out}'"
        ).fetchall()
    return {
        "seconds": seconds,
        "base_mb": base_mb,
        "peak_mb": peak_mb(),
        "objects": objects,
        "rows": written,
        "distinct_ids": distinct,
        "parquet_mb": out.stat().st_size / 1e6,
    }


def peak_mb() -> float:
    """Return the largest resident memory of this process so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians and maxima of the rounds of one size."""
    seconds = median(run["seconds"] for run in runs)
    rows = runs[0]["rows"]
    return {
        "rows": rows,
        "seconds": round(seconds, 3),
        "us_per_architecture": round(1e6 * seconds / rows, 2),
        "base_mb": round(median(run["base_mb"] for run in runs), 1),
        "peak_mb": round(max(run["peak_mb"] for run in runs), 1),
        "objects": max(run["objects"] for run in runs),
        "distinct_ids": runs[0]["distinct_ids"],
        "parquet_mb": round(runs[0]["parquet_mb"], 2),
    }


def main() -> None:
    """Run all sizes, print the table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/nb101_flat.json")
    arguments = parser.parse_args()
    table = Path(os.environ["ARCHINDEX_DATA"]) / "nb101.parquet"
    runs: dict[int, list[dict[str, Any]]] = {rows: [] for rows in arguments.rows}
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(arguments.rounds):
            for rows, of_size in runs.items():
                with ProcessPoolExecutor(1, mp_context=context) as pool:
                    out = Path(scratch) / "cells.parquet"
                    of_size.append(pool.submit(convert, table, rows, out).result())
    results = [summary(of_size) for of_size in runs.values()]
    print(f"{'rows':>7} {'seconds':>8} {'us each':>8} {'peak MB':>8} {'objects':>8} {'distinct':>9}")
    for one in results:
        print(
            f"{one['rows']:7} {one['seconds']:8.2f} {one['us_per_architecture']:8.2f} {one['peak_mb']:8.1f} "
            f"{one['objects']:8} {one['distinct_ids']:9}"
        )
    ratio = results[-1]["us_per_architecture"] / results[0]["us_per_architecture"]
    print(f"an architecture of the largest size costs {ratio:.2f} times one of the smallest")
    content = {
        "protocol": PROTOCOL,
        "rounds": arguments.rounds,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("archindex", "duckdb", "numpy")},
        },
        "results": results,
        "cost_ratio": round(ratio, 3),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
