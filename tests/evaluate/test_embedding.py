"""Measures of embeddings, against slow versions of themselves and on embeddings whose answer is known."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from archindex.core.errors import ArgumentError
from archindex.evaluate.embedding import (
    distance_agreement,
    interpolation_error,
    nearest_others,
    neighbour_difference,
    neighbour_regression,
    random_difference,
)

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(1500, 6)) + 100.0  # far from the origin, and more than one block of rows


def test_nearest_others_are_those_of_a_full_table_of_distances() -> None:
    distances = cdist(POINTS, POINTS)
    np.fill_diagonal(distances, np.inf)
    found = nearest_others(POINTS, 7)
    assert found.shape == (1500, 7)
    expected = np.sort(distances, axis=1)[:, :7]
    np.testing.assert_allclose(
        np.sort(np.take_along_axis(distances, found, axis=1), axis=1), expected, rtol=1e-4
    )


def test_equal_vectors_are_neighbours_in_an_order_that_the_seed_draws() -> None:
    twice = np.repeat(np.arange(50.0)[:, None], 6, axis=0)
    found = nearest_others(twice, 5)
    assert (twice[found, 0] == twice[:, :1]).all()
    assert (found != np.arange(300)[:, None]).all()
    few = [nearest_others(np.zeros((300, 1)), 3, seed=seed) for seed in (0, 0, 1)]
    assert (few[0] == few[1]).all()
    assert (few[0] != few[2]).any()
    # No row is preferred for its place in the table.
    assert abs(few[0].mean() - 149.5) < 20


def test_ties_are_drawn_evenly() -> None:
    # All strings of four letters out of five: the 16 at Hamming distance 1 are equally far.
    letters = np.array(list(itertools.product(range(5), repeat=4)))
    values = 2.0 ** letters.sum(axis=1)
    away = (letters[:, None] != letters[None]).sum(axis=2) == 1
    expected = np.abs(values[:, None] - values)[away].mean()
    found = nearest_others(np.eye(5)[letters].reshape(len(letters), -1))
    assert np.take_along_axis(away, found, axis=1).all()
    assert neighbour_difference(found, values) == pytest.approx(expected, rel=0.015)


def test_neighbour_measures_by_hand() -> None:
    neighbours = np.array([[1, 2], [0, 2], [3, 1], [2, 1]])
    values = [0.0, 1.0, 2.0, 4.0]
    # Predictions 1.5, 1, 2.5, 1.5: of six pairs three agree, one is tied, two disagree.
    assert neighbour_regression(neighbours, values) == pytest.approx(1 / np.sqrt(6 * 5))
    assert neighbour_difference(neighbours, values) == pytest.approx((1 + 2 + 1 + 1 + 2 + 1 + 2 + 3) / 8)


def test_random_difference_is_that_of_all_pairs() -> None:
    values = RNG.normal(size=200) * 3 + 1e6
    differences = np.abs(values[:, None] - values)
    assert random_difference(values) == pytest.approx(differences.sum() / (200 * 199))
    assert random_difference([2.0, 2.0]) == 0.0


def test_values_that_are_where_they_lie_are_told_and_others_are_not() -> None:
    neighbours = nearest_others(POINTS)
    along, apart = POINTS[:, 0], RNG.normal(size=len(POINTS))
    assert neighbour_regression(neighbours, along) > 0.6
    assert abs(neighbour_regression(neighbours, apart)) < 0.08
    assert neighbour_difference(neighbours, along) < 0.6 * random_difference(along)
    assert neighbour_difference(neighbours, apart) == pytest.approx(random_difference(apart), rel=0.05)


def test_distance_agreement_is_spearmans() -> None:
    a, b = RNG.integers(1500, size=(2, 400))
    true = np.linalg.norm(POINTS[a] - POINTS[b], axis=1)
    noisy = true + RNG.normal(size=400)
    assert distance_agreement(POINTS, a, b, true**2) == pytest.approx(1.0)
    assert distance_agreement(POINTS, a, b, -true) == pytest.approx(-1.0)
    assert distance_agreement(POINTS, a, b, noisy) == pytest.approx(spearmanr(true, noisy)[0], abs=1e-6)


def test_interpolation() -> None:
    # On a line every point between two rows is a row, or nearly.
    line = np.linspace(0, 1, 2001)[:, None]
    assert interpolation_error(line, 3 * line[:, 0] - 1, pairs=200) < 0.01
    # Values that have nothing to do with places: |difference| of a row and a mix of two others.
    values = RNG.normal(size=1500)
    shares = np.arange(1, 8) / 8
    spread = np.sqrt(1 + shares**2 + (1 - shares) ** 2).mean() / np.sqrt(2)
    assert interpolation_error(POINTS, values, pairs=800) == pytest.approx(spread, rel=0.1)
    # The ends themselves do not count, or rows that are far from all others would seem a steady change.
    assert interpolation_error(np.eye(60), RNG.normal(size=60), pairs=500) > 0.8


@pytest.mark.parametrize("measure", [neighbour_regression, interpolation_error])
def test_moved_turned_and_scaled_embeddings_measure_the_same(measure: Callable[..., float]) -> None:
    values = POINTS[:, 0] + RNG.normal(size=len(POINTS))
    turn = np.linalg.qr(RNG.normal(size=(6, 6)))[0]
    found = []
    for points in (POINTS, 5 * POINTS @ turn - 20):
        first = nearest_others(points) if measure is neighbour_regression else points
        found.append(measure(first, values))
    assert found[0] == pytest.approx(found[1], abs=2e-3)


def test_equal_values_have_no_order() -> None:
    same = np.ones(len(POINTS))
    assert np.isnan(neighbour_regression(nearest_others(POINTS), same))
    assert np.isnan(interpolation_error(POINTS, same, pairs=5))
    assert np.isnan(distance_agreement(POINTS, [0, 1], [2, 3], [1.0, 1.0]))
    assert np.isnan(distance_agreement(np.zeros((4, 2)), [0, 1], [2, 3], [1.0, 2.0]))


@pytest.mark.parametrize(
    ("measure", "arguments", "part"),
    [
        (nearest_others, (np.zeros((10, 2)),), "more than 10"),
        (nearest_others, (np.zeros((4, 2)), 0), "k must be"),
        (nearest_others, (np.full((20, 2), np.nan),), "finite"),
        (neighbour_regression, (np.zeros((3, 1), dtype=int), [1.0, 2.0]), "3 finite numbers"),
        (neighbour_difference, (np.zeros((2, 1), dtype=int), [1.0, np.nan]), "2 finite numbers"),
        (random_difference, ([1.0],), "two values"),
        (random_difference, ([[1.0]],), "one dimension"),
        (distance_agreement, (np.zeros((3, 2)), [0, 1], [1, 3], [1.0, 2.0]), "rows up to 2"),
        (distance_agreement, (np.zeros((3, 2)), [0, 1], [1], [1.0, 2.0]), "rows up to 2"),
        (distance_agreement, (np.zeros((3, 2)), [0, 1], [1, 2], [1.0]), "2 finite numbers"),
        (interpolation_error, (np.zeros((2, 2)), [1.0, 2.0]), "at least 3"),
        (interpolation_error, (np.zeros((3, 2)), [1.0, 2.0]), "3 finite numbers"),
    ],
)
def test_bad_input(measure: Callable[..., Any], arguments: tuple[Any, ...], part: str) -> None:
    with pytest.raises(ArgumentError, match=part):
        measure(*arguments)
