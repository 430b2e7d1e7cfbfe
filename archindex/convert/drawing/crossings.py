"""The order of the nodes in the layers of a drawing: few lines cross."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

SWEEPS: Final = 24
"""Sweeps down and up, at most."""
PATIENCE: Final = 6
"""Sweeps without fewer crossings after which it ends."""
SWAPPED: Final = 1_500
"""Nodes and bends up to which neighbours are also tried the other way round."""


def few_crossings(layers: Sequence[Sequence[int]], down: Mapping[int, Sequence[int]]) -> list[list[int]]:
    """Return the layers, each in an order with few crossings of the lines between them.

    Weighted medians and exchanges of neighbours, as in Gansner et al., "A Technique for Drawing Directed
    Graphs", 1993.

    Parameters
    ----------
    layers : sequence of sequence of int
        Nodes of every layer.
    down : mapping from int to sequence of int
        What every node leads to, all in the next layer.
    """
    up: dict[int, list[int]] = {v: [] for layer in layers for v in layer}
    for u, below in down.items():
        for v in below:
            up[v].append(u)
    order = _by_depth_first(layers, down, up)
    best, fewest, waited = [list(layer) for layer in order], _crossings(order, down), 0
    for sweep in range(SWEEPS):
        if fewest == 0 or waited == PATIENCE:
            break
        _sweep(order, up if sweep % 2 == 0 else down, downward=sweep % 2 == 0, turn_ties=sweep % 4 > 1)
        if sum(map(len, order)) <= SWAPPED:
            _exchange(order, up, down)
        now = _crossings(order, down)
        waited += 1
        if now < fewest:
            best, fewest, waited = [list(layer) for layer in order], now, 0
    return best


def _by_depth_first(
    layers: Sequence[Sequence[int]], down: Mapping[int, Sequence[int]], up: Mapping[int, Sequence[int]]
) -> list[list[int]]:
    """Return the layers in the order in which a search from the sources meets the nodes."""
    met: dict[int, None] = {}
    waiting = [v for layer in reversed(layers) for v in reversed(layer) if not up[v]]
    while waiting:
        v = waiting.pop()
        if v not in met:
            met[v] = None
            waiting += [w for w in reversed(down[v]) if w not in met]
    place = {v: i for i, v in enumerate(met)}
    return [sorted(layer, key=place.__getitem__) for layer in layers]


def _sweep(
    order: list[list[int]], beside: Mapping[int, Sequence[int]], *, downward: bool, turn_ties: bool
) -> None:
    """Sort every layer by the medians of its neighbours in the layer before; those without stay put."""
    place: dict[int, int] = {}
    for r in range(len(order)) if downward else range(len(order) - 1, -1, -1):
        layer = order[r]
        median = {v: _median(sorted(place[w] for w in beside[v])) for v in layer if beside[v]}
        moved = [v for v in (reversed(layer) if turn_ties else layer) if v in median]
        moved.sort(key=median.__getitem__)
        source = iter(moved)
        order[r] = [next(source) if v in median else v for v in layer]
        place = {v: i for i, v in enumerate(order[r])}


def _median(places: Sequence[int]) -> float:
    """Return the median; of an even number, the side on which they lie closer counts more."""
    m = len(places) // 2
    if len(places) % 2:
        return float(places[m])
    if len(places) == 2:
        return (places[0] + places[1]) / 2
    left, right = places[m - 1] - places[0], places[-1] - places[m]
    if left + right == 0:
        return (places[m - 1] + places[m]) / 2
    return (places[m - 1] * right + places[m] * left) / (left + right)


def _exchange(
    order: list[list[int]], up: Mapping[int, Sequence[int]], down: Mapping[int, Sequence[int]]
) -> None:
    """Exchange neighbours as long as that leaves fewer crossings."""
    better = True
    rounds = 0
    while better and rounds < 8:
        better, rounds = False, rounds + 1
        for r, layer in enumerate(order):
            above = {v: i for i, v in enumerate(order[r - 1])} if r else {}
            below = {v: i for i, v in enumerate(order[r + 1])} if r + 1 < len(order) else {}
            sides = {v: (sorted(above[w] for w in up[v]), sorted(below[w] for w in down[v])) for v in layer}
            for i in range(len(layer) - 1):
                a, b = sides[layer[i]], sides[layer[i + 1]]
                gain = sum(_pairs(x, y) - _pairs(y, x) for x, y in zip(a, b, strict=True))
                if gain > 0:
                    layer[i], layer[i + 1] = layer[i + 1], layer[i]
                    better = True


def _pairs(left: Sequence[int], right: Sequence[int]) -> int:
    """Return how many lines of a node cross those of its right neighbour."""
    return sum(len(left) - bisect_right(left, place) for place in right)


def _crossings(order: Sequence[Sequence[int]], down: Mapping[int, Sequence[int]]) -> int:
    """Return the number of crossings between all layers."""
    total = 0
    for layer, below in pairwise(order):
        place = {v: i for i, v in enumerate(below)}
        seen: list[int] = []
        for u in layer:
            ends = sorted(place[v] for v in down[u])
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total
