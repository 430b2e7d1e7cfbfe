"""Predictors by name."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from archindex.core.errors import ArgumentError, UnknownNameError
from archindex.predict.base import Predictor

PREDICTORS: Final[dict[str, str]] = {
    "blend": "archindex.predict.blend:Blend",
    "gp": "archindex.predict.gp:GaussianProcess",
    "boosted_trees": "archindex.predict.trees:BoostedTrees",
    "ensemble": "archindex.predict.ensemble:NetworkEnsemble",
    "pairwise": "archindex.predict.pairwise:PairwiseComparator",
}
"""Module and class of every registered predictor; a module is imported when its predictor is first used."""


def make_predictor(name: str = "blend", **options: Any) -> Predictor:
    """Return a new predictor.

    Parameters
    ----------
    name : str
        Registered name.
    **options
        Arguments of its class, e.g. ``members`` of ``"gp"``.

    Raises
    ------
    UnknownNameError
        If there is no such predictor; the message names the nearest.
    ArgumentError
        If it has no such option, or an option is out of range.
    """
    if name not in PREDICTORS:
        raise UnknownNameError.of("predictor", name, PREDICTORS)
    module, _, class_name = PREDICTORS[name].partition(":")
    kind: type[Predictor] = getattr(import_module(module), class_name)
    try:
        return kind(**options)
    except TypeError as error:
        raise ArgumentError(f"expected options of the predictor {name!r}", got=str(error)) from None
