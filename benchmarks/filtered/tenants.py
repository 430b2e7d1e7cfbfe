"""Many tenants in one index: what a tenant's search costs beside an index of its rows alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.queries import Column, Filters, filtered_search
from benchmarks.filtered.ours import Ours
from benchmarks.filtered.sets import Floats, Set, make_set

TENANTS: Final = 1_000
K: Final = 10
QUERIES: Final = 50
EACH: Final = 6
"""Tenants looked at in each class of sizes, where there are so many."""

CLASSES: Final = (0, 300, 1_000, 10_000, 50_000, 100_000)
"""Least rows of each class."""

PROTOCOL: Final = (
    "The mixed million of the section grid. 1,000 tenants own its rows, the i-th largest in proportion to "
    "1 / i (133,592 rows to 133); 'independent': rows dealt at random; 'clustered': a tenant's rows are "
    "neighbours in a tree of median cuts. Shared: one index with a column owner, asked with owner = "
    "'NAME', which was asked before; 'first': a text that was never seen, though its tenant was. Private: "
    "an index of the tenant's rows alone, asked without a filter; 'NumPy': its rows compared plainly. 6 "
    "tenants of each class of sizes, evenly spread over it, 50 queries each, which are rows of the "
    "tenant; all take turns, at recall balanced, k = 10. Memory: what engine, lists, columns and filters "
    "hold (all that they learned and remember included) after every tenant has asked, over the same "
    "without the column. Seeds 0."
)


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Return a row for each kind of ownership and class of sizes, then one on memory for each kind."""
    one = make_set("mixed", data, quick=quick)
    tenants = 50 if quick else TENANTS
    rows: list[dict[str, Any]] = []
    memory: list[dict[str, Any]] = []
    shared = Ours.over(one)
    bare = _bytes(shared)
    for kind in ("independent", "clustered"):
        owner = _owners(one.vectors, tenants, kind)
        names = [f"t{i:03d}" for i in range(tenants)]
        column = Column.varchar(owner.astype(np.int32), names).take(shared.order)
        filters = Filters({"owner": column}, shared.starts)
        sizes = np.bincount(owner, minlength=tenants)
        for least, chosen in _classes(sizes, 1 if quick else EACH):
            rows.append(_compared(one, kind, least, owner, chosen, shared, filters))
            print(" ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
        for tenant in range(tenants):
            query = one.vectors[np.flatnonzero(owner == tenant)[0]]
            filtered_search(query, K, shared.searched, filters.filter(f"owner = '{names[tenant]}'"))
        more = _held(filters, set())
        memory.append(
            {
                "tenants": kind,
                "shared index, MB": round(bare / 1e6, 1),
                "for tenants, MB": round(more / 1e6, 1),
                "memory, times": round((bare + more) / bare, 3),
                "within 1.1x": bool(bare + more <= 1.1 * bare),
            }
        )
    return [*rows, *memory]


def _owners(vectors: Floats, tenants: int, kind: str) -> npt.NDArray[np.int64]:
    """Return the tenant of each row; tenant 0 has most."""
    n, rng = len(vectors), np.random.default_rng(0)
    share = 1 / np.arange(1, tenants + 1)
    ends = np.round(n * np.cumsum(share) / share.sum()).astype(np.int64)
    if kind == "independent":
        sorted_rows = rng.permutation(n)
        turn = np.arange(tenants)
    else:
        sorted_rows = _by_cuts(vectors)
        # Large ones lie anywhere.
        turn = rng.permutation(tenants)
    sizes = np.diff(ends, prepend=0)[turn]
    owner = np.empty(n, dtype=np.int64)
    owner[sorted_rows] = np.repeat(turn, sizes)
    return owner


def _by_cuts(vectors: Floats) -> npt.NDArray[np.int64]:
    """Return the rows in an order in which neighbours lie together: cut at medians, time and again."""
    waiting, found = [np.arange(len(vectors))], []
    while waiting:
        rows = waiting.pop()
        if len(rows) < 200:
            found.append(rows)
            continue
        along = vectors[rows, int(np.argmax(vectors[rows].var(axis=0)))]
        half = np.argpartition(along, len(rows) // 2)
        waiting += [rows[half[len(rows) // 2 :]], rows[half[: len(rows) // 2]]]
    return np.concatenate(found)


def _classes(sizes: npt.NDArray[np.int64], each: int) -> Iterator[tuple[int, list[int]]]:
    for least, most in zip(CLASSES, (*CLASSES[1:], 1 << 62), strict=True):
        of = np.flatnonzero((sizes >= max(least, K)) & (sizes < most))
        if len(of):
            yield least, of[np.unique(np.linspace(0, len(of) - 1, each).astype(int))].tolist()


def _compared(
    one: Set,
    kind: str,
    least: int,
    owner: npt.NDArray[np.int64],
    chosen: list[int],
    shared: Ours,
    filters: Filters,
) -> dict[str, Any]:
    """Return how long the tenants of one class wait, in the shared index and in one of their own."""
    seconds: dict[str, list[float]] = {"private": [], "again": [], "first": [], "numpy": []}
    recalls: dict[str, list[float]] = {"private": [], "again": []}
    ways: list[str] = []
    sizes = []
    rng = np.random.default_rng(1)
    for tenant in chosen:
        rows = np.flatnonzero(owner == tenant)
        sizes.append(len(rows))
        private = Ours(one.vectors[rows], {}, {**one.key, "what": f"tenant-{kind}-{tenant}"})
        own = one.vectors[rows]
        for query in own[rng.choice(len(rows), QUERIES)]:
            started = time.perf_counter()
            nearest = _plainly(own, query)
            seconds["numpy"].append(time.perf_counter() - started)
            reach = float(nearest[-1]) * (1 + 1e-5) + 1e-7
            # A text that means the same, but was never seen.
            text = f"owner = 't{tenant:03d}'"
            new = text + " " * (1 + len(seconds["first"]))
            order = rng.permutation(3)
            for turn in order:
                name = ("private", "again", "first")[turn]
                started = time.perf_counter()
                allowed = None
                if name != "private":
                    allowed = filters.filter(text if name == "again" else new)
                index = private if name == "private" else shared
                found, plan = filtered_search(query, K, index.searched, allowed)
                seconds[name].append(time.perf_counter() - started)
                if name != "first":
                    recalls[name].append(float((found.distances[0] <= reach).sum()) / K)
                    ways.append(f"{name}: {plan.strategy}")
    median = {name: 1e3 * float(np.median(of)) for name, of in seconds.items()}
    late = {name: 1e3 * float(np.quantile(of, 0.95)) for name, of in seconds.items()}
    return {
        "tenants": kind,
        "rows of a tenant": f"{min(sizes):,} to {max(sizes):,}",
        "ways": ", ".join(dict.fromkeys(ways)),
        "private ms": round(median["private"], 3),
        "shared ms": round(median["again"], 3),
        "first ms": round(median["first"], 3),
        "NumPy ms": round(median["numpy"], 3),
        "times": round(median["again"] / median["private"], 2),
        "first, times": round(median["first"] / median["private"], 2),
        "p95 private": round(late["private"], 3),
        "p95 shared": round(late["again"], 3),
        "p95, times": round(late["again"] / late["private"], 2),
        "recall private": round(float(np.mean(np.minimum(recalls["private"], 1))), 4),
        "recall shared": round(float(np.mean(np.minimum(recalls["again"], 1))), 4),
        "within 1.2x": bool(median["again"] <= 1.2 * median["private"]),
    }


def _plainly(vectors: Floats, query: Floats) -> Floats:
    """Return the distances of the nearest, by comparing all."""
    gaps = vectors - query
    away = np.einsum("ij,ij->i", gaps, gaps)
    found: Floats = np.sqrt(np.sort(np.partition(away, K - 1)[:K]))
    return found


def _bytes(index: Ours) -> int:
    """Return the bytes that searching an index takes: its engine, its lists and the rows in their order."""
    lists = _held(index.searched.lists, set())
    return int(index.engine.memory_bytes()) + lists + int(index.order.nbytes)


def _held(thing: object, seen: set[int]) -> int:
    """Return the bytes of all arrays that something of archindex holds, each counted once."""
    if id(thing) in seen:
        return 0
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        # A view counts as what it is a view of.
        return _held(thing.base, seen) if isinstance(thing.base, np.ndarray) else int(thing.nbytes)
    if isinstance(thing, dict):
        return sum(_held(part, seen) for part in thing.values())
    if isinstance(thing, (list, tuple)):
        return sum(_held(part, seen) for part in thing)
    if not type(thing).__module__.startswith("archindex"):
        return 0
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    held = [*getattr(thing, "__dict__", {}).values(), *(getattr(thing, name, None) for name in slots)]
    return sum(_held(part, seen) for part in held)
