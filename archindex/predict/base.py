"""What every predictor can do: learn a quantity from a few labelled architectures, and say how sure it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Groups = Mapping[str, npt.NDArray[np.float32]]
"""Features by group, each of shape (n, d) with d depending on the group alone."""


@dataclass(frozen=True)
class Prediction:
    """What is believed of n architectures.

    Attributes
    ----------
    mean : ndarray of float64, shape (n,)
        Expected label.
    std : ndarray of float64, shape (n,)
        Standard deviation of the label about it, label noise included.
    """

    mean: Floats
    std: Floats


class Predictor(ABC):
    """Base of all predictors.

    Fitted again, a predictor forgets what it had learned. The same seed and data give the same prediction.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Registered name, e.g. ``"gp"``."""

    @abstractmethod
    def fit(self, groups: Groups, labels: Floats, *, seed: int = 0) -> None:
        """Learn from labelled architectures.

        Parameters
        ----------
        groups : mapping from str to ndarray of float32, each of shape (n, d)
            Their features.
        labels : ndarray of float64, shape (n,)
            Their labels, finite; in any unit, larger or smaller being better is all the same.
        seed : int
            Decides all that is random.

        Raises
        ------
        ArgumentError
            If there are fewer than two labels, a label is not finite, or the lengths differ.
        """

    @abstractmethod
    def predict(self, groups: Groups) -> Prediction:
        """Return what is believed of other architectures, from the groups that `fit` had.

        Raises
        ------
        ArgumentError
            If nothing was fitted, or the groups are others.
        """
