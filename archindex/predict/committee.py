"""Committee: networks that are each trained without one fold of the labels, and averaged."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.predict.base import Floats, Prediction
from archindex.predict.columns import Columns
from archindex.predict.ranked import RankPredictor, folds

Singles = npt.NDArray[np.float32]

MEMBERS: Final = 4
"""Networks, and folds."""

RATE: Final = 2e-3
"""Learning rate at the start."""

_LEAST_NOISE: Final = 1e-3
_CLIP: Final = 6.0  # a column that hardly ever varies among the labelled may be far out elsewhere


class Committee(RankPredictor):
    """Base of predictors made of networks with outputs in no unit. Subclasses give `_trained`, `_outputs`.

    What a member says of its own fold sets the line from outputs to scores, and the noise about it; where
    members differ, the standard deviation is larger.
    """

    @abstractmethod
    def _trained(self, inputs: Singles, scores: Floats, seed: int) -> Any:
        """Return a new member."""

    @abstractmethod
    def _outputs(self, member: Any, inputs: Singles) -> Floats:
        """Return its outputs; the larger, the better."""

    def _learn(self, x: Columns, points: Singles, scores: Floats, seed: int) -> Prediction:
        # Hidden layers want columns of like size, which the scaling to distances does not give.
        spread: Singles = points.std(axis=0)
        varies = spread > 0
        self._centre: Singles = points.mean(axis=0)
        self._inverse = np.where(varies, 1 / np.where(varies, spread, 1), 0).astype(np.float32)
        inputs, fold = self._inputs(points), folds(len(scores), MEMBERS, seed)
        self._members = [
            self._trained(inputs[fold != i], scores[fold != i], seed + i) for i in range(fold.max() + 1)
        ]
        raw = np.stack([self._outputs(member, inputs) for member in self._members])
        held_out = raw[fold, np.arange(len(scores))]
        self._middle = float(held_out.mean())
        off = held_out - self._middle
        self._slope = max(float(off @ scores) / max(float(off @ off), _LEAST_NOISE), _LEAST_NOISE)
        self._noise = float(np.mean((scores - self._slope * off) ** 2)) + _LEAST_NOISE
        return Prediction(self._slope * off, np.sqrt(raw.var(axis=0) * self._slope**2 + self._noise))

    def _score(self, points: Singles) -> Prediction:
        inputs = self._inputs(points)
        raw = np.stack([self._outputs(member, inputs) for member in self._members])
        each = (raw - self._middle) * self._slope
        return Prediction(each.mean(axis=0), np.sqrt(each.var(axis=0) + self._noise))

    def _inputs(self, points: Singles) -> Singles:
        return np.asarray(np.clip((points - self._centre) * self._inverse, -_CLIP, _CLIP))
