"""The variational autoencoder: conformance, and what its decoder promises."""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archindex.core.batch import GraphBatch
from archindex.core.errors import ArgumentError, CorruptIndexError
from archindex.encoders.grammar import Grammar, valid
from archindex.encoders.registry import load_encoder
from archindex.encoders.vae import VAEEncoder
from archindex.spaces.registry import space
from archindex.testing.encoder_case import EncoderCase

SMALL: dict[str, Any] = {"dim": 8, "width": 16, "layers": 2, "hidden": 32, "steps": 20, "batch_size": 32}


def decisions(name: str) -> Grammar:
    owner: Any = space(name)
    grammar: Grammar = owner.decisions()
    return grammar


def natives(name: str, n: int, seed: int = 0) -> list[str]:
    return [architecture.native for architecture in space(name).sample(n, seed=seed)]


def made(name: str, n: int = 120, **options: Any) -> VAEEncoder:
    encoder, grammar, listed = VAEEncoder(**SMALL | options), decisions(name), natives(name, n)
    encoder.fit(space(name).graphs(listed), grammar=grammar, ids=grammar.ids(listed))
    return encoder


@cache
def of_nb201() -> VAEEncoder:
    return made("nasbench201")


class TestVAE(EncoderCase):
    @staticmethod
    def make() -> VAEEncoder:
        encoder, grammar = VAEEncoder(**SMALL), decisions("nasbench201")
        ids = grammar.ids(natives("nasbench201", 120))
        # What a decoder learns from beside graphs, bound: the tests know graphs only.
        encoder.fit = partial(encoder.fit, grammar=grammar, ids=ids)  # type: ignore[method-assign]
        return encoder

    @staticmethod
    def graphs() -> GraphBatch:
        return space("nasbench201").graphs(natives("nasbench201", 120))


@pytest.mark.parametrize(
    "name",
    ["nasbench101", "nasbench201", "darts", "nasbench_graph", "fbnet", "transnas101_macro", "hytra", "pit"],
)
def test_whatever_is_decoded_is_valid(name: str) -> None:
    """Hardly trained, from points far away: all valid, in every space with decisions."""
    encoder, grammar = made(name, n=40, steps=3), decisions(name)
    far = 10.0 * np.random.default_rng(0).standard_normal((50, encoder.dim))
    for listed in (encoder.decode(far, grammar), encoder.sample(50, grammar, seed=1)):
        assert len(listed) == 50
        assert all(space(name).validate(native) for native in listed)
    assert len(set(encoder.sample(50, grammar, seed=1))) > 10


def test_without_masks_it_would_not_be() -> None:
    """Free choices of the same, hardly trained decoder are mostly invalid: the masks do the work."""
    encoder, grammar = made("nasbench101", n=40, steps=1), decisions("nasbench101")
    points = np.random.default_rng(0).standard_normal((200, encoder.dim)).astype(np.float32)
    assert valid(grammar, encoder.free_choices(points)).mean() < 0.9


def test_it_learns_to_reconstruct() -> None:
    grammar, owner = decisions("transnas101_micro"), space("transnas101_micro")
    listed = natives("transnas101_micro", 40)
    encoder = VAEEncoder(**SMALL | {"steps": 400, "width": 32, "hidden": 64})
    encoder.fit(owner.graphs(listed), grammar=grammar, ids=grammar.ids(listed))
    vectors = encoder.encode(owner.graphs(listed))
    back = encoder.decode(vectors, grammar)
    assert (owner.arch_ids(back) == owner.arch_ids(listed)).mean() >= 0.9
    # As a whole the latents are those of the prior: N(0, I), up to the variance of each posterior.
    assert np.abs(vectors.mean(axis=0)).max() < 0.2
    assert vectors.std(axis=0).max() < 1.1


def test_samples_are_decided_by_the_seed() -> None:
    encoder, grammar = of_nb201(), decisions("nasbench201")
    assert encoder.sample(30, grammar, seed=4) == encoder.sample(30, grammar, seed=4)
    assert encoder.sample(30, grammar, seed=4) != encoder.sample(30, grammar, seed=5)
    assert encoder.sample(0, grammar) == []


