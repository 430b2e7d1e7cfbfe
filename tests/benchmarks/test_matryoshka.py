"""The section on prefixes, on a few architectures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.encoding.matryoshka import measure


@pytest.mark.skipif("ARCHINDEX_DATA" not in os.environ, reason="needs the benchmark tables in ARCHINDEX_DATA")
@pytest.mark.slow
def test_longer_prefixes_find_more() -> None:
    rows = measure(Path(os.environ["ARCHINDEX_DATA"]), True)
    recalls = [row for row in rows if "prefix" in row]
    assert [row["prefix"] for row in recalls] == [8, 16, 32]
    first = [row["recall@10 first n"] for row in recalls]
    ranked = [row["recall@10 re-ranked"] for row in recalls]
    assert first == sorted(first)
    assert all(better >= plain for better, plain in zip(ranked, first, strict=True))
    assert ranked[1] > 0.9
    assert {row["vectors"] for row in rows if "vectors" in row} == {
        "all 64", "first 16 of 64", "16 trained alone",
    }  # fmt: skip
