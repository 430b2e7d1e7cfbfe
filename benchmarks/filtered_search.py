"""Filtered search: predicates and the search under them, peers beside them; one section for each claim.

Run with ``ARCHINDEX_DATA=... python -m benchmarks.filtered_search SECTION ...`` (no section: all of them).
``--quick`` takes little of everything, to see that it runs.
"""

from __future__ import annotations

from typing import Final

from benchmarks.sections import main

SECTIONS: Final[dict[str, str]] = {
    "grid": "recall and time under filters near and far, the planner beside single ways and peers",
    "tenants": "a thousand tenants of skewed sizes in one index, beside an index for each",
    "engines": "what each engine takes and what it finds how fast, beside faiss and hnswlib",
    "insertion": "recall of every engine with rows in four orders",
    "predicates": "what expressions select, and how long it takes, against DuckDB",
    "disk": "centroids in memory and lists on disk at ten million rows, beside IVF-PQ in memory",
}
"""Module of `benchmarks.filtered` for each claim."""


if __name__ == "__main__":
    main(__doc__ or "", "benchmarks.filtered", SECTIONS, "filtered_search")
