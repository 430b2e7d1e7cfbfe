"""How a motif is put together, and the search for it in one graph."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.deadline import check_time
from archindex.core.errors import FilterError
from archindex.queries.motif import Motif
from archindex.queries.structures import Structures

Bools = npt.NDArray[np.bool_]

STEPS: Final = 1_000_000
"""Nodes tried for one graph at most, when it is searched by itself."""


def parts_of(motif: Motif) -> list[set[int]]:
    """Return the connected parts of a motif."""
    parts = [{node} for node in range(len(motif.labels))]
    for a, b, _ in motif.edges:
        one, other = (next(part for part in parts if node in part) for node in (a, b))
        if one is not other:
            parts.remove(other)
            one |= other
    return parts


def behind_of(motif: Motif) -> Bools:
    """Return which nodes of a motif are reached from which; shape (n, n)."""
    n = len(motif.labels)
    found = np.zeros((n, n), dtype=np.bool_)
    for a, b, _ in motif.edges:
        found[a, b] = True
    for middle in range(n):
        found |= found[:, middle, None] & found[None, middle]
    return found


def order_of(motif: Motif) -> list[int]:
    """Return the nodes of a motif, each with as many edges as may be to those before it."""
    degree = {node: sum(node in edge[:2] for edge in motif.edges) for node in range(len(motif.labels))}
    order: list[int] = []
    while len(order) < len(degree):
        bound = {
            node: sum(node in edge[:2] and any(end in order for end in edge[:2]) for edge in motif.edges)
            for node in degree
            if node not in order
        }
        order.append(min(bound, key=lambda node: (-bound[node], -degree[node], node)))
    return order


def searched(structures: Structures, motif: Motif, fits: list[Bools], graph: int) -> bool:
    """Return whether one graph contains the motif, by trying its nodes one after the other."""
    first, last = (int(structures.node_ptr[i]) for i in (graph, graph + 1))
    labels = structures.node_label[first:last]
    own = (structures.source >= first) & (structures.source < last)
    n = last - first
    next_to = np.zeros((n, n), dtype=np.bool_)
    next_to[structures.source[own] - first, structures.target[own] - first] = True
    reached = next_to.copy()
    for middle in range(n):
        reached |= reached[:, middle, None] & reached[None, middle]
    order = order_of(motif)
    options = [np.flatnonzero(fit[labels]).tolist() for fit in fits]
    edges = [(a, b, reached if far else next_to) for a, b, far in motif.edges]
    placed: dict[int, int] = {}
    steps = 0

    def tried(depth: int) -> bool:
        nonlocal steps
        if depth == len(order):
            return True
        node = order[depth]
        for option in options[node]:
            steps += 1
            check_time()
            if steps > STEPS:
                raise FilterError("expected a motif that tells ops apart", fix="name more of its ops")
            if option in placed.values():
                continue
            placed[node] = option
            if all(
                table[placed[a], placed[b]] for a, b, table in edges if a in placed and b in placed
            ) and tried(depth + 1):
                return True
            del placed[node]
        return False

    return tried(0)
