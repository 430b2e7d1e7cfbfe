"""Canonical form and arch_id: which architectures are the same function, up to their weights.

Two steps. `reduce_batch` leaves the functional DAG: the zero op and everything that does not lie on a path
from input to output go, identity skips are contracted. Ops with weights are never merged, repeated pools are
kept. `arch_ids` then hashes each reduced graph up to renumbering of its nodes, by Weisfeiler-Lehman colour
refinement along the edges in both directions, with ports, for as many rounds as the graph has nodes.

Colour refinement tells all non-isomorphic NAS-Bench-101 cells apart (423,624 of 423,624, a test holds it);
as for every refinement without branching there are larger regular graphs that it cannot tell apart.

References
----------
Weisfeiler and Leman, "The reduction of a graph to canonical form", 1968.
Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019 (graph hashing).
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.graph import ArchGraph
from archindex.core.ops import OP_ID

ARCH_ID_LENGTH = 24
"""Hexadecimal digits of an arch_id (96 bits)."""

_CHUNK = 8192
"""Graphs hashed at a time: their colours stay in the processor's cache, and the memory needed is bounded."""

_U64 = np.uint64
_Colours = npt.NDArray[np.uint64]


def arch_ids(batch: GraphBatch, scope: str = "") -> npt.NDArray[np.str_]:
    """Return the arch_id of every graph: equal for graphs whose functional DAGs are isomorphic.

    Parameters
    ----------
    batch : GraphBatch
        The graphs, reduced or not.
    scope : str
        What the graphs are graphs of. Cells that are stacked into different networks must not share ids, so
        a search space gives its name here; whole networks give nothing.

    Returns
    -------
    ndarray of str, shape (len(batch),)
        `ARCH_ID_LENGTH` hexadecimal digits each.
    """
    salt = _name_hashes((scope,))
    ids = np.empty(len(batch), dtype=f"U{ARCH_ID_LENGTH}")
    for start in range(0, len(batch), _CHUNK):
        stop = min(start + _CHUNK, len(batch))
        reduced = reduce_batch(batch.take(start, stop))
        colours = wl_colours(reduced, rounds=None)
        sizes = np.diff(reduced.node_ptr).astype(_U64)
        digest = np.empty((stop - start, 2), dtype=_U64)
        for lane in range(2):
            total = np.zeros(stop - start, dtype=_U64)
            np.add.at(total, reduced.node_graph, _mix(colours[lane] + _U64(0x632BE59BD9B4E019)))
            digest[:, lane] = _mix(_mix(total + salt[lane, 0]) + sizes)
        ids[start:stop] = [row.tobytes().hex()[:ARCH_ID_LENGTH] for row in digest.astype(">u8")]
    return ids


def arch_id(graph: ArchGraph, scope: str = "") -> str:
    """Return the arch_id of one graph; see `arch_ids`."""
    return str(arch_ids(GraphBatch.from_graphs([graph]), scope)[0])


def canonical_form(graph: ArchGraph) -> ArchGraph:
    """Return the functional DAG of `graph` with its nodes in canonical order.

    Graphs with the same arch_id have the same canonical form. Nodes come sorted by their distance from
    the input, then by colour; nodes that refinement cannot tell apart are told apart one at a time.
    """
    reduced = reduce_batch(GraphBatch.from_graphs([graph]))
    depth = _depths(reduced)
    marks = np.zeros(reduced.n_nodes, dtype=_U64)
    while True:
        colours = wl_colours(reduced, rounds=None, marks=marks)
        order = np.lexsort((colours[1], colours[0], depth))
        keys = np.stack([depth.astype(_U64), colours[0], colours[1]])[:, order]
        tied = np.flatnonzero((keys[:, 1:] == keys[:, :-1]).all(axis=0))
        if len(tied) == 0:
            break
        marks[order[tied[0]]] = _U64(len(marks) + np.count_nonzero(marks) + 1)
    form = reduced.graph(0).relabelled([int(v) for v in order])
    return ArchGraph(form.ops, tuple(sorted(form.edges, key=lambda e: (e[1], e[2], e[0]))), form.attrs)


def reduce_batch(batch: GraphBatch) -> GraphBatch:
    """Return the functional DAG of every graph.

    Nodes stay in their order. A sum loses the terms that are always zero. Inputs and outputs stay even
    when nothing connects them.
    """
    op = batch.op
    alive = op != OP_ID["none"]
    ends = (op == OP_ID["input"]) | (op == OP_ID["output"])
    source, target, port = batch.edges
    kept = alive & (ends | (_reach(op == OP_ID["input"], source, target, alive)))
    kept &= ends | _reach(op == OP_ID["output"], target, source, alive)
    live_edge = kept[source] & kept[target]
    source, target, port = source[live_edge], target[live_edge], port[live_edge]

    skip = kept & (op == OP_ID["skip"])
    while skip.any():
        # Contract the skips that no other skip feeds: joining their in-edges with their out-edges.
        fed_by_skip = np.zeros(len(op), dtype=bool)
        fed_by_skip[target[skip[source]]] = True
        now = skip & ~fed_by_skip
        into, out_of = np.flatnonzero(now[target]), np.flatnonzero(now[source])
        into = into[np.argsort(target[into], kind="stable")]
        n_in = np.bincount(target[into], minlength=len(op))
        first_in = np.cumsum(n_in) - n_in
        repeat = n_in[source[out_of]]
        offsets = np.arange(repeat.sum()) - np.repeat(np.cumsum(repeat) - repeat, repeat)
        new_source = source[into[np.repeat(first_in[source[out_of]], repeat) + offsets]]
        rest = ~(now[target] | now[source])
        target = np.concatenate([target[rest], np.repeat(target[out_of], repeat)])
        port = np.concatenate([port[rest], np.repeat(port[out_of], repeat)])
        source = np.concatenate([source[rest], new_source])
        kept &= ~now
        skip &= ~now

    number = np.cumsum(kept) - 1
    graph_of = batch.node_graph
    edge_order = np.lexsort((source, port, target))
    edges = np.stack([number[source], number[target], port])[:, edge_order]
    per_graph = np.bincount(graph_of[kept], minlength=len(batch))
    edges_per_graph = np.bincount(graph_of[target], minlength=len(batch))
    return GraphBatch(
        op[kept],
        batch.attrs[kept],
        edges,
        np.concatenate([[0], np.cumsum(per_graph)]),
        np.concatenate([[0], np.cumsum(edges_per_graph)]),
        batch.extra_ops,
    )


