"""Insertion order: what an engine finds must not depend on the order in which rows came."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.encoders import make_encoder
from archindex.indexes import ENGINES, make_index
from archindex.indexes._faiss import faiss
from archindex.spaces.base import Enumerable
from archindex.spaces.registry import space
from benchmarks.filtered.engines import nasbench101

K: Final = 10
QUERIES: Final = 500
NEIGHBOURS: Final = 20

WHOLE: Final = ("nasbench201",)
DRAWN: Final = ("darts", "nasnet", "fbnet", "mobilenetv3", "nasbench_graph")
EACH: Final = 6_000
CELLS: Final = 20_000
"""Cells of NAS-Bench-101."""

PROTOCOL: Final = (
    "Vectors of the encoder universal (64 dimensions): all 15,625 of nasbench201 (5,425 distinct), 20,000 of "
    "nasbench101, 6,000 drawn from each of darts, nasnet, fbnet, mobilenetv3 and nasbench_graph. Orders: "
    "space by space; by local intrinsic dimension (20 neighbours) rising and falling; random. Every engine "
    "with its default parameters, built in one call, and, if it learns from the rows, 'add': the first tenth "
    "built, the rest added in eighteen batches. Recall@10 by value against exact search, 500 rows as "
    "queries. spread: greatest less least recall over the orders, in points. Seeds 0."
)

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Return a row for each engine and way of filling it, with the recall of each order."""
    faiss.omp_set_num_threads(1)
    vectors, spaces = mixed_set(data, quick)
    rng = np.random.default_rng(0)
    queries = vectors[rng.permutation(len(vectors))[: 100 if quick else QUERIES]]
    exact = make_index("exact", vectors.shape[1])
    exact.build(vectors, np.arange(len(vectors)))
    reach = exact.search(queries, K).distances[:, -1:] * (1 + 1e-5) + 1e-6
    lies = dimensions(vectors)
    orders = {
        "space by space": np.argsort(spaces, kind="stable"),
        "dimension up": np.argsort(lies, kind="stable"),
        "dimension down": np.argsort(-lies, kind="stable"),
        "random": rng.permutation(len(vectors)),
    }
    rows = []
    for name in ENGINES:
        # What learns nothing from the rows at first takes them one by one anyhow.
        for way in ("build",) if name in ("exact", "hnsw") else ("build", "add"):
            started = time.process_time()
            found = {
                order: round(_recall(name, way, vectors, at, queries, reach), 4)
                for order, at in orders.items()
            }
            spread = round(100 * (max(found.values()) - min(found.values())), 2)
            seconds = round(time.process_time() - started, 1)
            rows.append(
                {"engine": name, "filled by": way, "rows": len(vectors), **found, "spread": spread}
                | {"cpu_s": seconds}
            )
            print(rows[-1], flush=True)
    return rows


def mixed_set(data: Path, quick: bool) -> tuple[Floats, Ints]:
    """Return vectors float32 (n, 64) of several spaces, space by space, and the number of each row's."""
    encoder, parts = make_encoder("universal"), [nasbench101(data, 1_000 if quick else CELLS)]
    for name in (*WHOLE, *DRAWN):
        one = space(name)
        if name in WHOLE:
            assert isinstance(one, Enumerable)
            natives = [architecture.native for architecture in one.enumerate()]
            natives = natives[::20] if quick else natives
        else:
            natives = [architecture.native for architecture in one.sample(300 if quick else EACH, 0)]
        parts.append(encoder.encode(one.graphs(natives)))
    numbers = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return np.concatenate(parts).astype(np.float32), numbers


def dimensions(vectors: Floats) -> npt.NDArray[np.float64]:
    """Return the local intrinsic dimension of each row by its neighbours (Levina and Bickel, 2004)."""
    index = make_index("ivf", vectors.shape[1])
    index.build(vectors, np.arange(len(vectors)))
    away = index.search(vectors, NEIGHBOURS + 1).distances[:, 1:].astype(np.float64)
    apart = np.maximum(away, 1e-9)
    logs = np.log(apart[:, -1:] / apart[:, :-1]).mean(axis=1)
    found: npt.NDArray[np.float64] = 1 / np.maximum(logs, 1e-3)
    return found


def _recall(name: str, way: str, vectors: Floats, order: Ints, queries: Floats, reach: Floats) -> float:
    index = make_index(name, vectors.shape[1])
    first = len(order) if way == "build" else len(order) // 10
    index.build(vectors[order[:first]], order[:first])
    if way == "add":
        for part in np.array_split(order[first:], 18):
            index.add(vectors[part], part)
    return float((index.search(queries, K).distances <= reach).mean())
