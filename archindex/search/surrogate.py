"""Surrogate: a Gaussian process over candidate classes with one relevance for each group of features.

The kernel is a Matern 5/2 of the weighted sum of squared distances in each group (automatic relevance
determination over groups, not over columns: a handful of weights is all that a dozen labels can teach).
Relevances, amplitude and label noise are fitted to the labels by maximum a posteriori; the posterior over
all candidates is kept up to date label by label, by extending the Cholesky factor.

References
----------
Rasmussen and Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, chapters 2, 4 and 5.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import ndtri
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

NOISE_PRIOR: Final = 0.05
"""Label noise to expect, as a share of the variance of the (Gaussianised) labels."""

REFIT_SHARE: Final = 0.05
"""The hyperparameters are fitted again when the labels have grown by this share."""

_JITTER: Final = 1e-6
_MAX_STEPS: Final = 12  # of L-BFGS a fit; the next fit starts where this one ended


class Surrogate:
    """Posterior mean and variance of every candidate class, given labels of some.

    Parameters
    ----------
    groups : mapping from str to ndarray of float32, each of shape (n_classes, d)
        Features by group. Each group is scaled so that the mean squared distance of two classes is 1.
    standardised : collection of str
        Groups of which every column is scaled to variance 1 first.

    Attributes
    ----------
    features : list of ndarray of float32
        The groups, scaled.
    noise : float
        Variance of a label about the latent value of its class.
    """

    def __init__(self, groups: Mapping[str, Singles], standardised: Collection[str] = ()) -> None:
        self._scaling = {name: _scaling(group, name in standardised) for name, group in groups.items()}
        self.features = [_scaled(group, *self._scaling[name]) for name, group in groups.items()]
        self._squares = [(group**2).sum(axis=1) for group in self.features]
        self.n_classes = len(self.features[0])
        n = len(self.features)
        self._seen: list[int] = []
        self._distances = np.empty((n, 0, self.n_classes), dtype=np.float32)
        # Logarithms: relevance of each group (of distances), amplitude, noise.
        self._prior = np.array([-0.5 * np.log(n)] * n + [0.0, np.log(NOISE_PRIOR)])
        self._theta = self._prior.copy()
        self._fitted_with = 0
        self._factor: Floats = np.empty((0, 0))
        self._solved: Singles = np.empty((0, self.n_classes), dtype=np.float32)

    @property
    def noise(self) -> float:  # noqa: D102 - described with the class
        return float(np.exp(self._theta[-1])) + _JITTER

    def distances(self, c: int) -> Singles:
        """Return squared distances of class `c` to all classes; float32, shape (n_groups, n_classes)."""
        return np.stack(
            [
                np.maximum(square + square[c] - 2 * (group @ group[c]), 0)
                for group, square in zip(self.features, self._squares, strict=True)
            ]
        )

    def add_classes(self, groups: Mapping[str, Singles]) -> None:
        """Take in further classes, with the groups of features that the first ones have."""
        fresh = [_scaled(groups[name], *scaling) for name, scaling in self._scaling.items()]
        self.features = [np.concatenate(pair) for pair in zip(self.features, fresh, strict=True)]
        self._squares = [(group**2).sum(axis=1) for group in self.features]
        self.n_classes = len(self.features[0])
        seen, self._seen = self._seen, []
        self._distances = np.empty((len(self.features), 0, self.n_classes), dtype=np.float32)
        self._solved = np.empty((0, self.n_classes), dtype=np.float32)
        for c in seen:
            self.observe(c)

    def observe(self, c: int) -> None:
        """Take note that class `c` has a label more; its value comes with `posterior`."""
        self._seen.append(c)
        capacity = self._distances.shape[1]
        if len(self._seen) > capacity:
            grown = np.empty((len(self.features), max(64, 2 * capacity), self.n_classes), dtype=np.float32)
            grown[:, :capacity] = self._distances
            self._distances = grown
        self._distances[:, len(self._seen) - 1] = self.distances(c)

    def posterior(self, labels: Floats) -> Posterior:
        """Return what is believed of all classes.

        Parameters
        ----------
        labels : ndarray of float64, shape (n_observed,)
            One a call of `observe`, in that order.
        """
        n = len(self._seen)
        if n >= self._fitted_with * (1 + REFIT_SHARE):
            self._fit(labels)
        seen = self._distances[:, :n]
        if len(self._solved) == 0:
            covariance = self._kernel(seen)
            self._factor = cholesky(
                covariance[:, self._seen].astype(np.float64) + self.noise * np.eye(n),
                lower=True,
                check_finite=False,
            )
            inverse = solve_triangular(self._factor, np.eye(n), lower=True, check_finite=False)
            self._solved = inverse.astype(np.float32) @ covariance
        for i in range(len(self._solved), n):
            row, low = self.extend(self._solved, self._seen[i], seen[:, i])
            self._solved = np.vstack([self._solved, row])
            self._factor = np.block([[self._factor, np.zeros((i, 1))], [low]])
        weights = solve_triangular(self._factor, labels, lower=True, check_finite=False)
        mean = weights.astype(np.float32) @ self._solved
        variance = self._amplitude - np.einsum("ij,ij->j", self._solved, self._solved)
        return Posterior(self, mean.astype(np.float64), variance.astype(np.float64), self._solved)

    def extend(self, solved: Singles, c: int, distances: Singles) -> tuple[Singles, Floats]:
        """Condition on a further label of class `c`.

        Returns
        -------
        ndarray of float32, shape (n_classes,)
            New row of the solved covariance; the variance falls by its square.
        ndarray of float64, shape (n + 1,)
            New row of the Cholesky factor.
        """
        low = solved[:, c].astype(np.float64)
        diagonal = np.sqrt(max(self._amplitude - float(low @ low), 0.0) + self.noise)
        row = (self._kernel(distances) - solved[:, c] @ solved) / np.float32(diagonal)
        return row.astype(np.float32, copy=False), np.append(low, diagonal)

    @property
    def _amplitude(self) -> float:
        return float(np.exp(self._theta[-2]))

    def _kernel(self, distances: Singles) -> Singles:
        """Return the covariance at squared distances of shape (n_groups, ...)."""
        relevance = np.exp(2 * self._theta[:-2]).astype(np.float32)
        covariance: Singles = np.float32(self._amplitude) * _matern(np.tensordot(relevance, distances, 1))
        return covariance

    def _fit(self, labels: Floats) -> None:
        n, g = len(self._seen), len(self.features)
        distances = self._distances[:, :n][:, :, self._seen].astype(np.float64)
        identity = np.eye(n)

        def loss(theta: Floats) -> tuple[float, Floats]:
            """Negative log posterior of the hyperparameters and its gradient."""
            relevance, amplitude, noise = np.exp(2 * theta[:g]), np.exp(theta[g]), np.exp(theta[g + 1])
            scaled_distance = np.tensordot(relevance, distances, 1)
            kernel = amplitude * _matern(scaled_distance)
            try:
                factor = cholesky(kernel + (noise + _JITTER) * identity, lower=True, check_finite=False)
            except LinAlgError:
                return 1e10, np.zeros(g + 2)
            half = solve_triangular(factor, identity, lower=True, check_finite=False)
            inverse = half.T @ half
            alpha = inverse @ labels
            off = theta - self._prior
            value = 0.5 * labels @ alpha + np.log(np.diag(factor)).sum() + 0.5 * off @ off
            outer = 0.5 * (inverse - np.outer(alpha, alpha))
            by_distance = outer * amplitude * _matern_slope(scaled_distance)
            gradient = np.concatenate(
                [
                    2 * relevance * np.tensordot(distances, by_distance, 2),
                    [(outer * kernel).sum(), noise * np.trace(outer)],
                ]
            )
            return float(value), gradient + off

        bounds = [(-5.0, 3.0)] * g + [(-3.0, 3.0), (-7.0, 1.0)]
        fitted = minimize(
            loss, self._theta, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _MAX_STEPS}
        )
        self._theta = fitted.x
        self._fitted_with = n
        self._solved = self._solved[:0]


class Posterior:
    """What is believed of all classes, and what would be if some were labelled too.

    Attributes
    ----------
    mean, variance : ndarray of float64, shape (n_classes,)
        Of the latent value, on the scale of the labels.
    """

    def __init__(self, surrogate: Surrogate, mean: Floats, variance: Floats, solved: Singles) -> None:
        self._surrogate = surrogate
        self._solved = solved
        self.mean = mean
        self.variance = np.maximum(variance, 1e-9)

    def believe(self, c: int) -> None:
        """Count a label of class `c` as if it had come back at its mean: only the variance falls."""
        row, _ = self._surrogate.extend(self._solved, c, self._surrogate.distances(c))
        self._solved = np.vstack([self._solved, row])
        self.variance = np.maximum(self.variance - row.astype(np.float64) ** 2, 1e-9)


def gaussianised(values: Floats) -> Floats:
    """Return standard normal scores of the ranks: only the order of the labels counts."""
    return np.asarray(ndtri((rankdata(values) - 0.5) / len(values)))


def _scaling(group: Singles, standardise: bool) -> tuple[Singles, Singles]:
    """Return centre and scale of every column; a column without spread has scale 0."""
    centre, variance = group.mean(axis=0), group.var(axis=0, dtype=np.float64)
    varies = variance > 1e-12
    spread = variance * max(int(varies.sum()), 1) if standardise else np.full_like(variance, variance.sum())
    scale = np.where(varies, 1.0 / np.sqrt(2 * np.where(varies, spread, 1.0)), 0.0)
    return centre, scale.astype(np.float32)


def _scaled(group: Singles, centre: Singles, scale: Singles) -> Singles:
    return np.ascontiguousarray((group - centre) * scale, dtype=np.float32)


def _matern(squared: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Matern 5/2 correlation at squared distances, in their precision."""
    r = np.sqrt(5 * squared)
    return np.asarray((1 + r + r * r / 3) * np.exp(-r))


def _matern_slope(squared: Floats) -> Floats:
    """Derivative of the Matern 5/2 correlation by the squared distance."""
    r = np.sqrt(5 * squared)
    return np.asarray(-(5 / 6) * (1 + r) * np.exp(-r))
