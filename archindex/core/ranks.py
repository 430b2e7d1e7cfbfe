"""Canonical ranks: places of the nodes of many graphs in an order that their numbering does not change."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.canonical import depths, wl_colours
from archindex.core.ops import ATTRIBUTE_ID, OP_ID


def canonical_ranks(reduced: GraphBatch) -> npt.NDArray[np.int64]:
    """Return the place of each node in the canonical order of its graph.

    Nodes come by the first output that they reach, then by their `home_ports`, in graphs with several ports
    by what they read (inputs first, then nodes by that port), by their distance (longest path) from the
    input and to the output (farthest first), op and Weisfeiler-Lehman colour. So the parts of a concatenation
    come in its order, and in graphs with one output and one port edges point forward. Nodes
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
    home, output = home_ports(reduced), first_outputs(reduced)
    reads = _first_read(reduced, home)
    place = np.stack([after.max(initial=0) - after, before, reads, home, output])
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


def home_ports(batch: GraphBatch) -> npt.NDArray[np.int64]:
    """Return to which part of a concatenation each node belongs: one more than the first port that it feeds.

    Only ports of nodes with several count: a sum knows no parts. 0 for nodes that feed none, and for inputs.
    """
    source, target, port = batch.edges
    last = np.zeros(batch.n_nodes, dtype=np.int64)
    np.maximum.at(last, target, port)
    told = (last[target] > 0) & (batch.op[source] != OP_ID["input"])
    none = np.iinfo(np.int64).max
    home = np.full(batch.n_nodes, none)
    np.minimum.at(home, source[told], port[told] + 1)
    return np.where(home == none, 0, home)


def first_outputs(batch: GraphBatch) -> npt.NDArray[np.int64]:
    """Return the index of the first output that each node reaches."""
    index = _index(batch)
    none = np.iinfo(np.int64).max >> 1
    found = np.where(batch.op == OP_ID["output"], index, none)
    source, target, _ = batch.edges
    while True:
        nearer = found.copy()
        np.minimum.at(nearer, source, found[target])
        if (nearer == found).all():
            return found
        found = nearer


def _first_read(batch: GraphBatch, home: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return what each node of a part reads first: inputs by index, then nodes by port.

    Inputs come before all others, and what belongs to no part behind them.
    """
    several = np.zeros(len(batch), dtype=np.int64)
    np.maximum.at(several, batch.node_graph, home)
    inputs, index, behind = batch.op == OP_ID["input"], _index(batch), 10**6 + 1
    code = np.where(inputs, index, behind + home)
    first = np.full(batch.n_nodes, behind)
    parts = home[batch.edges[1]] > 0
    first[home > 0] = 2 * behind + int(home.max(initial=0))
    np.minimum.at(first, batch.edges[1][parts], code[batch.edges[0][parts]])
    return np.where(several[batch.node_graph] > 0, np.where(inputs, index, first), 0)


def _index(batch: GraphBatch) -> npt.NDArray[np.int64]:
    """Return the index of every input and output."""
    index = np.nan_to_num(batch.attrs[:, ATTRIBUTE_ID["index"]].astype(np.float64)).clip(0, 1e6)
    return index.astype(np.int64)
