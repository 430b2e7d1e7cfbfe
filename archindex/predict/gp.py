"""GaussianProcess: one relevance for every column of features, learned by maximum a posteriori."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, cholesky, solve_triangular

from archindex.core.checks import check_choice, check_int
from archindex.predict.base import Floats, Prediction
from archindex.predict.columns import Columns
from archindex.predict.ranked import RankPredictor, folds

Singles = npt.NDArray[np.float32]

NOISE_PRIOR: Final = 0.05
"""Label noise to expect, as a share of the variance of the scores."""

FEW: Final = 1000
"""Up to so many labels several processes are averaged; with more, one that sees all columns is as good."""

_STEPS: Final = 60
_RATE: Final = 0.05  # of Adam
_AT_ONCE: Final = 1000  # labels in one step; of more a random part is taken
_FOR_VARIANCE: Final = 512  # labels that the variance is conditioned on; fewer give a larger one
_KEPT: Final = 0.999  # of the variance of the scaled columns
_JITTER: Final = 1e-4
_BLOCK: Final = 4096


class GaussianProcess(RankPredictor):
    """Average of Gaussian processes with a Matern 5/2 kernel, each on a random half of the columns.

    The logarithms of the relevances have a normal prior around one value for each group of features, and
    these around a common one: a column matters as much as its group unless the labels say otherwise.
    Averaging makes up for what few labels cannot teach about hundreds of relevances.

    Parameters
    ----------
    members : int
        How many are averaged, up to `FEW` labels. A single one takes all columns.
    relevance : {"column", "group"}
        What has a relevance of its own.

    References
    ----------
    Rasmussen and Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, chapters 2 and 5.
    Neal, "Bayesian Learning for Neural Networks", Springer 1996 (automatic relevance determination).
    """

    def __init__(self, members: int = 4, relevance: Literal["column", "group"] = "column") -> None:
        super().__init__()
        self._members = check_int("members", members, low=1)
        self._by_column = check_choice("relevance", relevance, ("column", "group")) == "column"

    @property
    def name(self) -> str:
        """``"gp"``."""
        return "gp"

    def _learn(self, x: Columns, points: Singles, scores: Floats, seed: int) -> Prediction:
        rng = np.random.default_rng(seed)
        members = self._members if len(scores) <= FEW else 1
        fold = folds(len(scores), max(members, 4), seed)
        believed = Prediction(np.zeros(len(scores)), np.ones(len(scores)))
        self._models = []
        for _ in range(members):
            chosen = np.arange(points.shape[1])
            if members > 1 and len(chosen) > 1:
                chosen = np.sort(rng.permutation(chosen)[: (len(chosen) + 1) // 2])
            self._models.append(self._member(points, chosen, x.group, scores, rng))
        if len(scores) > FEW:
            # So many labels hardly move when one is left out: no hyperparameters are learned again.
            model = self._models[0]
            return Prediction(scores - model.left_out(), model.at(points).std)
        # What is held out is held out of the hyperparameters too, or the noise would look too small.
        for held in range(int(fold.max()) + 1):
            out, chosen = fold == held, self._models[held % members].chosen
            model = self._member(points[~out], chosen, x.group, scores[~out], rng)
            held_out = model.at(points[out])
            believed.mean[out], believed.std[out] = held_out.mean, held_out.std
        return believed

    def _member(
        self,
        points: Singles,
        chosen: npt.NDArray[np.int64],
        group: npt.NDArray[np.int64],
        scores: Floats,
        rng: np.random.Generator,
    ) -> _Posterior:
        part = points[:, chosen]
        hyper = _Hyper.fit(part, group[chosen], scores, rng, by_column=self._by_column)
        return _Posterior(hyper, chosen, part, scores, rng)

    def _score(self, points: Singles) -> Prediction:
        each = [model.at(points) for model in self._models]
        mean = np.mean([p.mean for p in each], axis=0)
        return Prediction(mean, np.sqrt(np.mean([p.std**2 for p in each], axis=0)))


@dataclass(frozen=True)
class _Hyper:
    """Relevance (of distances) of every column, amplitude and noise."""

    relevance: Singles
    amplitude: float
    noise: float

    @classmethod
    def fit(
        cls, x: Singles, group: npt.NDArray[np.int64], y: Floats, rng: np.random.Generator, *, by_column: bool
    ) -> _Hyper:
        """Follow the gradient of the log posterior by Adam (Kingma and Ba, ICLR 2015)."""
        n, groups = len(y), int(group.max(initial=0)) + 1
        common = -0.5 * np.log(groups)
        # Groups, columns about their group, amplitude, noise.
        prior = np.concatenate([np.full(groups, common), np.zeros(len(group)), [0.0, np.log(NOISE_PRIOR)]])
        theta, first, second = prior.copy(), np.zeros_like(prior), np.zeros_like(prior)
        for step in range(1, _STEPS + 1):
            rows = rng.choice(n, _AT_ONCE, replace=False) if n > _AT_ONCE else np.arange(n)
            gradient = _gradient(theta, x[rows], group, y[rows]) * np.sqrt(n / len(rows)) + (theta - prior)
            if not by_column:
                gradient[groups:-2] = 0.0
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            rate = _RATE * 0.5 * (1 + np.cos(np.pi * (step - 1) / _STEPS))
            corrected = np.sqrt(second / (1 - 0.999**step)) + 1e-8
            theta -= rate * first / (1 - 0.9**step) / corrected
        relevance = np.exp(theta[group] + theta[groups:-2]).astype(np.float32)
        return cls(relevance, float(np.exp(theta[-2])), float(np.exp(theta[-1])) + _JITTER)


class _Posterior:
    """One member: hyperparameters, the columns it sees, and the labels it is conditioned on."""

    def __init__(
        self,
        hyper: _Hyper,
        chosen: npt.NDArray[np.int64],
        x: Singles,
        y: Floats,
        rng: np.random.Generator,
    ) -> None:
        self._hyper, self.chosen = hyper, chosen
        scaled = x * hyper.relevance
        # Few axes carry almost all of the distances that matter, and make prediction fast.
        values, axes = np.linalg.eigh(scaled.T.astype(np.float64) @ scaled)
        order = values.argsort()[::-1]
        needed = int(np.searchsorted(np.cumsum(values[order]), _KEPT * values.sum())) + 1
        self._turn = (hyper.relevance[:, None] * axes[:, order[:needed]]).astype(np.float32)
        self._z = x @ self._turn
        covariance = self._covariance(self._z).astype(np.float64)
        covariance[np.diag_indices(len(y))] += hyper.noise
        factor = cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
        self._factor, self._solved = factor, cho_solve((factor, True), y, check_finite=False)
        self._weights = self._solved.astype(np.float32)
        few = rng.choice(len(y), min(len(y), _FOR_VARIANCE), replace=False)
        self._few = self._z[few]
        covariance = self._covariance(self._few)[:, few].astype(np.float64)
        covariance[np.diag_indices(len(few))] += hyper.noise
        factor = cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
        self._half = solve_triangular(factor, np.eye(len(few)), lower=True).astype(np.float32)

    def left_out(self) -> Floats:
        """Return by how much each label is missed when the others alone predict it."""
        half = solve_triangular(self._factor, np.eye(len(self._solved)), lower=True, check_finite=False)
        return np.asarray(self._solved / np.einsum("ij,ij->j", half, half))

    def _covariance(self, z: Singles, others: Singles | None = None) -> Singles:
        return np.float32(self._hyper.amplitude) * _matern(_squared(z, self._z if others is None else others))

    def at(self, points: Singles) -> Prediction:
        """Return the scores believed, label noise included."""
        mean, variance = np.empty(len(points)), np.empty(len(points))
        for start in range(0, len(points), _BLOCK):
            rows = slice(start, start + _BLOCK)
            z = points[rows][:, self.chosen] @ self._turn
            mean[rows] = self._covariance(z) @ self._weights
            explained = self._covariance(z, self._few) @ self._half.T
            variance[rows] = self._hyper.amplitude - (explained * explained).sum(axis=1)
        return Prediction(mean, np.sqrt(np.maximum(variance, 0.0) + self._hyper.noise))


def _gradient(theta: Floats, x: Singles, group: npt.NDArray[np.int64], y: Floats) -> Floats:
    """Return the gradient of the negative log marginal likelihood by the logs of all hyperparameters."""
    groups = len(theta) - len(group) - 2
    amplitude, noise = np.exp(theta[-2]), np.exp(theta[-1])
    z = x * np.exp(theta[group] + theta[groups:-2]).astype(np.float32)
    squared = _squared(z, z)
    kernel = amplitude * _matern(squared).astype(np.float64)
    covariance = kernel + (noise + _JITTER) * np.eye(len(y))
    factor = cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
    inverse = cho_solve((factor, True), np.eye(len(y)), overwrite_b=True, check_finite=False)
    solved = inverse @ y
    outer = 0.5 * (inverse - np.outer(solved, solved))
    r = np.sqrt(5 * squared)
    by_distance = (outer * amplitude * (-5 / 6) * (1 + r) * np.exp(-r)).astype(np.float32)
    total = by_distance.sum(axis=1, dtype=np.float64)
    by_column = 4 * (total @ (z * z) - (z * (by_distance @ z)).sum(axis=0, dtype=np.float64))
    by_group = np.bincount(group, weights=by_column, minlength=groups)
    return np.concatenate([by_group, by_column, [(outer * kernel).sum(), noise * np.trace(outer)]])


def _squared(a: Singles, b: Singles) -> Singles:
    """Return squared distances of the rows of `a` to those of `b`."""
    distance: Singles = -2 * (a @ b.T)
    distance += (a * a).sum(axis=1)[:, None]
    distance += (b * b).sum(axis=1)
    return np.maximum(distance, 0, out=distance)


def _matern(squared: Singles) -> Singles:
    r = np.sqrt(np.float32(5) * squared)
    return np.asarray((1 + r + r * r / 3) * np.exp(-r))
