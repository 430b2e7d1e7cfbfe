"""Engines: what each takes to build and hold, what it finds how fast, beside faiss and hnswlib alone."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt

from archindex.core.recall import LEVELS
from archindex.encoders import make_encoder
from archindex.indexes import ENGINES, VectorIndex, load_index, make_index
from archindex.indexes._faiss import faiss
from archindex.indexes.base import MemoryPlanned, Tunable
from archindex.spaces.nasbench101_cells import PackedCells
from archindex.spaces.registry import space

K: Final = 10
QUERIES: Final = 100
ROWS: Final = {"nasbench101": 423_624, "isotropic": 200_000}

PROTOCOL: Final = (
    "Sets: nasbench101, all 423,624 cells as vectors of the encoder universal (64 dimensions); isotropic, "
    "200,000 x 64 normal, local intrinsic dimension about 39. Every engine with its default parameters, "
    "built by one thread, saved and loaded. build_cpu_s: CPU time of build. MB: memory_bytes after loading "
    "(not the full vectors that quantised engines map from their file); planned_MB: expected_memory before "
    "building. For each level: the least effort of the engine that reaches its recall (or the greatest "
    "effort, if none does), recall@10 by value against exact search, median CPU time of one query, called "
    "from Python, one thread; alone_ms: the same search asked of hnswlib or faiss directly, on the same "
    "graph or lists, with the same effort and as many candidates (re-ranked by faiss's IndexRefineFlat over "
    "float32 vectors in memory), squared distances and labels taken as they come. Both in turn, query by "
    "query, after a round that is not counted. Queries: 100 rows of the set. k = 10. Seeds 0."
)

Floats = npt.NDArray[np.float32]
Search = Callable[[Floats], object]


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Return rows for each set, engine and level."""
    faiss.omp_set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for name, vectors in sets(data, quick):
        queries = vectors[np.random.default_rng(0).permutation(len(vectors))[: 20 if quick else QUERIES]]
        exact = make_index("exact", vectors.shape[1])
        exact.build(vectors, np.arange(len(vectors)))
        reach = exact.search(queries, K).distances[:, -1:] * (1 + 1e-5) + 1e-6
        for engine in ENGINES:
            if engine == "spann":  # on disk, and measured for itself
                continue
            rows += _engine(name, engine, vectors, queries, reach)
            print(*rows[-4:], sep="\n", flush=True)
    return rows


def sets(data: Path, quick: bool) -> Iterator[tuple[str, Floats]]:
    """Yield the sets by name; small ones where `quick`."""
    for name, n in ROWS.items():
        n = 3_000 if quick else n
        if name == "nasbench101":
            yield name, nasbench101(data, n)
        else:
            yield name, np.random.default_rng(0).normal(size=(n, 64)).astype(np.float32)


def nasbench101(data: Path, n: int) -> Floats:
    """Return n random cells of NAS-Bench-101 as the encoder universal sees them; float32 (n, 64)."""
    rows = duckdb.read_parquet(str(data / "nb101.parquet")).fetchnumpy()
    some = np.sort(np.random.default_rng(0).permutation(len(rows["ops"]))[:n])
    natives = PackedCells.from_table(rows["adj_bits"][some], rows["ops"][some].astype(str)).natives()
    found: Floats = make_encoder("universal").encode(space("nasbench101").graphs(natives))
    return found


def _engine(one: str, name: str, vectors: Floats, queries: Floats, reach: Floats) -> Iterator[dict[str, Any]]:
    n, dim = vectors.shape
    made = make_index(name, dim)
    assert isinstance(made, MemoryPlanned)
    planned = made.expected_memory(n)
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "v.npy", vectors)
        started = time.process_time()
        made.build(np.load(Path(folder) / "v.npy", mmap_mode="r"), np.arange(n))
        took = time.process_time() - started
        made.save(Path(folder) / "saved")
        index = load_index(Path(folder) / "saved")
        for level, effort, recall in _levels(index, queries, reach):
            ours, alone = _times(index, queries, _alone(index, vectors))
            yield {
                "set": one,
                "rows": n,
                "engine": name,
                "build_cpu_s": round(took, 1),
                "MB": round(index.memory_bytes() / 1e6, 1),
                "planned_MB": round(planned / 1e6, 1),
                "level": level,
                "effort": effort,
                "recall": round(recall, 4),
                "ms": round(ours, 3),
                "alone_ms": None if alone is None else round(alone, 3),
            }


def _levels(index: VectorIndex, queries: Floats, reach: Floats) -> Iterator[tuple[str, int | None, float]]:
    """Set the effort that each level needs, one after the other, and yield it with the recall."""
    if not isinstance(index, Tunable):
        yield "all", None, _recall(index, queries, reach)
        return
    efforts = list(index.efforts)
    for level, target in LEVELS.items():
        while True:
            index.effort = efforts[0]
            recall = _recall(index, queries, reach)
            if recall >= target or len(efforts) == 1:
                break
            efforts.pop(0)
        yield level, efforts[0], recall


def _recall(index: VectorIndex, queries: Floats, reach: Floats) -> float:
    return float((index.search(queries, K).distances <= reach).mean())


def _times(index: VectorIndex, queries: Floats, alone: Search | None) -> tuple[float, float | None]:
    """Return the median CPU milliseconds of one query, ours and theirs in turn."""
    ways: list[Search] = [lambda query: index.search(query, K)] + ([] if alone is None else [alone])
    seconds = np.empty((2, len(queries), len(ways)))
    for turn in range(2):
        for number, query in enumerate(queries):
            for way, search in enumerate(ways):
                started = time.thread_time()
                search(query[None])
                seconds[turn, number, way] = time.thread_time() - started
    found = 1e3 * np.median(seconds[1], axis=0)
    return float(found[0]), float(found[1]) if len(ways) > 1 else None


def _alone(index: Any, vectors: Floats) -> Search | None:
    """Return the library's own search on the structure that an engine of ours holds, at its effort."""
    if index.name == "hnsw":
        # With the same candidates, of which there are never fewer than twice k.
        index._graph.set_ef(max(index.effort, 2 * K))
        return lambda query: index._graph.knn_query(query, K)
    if not index.name.startswith("ivf"):
        return None
    # Lists of average length are many enough to need no second round of probing.
    probes = faiss.SearchParametersIVF(nprobe=min(index.effort, int(index._engine.nlist)))
    if index.name == "ivf":
        return lambda query: index._engine.search(query, K, params=probes)
    coded = np.ascontiguousarray(index._coded(vectors))
    full = faiss.IndexFlatL2(coded.shape[1])
    full.add(coded)
    refined = faiss.IndexRefine(index._engine, full)
    factor = index._candidates(K) / K
    asked = faiss.IndexRefineSearchParameters(k_factor=factor, base_index_params=probes)

    def search(query: Floats) -> object:
        _ = full  # held as long as the search
        return refined.search(index._coded(query), K, params=asked)

    return search
