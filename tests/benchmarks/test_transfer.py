"""The section on transfer runs, and its rankings are better than those that need no labels."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.encoding import transfer

pytestmark = pytest.mark.skipif(
    not os.environ.get("ARCHINDEX_DATA"), reason="reads the tables of the folder ARCHINDEX_DATA, unset here"
)


@pytest.mark.slow
def test_labels_of_one_space_rank_another() -> None:
    rows = transfer.measure(Path(os.environ["ARCHINDEX_DATA"]), quick=True)
    rho = {(row["ranked"], row["method"]): row["spearman"] for row in rows}
    assert {row["ranked"] for row in rows} == {"nb201", "nb101", "darts"}
    for target in ("nb201", "nb101", "darts"):
        assert rho[target, "TransferRanker"] > rho[target, "area, training-free"]
    assert rho["nb201", "TransferRanker"] > rho["nb201", "trees, shared features"]
    assert rho["nb201", "area, training-free"] == pytest.approx(0.82, abs=0.01)  # as published tables give it
