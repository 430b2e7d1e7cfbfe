"""The checks refuse with one wording and return what they promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from archindex.core.checks import check_choice, check_float, check_ids, check_int, check_vectors
from archindex.core.errors import ArgumentError, UnknownNameError
from archindex.core.rng import generator


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3)])
def test_whole_numbers_pass(value: Any) -> None:
    checked = check_int("k", value, low=3, high=3)
    assert checked == 3
    assert type(checked) is int


@pytest.mark.parametrize("value", [True, np.True_, 3.0, "3", None, float("nan")])
def test_what_is_no_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(ArgumentError, match="k must be a whole number"):
        check_int("k", value)


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [(1, None, "of at least 1"), (None, -1, "of at most -1"), (1, 5, "from 1 to 5")],
)
def test_bounds_are_named(low: int | None, high: int | None, says: str) -> None:
    for check in (check_int, check_float):
        with pytest.raises(ArgumentError, match=f"k must be a .*number {says}, got 0"):
            check("k", 0, low=low, high=high)


@pytest.mark.parametrize("value", [0.5, 1, np.float32(0.5), np.int64(1)])
def test_numbers_pass(value: Any) -> None:
    assert type(check_float("x", value, low=0, high=1)) is float


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), True, "1", None])
def test_what_is_no_finite_number_is_refused(value: Any) -> None:
    with pytest.raises(ArgumentError, match="x must be a"):
        check_float("x", value)


def test_choices() -> None:
    assert check_choice("metric", "l2", ("l2", "cosine")) == "l2"
    with pytest.raises(UnknownNameError, match="did you mean 'cosine'"):
        check_choice("metric", "cosin", ("l2", "cosine"))


def test_vectors_become_rows_of_float32() -> None:
    checked = check_vectors("queries", [[1, 2], [3, 4]], dim=2)
    assert checked.dtype == np.float32
    assert check_vectors("queries", [1.0, 2.0, 3.0]).shape == (1, 3)
    assert check_vectors("queries", np.zeros((0, 4)), dim=4).shape == (0, 4)
    assert check_vectors("queries", np.zeros((4, 6))[:, ::2]).flags.c_contiguous


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([[1, 2, 3]], r"must have shape \(n, 2\), got \(1, 3\)"),
        ([[[1, 2]]], "must have shape"),
        (7.0, "must have shape"),
        ([[1, 2], [3]], "must be numbers"),
        ([["a", "b"]], "must be numbers"),
        ([[0, 0], [0, np.nan]], "finite float32 numbers, got nan; look at row 1, column 1"),
        ([[np.inf, 0]], "got inf; look at row 0, column 0"),
        ([[0, 1e39]], "look at row 0, column 1"),
    ],
)
def test_other_vectors_are_refused(value: Any, says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        check_vectors("queries", value, dim=2)


def test_ids() -> None:
    assert check_ids("ids", np.array([3, 1], dtype=np.uint8)).dtype == np.int64
    assert check_ids("ids", []).shape == (0,)


@pytest.mark.parametrize("value", [[1.0], [[1]], 1, ["a"], [True], [-1]])
def test_other_ids_are_refused(value: Any) -> None:
    with pytest.raises(ArgumentError, match="ids must"):
        check_ids("ids", value)


def test_streams_follow_seed_and_purpose() -> None:
    def draw(seed: int, *purpose: str | int) -> tuple[float, ...]:
        return tuple(generator(seed, *purpose).random(4))

    assert draw(1, "walk", 2) == draw(1, "walk", 2)
    streams = [draw(1), draw(2), draw(1, "walk"), draw(1, "walk", 2), draw(1, "walk", 3), draw(1, "demo")]
    assert len(set(streams)) == len(streams)


@pytest.mark.parametrize("seed", [-1, 1.5, True, None])
def test_other_seeds_are_refused(seed: Any) -> None:
    with pytest.raises(ArgumentError, match="seed must be a whole number of at least 0"):
        generator(seed)
