"""The grid runs; the planner holds its recall in every cell, and proves what it says it proves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.filtered import grid

pytestmark = pytest.mark.skipif(
    not os.environ.get("ARCHINDEX_DATA"), reason="reads the tables of the folder ARCHINDEX_DATA, unset here"
)


@pytest.mark.slow
def test_the_planner_holds_its_recall() -> None:
    rows = grid.measure(Path(os.environ["ARCHINDEX_DATA"]), quick=True)
    cells = {(row["set"], row["cell"]) for row in rows}
    assert len(cells) == 3 * (len(grid.SHARES) * len(grid.KINDS) + 2)
    for one, cell in cells:
        by_method = {row["method"]: row for row in rows if (row["set"], row["cell"]) == (one, cell)}
        assert by_method["planner exact"]["recall"] == 1
        assert by_method["planner balanced"]["recall"] >= 0.9  # of few queries
        assert any(method.startswith("faiss") for method in by_method)
