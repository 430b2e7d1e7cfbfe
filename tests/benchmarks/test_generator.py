"""The section runs, and its rows hold what must be so however little was trained."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from archindex.encoders.grammar import Grammar
from archindex.spaces.registry import space
from benchmarks.encoding import generator
from benchmarks.encoding.latent_generator import LatentGenerator


@pytest.mark.slow
@pytest.mark.skipif("ARCHINDEX_DATA" not in os.environ, reason="needs the benchmark tables")
def test_generator() -> None:
    rows = generator.measure(Path(os.environ["ARCHINDEX_DATA"]), quick=True)
    assert {row["model"] for row in rows} == {
        "vae", "generator", "generator, random latents", "mutations", "uniform",
    }  # fmt: skip
    for row in rows:
        assert row["all_best"] >= row["asked_best"] >= row["asked_mean"]
        assert row["all_best"] >= row["all_mean"] > 10.0
        if row["model"] in ("uniform", "mutations"):
            assert row["filled"] == 0.0


@pytest.mark.parametrize("learned", [True, False])
def test_weights_decide_what_the_peer_generates(learned: bool) -> None:
    grammar: Grammar = space("nasbench201").decisions()  # type: ignore[attr-defined]
    ids = grammar.ids([architecture.native for architecture in space("nasbench201").sample(8, seed=0)])
    model = LatentGenerator(grammar, learned=learned, dim=4, hidden=32)
    model.fit(ids, steps=200, seed=0, batch_size=8, weights=np.array([1.0] + [0.0] * 7))
    drawn = grammar.ids(model.sample(100, seed=0))
    assert (drawn == ids[0]).all(axis=1).mean() > 0.5
    assert model.sample(5, seed=1) == model.sample(5, seed=1)
