"""The grid: searches under filters of every selectivity, near and far, beside single ways and peers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.indexes.choose import choose_engine
from benchmarks.filtered import cells as of_cells
from benchmarks.filtered import sets as of_sets
from benchmarks.filtered.cells import Cell, Conditions, cells, mask_of
from benchmarks.filtered.ours import WAYS, Ours, Way
from benchmarks.filtered.peers import Peer, missing, peers
from benchmarks.filtered.sets import ROWS, Floats, Set, make_set
from benchmarks.filtered.verdict import TARGET, TIMED, summary, verdict

QUERIES: Final = 60
LEAST: Final = 6
WARMING: Final = 3
"""Queries before those that count, with filters of their own."""

SECONDS: Final = 0.6
"""Time for each method in a cell; what takes longer is asked fewer queries, `LEAST` at least."""

TOO_LONG: Final = 0.15
"""Seconds of a query from which a peer is not told to try harder, nor asked again; 3 queries have to do."""

KS: Final = (10, 1, 100)
PARTS: Final = tuple(f"{name}-{k}" for k in KS for name in ROWS if k == 10 or name in ("mixed", "mixture"))
"""Set and k of what can be run for itself."""
WITH_STORES: Final = ("mixed", "mixed_fifth")
"""The sets on which databases take part, at k = 10; a million rows take them an hour to fill."""
WITHOUT_GRAPHS: Final = "isotropic"
"""The set on which graphs take no part."""

QUICK: Final = ("mixture-1", "mixture-100", "isotropic-10", "mixed_fifth-10")

PROTOCOL: Final = (
    f"{of_sets.PROTOCOL} {of_cells.PROTOCOL} k = 10; mixed and mixture also 1 and 100. recall: share of "
    "the answers within the true k-th distance. ms: median wall time of a query, one thread, called from "
    "Python, from the text of the filter (ours) or the filter in the peer's own form to the distances "
    "found. All methods take turns query by query, in a random order, so that each finds the processor's "
    "caches full of the others' data; 'ms in a row': each method is asked one query after the other, as a "
    "search loop and ANN-Benchmarks do (half of the queries, later the other half). "
    "Who takes long is asked fewer of the 60 queries (about .6 s in all, 6 at least, 3 from .15 s on). No "
    "filter is asked twice of one index. Ours: the planner at its levels, "
    "and each way forced, filters of its own for each. Peers: the mask by NumPy over the columns, then "
    "all rows that are let through (exact), faiss HNSW (M 16, efConstruction 200) or IVF with a bitmap, "
    "hnswlib (same graph) with a call back, no graphs on isotropic; on mixed (k = 10) and mixed_fifth also "
    "qdrant (in the process), LanceDB (IVF_FLAT) and pgvector (HNSW, iterative scan, or without it), "
    "with an index of every column. Each peer runs with the cheapest of its settings that reaches .95 in "
    "the cell, and with the cheapest that reaches the recall of the planner at balanced; with its best if "
    "none does. Verdicts, one for each kind of ms: 'ratio' and 'more us' compare the planner at balanced "
    "with the fastest way forced or peer that reaches .95."
)


@dataclass
class Measured:
    """What a method with a setting did in a cell."""

    method: str
    setting: str
    ask: Callable[[int], Floats | npt.NDArray[np.floating]]
    ready: Callable[[], None]
    recalls: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    in_a_row: list[float] = field(default_factory=list)

    def run(self, query: int, truth: Truth) -> None:
        """Ask one query."""
        self.ready()
        started = time.perf_counter()
        distances = self.ask(query)
        self.seconds.append(time.perf_counter() - started)
        self.recalls.append(truth.recall(query, distances))

    def run_all(self, queries: Iterable[int]) -> None:
        """Ask one query after the other."""
        self.ready()
        for query in queries:
            started = time.perf_counter()
            self.ask(query)
            self.in_a_row.append(time.perf_counter() - started)

    @property
    def recall(self) -> float:
        """Mean over queries."""
        return float(np.mean(self.recalls))

    @property
    def median(self) -> float:
        """Seconds of a query."""
        return float(np.median(self.seconds))


class Truth:
    """Distances from the queries to all rows, and for those of a cell the k-th among the rows let through."""

    def __init__(self, one: Set, queries: int) -> None:
        self._one = one
        self._away = np.empty((queries, len(one.vectors)), dtype=np.float32)
        for start in range(0, len(one.vectors), 20_000):
            part = one.vectors[start : start + 20_000]
            for i in range(queries):
                gap = part - one.queries[i]
                self._away[i, start : start + 20_000] = np.einsum("ij,ij->i", gap, gap)

    def under(self, conditions: Sequence[Conditions], k: int) -> None:
        """Find what is true under the conditions of each query."""
        self._reach, self._exist = [], []
        for away, wanted in zip(self._away, conditions, strict=False):
            mask = mask_of(self._one.columns, wanted)
            among = away if mask is None else away[mask]
            exist = min(k, len(among))
            self._reach.append(float(np.sqrt(np.partition(among, exist - 1)[exist - 1])))
            self._exist.append(exist)

    def recall(self, query: int, distances: npt.NDArray[np.floating]) -> float:
        """Return the share of the true neighbours that was found; ties count."""
        within = (distances <= self._reach[query] * (1 + 1e-5) + 1e-7).sum()
        return float(min(1.0, within / self._exist[query]))


def measure(data: Path, quick: bool, parts: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return a row for each set, k, cell and method, then what follows from them; for some of `PARTS`."""
    parts = parts or (QUICK if quick else PARTS)
    rows: list[dict[str, Any]] = []
    verdicts: list[dict[str, Any]] = []
    noticed: list[dict[str, Any]] = []
    for name in ROWS:
        ks = [k for k in KS if f"{name}-{k}" in parts]
        if not ks:
            continue
        one = make_set(name, data, quick=quick)
        ours, truth = Ours.over(one), Truth(one, LEAST if quick else QUERIES)
        stores = name in WITH_STORES and 10 in ks
        others = list(peers(one, stores=stores, graphs=name != WITHOUT_GRAPHS))
        if missing() and stores:
            print(f"not installed: {', '.join(missing())}", flush=True)
        for k in ks:
            for cell in cells(one):
                asked = [peer for peer in others if k == 10 or not peer.stores]
                found = _cell(one, cell, k, ours, asked, truth, LEAST if quick else QUERIES)
                rows += found
                for timed in TIMED:
                    verdicts.append(verdict(found, timed))
                    print(" ".join(f"{key} {value}" for key, value in verdicts[-1].items()), flush=True)
        for peer in others:
            peer.close()
        noticed.append(_noticed(one, ours))
    return [*rows, *verdicts, *summary(verdicts), *noticed]


