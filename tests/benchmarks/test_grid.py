"""The grid runs; the planner holds its recall in every cell, and proves what it says it proves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.filtered import cells, grid
from benchmarks.filtered.verdict import TIMED

pytestmark = pytest.mark.skipif(
    not os.environ.get("ARCHINDEX_DATA"), reason="reads the tables of the folder ARCHINDEX_DATA, unset here"
)


@pytest.mark.slow
def test_the_planner_holds_its_recall() -> None:
    rows = grid.measure(Path(os.environ["ARCHINDEX_DATA"]), quick=True)
    methods = [row for row in rows if "method" in row]
    verdicts = [row for row in rows if "best" in row]
    asked = {(row["set"], row["k"], row["cell"]) for row in methods}
    each = len(cells.SHARES) * len(cells.KINDS) + 2
    assert len(asked) == len(grid.QUICK) * each
    assert {(row["set"], row["k"], row["cell"], row["timed"]) for row in verdicts} == {
        (*cell, timed) for cell in asked for timed in TIMED
    }
    assert len(verdicts) == len(TIMED) * len(asked)
    for cell in asked:
        of = [row for row in methods if (row["set"], row["k"], row["cell"]) == cell]
        recall = {row["method"]: row["recall"] for row in of}
        assert recall["planner exact"] == recall["ids forced"] == recall["mask + exact"] == 1
        assert recall["planner balanced"] >= 0.8  # of six queries
        assert "faiss IVF" in recall
        assert ({"faiss HNSW", "hnswlib"} <= set(recall)) == (cell[0] != grid.WITHOUT_GRAPHS)
    for row in verdicts:
        assert row["exact"] == 1
        assert row["best ms"] > 0
    noticed = {row["set"]: row["intrinsic dimension"] for row in rows if "intrinsic dimension" in row}
    assert noticed["isotropic"] > 20 > max(noticed["mixture"], noticed["mixed_fifth"])
    counted = [row for row in rows if "recall reached" in row]
    assert {grid.part_of(row) for row in counted} == set(grid.QUICK)
    assert all(row["cells"] == each for row in counted)
