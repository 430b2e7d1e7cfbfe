"""Ranking the cells of one search space by labels of another: zero-shot transfer.

Five learners of different kinds see features that mean the same in every cell space, and the mean of their
normal scores ranks. What a learner makes of cells unlike those that it knew is its own; what several agree on
carries over. Learners and their settings were chosen by transfer *within* NAS-Bench-101 (from large cells to
small ones, from concatenated outputs to summed ones, from wide networks to narrow ones), not by labels of
another space.

References
----------
Mills et al., "GENNAPE: Towards Generalized Neural Architecture Performance Estimators", AAAI 2023 (the task).
Sugiyama et al., "Covariate Shift Adaptation by Importance Weighted Cross Validation", JMLR 2007 (weights).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import rankdata

from archindex.core.batch import GraphBatch
from archindex.core.errors import ArgumentError
from archindex.core.rng import generator
from archindex.encoders.live_features import LIVE_NAMES, live_features, with_projections
from archindex.predict.base import Floats, Groups

MOST_LABELS: Final = 20_000
"""Labels that are learned from; of more, a part drawn at random."""

RATIO_CEILING: Final = 5.0
"""The largest importance of a labelled cell, as a multiple of the mean."""

_SHAPE: Final = ("wide_ops", "narrow_ops", "pool_ops", "weights_longest", "sums")
_RISING: Final = ("wide_ops", "narrow_ops", "log_area")  # more weights are taken to do no harm


def transfer_groups(
    batch: GraphBatch, *, projected: bool = False, cost: npt.ArrayLike | None = None
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the features by which cells of different spaces compare.

    Parameters
    ----------
    batch : GraphBatch
        Graphs of the cells.
    projected : bool
        Whether the network puts a 1x1 convolution in front of every op that reads the input of a cell, as
        NAS-Bench-101 does.
    cost : array_like of float, shape (len(batch),), optional
        Multiply-adds of a cell per pixel over the squared channels of the cell, where the graph does not
        say them; the default is the kernel areas of the live ops, which is right if all have all channels.

    Returns
    -------
    dict from str to ndarray of float32, shape (len(batch), d)
        ``"cell"``: the cell as its graph says; ``"network"``: as it is built; ``"cost"``: log(1 + cost).

    Raises
    ------
    ArgumentError
        If the costs are not finite, negative, or not one a graph.
    """
    cell = live_features(batch)
    area = cell[:, [LIVE_NAMES.index("log_area")]]
    if cost is not None:
        given = np.asarray(cost, dtype=np.float64)
        if given.shape != (len(batch),) or not (np.isfinite(given) & (given >= 0)).all():
            raise ArgumentError(f"expected {len(batch)} finite costs of at least 0", got=given)
        area = np.log1p(given)[:, None].astype(np.float32)
    return {
        "cell": cell,
        "network": live_features(with_projections(batch)) if projected else cell,
        "cost": area,
    }


