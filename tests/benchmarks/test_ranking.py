"""The ranking section runs, and the blend is ahead of both baselines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.encoding import ranking

pytestmark = pytest.mark.skipif(
    not os.environ.get("ARCHINDEX_DATA"),
    reason="reads the tables of the folder ARCHINDEX_DATA, unset here",
)


@pytest.mark.slow
def test_ranking() -> None:
    rows = ranking.measure(Path(os.environ["ARCHINDEX_DATA"]), quick=True)
    by = {(row["space"], row["predictor"]): row for row in rows}
    assert {row["space"] for row in rows} == {"nb101", "nb201"}
    for name in ("nb101", "nb201"):
        assert by[name, "blend"]["tau"] > by[name, "plain gp"]["tau"] > 0.5
        assert by[name, "blend"]["tau"] > by[name, "structural"]["tau"] > 0.5
        assert 0.8 <= by[name, "blend"]["coverage"] <= 1.0
        assert {"gp", "boosted_trees"} <= {row["predictor"] for row in rows if row["space"] == name}
