"""The section on tenants, on few rows: nobody sees another's rows, and all of one's own are found."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.filtered import tenants

pytestmark = pytest.mark.skipif(
    not os.environ.get("ARCHINDEX_DATA"), reason="reads the tables of the folder ARCHINDEX_DATA, unset here"
)


@pytest.mark.slow
def test_tenants_share_an_index() -> None:
    rows = tenants.measure(Path(os.environ["ARCHINDEX_DATA"]), quick=True)
    searched = [row for row in rows if "shared ms" in row]
    assert {row["tenants"] for row in searched} == {"independent", "clustered"}
    for row in searched:
        assert row["recall shared"] >= 0.95
        assert row["recall private"] >= 0.95
        assert row["shared ms"] > 0
        assert row["private ms"] > 0
    memory = [row for row in rows if "memory, times" in row]
    assert len(memory) == 2
    assert all(1 < row["memory, times"] <= 1.1 for row in memory)


@pytest.mark.parametrize("kind", ["independent", "clustered"])
def test_every_row_has_an_owner_and_sizes_are_skewed(kind: str) -> None:
    vectors = np.random.default_rng(0).normal(size=(20_000, 8)).astype(np.float32)
    owner = tenants._owners(vectors, 40, kind)
    sizes = np.bincount(owner, minlength=40)
    assert sizes.sum() == len(vectors)
    assert sizes[0] > 30 * sizes[39] > 0
    inside = [float(vectors[owner == one].var(axis=0).mean()) for one in (5, 20, 39)]
    assert max(inside) < 0.8 if kind == "clustered" else min(inside) > 0.8
