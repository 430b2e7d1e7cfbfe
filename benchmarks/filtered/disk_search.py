"""Open one saved index in a process of its own, search it, and print what that took as JSON.

Run by `benchmarks.filtered.disk` with KIND, PATH, QUERIES and any number of SETTING as arguments.
KIND is ``spann`` (a folder) or ``faiss`` (a file), QUERIES an .npy of float32[m, dim], SETTING the lists to
read and, for spann, the slack: ``64/100``, ``64/None``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

K: Final = 10
COLD: Final = 100
"""Queries that are also searched with nothing of the files in the page cache."""

Ids = npt.NDArray[np.int64]


def resident() -> int:
    """Return the bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main(kind: str, path: Path, queries: npt.NDArray[np.float32], settings: list[str]) -> dict[str, Any]:
    """Return resident bytes before, after opening and after searching; and for each setting what it found."""
    # All modules first: what they take is not the index's.
    search: Callable[[npt.NDArray[np.float32]], Ids]
    if kind == "faiss":
        from archindex.indexes._faiss import faiss

        faiss.omp_set_num_threads(1)
        before = resident()
        started = time.perf_counter()
        whole = faiss.read_index(str(path))
        lists = faiss.extract_index_ivf(whole)
    else:
        from archindex.indexes.spann import SpannIndex

        before = resident()
        started = time.perf_counter()
        index = SpannIndex.load(path)
    opened = time.perf_counter() - started
    found: dict[str, Any] = {
        "before": before,
        "opened": resident(),
        "open_s": round(opened, 2),
        "settings": [],
    }
    for setting in settings:
        probes, _, slack = setting.partition("/")
        if kind == "faiss":
            lists.nprobe = int(probes)

            def search(query: npt.NDArray[np.float32]) -> Ids:
                ids: Ids = whole.search(query[None], K)[1][0]
                return ids

            rows: dict[str, Any] = {}
        else:
            index.effort = int(probes)
            index.slack = None if slack == "None" else int(slack)

            def search(query: npt.NDArray[np.float32]) -> Ids:
                ids: Ids = index.search(query, K).ids[0]
                return ids

            first = index.files_read()
            for query in queries:
                search(query)
            calls, size = (b - a for a, b in zip(first, index.files_read(), strict=True))
            rows = {"reads": round(calls / len(queries), 1), "kb": round(size / len(queries) / 1e3, 1)}
            rows["cold_ms"] = _cold(path, search, queries[:COLD])
        for query in queries[:20] if kind == "faiss" else queries:
            search(query)
        answers, spent = [], []
        for query in queries:
            start = time.perf_counter(), time.thread_time()
            ids = search(query)
            spent.append((time.perf_counter() - start[0], time.thread_time() - start[1]))
            answers.append(ids.tolist())
        rows |= {"setting": setting, "ids": answers}
        for name, part in zip(("ms", "cpu_ms"), np.array(spent).T, strict=True):
            rows[name] = [round(1e3 * value, 3) for value in np.quantile(part, [0.5, 0.99]).tolist()]
        found["settings"].append(rows)
    return found | {"searched": resident()}


def _cold(folder: Path, search: Callable[..., Ids], queries: npt.NDArray[np.float32]) -> float | None:
    """Return the median ms of queries before each of which the files were dropped from the page cache."""
    if not hasattr(os, "posix_fadvise"):
        return None
    files = [os.open(file, os.O_RDONLY) for file in folder.glob("*.bin")]
    seconds = []
    for query in queries:
        for file in files:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        start = time.perf_counter()
        search(query)
        seconds.append(1e3 * (time.perf_counter() - start))
    for file in files:
        os.close(file)
    return round(float(np.median(seconds)), 3)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), np.load(sys.argv[3]), sys.argv[4:])))
