"""AdjacencyEncoder: the adjacency matrix and the ops of a graph, its nodes in a canonical order."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.canonical import wl_colours
from archindex.core.ops import OP_ID
from archindex.encoders.computed import ComputedEncoder
from archindex.encoders.features import Dags, Floats, Ints, scrambled

_PLACES: Final = 16  # nodes with rows of their own; cells of all tabular benchmarks have fewer
_CODE: Final = 8  # columns of an op
_HASHED: Final = 24  # columns of the edges beyond the places
_PAIRS: Final = _PLACES * (_PLACES - 1) // 2


class AdjacencyEncoder(ComputedEncoder):
    """Encode ops and edges of the first 16 nodes in a canonical topological order; pool what lies beyond.

    Nodes come by their distance from the input (the longest path) and then by their Weisfeiler-Lehman colour,
    so that the vector does not depend on how a graph is numbered. Outputs have no place of their own, because
    it would move with every node that is added; which nodes feed them is told apart from other edges. Every
    place has 8 columns with the code of its op, a random one that the op's name, kernel, dilation and groups
    decide. Nodes beyond the places add up their codes; edges from or to them are hashed by the ops at both
    ends. Counts of edges do not tell input ports apart.

    References
    ----------
    White et al., "A Study on Encodings for Neural Architecture Search", NeurIPS 2020.
    """

    @property
    def name(self) -> str:
        """``"adjacency"``."""
        return "adjacency"

    @property
    def dim(self) -> int:
        """296."""
        return _PLACES * _CODE + _PAIRS + _PLACES + _CODE + _HASHED

    def compute(self, dags: Dags) -> Floats:
        """Return codes, edges between places, edges to outputs, what is pooled; shape (len(dags), 296)."""
        n, graph = len(dags), dags.graph
        output = dags.batch.op == OP_ID["output"]
        place = _places(dags, output)
        code = _codes(dags.token)

        at_place = np.zeros((n, _PLACES, _CODE))
        placed = np.flatnonzero(place < _PLACES)
        at_place[graph[placed], place[placed]] = code[placed]
        beyond = dags.per_graph(np.where(((place >= _PLACES) & ~output)[:, None], code, 0.0))

        source, target, _ = dags.batch.edges
        between = (place[source] < _PLACES) & (place[target] < _PLACES)
        low, high = place[source[between]], place[target[between]]
        edges = _count(graph[source[between]] * _PAIRS + high * (high - 1) // 2 + low, n, _PAIRS)
        feeds = (place[source] < _PLACES) & output[target]
        ends = _count(graph[source[feeds]] * _PLACES + place[source[feeds]], n, _PLACES)
        rest = ~(between | feeds)
        token = scrambled(dags.token[source[rest]]) + dags.token[target[rest]]
        column = (scrambled(token) % np.uint64(_HASHED)).astype(np.int64)
        hashed = _count(graph[source[rest]] * _HASHED + column, n, _HASHED)

        counts = np.hstack([edges, ends, beyond, hashed])
        return np.hstack([at_place.reshape(n, -1), np.sign(counts) * np.log1p(np.abs(counts))])


def _places(dags: Dags, output: npt.NDArray[np.bool_]) -> Ints:
    """Return the position of every node in its graph's order, `_PLACES` or more beyond the places.

    Nodes that colours cannot tell apart are told apart one at a time, as in `canonical_form`, but only as far
    as they come to stand at a place, and in all graphs at once.
    """
    graph, n_nodes = dags.graph, dags.batch.n_nodes
    marks, marked = np.zeros(n_nodes, dtype=np.uint64), np.zeros(len(dags), dtype=np.uint64)
    while True:
        colours = wl_colours(dags.plain, rounds=None, marks=marks)
        order = np.lexsort((colours[1], colours[0], dags.depth, output, graph))
        place = np.empty(n_nodes, dtype=np.int64)
        place[order] = np.arange(n_nodes) - dags.batch.node_ptr[graph[order]]
        place[output] = n_nodes + _PLACES
        first, second = order[:-1], order[1:]
        tied = first[
            (graph[first] == graph[second])
            & (colours[:, first] == colours[:, second]).all(axis=0)
            & (place[first] < _PLACES)
        ]
        if len(tied) == 0:
            return place
        of_graph, at = np.unique(graph[tied], return_index=True)
        marked[of_graph] += np.uint64(1)
        marks[tied[at]] = marked[of_graph]


def _codes(token: npt.NDArray[np.uint64]) -> Floats:
    """Return a random vector of length about 1 for every hash; shape (n, _CODE)."""
    octets = scrambled(token).astype("<u8")[:, None].view(np.uint8).astype(np.float64)
    return np.asarray((octets - 127.5) / (127.5 * np.sqrt(_CODE / 3)))


def _count(cells: Ints, n: int, columns: int) -> Floats:
    return np.bincount(cells, minlength=n * columns).reshape(n, columns).astype(np.float64)
