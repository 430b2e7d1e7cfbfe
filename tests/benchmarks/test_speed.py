"""The section on speed, on a few cells."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.encoding.speed import measure


@pytest.mark.skipif("ARCHINDEX_DATA" not in os.environ, reason="needs the benchmark tables in ARCHINDEX_DATA")
@pytest.mark.slow
def test_both_sides_give_the_same_vectors() -> None:
    rows = measure(Path(os.environ["ARCHINDEX_DATA"]), True)
    ways = [row["way"] for row in rows if "way" in row]
    assert ways == ["archindex", "torch-geometric, prebuilt, 0 workers", "torch-geometric, packed, 0 workers"]
    against = {row["against"]: row for row in rows if "against" in row}
    assert set(against) == {"prebuilt", "packed"}
    for row in against.values():
        assert row["largest_difference"] < 1e-3
        assert row["ratio"] > 0
