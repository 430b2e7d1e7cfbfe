"""How many architectures are encoded a second, beside the same network in a plain torch-geometric loop."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import duckdb
import numpy as np
import torch

from archindex.core.batch import GraphBatch
from archindex.core.canonical import reduce_batch
from archindex.encoders.gin_model import GINModel, GraphTensors
from archindex.encoders.universal import UniversalEncoder
from archindex.spaces.nasbench101_cells import PackedCells

PROTOCOL: Final = (
    "NAS-Bench-101, the encoder `universal` (64 dimensions, 4 + 4 layers, width 64). archindex: "
    "Encoder.encode of packed batches, reduction to functional DAGs included, all 423,624 cells. torch- "
    "geometric: the same network and weights, layer by layer with MessagePassing, Data objects in a "
    "DataLoader of batch 1024, no_grad, workers 0 and 2 (the better counts), on 40,000 cells drawn with "
    "seed 0. 'prebuilt': the loop is given its Data objects, features computed; 'packed': it starts "
    "from the packed arrays and builds them. Both sides may use two cores: torch by two threads, archindex "
    "by encoding two parts of the batch at a time. Runs of both sides take turns; medians of 3. Vectors of "
    "both sides are compared by value."
)
BATCH: Final = 1024
DRAWN: Final = 40_000
RUNS: Final = 3


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Return one row for each way; seconds are wall time."""
    torch.set_num_threads(2)
    start = time.perf_counter()
    rows = duckdb.execute(f"SELECT adj_bits, ops FROM '{data / 'nb101.parquet'}' ORDER BY hash").fetchnumpy()
    chosen = np.random.default_rng(0).permutation(len(rows["ops"]))[: 2_000 if quick else DRAWN]
    every = slice(0, 4_000) if quick else slice(None)
    batch = PackedCells.from_table(rows["adj_bits"][every], rows["ops"][every].astype(str)).graphs()
    sample = PackedCells.from_table(rows["adj_bits"][chosen], rows["ops"][chosen].astype(str)).graphs()
    reading = time.perf_counter() - start
    encoder = UniversalEncoder()
    model = encoder.model()
    prebuilt = data_objects(sample)
    gc.collect()
    gc.freeze()  # 40,000 objects would be looked at again and again, in the runs of both sides

    timed: dict[str, list[float]] = {}

    def clock(name: str, graphs: int, work: Callable[[], Any]) -> Any:
        begin = time.perf_counter()
        result = work()
        timed.setdefault(name, []).append(graphs / (time.perf_counter() - begin))
        return result

    for _ in range(1 if quick else RUNS):
        clock("archindex", len(batch), partial(encoder.encode, batch))
        ours = encoder.encode(sample)
        for workers in (0,) if quick else (0, 2):
            name = f"{workers} workers"
            run = partial(loop, model, workers=workers)
            theirs = clock(f"torch-geometric, prebuilt, {name}", len(sample), partial(run, prebuilt))
            clock(f"torch-geometric, packed, {name}", len(sample), partial(from_packed, run, sample))
    rate = {name: median(values) for name, values in timed.items()}
    worst = float(np.abs(ours - theirs).max())
    result = [
        {
            "way": name,
            "graphs": len(batch) if name == "archindex" else len(sample),
            "archs_per_second": round(value),
            "ratio": round(rate["archindex"] / value, 2),
            "parquet_to_vectors_s": round(reading + len(batch) / value, 1) if name == "archindex" else "",
        }
        for name, value in rate.items()
    ]
    for kind in ("prebuilt", "packed"):
        best = max(value for name, value in rate.items() if kind in name)
        result.append(
            {"against": kind, "ratio": round(rate["archindex"] / best, 2), "largest_difference": worst}
        )
    return result


def data_objects(batch: GraphBatch) -> list[Any]:
    """Return the graphs as torch-geometric Data objects, features computed."""
    from torch_geometric.data import Data

    reduced = reduce_batch(batch)
    all_of = GraphTensors.of(reduced)
    objects = []
    for i in range(len(reduced)):
        nodes = slice(reduced.node_ptr[i], reduced.node_ptr[i + 1])
        edges = slice(reduced.edge_ptr[i], reduced.edge_ptr[i + 1])
        objects.append(
            Data(
                x=all_of.x[nodes],
                edge_index=all_of.along[:, edges] - int(reduced.node_ptr[i]),
                port=all_of.port[edges],
                position=all_of.position[nodes],
                first=all_of.first[nodes],
                last=all_of.last[nodes],
            )
        )
    return objects


def from_packed(run: Callable[[list[Any]], Any], batch: GraphBatch) -> Any:
    """Build the Data objects, then run."""
    return run(data_objects(batch))


def loop(model: GINModel, objects: list[Any], workers: int) -> np.ndarray[Any, Any]:
    """Run the network over Data objects as one would write it."""
    from torch_geometric.loader import DataLoader

    found = []
    with torch.no_grad():
        for b in DataLoader(objects, batch_size=BATCH, num_workers=workers):
            graphs = GraphTensors(
                b.x, b.position, b.edge_index, b.port, b.batch, b.first, b.last, int(b.num_graphs)
            )
            found.append(model(graphs).numpy())
    return np.vstack(found)