class TransferRanker:
    """Ranks cells of any space by labels of one.

    Examples
    --------
    >>> import archindex as ax
    >>> from scipy.stats import spearmanr
    >>> from archindex.predict.transfer import TransferRanker, transfer_groups
    >>> space = ax.space("nasbench201")
    >>> cells = transfer_groups(space.graphs([a.native for a in space.sample(200)]))
    >>> ranker = TransferRanker()
    >>> ranker.fit(cells, cells["cost"][:, 0])
    >>> bool(spearmanr(ranker.scores(cells), cells["cost"][:, 0])[0] > 0.8)
    True
    """

    def __init__(self) -> None:
        self._members: list[tuple[Callable[[Groups], Floats], Any]] = []

    def fit(
        self, groups: Groups, labels: npt.ArrayLike, *, target: Groups | None = None, seed: int = 0
    ) -> None:
        """Learn from labelled cells of one space.

        Parameters
        ----------
        groups : mapping from str to ndarray of float32
            Their `transfer_groups`.
        labels : array_like of float, shape (n,)
            Their labels, larger is better; only the order counts.
        target : mapping from str to ndarray of float32, optional
            `transfer_groups` of cells of the space to be ranked. Labelled cells that look like them are then
            drawn more often, by the density ratio that a classifier of the two spaces gives.
        seed : int
            Decides all that is random.

        Raises
        ------
        ArgumentError
            If there are fewer than 20 labels, one is not finite, or the lengths differ.
        """
        from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import PolynomialFeatures, StandardScaler

        told = np.asarray(labels, dtype=np.float64)
        if told.ndim != 1 or len(told) < 20 or not np.isfinite(told).all():
            raise ArgumentError("expected at least 20 finite labels", got=np.shape(labels))
        if any(len(group) != len(told) for group in groups.values()):
            raise ArgumentError(
                f"expected features of {len(told)} cells", got={name: len(g) for name, g in groups.items()}
            )
        rng = generator(seed, "transfer")
        normal = normal_scores(told)
        share = None if target is None else _importance(groups, target, seed)
        n = min(MOST_LABELS, len(told))
        rows = rng.choice(len(told), n, replace=share is not None, p=share)
        state = int(rng.integers(2**31))

        def trees(columns: int) -> Any:
            rising = [int(name in _RISING) for name in LIVE_NAMES[1:]] + [1] * (columns - len(LIVE_NAMES) + 1)
            return HistGradientBoostingRegressor(
                max_iter=150, learning_rate=0.1, monotonic_cst=rising, random_state=state
            )

        wide = len(LIVE_NAMES)
        forest = ExtraTreesRegressor(40, min_samples_leaf=5, max_features=0.5, random_state=state)
        quadratic = make_pipeline(StandardScaler(), PolynomialFeatures(2), StandardScaler(), Ridge(10.0))
        linear = make_pipeline(StandardScaler(), StandardScaler(), Ridge(10.0))
        self._members = [
            (_cell, trees(wide)), (_cell, forest), (_network, trees(wide)), (_cell, quadratic),
            (_shape_of_network, linear),
        ]  # fmt: skip
        for view, model in self._members:
            model.fit(view(groups)[rows], normal[rows])

    def scores(self, groups: Groups) -> Floats:
        """Return a score for every cell, larger is better; float64, shape (n,).

        The scores are means of normal scores *among the cells given*: they order these cells, and are no
        estimate of a label. Where nothing reaches the output, the score is ``-inf``.

        Raises
        ------
        ArgumentError
            If nothing was fitted.
        """
        if not self._members:
            raise ArgumentError("expected a fitted ranker", got="none", fix="call fit first")
        each = [normal_scores(model.predict(view(groups))) for view, model in self._members]
        fed = np.asarray(groups["cell"])[:, 0] > 0
        return np.where(fed, np.mean(each, axis=0), -np.inf)


def normal_scores(values: Floats) -> Floats:
    """Return standard normal scores of the ranks, equal values alike; shape (n,)."""
    return np.asarray(ndtri((rankdata(values) - 0.5) / len(values)))


def _cell(groups: Groups) -> Floats:
    return np.hstack([groups["cell"][:, 1:], groups["cost"]]).astype(np.float64)


def _network(groups: Groups) -> Floats:
    return np.hstack([groups["network"][:, 1:], groups["cost"]]).astype(np.float64)


def _shape_of_network(groups: Groups) -> Floats:
    return np.asarray(groups["network"][:, 1:], dtype=np.float64)


def _importance(groups: Groups, target: Groups, seed: int) -> Floats:
    """Return the chance of each labelled cell to be drawn: its density ratio, clipped."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    columns = [LIVE_NAMES.index(name) for name in _SHAPE]
    here, there = (np.asarray(g["cell"])[:, columns] for g in (groups, target))
    rows = generator(seed, "importance").permutation(len(here))[: 2 * MOST_LABELS]
    model = HistGradientBoostingClassifier(
        max_iter=30, max_leaf_nodes=8, class_weight="balanced", random_state=0
    )
    model.fit(np.concatenate([here[rows], there]), np.repeat([0, 1], [len(rows), len(there)]))
    odds = np.exp(model.decision_function(here))
    odds = np.clip(odds / odds.mean(), 1 / (10 * RATIO_CEILING), RATIO_CEILING)
    return np.asarray(odds / odds.sum(), dtype=np.float64)
