"""BoostedTrees: gradient-boosted trees, a few of them averaged."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.core.checks import check_int
from archindex.predict.base import Floats, Prediction
from archindex.predict.columns import Columns
from archindex.predict.ranked import RankPredictor, folds

_BINS: Final = 32  # most columns are counts
_FOLDS: Final = 3
_LEAST_NOISE: Final = 1e-3


class BoostedTrees(RankPredictor):
    """Average of boosted trees that differ in the columns which they draw (scikit-learn's histogram trees).

    One standard deviation for all architectures comes from cross-validation.

    Parameters
    ----------
    members : int
        How many are averaged.
    rounds : int
        Trees of a member.
    """

    def __init__(self, members: int = 2, rounds: int = 150) -> None:
        super().__init__()
        self._members = check_int("members", members, low=1)
        self._rounds = check_int("rounds", rounds, low=1)

    @property
    def name(self) -> str:
        """``"boosted_trees"``."""
        return "boosted_trees"

    def _learn(self, x: Columns, points: npt.NDArray[np.float32], scores: Floats, seed: int) -> Prediction:
        self._trees = [self._member(points, scores, seed + i) for i in range(self._members)]
        fold, held_out = folds(len(scores), _FOLDS, seed), np.zeros(len(scores))
        for held in range(int(fold.max()) + 1):
            out = fold == held
            held_out[out] = self._member(points[~out], scores[~out], seed + held).predict(points[out])
        self._noise = float(np.sqrt(np.mean((scores - held_out) ** 2))) + _LEAST_NOISE
        return Prediction(held_out, np.full(len(scores), self._noise))

    def _member(self, points: npt.NDArray[np.float32], scores: Floats, seed: int) -> Any:
        from sklearn.ensemble import HistGradientBoostingRegressor

        trees = HistGradientBoostingRegressor(
            max_iter=self._rounds, learning_rate=0.08, max_leaf_nodes=15, min_samples_leaf=5,
            l2_regularization=1.0, max_features=0.2, max_bins=_BINS, early_stopping=False, random_state=seed,
        )  # fmt: skip
        return trees.fit(points, scores)

    def _score(self, points: npt.NDArray[np.float32]) -> Prediction:
        if not len(points):  # scikit-learn refuses
            return Prediction(np.empty(0), np.empty(0))
        mean = np.mean([trees.predict(points) for trees in self._trees], axis=0)
        return Prediction(mean, np.full(len(points), self._noise))