def graph_sizes(batch: GraphBatch) -> dict[str, npt.NDArray[np.int64]]:
    """Return whole numbers that describe the functional DAG of every graph.

    Returns
    -------
    dict from str to ndarray of int64, shape (len(batch),)
        ``n_ops``: live ops, input and output not counted. ``depth``: ops on the longest path from input
        to output; 0 where nothing connects them.
    """
    reduced = reduce_batch(batch)
    graph_of = reduced.node_graph
    ends = (reduced.op == OP_ID["input"]) | (reduced.op == OP_ID["output"])
    depth = np.zeros(len(batch), dtype=np.int64)
    np.maximum.at(depth, graph_of, _depths(reduced) - 1)
    return {"n_ops": np.bincount(graph_of[~ends], minlength=len(batch)), "depth": depth}


def wl_colours(
    batch: GraphBatch, rounds: int | None, *, marks: npt.NDArray[np.uint64] | None = None
) -> npt.NDArray[np.uint64]:
    """Return Weisfeiler-Lehman colours of all nodes, in two independent 64-bit lanes.

    Parameters
    ----------
    batch : GraphBatch
        The graphs.
    rounds : int or None
        Rounds of refinement; None takes as many for each graph as it has nodes, enough to settle.
    marks : ndarray of uint64, shape (n_nodes,), optional
        Extra start colours, to tell chosen nodes apart.

    Returns
    -------
    ndarray of uint64, shape (2, n_nodes)
    """
    colours = _start_colours(batch)
    if marks is not None:
        colours = _mix(colours + marks)
    sizes = np.repeat(np.diff(batch.node_ptr), np.diff(batch.node_ptr))
    limit = sizes if rounds is None else np.full(batch.n_nodes, rounds)
    source, target, port = batch.edges
    port_in = _mix(port.astype(_U64) + _U64(0x9E3779B97F4A7C15))
    port_out = _mix(port.astype(_U64) + _U64(0xD1B54A32D192ED03))
    for done in range(int(limit.max(initial=0))):
        refined = np.empty_like(colours)
        for lane in range(2):
            colour = colours[lane]
            came_in = np.zeros_like(colour)
            went_out = np.zeros_like(colour)
            np.add.at(came_in, target, _mix(colour[source] + port_in))
            np.add.at(went_out, source, _mix(colour[target] + port_out))
            refined[lane] = _mix(
                _mix(colour) + _mix(came_in + _U64(0x8CB92BA72F3D8DD7)) + _mix(went_out) * _U64(3)
            )
        colours = np.where(limit > done, refined, colours)
    return colours


def _start_colours(batch: GraphBatch) -> _Colours:
    names = _name_hashes(batch.op_names)[:, batch.op]
    attrs = batch.attrs.astype(np.float64) + 0.0  # -0.0 becomes 0.0
    bits = np.where(np.isnan(attrs), _U64(0), attrs.view(_U64) + _U64(1))
    colours = np.empty((2, batch.n_nodes), dtype=_U64)
    for lane in range(2):
        total = names[lane].copy()
        for column in range(bits.shape[1]):
            present = bits[:, column] != 0
            key = _U64((0x2545F4914F6CDD1D + lane) * (column + 1) % 2**64)
            total[present] += _mix(bits[present, column] + key)
        colours[lane] = _mix(total)
    return colours


def _name_hashes(names: tuple[str, ...]) -> _Colours:
    """Hash names (not ids), so that an arch_id outlives additions to the vocabulary."""
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=16).digest() for name in names)
    return np.frombuffer(digests, dtype="<u8").astype(_U64).reshape(-1, 2).T.copy()


def _mix(x: _Colours) -> _Colours:
    """Scramble 64-bit numbers one to one (the finaliser of SplitMix64)."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> _U64(30))) * _U64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> _U64(27))) * _U64(0x94D049BB133111EB)
        return x ^ (x >> _U64(31))


def _reach(
    start: npt.NDArray[np.bool_],
    source: npt.NDArray[np.int64],
    target: npt.NDArray[np.int64],
    alive: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    """Mark what can be reached from `start` along the edges without leaving `alive`."""
    reached = start & alive
    usable = alive[target]
    source, target = source[usable], target[usable]
    while True:
        grown = reached.copy()
        grown[target[reached[source]]] = True
        if (grown == reached).all():
            return reached
        reached = grown


def _depths(batch: GraphBatch) -> npt.NDArray[np.int64]:
    """Return the length of the longest path that ends at each node."""
    depth = np.zeros(batch.n_nodes, dtype=np.int64)
    source, target, _ = batch.edges
    while True:
        grown = depth.copy()
        np.maximum.at(grown, target, depth[source] + 1)
        if (grown == depth).all():
            return depth
        depth = grown
