"""Strategies by name."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from archindex.core.checks import check_choice
from archindex.search.base import Strategy
from archindex.search.pool import Pool

STRATEGIES: Final[dict[str, str]] = {
    "walk": "archindex.search.walk:Walk",
    "random": "archindex.search.baselines:RandomSearch",
    "evolution": "archindex.search.baselines:RegularizedEvolution",
    "local": "archindex.search.baselines:LocalSearch",
}
"""Module and class of every strategy."""


def make_strategy(
    name: str, pool: Pool, objective: str, *, seed: int = 0, maximize: bool | None = None
) -> Strategy:
    """Return a fresh strategy.

    Parameters
    ----------
    name : str
        A key of `STRATEGIES`.
    pool : Pool
        The candidates.
    objective : str
        What is searched for: an attribute column, or any name.
    seed : int
        Seed of everything random.
    maximize : bool, optional
        Which way is better; None: as the metric of the column says.

    Raises
    ------
    UnknownNameError
        If there is no such strategy.
    """
    module, _, class_name = STRATEGIES[check_choice("strategy", name, STRATEGIES)].partition(":")
    kind: type[Strategy] = getattr(import_module(module), class_name)
    return kind(pool, objective, seed=seed, maximize=maximize)
