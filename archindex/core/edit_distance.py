"""Exact graph edit distance of small functional DAGs.

The least number of edits that turn one graph into the other: insert, delete or replace a node (its op and
attributes are one label), insert or delete an edge. Inputs and outputs stay for each other. Both graphs are
padded to the same number of inner nodes: replacing a node never costs more than deleting it and inserting
another, so that the best of all one-to-one assignments is the exact distance.
"""

from __future__ import annotations

from itertools import permutations
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.canonical import reduce_batch, wl_colours
from archindex.core.errors import ArgumentError
from archindex.core.ops import OP_ID

MAX_INNER: Final = 6
"""Most nodes besides input and output: 720 assignments are tried for each pair."""

_BLOCK: Final = 64


class SmallGraphs:
    """Functional DAGs as arrays of one size, ready to be compared.

    Parameters
    ----------
    batch : GraphBatch
        The graphs, reduced or not, each with one input and one output.

    Attributes
    ----------
    small : ndarray of bool, shape (len(batch),)
        Whether a graph is small enough to be compared.
    """

    def __init__(self, batch: GraphBatch) -> None:
        reduced = reduce_batch(batch)
        graph, n = reduced.node_graph, len(reduced)
        first, last = reduced.op == OP_ID["input"], reduced.op == OP_ID["output"]
        inner = ~(first | last)
        counts = [np.bincount(graph[kind], minlength=n) for kind in (inner, first, last)]
        self.small: npt.NDArray[np.bool_] = (counts[0] <= MAX_INNER) & (counts[1] == 1) & (counts[2] == 1)
        place = np.where(first, MAX_INNER, MAX_INNER + 1)
        rank = np.cumsum(inner) - 1
        place[inner] = (rank - (np.cumsum(counts[0]) - counts[0])[graph])[inner]
        use = self.small[graph]
        colour = wl_colours(reduced, rounds=0)[0]
        self._label = np.zeros((n, MAX_INNER), dtype=np.uint64)
        shown = use & inner
        self._label[graph[shown], place[shown]] = colour[shown] | np.uint64(1)
        self._edges = np.zeros((n, (MAX_INNER + 2) ** 2), dtype=np.int16)
        source, target, _ = reduced.edges
        kept = use[source]
        cell = place[source[kept]] * (MAX_INNER + 2) + place[target[kept]]
        np.add.at(self._edges, (graph[source[kept]], cell), 1)
        self._inner = counts[0]

    def distances(self, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the edit distances of graphs `a` and graphs `b`, pair by pair.

        Parameters
        ----------
        a, b : ndarray of int64, shape (n,)
            Positions in the batch.

        Returns
        -------
        ndarray of int64, shape (n,)

        Raises
        ------
        ArgumentError
            If a graph has more than `MAX_INNER` inner nodes, or not one input and one output.
        """
        if not (self.small[a].all() and self.small[b].all()):
            raise ArgumentError(
                f"expected graphs of at most {MAX_INNER} nodes between one input and one output",
                got="a larger one",
            )
        found = np.zeros(len(a), dtype=np.int64)
        size = np.maximum(self._inner[a], self._inner[b])
        for n in np.unique(size):
            of_size = np.flatnonzero(size == n)
            order = np.array(list(permutations(range(n))), dtype=np.int64)  # (1, 0) where n is 0
            rest = np.tile(np.arange(n, MAX_INNER + 2), (len(order), 1))
            full = np.hstack([order, rest])
            cells = (full[:, :, None] * (MAX_INNER + 2) + full[:, None, :]).reshape(len(order), -1)
            for start in range(0, len(of_size), _BLOCK):
                rows = of_size[start : start + _BLOCK]
                labels = (self._label[a[rows]][:, None, :n] != self._label[b[rows]][:, order]).sum(axis=2)
                moved = self._edges[b[rows]][:, cells]
                edges = np.abs(self._edges[a[rows]][:, None] - moved).sum(axis=2)
                found[rows] = (labels + edges).min(axis=1)
        return found
