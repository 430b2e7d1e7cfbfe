"""Canonical form and arch_id: which architectures are the same function, up to their weights.

Two steps. `reduce_batch` leaves the functional DAG: the zero op and everything that does not lie on a path
from input to output go, identity skips are contracted. What no input feeds is zero: a sum loses such terms, a
product with such a factor is zero itself, and a concatenation keeps their number, for they take channels.
Ops with weights are never merged, repeated pools are kept. `arch_ids` then hashes each reduced graph up to
renumbering of its nodes, by Weisfeiler-Lehman colour refinement along the edges in both directions, with
ports, until it settles. How many rounds that takes depends on the graph alone, never on its numbering or on
what else is in the batch.

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
from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.core.ops import ATTRIBUTE_ID, OP_ID

ARCH_ID_LENGTH = 24
"""Hexadecimal digits of an arch_id (96 bits)."""

_CHUNK = 8192
"""Graphs hashed at a time: their colours stay in the processor's cache, and the memory needed is bounded."""

_SMALL = 16
"""Nodes up to which a graph takes as many rounds as it has nodes: cheaper than to look whether it settled."""

_MAX_JOINED = 20_000_000
"""Upper limit on the edges that contracted skips leave; doubled skips in a row double them every time."""

_HEX = np.array([f"{octet:02x}" for octet in range(256)])

