"""Canonical ranks: places of the nodes of many graphs in an order that their numbering does not change."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.canonical import depths, wl_colours
from archindex.core.ops import ATTRIBUTE_ID, OP_ID


def canonical_ranks(reduced: GraphBatch) -> npt.NDArray[np.int64]:
    """Return the place of each node in the canonical order of its graph.

    Nodes come by the first output that they reach, then by the last port that they feed, in graphs with
    several ports by what they read (inputs first, then nodes by that port), by their distance (longest path)
    from the input and to the output (farthest first), op and Weisfeiler-Lehman colour. So the parts of a
    concatenation come in its order, and in graphs with one output and one port edges point forward. Nodes
    that are still alike are told apart one at a time, as in `canonical_form`: isomorphic graphs, their nodes
    put in this order, are one graph.

    Parameters
    ----------
    reduced : GraphBatch
        Functional DAGs.

    Returns
    -------
    ndarray of int64, shape (n_nodes,)
        From 0 in every graph.
    """
    ranks = np.zeros(reduced.n_nodes, dtype=np.int64)
    waiting, marks = np.arange(len(reduced)), np.zeros(reduced.n_nodes, dtype=np.uint64)
    before, after = depths(reduced), depths(reduced, backward=True)
    last_port = last_ports(reduced)
    reads = _first_read(reduced, last_port)
    place = np.stack([after.max(initial=0) - after, before, reads, last_port, _first_output(reduced)])
    node_graph, turn = reduced.node_graph, 0
    while len(waiting):
        part = reduced.pick(waiting)
        rows = np.flatnonzero(np.isin(node_graph, waiting))
        colours = wl_colours(part, rounds=None, marks=marks[rows])
        keys = np.stack([*colours[::-1], *(row.astype(np.uint64) for row in (part.op, *place[:, rows]))])
        order = np.lexsort((*keys, part.node_graph))
        first = np.repeat(part.node_ptr[:-1], np.diff(part.node_ptr))
        ranks[rows[order]] = np.arange(len(rows)) - first
        alike = (keys[:, order[1:]] == keys[:, order[:-1]]).all(axis=0)
        alike &= part.node_graph[order[1:]] == part.node_graph[order[:-1]]
        tied = order[:-1][alike]
        # One node of each graph is marked, and the graphs without ties are done.
        graphs, lowest = np.unique(part.node_graph[tied], return_index=True)
        chosen = rows[tied[lowest]]
        turn += 1
        marks[chosen] = turn
        waiting = waiting[graphs]
    return ranks


def last_ports(batch: GraphBatch) -> npt.NDArray[np.int64]:
    """Return the highest port that each node feeds; 0 where it feeds none."""
    last = np.zeros(batch.n_nodes, dtype=np.int64)
    np.maximum.at(last, batch.edges[0], batch.edges[2])
    return last


def _first_read(batch: GraphBatch, last_port: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return what each node reads first: inputs by index, then nodes by port; 0 if there is one port."""
    several = np.zeros(len(batch), dtype=np.int64)
    np.maximum.at(several, batch.node_graph, last_port)
    index = np.nan_to_num(batch.attrs[:, ATTRIBUTE_ID["index"]].astype(np.float64)).clip(0, 1e6)
    code = np.where(batch.op == OP_ID["input"], index.astype(np.int64), 10**6 + 1 + last_port)
    none = np.iinfo(np.int64).max >> 1
    first = np.full(batch.n_nodes, none)
    np.minimum.at(first, batch.edges[1], code[batch.edges[0]])
    return np.where(several[batch.node_graph] > 0, first, 0)


def _first_output(batch: GraphBatch) -> npt.NDArray[np.int64]:
    """Return the index of the first output that each node reaches."""
    index = np.nan_to_num(batch.attrs[:, ATTRIBUTE_ID["index"]].astype(np.float64)).clip(0, 1e6)
    none = np.iinfo(np.int64).max >> 1
    found = np.where(batch.op == OP_ID["output"], index.astype(np.int64), none)
    source, target, _ = batch.edges
    while True:
        nearer = found.copy()
        np.minimum.at(nearer, source, found[target])
        if (nearer == found).all():
            return found
        found = nearer
