"""The GIN encoder: conformance, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from archindex.core.batch import GraphBatch
from archindex.core.errors import ArgumentError
from archindex.encoders.gin import GINEncoder
from archindex.testing.encoder_case import EncoderCase, chain


class TestGIN(EncoderCase):
    @staticmethod
    def make() -> GINEncoder:
        return GINEncoder(dim=16, width=16, layers=2, epochs=2)


def small_batch() -> GraphBatch:
    return EncoderCase.graphs().take(0, 60)


def test_global_state_of_torch_is_left_alone() -> None:
    torch.manual_seed(3)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    TestGIN.make().fit(small_batch(), seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_loading_draws_no_random_numbers(tmp_path: Path) -> None:
    TestGIN.fitted().save(tmp_path)
    state = torch.get_rng_state()
    GINEncoder.load(tmp_path)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_callers_random_state_does_not_decide() -> None:
    prints = []
    for state in (1, 2):
        torch.manual_seed(state)
        encoder = TestGIN.make()
        encoder.fit(small_batch(), seed=0)
        prints.append(encoder.fingerprint)
    assert prints[0] == prints[1]


def test_needs_to_be_fitted() -> None:
    encoder = GINEncoder()
    with pytest.raises(ArgumentError, match="fit"):
        encoder.encode(small_batch())
    with pytest.raises(ArgumentError, match="fit"):
        _ = encoder.fingerprint


def test_needs_two_different_graphs() -> None:
    same = GraphBatch.from_graphs([chain("conv"), chain("skip", "conv")])
    with pytest.raises(ArgumentError, match="two different"):
        GINEncoder(epochs=1).fit(same)


def test_two_different_graphs_are_enough() -> None:
    encoder = GINEncoder(dim=4, width=8, layers=1, epochs=20)
    pair = GraphBatch.from_graphs([chain("conv"), chain("conv", "conv")])
    encoder.fit(pair)
    near, far = encoder.encode(pair)
    assert np.linalg.norm(near - far) > 0.1


@pytest.mark.parametrize("option", ["dim", "width", "layers", "epochs", "graphs"])
def test_refuses_options_out_of_range(option: str) -> None:
    with pytest.raises(ArgumentError, match=option):
        GINEncoder(**{option: 0})


def test_progress_and_loss() -> None:
    reports: list[tuple[str, int, int]] = []
    GINEncoder(dim=8, width=8, layers=1, epochs=3).fit(
        small_batch(), progress=lambda *report: reports.append(report)
    )
    assert reports == [("train", epoch, 3) for epoch in (1, 2, 3)]


def test_picked_graphs_are_the_graphs() -> None:
    batch = EncoderCase.graphs()
    rows = np.array([5, 0, 17, 5])
    assert list(batch.pick(rows)) == [batch.graph(int(i)) for i in rows]
