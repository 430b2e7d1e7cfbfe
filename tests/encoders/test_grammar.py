"""Walking through a grammar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from archindex.core.batch import GraphBatch
from archindex.core.errors import ArgumentError
from archindex.encoders.grammar import Grammar, draw, valid, walk
from archindex.testing.encoder_case import chain


class Rising:
    """Three digits, each larger than the one before: a grammar of four sequences with dead ends."""

    name = "rising"
    vocabulary = 5
    length = 3

    def allowed(self, prefix: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        last = prefix[:, -1:] if prefix.shape[1] else np.zeros((len(prefix), 1), dtype=np.int64)
        ids = np.arange(self.vocabulary)
        allowed: npt.NDArray[np.bool_] = (ids > last) & (ids <= 2 + prefix.shape[1])
        return allowed

    def natives(self, ids: npt.NDArray[np.int64]) -> list[str]:
        return ["".join(map(str, row)) for row in ids]

    def graphs(self, ids: npt.NDArray[np.int64]) -> GraphBatch:
        return GraphBatch.from_graphs(chain(*(f"digit {i}" for i in row)) for row in ids)

    def ids(self, natives: Sequence[str]) -> npt.NDArray[np.int64]:
        return np.array([list(map(int, text)) for text in natives], dtype=np.int64).reshape(-1, 3)


def test_any_object_with_the_members_is_a_grammar() -> None:
    assert isinstance(Rising(), Grammar)


def test_draws_reach_all_and_only_what_is_allowed() -> None:
    grammar = Rising()
    drawn = draw(grammar, 300, np.random.default_rng(0))
    assert set(grammar.natives(drawn)) == {"123", "124", "134", "234"}
    assert valid(grammar, drawn).all()
    np.testing.assert_array_equal(drawn, draw(grammar, 300, np.random.default_rng(0)))


def test_valid_looks_at_every_choice() -> None:
    ids = np.array([[1, 2, 3], [2, 2, 3], [1, 2, 2], [3, 4, 4]])
    assert valid(Rising(), ids).tolist() == [True, False, False, False]


def test_choices_that_are_not_allowed_are_refused() -> None:
    with pytest.raises(ArgumentError, match="allowed"):
        walk(Rising(), 2, lambda prefix, allowed: np.array([1, 4]))


def test_nothing_to_walk() -> None:
    assert draw(Rising(), 0, np.random.default_rng(0)).shape == (0, 3)