def part_of(row: dict[str, Any]) -> str:
    """Return which of `PARTS` a row belongs to."""
    return f"{row['set']}-{row.get('k', 10)}"


def _noticed(one: Set, ours: Ours) -> dict[str, Any]:
    """Return what the index says of the vectors."""
    n, dim = one.vectors.shape
    lies = ours.intrinsic_dimension
    choice = choose_engine(n, dim, intrinsic_dimension=lies)
    return {"set": one.name, "rows": n, "intrinsic dimension": round(lies, 1), "engine": choice.reason}


def _cell(
    one: Set, cell: Cell, k: int, ours: Ours, others: list[Peer], truth: Truth, queries: int
) -> list[dict[str, Any]]:
    conditions = [cell.conditions(i) for i in range(queries + WARMING)]
    truth.under(conditions, k)
    tried = [_way(one, ours, name, k, conditions) for name in WAYS]
    for method in tried:
        _ask_all(method, truth, queries, 2 * SECONDS)
    level = next(method.recall for method in tried if method.method == "planner balanced")
    chosen = [_warm(one, ours, name, k, conditions) for name in WAYS]
    medians = {id(new): old.median for new, old in zip(chosen, tried, strict=True)}
    own = set(medians)
    for peer in others:
        for method in _settings(one, peer, k, conditions, truth, queries, level):
            medians[id(method)] = method.median
            if method.median <= TOO_LONG:
                method.recalls, method.seconds = [], []
            chosen.append(method)
    times = {
        key: int(np.clip(SECONDS / median, LEAST, queries)) if median <= TOO_LONG or key in own else 0
        for key, median in medians.items()
    }
    for query in range(queries):
        # In another order each time: whoever comes first finds nothing in the processor's cache.
        for i in np.random.default_rng(query).permutation(len(chosen)):
            if query < times[id(chosen[i])]:
                chosen[i].run(query, truth)
    for i, method in enumerate(chosen[: len(WAYS)]):
        # Filters that have not seen these queries.
        method.ask = _warm(one, ours, list(WAYS)[i], k, conditions).ask
    for half in range(2):
        for i in np.random.default_rng(half).permutation(len(chosen)):
            chosen[i].run_all(range(half, max(2, times[id(chosen[i])]), 2))
    return [
        {
            "set": one.name,
            "k": k,
            "cell": cell.name,
            "method": method.method,
            "with": method.setting,
            "queries": len(method.recalls),
            "recall": round(method.recall, 4),
            "ms": round(1e3 * method.median, 3),
            "ms in a row": round(1e3 * float(np.median(method.in_a_row)), 3),
        }
        for method in chosen
    ]


def _way(one: Set, ours: Ours, name: str, k: int, conditions: list[Conditions]) -> Measured:
    way = Way(name, ours)
    filters = [way.prepare(wanted) for wanted in conditions]
    return Measured(name, "", lambda i: way.search(one.queries[i], k, filters[i]), lambda: None)


def _warm(one: Set, ours: Ours, name: str, k: int, conditions: list[Conditions]) -> Measured:
    method = _way(one, ours, name, k, conditions)
    for query in range(len(conditions) - WARMING, len(conditions)):
        method.ask(query)
    return method


def _ask_all(method: Measured, truth: Truth, queries: int, seconds: float) -> None:
    """Ask as many queries as there is time for, `LEAST` at least."""
    for query in range(queries):
        method.run(query, truth)
        least = LEAST if method.median <= TOO_LONG else 3
        if len(method.seconds) >= least and sum(method.seconds) > seconds:
            break


def _settings(
    one: Set, peer: Peer, k: int, conditions: list[Conditions], truth: Truth, queries: int, level: float
) -> Iterator[Measured]:
    """Yield a peer at the cheapest setting that reaches `TARGET`, and at that which reaches `level`."""
    filters = [peer.prepare(wanted) for wanted in conditions]
    tried: list[Measured] = []
    for setting in peer.settings:
        method = Measured(
            peer.name,
            str(setting),
            lambda i: peer.search(one.queries[i], k, filters[i]),
            lambda setting=setting: peer.tune(setting),  # type: ignore[misc]
        )
        _ask_all(method, truth, queries, SECONDS)
        tried.append(method)
        if method.recall >= max(TARGET, level) or (method.median > TOO_LONG and setting != "exact"):
            break
    best = max(tried, key=lambda m: m.recall)
    first = [
        min((m for m in tried if m.recall >= wanted), key=lambda m: m.median, default=best)
        for wanted in (TARGET, level)
    ]
    yield from {id(method): method for method in first}.values()
