"""The section on predicates, on few expressions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.filtered.predicates import measure


@pytest.mark.skipif("ARCHINDEX_DATA" not in os.environ, reason="needs the benchmark tables in ARCHINDEX_DATA")
def test_expressions_select_what_duckdb_selects() -> None:
    rows = measure(Path(os.environ["ARCHINDEX_DATA"]), True)
    (equality,) = (row for row in rows if "equal to DuckDB" in row)
    assert equality["different"] == 0
    assert equality["equal to DuckDB"] == equality["expressions"] == 300
    assert equality["forms that never occurred"] == 0
    assert all(row["times"] > 0 for row in rows if "times" in row)
    timed = [row for row in rows if "timed" in row]
    assert [(row["expressions"], row["form"]) for row in timed] == [
        (kind, form) for kind in ("random", "conjunctions") for form in ("compiled", "from text")
    ]
    for row in timed:
        assert row["same rows"] == row["timed"] == 12
        assert row["median ratio"] > 0
