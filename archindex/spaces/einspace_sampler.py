"""einspace: the sampler, which draws from the top among what fits (`recurse_sample` of the official code)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from archindex.spaces import einspace_shapes as shapes
from archindex.spaces.derivation import Production, Rules, Tree
from archindex.spaces.einspace_shapes import DoesNotFitError, Meter, Shape

T = TypeVar("T")


class _TooLargeError(Exception):
    """More productions were drawn than a derivation may have."""


class Sampler:
    """Draws one derivation, keeping track of shapes and of how much was drawn.

    Parameters
    ----------
    rules : mapping from str to tuple of Production
        The grammar.
    rng : numpy.random.Generator
        Draws.
    limit : int
        Largest number of productions drawn, those given up again included.
    """

    def __init__(self, rules: Rules, rng: np.random.Generator, limit: int) -> None:
        self._rules, self._rng = rules, rng
        self._left = limit
        self._meter = Meter()

    def draw(self, symbol: str, x: Shape) -> Tree | None:
        """Return a derivation that takes a tensor of shape `x`; None where it got too large."""
        try:
            return self._module(x, symbol)[0]
        except (_TooLargeError, DoesNotFitError):
            return None

    def _module(self, x: Shape, symbol: str = "module") -> tuple[Tree, Shape]:
        """Return a module that fits a tensor of shape `x`, and the shape that it gives."""
        listed = self._rules[symbol]
        possible = list(range(len(listed)))
        while possible:
            self._left -= 1
            if self._left < 0:
                raise _TooLargeError
            weights = np.array([listed[i].weight for i in possible])
            number = int(self._rng.choice(possible, p=weights / weights.sum()))
            try:
                children, y = self._filled(listed[number], x)
            except DoesNotFitError:
                possible.remove(number)
            else:
                return Tree(number, children), y
        raise DoesNotFitError

    def _filled(self, production: Production, x: Shape) -> tuple[tuple[Tree, ...], Shape]:
        """Draw the children of a production."""
        name, symbols = production.name, production.children
        if not symbols:
            return (), shapes.compute(name, x, self._meter)
        if name == "sequential":
            first, y = self._module(x)
            second, y = self._module(y)
            return (first, second), y
        if name.startswith("branching"):
            branching, part = self._function(symbols[0], lambda f: shapes.split(f, x, self._meter))
            inner = [self._module(part) for _ in symbols[1:-1]]
            copies = int(name.removeprefix("branching")) // len(inner)
            parts = [y for _, y in inner for _ in range(copies)]
            aggregation, y = self._function(symbols[-1], lambda f: shapes.join(f, parts, self._meter))
            return (branching, *(tree for tree, _ in inner), aggregation), y
        if name == "unfolding":
            before, (columns, sides) = self._function(symbols[0], lambda f: shapes.windows(f, x))
            module, between = self._module(columns)
            after, y = self._function(symbols[2], lambda f: shapes.fold(f, between, sides))
        else:
            before, routed = self._function(symbols[0], lambda f: shapes.permute(f, x))
            module, between = self._module(routed)
            after, y = self._function(symbols[2], lambda f: shapes.permute(f, between))
        return (before, module, after), y

    def _function(self, symbol: str, apply: Callable[[str], T]) -> tuple[Tree, T]:
        """Return one of the functions that fit, all alike, and what it gives."""
        self._left -= 1
        listed = self._rules[symbol]
        for number in map(int, self._rng.permutation(len(listed))):
            try:
                return Tree(number), apply(listed[number].name)
            except DoesNotFitError:
                continue
        raise DoesNotFitError
