"""Beam search and the nearest of what it finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from archindex.encoders.grammar import Grammar, Ids
from archindex.encoders.vae_decode import beams, drawn, nearest_decoded
from archindex.spaces.registry import space


def grammar_of(name: str) -> Grammar:
    owner: Any = space(name)
    grammar: Grammar = owner.decisions()
    return grammar


class Made:
    """Logits that depend on the point, the place and the choice before."""

    def __init__(self, grammar: Grammar, n: int) -> None:
        rng = np.random.default_rng(0)
        self.first = rng.standard_normal((n, grammar.length, grammar.vocabulary))
        self.before = rng.standard_normal((grammar.vocabulary, grammar.vocabulary))

    def __call__(self, rows: npt.NDArray[np.int64], prefix: Ids) -> npt.NDArray[np.float64]:
        logits: npt.NDArray[np.float64] = self.first[rows, prefix.shape[1]].copy()
        if prefix.shape[1]:
            logits += self.before[prefix[:, -1]]
        return logits


def log_likelihood(grammar: Grammar, score: Made, point: int, ids: Ids) -> npt.NDArray[np.float64]:
    total = np.zeros(len(ids))
    for step in range(grammar.length):
        logits = score(np.full(len(ids), point), ids[:, :step])
        logits[~grammar.allowed(ids[:, :step])] = -np.inf
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        total += logits[np.arange(len(ids)), ids[:, step]]
    return total


def test_a_beam_as_wide_as_the_space_finds_all_in_order() -> None:
    grammar, n = grammar_of("transnas101_micro"), 2
    score = Made(grammar, n)
    found = beams(grammar, n, 4096, score)
    assert found.shape == (n, 4096, grammar.length)
    for point in range(n):
        assert len(np.unique(found[point], axis=0)) == 4096
        likelihood = log_likelihood(grammar, score, point, found[point])
        assert (np.diff(likelihood) <= 1e-9).all()
        assert np.exp(likelihood).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["nasbench101", "darts", "nasbench_graph", "fbnet", "pit"])
def test_beams_hold_what_is_allowed_only(name: str) -> None:
    grammar, n = grammar_of(name), 3
    found = beams(grammar, n, 8, Made(grammar, n))
    ids = found.reshape(-1, grammar.length)
    for step in range(grammar.length):
        assert grammar.allowed(ids[:, :step])[np.arange(len(ids)), ids[:, step]].all()
    assert all(len(np.unique(of_one, axis=0)) == 8 for of_one in found)


def test_wider_beams_find_likelier_sequences() -> None:
    grammar, n = grammar_of("nasbench101"), 20
    score = Made(grammar, n)
    best = [
        np.array(
            [log_likelihood(grammar, score, i, beams(grammar, n, width, score)[i, :1])[0] for i in range(n)]
        )
        for width in (1, 64)
    ]
    assert (best[1] >= best[0] - 1e-9).all() and (best[1] > best[0] + 1e-6).any()


def test_where_there_are_fewer_sequences_the_best_is_repeated() -> None:
    class Two:
        """Two decisions; after the first choice 1 there is one way to go on, after 2 there are two."""

        name, vocabulary, length = "two", 3, 2

        def allowed(self, prefix: Ids) -> npt.NDArray[np.bool_]:
            allowed = np.zeros((len(prefix), 3), dtype=bool)
            allowed[:, 1] = True
            allowed[:, 2] = True if prefix.shape[1] == 0 else prefix[:, 0] == 2
            return allowed

    found = beams(Two(), 1, 5, lambda rows, prefix: np.zeros((len(prefix), 3)))  # type: ignore[arg-type]
    assert found[0].tolist() == [[1, 1], [2, 1], [2, 2], [1, 1], [1, 1]]


def test_of_what_is_tried_the_nearest_is_taken() -> None:
    """The encoder is the sequence itself: what lies within the beam is found, likeliest or not."""
    grammar, n = grammar_of("nasbench201"), 50
    score = Made(grammar, n)
    wanted = beams(grammar, n, 16, score)[np.arange(n), np.arange(n) % 16]

    def encoded(ids: Ids) -> npt.NDArray[np.float32]:
        return ids.astype(np.float32)

    points = encoded(wanted)
    assert (nearest_decoded(points, grammar, score, encoded, width=16) == wanted).all()
    likeliest = nearest_decoded(points, grammar, score, encoded, width=1)
    assert (likeliest == beams(grammar, n, 1, score)[:, 0]).all()
    assert (likeliest == wanted).all(axis=1).sum() < n / 2


def test_draws_follow_the_logits() -> None:
    grammar = grammar_of("nasbench201")
    drawn_ids = drawn(
        grammar,
        4000,
        lambda rows, prefix: np.tile(np.log([1.0, 1.0, 6.0, 1.0, 1.0, 1.0]), (len(rows), 1)),
        np.random.default_rng(0),
    )
    assert drawn_ids.shape == (4000, grammar.length)
    assert (drawn_ids == 2).mean(axis=0) == pytest.approx(0.6, abs=0.04)
