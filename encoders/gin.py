"""GINEncoder: a graph network that learns to put alike graphs close together, from the graphs it is given."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.checks import check_int
from archindex.core.errors import ArgumentError
from archindex.core.progress import Progress, silent
from archindex.encoders.learned import LearnedEncoder, one_thread

EDIT_GROUPS: Final = 60
"""Groups of small graphs that are compared by edit distance."""

EDITS: Final = 0.004
"""Weight of edit distances. Heavier, distances agree better with edits, but neighbours worse in accuracy."""


class GINEncoder(LearnedEncoder):
    """Encode the functional DAG by a direction-aware graph isomorphism network, trained on one's own graphs.

    `fit` needs no labels: distances are to agree with those of the structural encoder and with edit distances
    (`archindex.encoders.objectives`). It takes labels where there are some.

    Parameters
    ----------
    dim : int
        Length of the vectors.
    width : int
        Length of the node states.
    layers : int
        Rounds of messages in each direction.
    epochs : int
        At most so many passes over the training graphs.
    graphs : int
        Train on at most so many distinct graphs.

    Raises
    ------
    ArgumentError
        If a number is out of range.

    References
    ----------
    Xu et al., "How Powerful are Graph Neural Networks?", ICLR 2019.
    """

    registered = "gin"

    def __init__(
        self, dim: int = 64, width: int = 64, layers: int = 4, epochs: int = 15, graphs: int = 12_000
    ) -> None:
        super().__init__(dim, width, layers)
        self._epochs = check_int("epochs", epochs, low=1)
        self._graphs = check_int("graphs", graphs, low=2)

    def fit(
        self,
        batch: GraphBatch,
        *,
        seed: int = 0,
        progress: Progress = silent,
        labels: npt.NDArray[np.float64] | None = None,
        weights: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """Learn from graphs; what was learned before is forgotten.

        Runs on one thread. The global random state and thread count of torch are left as they were.

        Parameters
        ----------
        batch : GraphBatch
            Training graphs, at least two different ones.
        seed : int
            The same seed on the same machine gives the same fingerprint.
        progress : Progress
            Told after each epoch.
        labels : ndarray of float64, shape (len(batch),), optional
            Measured values, NaN where there is none (semi-supervised).
        weights : ndarray of float64, shape (len(batch),), optional
            What each label counts, e.g. ``1 / (0.01 * n + rank)`` (Lukasik et al., AG-Net, ECCV 2022).

        Raises
        ------
        ArgumentError
            If there are not two different graphs, or not one label for each.
        """
        from archindex.encoders.objectives import Objectives
        from archindex.encoders.train import TrainingPlan, train
        from archindex.encoders.training_set import TrainingSet

        check_int("seed", seed, low=0)
        for name, values in (("labels", labels), ("weights", weights)):
            if values is not None and values.shape != (len(batch),):
                raise ArgumentError(f"expected {name} of shape ({len(batch)},)", got=values.shape)
        with one_thread():
            data = TrainingSet.of(
                [batch], most=self._graphs, edit_groups=EDIT_GROUPS, seed=seed, labels=labels, weights=weights
            )
            wanted = Objectives(edits=EDITS, labels=0.0 if labels is None else 0.3)
            model = self.empty_model(seed)
            train(model, data, TrainingPlan(self._epochs, objectives=wanted), seed=seed, progress=progress)
        self.adopt(model)

    def _config(self) -> dict[str, Any]:
        return super()._config() | {"epochs": self._epochs, "graphs": self._graphs}
