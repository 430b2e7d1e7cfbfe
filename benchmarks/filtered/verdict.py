"""What the rows of a cell say: whether the planner is near the best way, and ahead of every peer."""

from __future__ import annotations

from typing import Any, Final

from benchmarks.filtered.ours import WAYS

TARGET: Final = 0.95
"""Mean recall that counts as reached."""

HIGH: Final = 0.99
RATIO: Final = 1.3
MORE_US: Final = 60.0
FASTER: Final = 2.0
"""Times faster than a mask and HNSW with a selector that the planner is to be."""

_HNSW: Final = "faiss HNSW"


TIMED: Final = ("ms", "ms in a row")
"""The columns of times, of each of which there is a verdict."""


def verdict(rows: list[dict[str, Any]], timed: str) -> dict[str, Any]:
    """Judge one cell from its rows, one for each method and setting, by one of `TIMED`."""
    planner = {row["method"]: row for row in rows if row["method"].startswith("planner")}
    balanced = planner["planner balanced"]
    reached = [row for row in rows if row["method"] not in planner and row["recall"] >= TARGET]
    best = min(reached, key=lambda row: row[timed])
    graph = min((row[timed] for row in reached if row["method"] == _HNSW), default=None)
    ratio, more = balanced[timed] / best[timed], 1e3 * (balanced[timed] - best[timed])
    ahead = [
        row["method"]
        for row in rows
        if row["method"] not in WAYS and row["recall"] >= balanced["recall"] and row[timed] < balanced[timed]
    ]
    return {
        "set": balanced["set"],
        "k": balanced["k"],
        "cell": balanced["cell"],
        "timed": timed,
        "balanced": balanced["recall"],
        "high": planner["planner high"]["recall"],
        "exact": planner["planner exact"]["recall"],
        "ms": balanced[timed],
        "best": f"{best['method']} {best['with']}".strip(),
        "best ms": best[timed],
        "ratio": round(ratio, 2),
        "more us": round(more),
        "near the best": bool(1e3 * balanced[timed] <= RATIO * 1e3 * best[timed] + MORE_US),
        "recall": bool(
            balanced["recall"] >= TARGET
            and planner["planner high"]["recall"] >= HIGH
            and planner["planner exact"]["recall"] == 1
        ),
        "of HNSW's time": None if graph is None else round(balanced[timed] / graph, 2),
        "twice as fast": None if graph is None else bool(FASTER * balanced[timed] <= graph),
        "peers ahead": ", ".join(dict.fromkeys(ahead)),
    }


def summary(verdicts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Count the cells that pass, for each set and k."""
    found = []
    for part in dict.fromkeys((one["set"], one["k"], one["timed"]) for one in verdicts):
        of = [one for one in verdicts if (one["set"], one["k"], one["timed"]) == part]
        judged = [one["twice as fast"] for one in of if one["twice as fast"] is not None]
        found.append(
            {
                "set": part[0],
                "k": part[1],
                "timed": part[2],
                "cells": len(of),
                "recall reached": sum(one["recall"] for one in of),
                "within 1.3x + 60 us": sum(one["near the best"] for one in of),
                "cells where HNSW reaches .95": len(judged),
                "twice as fast there": sum(judged),
                "no peer ahead": sum(not one["peers ahead"] for one in of),
                "worst ratio": max(one["ratio"] for one in of),
            }
        )
    return found
