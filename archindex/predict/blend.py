"""Blend: the Gaussian process and the boosted trees together."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.predict.base import Floats, Prediction
from archindex.predict.columns import Columns
from archindex.predict.gp import GaussianProcess
from archindex.predict.ranked import RankPredictor
from archindex.predict.trees import BoostedTrees

TREES: Final = 1 / 3
"""Weight of the trees' mean: the best of a few on NAS-Bench-101 and 201 with label draws of other seeds than
the benchmark's. The features, and the settings of both parts, were tried out on the same draws."""


class Blend(RankPredictor):
    """Mean of a Gaussian process and a committee of boosted trees; the process says how sure it is.

    A process is smooth over all features together, trees are steep in a few: their errors differ, so that
    both together rank better than either.
    """

    def __init__(self) -> None:
        super().__init__()
        self._smooth, self._steep = GaussianProcess(), BoostedTrees()

    @property
    def name(self) -> str:
        """``"blend"``."""
        return "blend"

    def _learn(self, x: Columns, points: npt.NDArray[np.float32], scores: Floats, seed: int) -> Prediction:
        return _both(
            self._smooth._learn(x, points, scores, seed), self._steep._learn(x, points, scores, seed)
        )

    def _score(self, points: npt.NDArray[np.float32]) -> Prediction:
        return _both(self._smooth._score(points), self._steep._score(points))


def _both(smooth: Prediction, steep: Prediction) -> Prediction:
    return Prediction(np.asarray((1 - TREES) * smooth.mean + TREES * steep.mean), smooth.std)
