from __future__ import annotations

import math

import numpy as np
import pytest

from archindex.core.errors import ArgumentError
from archindex.evaluate.curves import mean_and_error, paired_difference, summarize

CURVES = np.array([[1.0, 3.0, 5.0], [2.0, 2.0, 4.0], [0.0, 4.0, 5.0]])


def test_mean_and_standard_error_against_the_formula() -> None:
    mean, error = mean_and_error(CURVES)
    assert mean.tolist() == pytest.approx([1.0, 3.0, 14 / 3])
    assert error[0] == pytest.approx(1.0 / math.sqrt(3))
    assert error[2] == pytest.approx(np.std([5, 4, 5], ddof=1) / math.sqrt(3))


def test_one_seed_has_no_standard_error() -> None:
    mean, error = mean_and_error(CURVES[:1])
    assert mean.tolist() == [1.0, 3.0, 5.0]
    assert np.isnan(error).all()


@pytest.mark.parametrize(("maximize", "optimum", "shares"), [(True, 5.0, [0, 2 / 3]), (False, 2.0, [1, 0])])
def test_summary_counts_the_seeds_at_the_optimum(maximize: bool, optimum: float, shares: list[float]) -> None:
    points = summarize(CURVES, [1, 3], optimum=optimum, maximize=maximize)
    assert [p.queries for p in points] == [1, 3]
    assert [p.at_optimum for p in points] == pytest.approx(shares)
    assert points[1].mean == pytest.approx(14 / 3)


def test_paired_difference_is_of_seeds() -> None:
    shift = np.array([[1.0], [1.0], [1.0]])
    mean, error = paired_difference(CURVES, CURVES - shift, 2)
    assert (mean, error) == pytest.approx((1.0, 0.0))
    mean, error = paired_difference(CURVES, CURVES[::-1], 1)
    assert mean == pytest.approx(0.0)
    assert error == pytest.approx(np.std([1, 0, -1], ddof=1) / math.sqrt(3))


@pytest.mark.parametrize("at", [0, 4])
def test_queries_beyond_the_curves_are_refused(at: int) -> None:
    with pytest.raises(ArgumentError, match="1 to 3"):
        summarize(CURVES, [at], optimum=5, maximize=True)
    with pytest.raises(ArgumentError, match="one shape"):
        paired_difference(CURVES, CURVES, at)


def test_shapes_are_checked() -> None:
    with pytest.raises(ArgumentError, match="seeds, queries"):
        summarize(CURVES[0], [1], optimum=5, maximize=True)
    with pytest.raises(ArgumentError, match="one shape"):
        paired_difference(CURVES, CURVES[:2], 1)