def test_weighted_retraining_goes_on_from_what_was_learned() -> None:
    name = "nasbench201"
    encoder, grammar, listed = made(name, steps=60), decisions(name), natives(name, 120)
    few, batch = listed[:4], space(name).graphs(listed[:4])
    ids = grammar.ids(few)
    weights = np.array([1.0, 0.0, 0.0, 0.0])
    encoder.fit(batch, grammar=grammar, ids=ids, weights=weights, steps=100)
    drawn = grammar.ids(encoder.sample(200, grammar))
    hits = [(drawn == row).all(axis=1).mean() for row in ids]
    assert hits[0] > 0.5 > max(hits[1:])
    with pytest.raises(ArgumentError, match="fit first"):
        VAEEncoder(**SMALL).fit(batch, grammar=grammar, ids=ids, weights=weights)


def test_weighted_vectors_are_those_of_the_prior() -> None:
    """What is drawn from N(0, I) follows the weights: their mean is the centre, not that of all graphs."""
    name = "nasbench201"
    encoder, grammar, listed = made(name, steps=60), decisions(name), natives(name, 120)
    batch = space(name).graphs(listed)
    weights = np.where(np.arange(120) < 12, 1.0, 0.0)
    encoder.fit(batch, grammar=grammar, ids=grammar.ids(listed), weights=weights, steps=20)
    vectors = encoder.encode(batch)
    assert np.abs(vectors[:12].mean(axis=0)).max() < 1e-3
    assert np.abs(vectors[12:].mean(axis=0)).max() > 0.1


def test_saved_and_loaded_it_decodes_the_same(tmp_path: Path) -> None:
    encoder, grammar = of_nb201(), decisions("nasbench201")
    encoder.save(tmp_path)
    loaded = load_encoder(tmp_path)
    assert isinstance(loaded, VAEEncoder)
    assert loaded.sample(20, grammar, seed=2) == encoder.sample(20, grammar, seed=2)


def test_another_grammar_is_refused() -> None:
    with pytest.raises(ArgumentError, match="nasbench201"):
        of_nb201().sample(1, decisions("darts"))
    with pytest.raises(ArgumentError, match="nasbench201"):
        of_nb201().decode(np.zeros((1, 8)), decisions("nasbench101"))


def test_graphs_alone_are_not_enough() -> None:
    with pytest.raises(ArgumentError, match="grammar"):
        VAEEncoder(**SMALL).fit(EncoderCase.graphs())


@pytest.mark.parametrize(
    ("ids", "weights"),
    [
        (np.zeros((3, 6), dtype=np.int64), None),
        (np.zeros((4, 5), dtype=np.int64), None),
        (np.full((4, 6), 99), None),
        (np.full((4, 6), -1), None),
        (np.zeros((4, 6)), None),
        (np.ones((4, 6), dtype=np.int64), np.array([1.0, 2.0])),
        (np.ones((4, 6), dtype=np.int64), np.array([1.0, -2.0, 1.0, 1.0])),
        (np.ones((4, 6), dtype=np.int64), np.array([np.nan, 1.0, 1.0, 1.0])),
        (np.ones((4, 6), dtype=np.int64), np.zeros(4)),
    ],
)
def test_decisions_and_weights_that_do_not_fit(ids: Any, weights: Any) -> None:
    batch = space("nasbench201").graphs(natives("nasbench201", 4))
    with pytest.raises(ArgumentError):
        VAEEncoder(**SMALL).fit(batch, grammar=decisions("nasbench201"), ids=ids, weights=weights)


@pytest.mark.parametrize("grammar", [None, {}, {"space": "x", "vocabulary": -1, "length": 6}, {"space": 3}])
def test_grammars_on_file_that_are_none(tmp_path: Path, grammar: object) -> None:
    of_nb201().save(tmp_path)
    path = tmp_path / "encoder.json"
    content = json.loads(path.read_text())
    content["config"]["grammar"] = grammar
    path.write_text(json.dumps(content))
    with pytest.raises(CorruptIndexError):
        load_encoder(tmp_path)


@pytest.mark.parametrize("option", ["dim", "width", "layers", "hidden", "steps", "batch_size"])
def test_refuses_options_out_of_range(option: str) -> None:
    with pytest.raises(ArgumentError, match=option):
        VAEEncoder(**{option: 0})


def test_global_state_of_torch_is_left_alone() -> None:
    torch.manual_seed(3)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    made("nasbench201", n=20, steps=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
