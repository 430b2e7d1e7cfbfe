"""Engines hold their levels and their plans of memory; the order of insertion matters to none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archindex.core.recall import LEVELS
from archindex.indexes import ENGINES
from benchmarks.filtered import engines, insertion

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("ARCHINDEX_DATA"),
        reason="reads the tables of the folder ARCHINDEX_DATA, unset here",
    ),
]


def test_every_engine_reaches_its_levels_in_the_memory_planned() -> None:
    rows = engines.measure(Path(os.environ["ARCHINDEX_DATA"]), quick=True)
    assert {row["engine"] for row in rows} == set(ENGINES) - {"spann"}
    assert {row["set"] for row in rows} == set(engines.ROWS)
    for row in rows:
        assert row["recall"] >= LEVELS.get(row["level"], 1.0), row
        assert row["planned_MB"] == pytest.approx(row["MB"], rel=0.1, abs=0.1)


def test_no_engine_minds_the_order_of_insertion() -> None:
    rows = insertion.measure(Path(os.environ["ARCHINDEX_DATA"]), quick=True)
    assert {row["engine"] for row in rows} == set(ENGINES)
    for row in rows:
        assert row["random"] >= 0.9, row
        assert row["spread"] <= 2, row  # of 100 queries
