"""Every strategy keeps the contract of ask and tell."""

from __future__ import annotations

from archindex.search.base import Strategy
from archindex.search.pool import Pool
from archindex.search.registry import make_strategy
from archindex.testing.strategy_case import StrategyCase


class TestWalk(StrategyCase):
    @staticmethod
    def make(pool: Pool, objective: str, seed: int, maximize: bool | None) -> Strategy:
        return make_strategy("walk", pool, objective, seed=seed, maximize=maximize)


class TestRandomSearch(StrategyCase):
    @staticmethod
    def make(pool: Pool, objective: str, seed: int, maximize: bool | None) -> Strategy:
        return make_strategy("random", pool, objective, seed=seed, maximize=maximize)


class TestRegularizedEvolution(StrategyCase):
    @staticmethod
    def make(pool: Pool, objective: str, seed: int, maximize: bool | None) -> Strategy:
        return make_strategy("evolution", pool, objective, seed=seed, maximize=maximize)


class TestLocalSearch(StrategyCase):
    @staticmethod
    def make(pool: Pool, objective: str, seed: int, maximize: bool | None) -> Strategy:
        return make_strategy("local", pool, objective, seed=seed, maximize=maximize)
