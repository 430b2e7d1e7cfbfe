"""What the predictors share: they learn the ranks of the labels, and are calibrated on labels held out.

Labels of architectures have a long lower tail, and what is asked of a predictor is mostly an order. So labels
become standard normal scores of their ranks, and predictions go back through the same curve. Every predictor
says what it would have predicted of its own labels without knowing them; the standard deviation is widened or
narrowed by one factor until 90% of these labels lie within 1.645 of it.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import rankdata

from archindex.core.errors import ArgumentError
from archindex.predict.base import Floats, Groups, Prediction, Predictor
from archindex.predict.columns import Columns

COVERED: Final = 0.9
"""Share of labels held out that the calibrated interval covers."""

_LEAST: Final = 1e-6  # of a standard deviation, as a share of the spread of the labels


class RankPredictor(Predictor):
    """Base of predictors of normal scores. A subclass gives `_learn` and `_score`."""

    def __init__(self) -> None:
        self._columns: Columns | None = None

    @abstractmethod
    def _learn(self, x: Columns, points: npt.NDArray[np.float32], scores: Floats, seed: int) -> Prediction:
        """Learn; return what is believed of the same points by what has not seen their scores."""

    @abstractmethod
    def _score(self, points: npt.NDArray[np.float32]) -> Prediction:
        """Return what is believed of other points."""

    def fit(self, groups: Groups, labels: Floats, *, seed: int = 0) -> None:
        """Learn from labelled architectures; see `Predictor.fit`."""
        labels = _checked(groups, labels)
        self._columns = None
        columns = Columns(groups)
        self._scale = _Scale(labels)
        held_out = self._learn(columns, columns.of(groups), self._scale.scores, seed)
        self._factor = 1.0
        believed = self._scale.back(held_out)
        off = np.sort(np.abs(labels - believed.mean) / believed.std)
        place = min(int(np.ceil(COVERED * (len(labels) + 1))), len(labels)) - 1
        self._factor = max(float(off[place] / ndtri((1 + COVERED) / 2)), 1e-3)
        self._columns = columns

    def predict(self, groups: Groups) -> Prediction:
        """Return what is believed of other architectures; see `Predictor.predict`."""
        if self._columns is None:
            raise ArgumentError("expected a fitted predictor", got=self.name, fix="call fit first")
        believed = self._scale.back(self._score(self._columns.of(groups)))
        return Prediction(believed.mean, believed.std * self._factor)


class _Scale:
    """The way from labels to normal scores of their ranks and back."""

    def __init__(self, labels: Floats) -> None:
        self.scores: Floats = np.asarray(ndtri((rankdata(labels) - 0.5) / len(labels)))
        self._at, first = np.unique(self.scores, return_index=True)
        self._values = labels[first]
        self._least = max(float(np.std(labels)), abs(float(labels[0])) * _LEAST, _LEAST) * _LEAST
        # Beyond the labels the curve goes on as steeply as it does on average over the outer fifth of them.
        self._slopes = [
            self._slope(part) for part in (slice(None, self._outer()), slice(-self._outer(), None))
        ]

    def _outer(self) -> int:
        return max(2, len(self._at) // 5)

    def _slope(self, part: slice) -> float:
        at, values = self._at[part], self._values[part]
        return float((values[-1] - values[0]) / (at[-1] - at[0])) if len(at) > 1 else 1.0

    def _label(self, scores: Floats) -> Floats:
        inside = np.interp(scores, self._at, self._values)
        below, above = np.minimum(scores - self._at[0], 0.0), np.maximum(scores - self._at[-1], 0.0)
        labels: Floats = inside + self._slopes[0] * below + self._slopes[1] * above
        return labels

    def back(self, believed: Prediction) -> Prediction:
        """Return the same belief about labels; the order of the means stays."""
        mean, std = believed.mean, believed.std
        spread = (self._label(mean + std) - self._label(mean - std)) / 2
        return Prediction(self._label(mean), np.maximum(spread, self._least))


def folds(n: int, k: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the fold of each of `n` labels, `k` folds of almost equal size drawn by `seed`."""
    return np.random.default_rng(seed).permutation(n) % min(k, n)


def _checked(groups: Groups, labels: Floats) -> Floats:
    values = np.asarray(labels, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise ArgumentError("expected at least two finite labels of shape (n,)", got=labels)
    for name, group in groups.items():
        if np.ndim(group) != 2 or len(group) != len(values):
            raise ArgumentError(f"expected group {name!r} of shape ({len(values)}, d)", got=np.shape(group))
    return values
