"""The section runs, and its rows hold what must be so however little was trained."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archindex.core.canonical import arch_ids
from archindex.encoders.grammar import valid
from archindex.spaces.registry import space
from benchmarks.encoding import autoencoder


@pytest.mark.slow
@pytest.mark.skipif("ARCHINDEX_DATA" not in os.environ, reason="needs the benchmark tables")
def test_autoencoder() -> None:
    rows = autoencoder.measure(Path(os.environ["ARCHINDEX_DATA"]), quick=True)
    expected = [n for n in autoencoder.SPACES for _ in range(2 + (n in autoencoder.PEERS))]
    assert [row["space"] for row in rows] == expected
    for row in rows:
        # Nobody looks up what is held out, and what was not trained on is not known.
        if row["decoder"] == "look-up":
            assert row["reconstruction"] == row["novel_decoded"] == 0.0
        if row["decoder"] == "vae":
            assert row["valid"] == 1.0
            assert row["unique_drawn"] > 0.5 and row["novel_drawn"] > 0.5
            assert row["reconstruction"] >= row["likeliest"] >= row["likeliest_unmasked"]
        for key in ("reconstruction", "string", "valid_unmasked"):
            assert 0.0 <= row[key] <= 1.0
        assert row["tested_on"] == 100


def test_one_cell_is_both_cells() -> None:
    grammar = autoencoder._grammar("darts, one cell")
    natives = autoencoder._drawn("darts, one cell", 20, seed=0)
    for native in natives:
        normal, reduction = native.split("reduce=")
        assert normal[len("Genotype(normal=") :].split("]")[0] == reduction.split("]")[0]
    ids = grammar.ids(natives)
    assert ids.shape == (20, grammar.length) and grammar.natives(ids) == natives
    assert valid(grammar, ids).all()
    assert (arch_ids(grammar.graphs(ids), "darts") == space("darts").arch_ids(natives)).all()