_U64 = np.uint64
_Nodes = npt.NDArray[np.int64]
_Mask = npt.NDArray[np.bool_]
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
        octets = np.ascontiguousarray(digest.astype(">u8")).view(np.uint8)[:, : ARCH_ID_LENGTH // 2]
        ids[start:stop] = _HEX[octets].reshape(stop - start, -1).view(ids.dtype)[:, 0]
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
    depth = depths(reduced)
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
    when nothing connects them. A concatenation with parts that are always zero gets the attribute
    ``zero_parts``, their number.

    Raises
    ------
    ArchitectureError
        If contracting the skips would leave more than `_MAX_JOINED` edges.
    """
    op, attrs = batch.op, batch.attrs
    ends = (op == OP_ID["input"]) | (op == OP_ID["output"])
    source, target, port = batch.edges
    fed = _fed(op, source, target)
    kept = ends | (fed & _reach(op == OP_ID["output"], target, source, fed | ends))
    into_concat = kept[target] & (op[target] == OP_ID["concat"])
    zero_parts = _zero_parts(target[into_concat], port[into_concat], fed[source[into_concat]])
    if len(zero_parts):
        column = ATTRIBUTE_ID["zero_parts"]
        attrs = attrs.copy()
        attrs[zero_parts, column] = np.nan_to_num(attrs[zero_parts, column])
        np.add.at(attrs[:, column], zero_parts, 1)
    live_edge = kept[source] & kept[target]
    source, target, port = source[live_edge], target[live_edge], port[live_edge]
    skip = kept & (op == OP_ID["skip"])
    if skip.any():
        source, target, port = _without(skip, source, target, port)
        kept &= ~skip

    number = np.cumsum(kept) - 1
    graph_of = batch.node_graph
    edge_order = np.lexsort((source, port, target))
    edges = np.stack([number[source], number[target], port])[:, edge_order]
    per_graph = np.bincount(graph_of[kept], minlength=len(batch))
    edges_per_graph = np.bincount(graph_of[target], minlength=len(batch))
    return GraphBatch(
        op[kept],
        attrs[kept],
        edges,
        np.concatenate([[0], np.cumsum(per_graph)]),
        np.concatenate([[0], np.cumsum(edges_per_graph)]),
        batch.extra_ops,
    )


def _zero_parts(
    target: npt.NDArray[np.int64], port: npt.NDArray[np.int64], fed: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Return the target of every port at which nothing comes in but zeros; one entry a port."""
    order = np.lexsort((~fed, port, target))
    target, port, fed = target[order], port[order], fed[order]
    # What is fed stands first at its port.
    first = np.ones(len(target), dtype=bool)
    first[1:] = (target[1:] != target[:-1]) | (port[1:] != port[:-1])
    return target[first & ~fed]


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
    np.maximum.at(depth, graph_of, depths(reduced) - 1)
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
        Rounds of refinement; None refines each graph until it settles. A graph of up to `_SMALL` nodes then
        takes as many rounds as it has nodes; a larger one starts from the places of its nodes on the
        longest paths as well, and stops when a round has split no class of equal colours.
    marks : ndarray of uint64, shape (n_nodes,), optional
        Extra start colours, to tell chosen nodes apart.

    Returns
    -------
    ndarray of uint64, shape (2, n_nodes)
    """
    colours = _start_colours(batch)
    if marks is not None:
        colours = _mix(colours + marks)
    sizes = np.diff(batch.node_ptr)
    graph_of = batch.node_graph
    limit = sizes.copy() if rounds is None else np.full(len(batch), rounds)
    large = np.flatnonzero(sizes > _SMALL) if rounds is None else np.empty(0, dtype=np.int64)
    if len(large):
        far = np.stack([depths(batch), depths(batch, backward=True)]).astype(_U64)
        place = _mix(_mix(far[0] + _U64(0x5851F42D4C957F2D)) + far[1])
        colours = np.where((sizes > _SMALL)[graph_of], _mix(colours + place), colours)
    classes = _classes(colours[0], graph_of, large, len(batch))
    source, target, port = batch.edges
    port_in = _mix(port.astype(_U64) + _U64(0x9E3779B97F4A7C15))
    port_out = _mix(port.astype(_U64) + _U64(0xD1B54A32D192ED03))
    done = 0
    while done < limit.max(initial=0):
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
        colours = np.where((limit > done)[graph_of], refined, colours)
        done += 1
        if len(large):
            grown = _classes(colours[0], graph_of, large, len(batch))
            limit[large[grown[large] == classes[large]]] = done
            large, classes = large[limit[large] > done], grown
    return colours


def _classes(
    colour: npt.NDArray[np.uint64], graph_of: _Nodes, graphs: _Nodes, n_graphs: int
) -> npt.NDArray[np.int64]:
    """Count the different colours in each of `graphs`; shape (n_graphs,), 0 for the others."""
    if len(graphs) == 0:
        return np.zeros(n_graphs, dtype=np.int64)
    wanted = np.zeros(n_graphs, dtype=bool)
    wanted[graphs] = True
    nodes = np.flatnonzero(wanted[graph_of])
    order = nodes[np.lexsort((colour[nodes], graph_of[nodes]))]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (colour[order[1:]] != colour[order[:-1]]) | (graph_of[order[1:]] != graph_of[order[:-1]])
    return np.bincount(graph_of[order[new]], minlength=n_graphs)


def _start_colours(batch: GraphBatch) -> _Colours:
    colours = _name_hashes(batch.op_names)[:, batch.op]
    for column in range(batch.attrs.shape[1]):
        rows = np.flatnonzero(~np.isnan(batch.attrs[:, column]))
        if len(rows) == 0:
            continue
        bits = (batch.attrs[rows, column].astype(np.float64) + 0.0).view(_U64)  # -0.0 becomes 0.0
        for lane in range(2):
            key = _U64((0x2545F4914F6CDD1D + lane) * (column + 1) % 2**64)
            colours[lane, rows] += _mix(bits + _U64(1) + key)
    return _mix(colours)


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


def _fed(op: npt.NDArray[np.int32], source: _Nodes, target: _Nodes) -> _Mask:
    """Mark the nodes that some input reaches, products with a factor that none reaches left out."""
    alive = op != OP_ID["none"]
    fed = _reach(op == OP_ID["input"], source, target, alive)
    while True:
        zeroed = target[fed[target] & ~fed[source] & (op[target] == OP_ID["mul"])]
        if len(zeroed) == 0:
            return fed
        alive[zeroed] = False
        fed = _reach(op == OP_ID["input"], source, target, alive)


def _reach(start: _Mask, source: _Nodes, target: _Nodes, alive: _Mask) -> _Mask:
    """Mark what can be reached from `start` along the edges without leaving `alive`."""
    reached = start & alive
    usable = alive[target]
    source, target = source[usable], target[usable]
    for _ in range(_SMALL):
        # Shallow graphs, however many: a few rounds over all edges.
        grown = reached.copy()
        grown[target[reached[source]]] = True
        if (grown == reached).all():
            return reached
        reached = grown
    edges_of = _Adjacency(source, target, len(start))
    front = np.flatnonzero(reached)
    while len(front):
        ahead = edges_of.targets(front)
        front = np.unique(ahead[~reached[ahead]])
        reached[front] = True
    return reached


def depths(batch: GraphBatch, *, backward: bool = False) -> npt.NDArray[np.int64]:
    """Return the length of the longest path that ends (or, `backward`, starts) at each node.

    int64, shape (n_nodes,); edges need not run from lower to higher numbers.
    """
    source, target, _ = batch.edges
    if backward:
        source, target = target, source
    depth = np.zeros(batch.n_nodes, dtype=np.int64)
    waiting = np.bincount(target, minlength=batch.n_nodes)
    edges_of = _Adjacency(source, target, batch.n_nodes)
    front = np.flatnonzero(waiting == 0)
    level = 0
    while len(front):
        depth[front] = level
        ahead = edges_of.targets(front)
        np.subtract.at(waiting, ahead, 1)
        front = np.unique(ahead[waiting[ahead] == 0])
        level += 1
    return depth


class _Adjacency:
    """Edges sorted by source, so that those of a few nodes are found without looking at all."""

    def __init__(self, source: _Nodes, target: _Nodes, n_nodes: int) -> None:
        self._target = target[np.argsort(source, kind="stable")]
        self._count = np.bincount(source, minlength=n_nodes)
        self._first = np.cumsum(self._count) - self._count

    def targets(self, nodes: _Nodes) -> _Nodes:
        """Return the target of every edge that leaves `nodes`."""
        return self._target[_spans(self._first[nodes], self._count[nodes])]


def _spans(first: _Nodes, count: _Nodes) -> _Nodes:
    """Return ``first[0], first[0] + 1, ...`` (`count[0]` numbers), then the same of the next entry."""
    spans: npt.NDArray[np.int64] = np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)
    return spans


def _without(skip: _Mask, source: _Nodes, target: _Nodes, port: _Nodes) -> tuple[_Nodes, _Nodes, _Nodes]:
    """Contract the skips: join what comes into each with what goes out of it.

    A pass contracts the skips whose key is smaller than that of every skip beside them; with scrambled keys
    a row of any length takes a logarithmic number of passes.
    """
    key = _mix(np.arange(len(skip), dtype=_U64))
    left = skip.copy()
    while left.any():
        both = left[source] & left[target]
        later = np.where(key[source[both]] < key[target[both]], target[both], source[both])
        now = left.copy()
        now[later] = False
        into, out_of = np.flatnonzero(now[target]), np.flatnonzero(now[source])
        into = into[np.argsort(target[into], kind="stable")]
        n_in = np.bincount(target[into], minlength=len(skip))
        first_in = np.cumsum(n_in) - n_in
        repeat = n_in[source[out_of]]
        if repeat.sum() > _MAX_JOINED:
            raise ArchitectureError(
                f"expected skips that join at most {_MAX_JOINED} edges", got=int(repeat.sum())
            )
        new_source = source[into[_spans(first_in[source[out_of]], repeat)]]
        rest = ~(now[target] | now[source])
        target = np.concatenate([target[rest], np.repeat(target[out_of], repeat)])
        port = np.concatenate([port[rest], np.repeat(port[out_of], repeat)])
        source = np.concatenate([source[rest], new_source])
        left &= ~now
    return source, target, port
