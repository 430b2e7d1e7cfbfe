"""The section runs: rows lie on disk, centroids in memory, and nearly all neighbours are found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.filtered import disk

pytestmark = pytest.mark.skipif(
    not os.environ.get("ARCHINDEX_DATA"), reason="reads the tables of the folder ARCHINDEX_DATA, unset here"
)


@pytest.mark.slow
def test_neighbours_are_found_and_read_from_disk() -> None:
    rows = disk.measure(Path(os.environ["ARCHINDEX_DATA"]), quick=True)
    by_index = {row["index"]: row for row in rows}
    assert set(disk.VARIANTS) < set(by_index)
    assert any(name.startswith("IVF") for name in by_index)
    for name in disk.VARIANTS:
        assert by_index[name]["recall"] >= 0.9
        assert by_index[name]["reads"] > 0
    sizes = {name: by_index[name]["on disk"] for name in disk.VARIANTS}
    assert sizes["prefix of 16"] < sizes["SPANN"] < sizes["quantisation off"]
    assert sizes["closure off"] < sizes["SPANN"]
