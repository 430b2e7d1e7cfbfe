"""SPANN at ten million rows: memory, recall and time, beside IVF-PQ in memory; and what each part is for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.indexes import make_index
from archindex.indexes._faiss import faiss
from benchmarks.filtered.disk_data import write_vectors
from benchmarks.filtered.disk_search import K

ROWS: Final = 10_000_000
FEWER: Final = 1_000_000
"""Rows of the ablations: so many indexes of ten million would take hours."""

REAL: Final = {"nasbench101": 423_624, "darts": 1_500_000, "nasnet": 1_200_000}
"""Architectures that are embedded, of each space."""

QUERIES: Final = 500

SETTINGS: Final = ("16/100", "32/100", "64/60", "64/100", "64/None", "128/100", "256/100")
"""Lists read at most, and percent by which they may be farther than the nearest; see the engine spann."""

VARIANTS: Final[dict[str, dict[str, int]]] = {
    "SPANN": {},
    "closure off": {"copies": 1},
    "prefix of 16": {"prefix": 16, "rerank": 10},
    "prefix of 32": {"prefix": 32, "rerank": 6},
    "quantisation off": {"bits": 32},
}

PEERS: Final = ("IVF4096,PQ16", "OPQ16,IVF4096,PQ16")
PROBES: Final = ("8", "32", "128")

PROTOCOL: Final = (
    "Vectors: 10,000,000 x 64 in a random order: embeddings by the encoder universal of 3,123,624 "
    "architectures (all 423,624 cells of NAS-Bench-101; 1,500,000 of DARTS and 1,200,000 of NASNet's "
    "space: 50 draws of ops on each wiring drawn), and blocks of 500,000 of the 10-dimensional mixture of "
    "the section grid. Queries: 500 rows of the set, half of them embeddings; k = 10. recall: share of "
    "the true ten, found by comparing all rows, or of rows equally near. Each index is opened in a fresh "
    "process that does nothing else. bytes a row: resident bytes of that process after all searches, less "
    "those before it opened the index (all modules imported), divided by the rows; whole: without the "
    "subtraction. p50, p99: wall time of a query called from Python, one thread, page cache warm; cpu: "
    "time of the processor alone. cold p50: of 100 queries, before each of which the pages of the files "
    "were dropped from the cache of this machine (not from that of its host). reads: calls of preadv. "
    "Setting: lists read at most / percent by which a list may be farther than the nearest (None: pruning "
    "off); for the peers nprobe. Peers: faiss, all in memory, k-means of 10 rounds on 200,000 rows. "
    "Ablations: the first 1,000,000 rows of the set. Seeds 0. Times were taken on a machine with other "
    "work on it."
)

Floats = npt.NDArray[np.float32]


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Return a row for each index and setting.

    Vectors and indexes stay in the folder ``ARCHINDEX_WORK``, if it is set, and are not made again.
    """
    rows, fewer = (4_000, 2_000) if quick else (ROWS, FEWER)
    real = {"nasbench101": 1_000, "darts": 500, "nasnet": 500} if quick else REAL
    with ExitStack() as stack:
        work = os.environ.get("ARCHINDEX_WORK", "")
        if quick or not work:
            work = stack.enter_context(tempfile.TemporaryDirectory())
        folder = Path(work)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"vectors-{rows}.npy"
        kinds = write_vectors(file, data, real, rows)
        vectors, is_real = np.load(file, mmap_mode="r"), np.load(kinds)
        found = []
        for n, variants, peers in (
            (rows, ["SPANN"], PEERS[:1]),
            (fewer, list(VARIANTS), () if quick else PEERS),
        ):
            case = _Case(folder, vectors[:n], is_real[:n], quick)
            for name in variants:
                found += case.spann(name)
            for name in peers:
                found += case.peer(name)
    return found


