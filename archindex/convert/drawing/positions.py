"""Positions of the nodes in the layers of a drawing: close to what they are joined with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

STRAIGHT: Final = (1.0, 3.0, 12.0)
"""Weight of a line with no bend at its ends, with one, and with two: long lines run straight."""
SOFT: Final = 3.0
"""Pixels below which the distance of two ends counts squared."""
SQUARED_SWEEPS: Final = 12
"""First sweeps, in which all distances count squared."""
SETTLED: Final = 0.1
"""Pixels of change at which the sweeps end."""
MOST_SWEEPS: Final = 160
MOST_STEPS: Final = 400_000
"""Steps over all sweeps, so that a drawing of thousands of nodes takes seconds."""


def positions(
    layers: Sequence[Sequence[int]],
    down: Mapping[int, Sequence[int]],
    room: Callable[[int, int], float],
    bends: Callable[[int], bool],
) -> dict[int, float]:
    """Return the middle of every node: least distance over all lines, and room between neighbours.

    Layer by layer the optimum of squared distances (an isotonic regression), down and up until nothing moves.
    After the first sweeps every line is weighted by the inverse of its distance, so that what is least in the
    end is the sum of distances and not of their squares: lines are straight, or bend in one place.

    Parameters
    ----------
    layers : sequence of sequence of int
        Nodes of every layer, from left to right.
    down : mapping from int to sequence of int
        What every node leads to; what lies in none of the layers is left out.
    room : callable
        Least distance between the middles of two neighbours, given from left to right.
    bends : callable
        Whether a node is a bend of a line.
    """
    x: dict[int, float] = {}
    offsets: list[list[float]] = []
    for layer in layers:
        at = 0.0
        offset = []
        for i, v in enumerate(layer):
            at += room(layer[i - 1], v) if i else 0.0
            offset.append(at)
        offsets.append(offset)
        x |= {v: o - at / 2 for v, o in zip(layer, offset, strict=True)}
    lines: dict[int, list[tuple[int, float]]] = {v: [] for v in x}
    for u in x:
        for v in down[u]:
            if v in x:
                weight = STRAIGHT[bends(u) + bends(v)]
                lines[u].append((v, weight))
                lines[v].append((u, weight))
    steps = len(x) + sum(map(len, lines.values()))
    for sweep in range(max(SQUARED_SWEEPS, min(MOST_SWEEPS, MOST_STEPS // steps))):
        moved = 0.0
        rows = range(len(layers)) if sweep % 2 == 0 else range(len(layers) - 1, -1, -1)
        for r in rows:
            wanted, weights = [], []
            for v, offset_v in zip(layers[r], offsets[r], strict=True):
                total = goal = 0.0
                for u, weight in lines[v]:
                    if sweep >= SQUARED_SWEEPS:
                        weight /= max(abs(x[u] - x[v]), SOFT)
                    total += weight
                    goal += weight * x[u]
                # What hangs nowhere stays about where it is.
                wanted.append((goal / total if total else x[v]) - offset_v)
                weights.append(total or 0.001)
            for v, y, o in zip(layers[r], _ascending(wanted, weights), offsets[r], strict=True):
                moved = max(moved, abs(x[v] - y - o))
                x[v] = y + o
        if moved < SETTLED and sweep > SQUARED_SWEEPS:
            break
    _straighten(x, layers, down, room, bends)
    return x


def _straighten(
    x: dict[int, float],
    layers: Sequence[Sequence[int]],
    down: Mapping[int, Sequence[int]],
    room: Callable[[int, int], float],
    bends: Callable[[int], bool],
) -> None:
    """Put the nodes of every chain, and the bends of every trunk, on one vertical where there is room."""
    beside = {v: (layer, i) for layer in layers for i, v in enumerate(layer)}
    above: dict[int, list[int]] = {v: [] for v in x}
    for u in x:
        for v in down[u]:
            if v in x:
                above[v].append(u)
    after: dict[int, int] = {}
    for u in x:
        for v in down[u]:
            if v in x and ((bends(u) and bends(v)) or (len(down[u]) == 1 and len(above[v]) == 1)):
                after[u] = v
    chains = []
    for start in x.keys() - after.values():
        chain = [start]
        while chain[-1] in after:
            chain.append(after[chain[-1]])
        chains.append(chain)
    for chain in sorted(chains, key=lambda chain: (-len(chain), chain)):
        low, high = -math.inf, math.inf
        for v in chain:
            layer, i = beside[v]
            if i > 0:
                low = max(low, x[layer[i - 1]] + room(layer[i - 1], v))
            if i + 1 < len(layer):
                high = min(high, x[layer[i + 1]] - room(v, layer[i + 1]))
        if low <= high:
            middle = sorted(x[v] for v in chain)[len(chain) // 2]
            for v in chain:
                x[v] = min(max(middle, low), high)


def _ascending(wanted: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return the ascending numbers nearest to `wanted` (pool adjacent violators)."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(wanted, weights, strict=True):
        pool = (value, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, mass, n = pools.pop()
            total = mass + pool[1]
            pool = ((mean * mass + pool[0] * pool[1]) / total, total, n + pool[2])
        pools.append(pool)
    return [mean for mean, _, n in pools for _ in range(n)]
