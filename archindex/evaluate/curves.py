"""Best-so-far curves of many seeds: means, standard errors, shares at the optimum, paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArgumentError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """A strategy after some queries, over all seeds.

    Attributes
    ----------
    queries : int
        Number of queries.
    mean : float
        Mean best value so far.
    error : float
        Standard error of that mean; NaN for one seed.
    at_optimum : float
        Share of the seeds that found the optimum.
    """

    queries: int
    mean: float
    error: float
    at_optimum: float


def mean_and_error(values: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return mean and standard error over the first axis.

    Parameters
    ----------
    values : array_like of float, shape (seeds, ...)
        NaN stays NaN. The standard error of one seed is NaN.
    """
    array = np.asarray(values, dtype=np.float64)
    n = len(array)
    mean = array.mean(axis=0)
    error = array.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(mean.shape, np.nan)
    return np.asarray(mean), np.asarray(error)


def summarize(curves: npt.ArrayLike, at: Sequence[int], *, optimum: float, maximize: bool) -> list[Point]:
    """Return what the seeds have found after given numbers of queries.

    Parameters
    ----------
    curves : array_like of float, shape (seeds, queries)
        Best value so far of each seed.
    at : sequence of int
        Numbers of queries, from 1.
    optimum : float
        The best value there is.
    maximize : bool
        Which way is better.

    Raises
    ------
    ArgumentError
        If a number of queries is beyond the curves.
    """
    array = _curves(curves)
    if any(not 1 <= n <= array.shape[1] for n in at):
        raise ArgumentError(f"expected numbers of queries from 1 to {array.shape[1]}", got=list(at))
    mean, error = mean_and_error(array)
    reached = array >= optimum if maximize else array <= optimum
    share = reached.mean(axis=0)
    return [Point(n, float(mean[n - 1]), float(error[n - 1]), float(share[n - 1])) for n in at]


def paired_difference(curves: npt.ArrayLike, others: npt.ArrayLike, at: int) -> tuple[float, float]:
    """Return mean and standard error of ``curves - others`` after `at` queries, seed by seed.

    Raises
    ------
    ArgumentError
        If the curves are not of the same seeds and queries.
    """
    ours, theirs = _curves(curves), _curves(others)
    if ours.shape != theirs.shape or not 1 <= at <= ours.shape[1]:
        raise ArgumentError("expected two sets of curves of one shape", got=(ours.shape, theirs.shape, at))
    mean, error = mean_and_error(ours[:, at - 1] - theirs[:, at - 1])
    return float(mean), float(error)


def _curves(curves: npt.ArrayLike) -> Floats:
    array = np.asarray(curves, dtype=np.float64)
    if array.ndim != 2 or 0 in array.shape:
        raise ArgumentError("expected curves of shape (seeds, queries)", got=array.shape)
    return array