class _Case:
    """Some rows, their queries, and the truth."""

    def __init__(self, folder: Path, vectors: Floats, is_real: npt.NDArray[np.bool_], quick: bool) -> None:
        self._folder, self._vectors, self._quick = folder, vectors, quick
        rng, count = np.random.default_rng(3), 40 if quick else QUERIES
        self._chosen = np.concatenate(
            [rng.choice(np.flatnonzero(kind), count // 2, replace=False) for kind in (is_real, ~is_real)]
        )
        self._queries = folder / f"queries-{len(vectors)}.npy"
        np.save(self._queries, vectors[self._chosen])
        self._reach = self._truth(folder / f"truth-{len(vectors)}.npy")

    def _truth(self, file: Path) -> npt.NDArray[np.float64]:
        """Return the distance of each query to its k-th neighbour; float64[m]."""
        if file.exists():
            kept: npt.NDArray[np.float64] = np.load(file)
            return kept
        queries, step = np.load(self._queries), 500_000
        best = np.full((len(queries), K), np.inf)
        for start in range(0, len(self._vectors), step):
            block = np.ascontiguousarray(self._vectors[start : start + step])
            # More than k, because products lose digits; what is kept is measured by difference.
            _, near = faiss.knn(queries, block, min(3 * K, len(block)))
            gap = block[near].astype(np.float64) - queries[:, None]
            best = np.sort(np.concatenate([best, np.sqrt((gap**2).sum(axis=2))], axis=1), axis=1)[:, :K]
        np.save(file, best[:, -1])
        return best[:, -1]

    def spann(self, name: str) -> list[dict[str, Any]]:
        """Build, unless it is there, and measure."""
        folder = self._folder / f"{name.replace(' ', '-')}-{len(self._vectors)}"
        note = folder / "seconds.json"
        if not note.exists():
            index, started = make_index("spann", 64, "l2", 0, **VARIANTS[name]), time.perf_counter()
            index.build(self._vectors, np.arange(len(self._vectors)))
            index.save(folder)
            note.write_text(json.dumps(round(time.perf_counter() - started)))
        settings = SETTINGS[:2] if self._quick else SETTINGS
        size = sum(file.stat().st_size for file in folder.iterdir())
        return self._measured(name, "spann", folder, settings, json.loads(note.read_text()), size)

    def peer(self, name: str) -> list[dict[str, Any]]:
        """Build, unless it is there, and measure."""
        name = name.replace("4096", "16") if self._quick else name
        file = self._folder / f"{name.replace(',', '-')}-{len(self._vectors)}.faiss"
        note = file.with_suffix(".json")
        if not note.exists():
            index, started = faiss.index_factory(64, name), time.perf_counter()
            lists = faiss.downcast_index(faiss.extract_index_ivf(index))
            lists.cp.min_points_per_centroid, lists.cp.niter = 1, 10
            lists.do_polysemous_training = False  # for a kind of search that is not used here
            # Not the seed of the rows' order: its first rows would be those of one space.
            some = np.random.default_rng(4).permutation(len(self._vectors))[:200_000]
            index.train(np.ascontiguousarray(self._vectors[np.sort(some)]))
            for start in range(0, len(self._vectors), 500_000):
                index.add(np.ascontiguousarray(self._vectors[start : start + 500_000]))
            faiss.write_index(index, str(file))
            note.write_text(json.dumps(round(time.perf_counter() - started)))
        settings = PROBES[:2] if self._quick else PROBES
        return self._measured(
            name, "faiss", file, settings, json.loads(note.read_text()), file.stat().st_size
        )

    def _measured(
        self, name: str, kind: str, path: Path, settings: tuple[str, ...], seconds: int, size: int
    ) -> list[dict[str, Any]]:
        command = [
            sys.executable,
            "-m",
            "benchmarks.filtered.disk_search",
            kind,
            str(path),
            str(self._queries),
        ]
        done = subprocess.run([*command, *settings], check=True, capture_output=True, text=True)
        answer, n = json.loads(done.stdout), len(self._vectors)
        rows = []
        for one in answer["settings"]:
            hits = self._hits(np.array(one["ids"]))
            rows.append(
                {
                    "rows": n,
                    "index": name,
                    "setting": one["setting"],
                    "recall": round(float(hits.mean()), 4),
                    "of embeddings": round(float(hits[: len(hits) // 2].mean()), 4),
                    "of the mixture": round(float(hits[len(hits) // 2 :].mean()), 4),
                    "p50 ms": one["ms"][0],
                    "p99 ms": one["ms"][1],
                    "cpu p50": one["cpu_ms"][0],
                    "cpu p99": one["cpu_ms"][1],
                    "cold p50 ms": one.get("cold_ms"),
                    "reads": one.get("reads"),
                    "KB read": one.get("kb"),
                    "bytes a row": round((answer["searched"] - answer["before"]) / n, 2),
                    "whole": round(answer["searched"] / n, 2),
                    "on disk": round(size / n),
                    "build s": seconds,
                    "open s": answer["open_s"],
                }
            )
            print(rows[-1], flush=True)
        return rows

    def _hits(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the recall of each query."""
        found = self._vectors[ids.ravel()].reshape(*ids.shape, -1).astype(np.float64)
        away = np.sqrt(((found - self._vectors[self._chosen][:, None]) ** 2).sum(axis=2))
        near = (away <= self._reach[:, None] * (1 + 1e-6) + 1e-9) & (ids >= 0)
        share: npt.NDArray[np.float64] = near.sum(axis=1) / K
        return share
