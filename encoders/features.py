"""What the structural encoder computes of many graphs at once: ops, shape, paths, neighbourhoods.

Every function takes `Dags` and returns one row per graph. Work is proportional to nodes and edges, also where
the number of paths is exponential: what is said of paths comes from dynamic programming along the edges.

Two views of the paths are taken. *All paths* weighs each path alike. The *random walk* starts at the output
and goes to a predecessor drawn uniformly until it is at an input: it weighs a path by the share of the output
that flows through it, if every node takes its terms evenly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.canonical import reduce_batch, wl_colours
from archindex.core.ops import ATTRIBUTE_ID, OP_ID, PARAMETRIC
from archindex.core.ranges import ranges

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

OP_SLOTS: Final = 32
"""Columns of `op_counts`."""

WALK_BINS: Final = 8
"""Weighted ops on a path that are told apart; more fall into the last bin."""

MEASURED: Final = (
    "kernel", "stride", "dilation", "groups", "channels", "expansion", "heads", "bits", "ratio", "depth",
)  # fmt: skip
"""Columns of `attribute_means`; spelled out, because a new attribute must not change old vectors."""

# Ops of which the kernel matters take three slots (1, up to 3, larger), others one. Ops of like effect share
# a slot; what is not listed is hashed to the slots after them.
_SLOT: Final[dict[str, int]] = {
    "conv": 0, "separable_conv": 3, "dilated_conv": 6, "transposed_conv": 9,
    "linear": 10, "matmul": 10, "attention": 11, "recurrent": 12, "embedding": 13,
    "avg_pool": 14, "max_pool": 15, "global_avg_pool": 16, "upsample": 17,
    "norm": 18, "activation": 19, "softmax": 19, "squeeze_excite": 20,
    "add": 21, "sub": 21, "mul": 22, "concat": 23,
    "gcn": 24, "gat": 25, "gin": 26, "sage": 27, "cheb": 28, "arma": 29, "graph_conv": 30,
}  # fmt: skip
_BY_KERNEL: Final = frozenset({"conv", "separable_conv", "dilated_conv"})
_POOLS: Final = frozenset({"avg_pool", "max_pool", "global_avg_pool"})
_CEILING: Final = 1e300  # path counts of deep networks overflow float64; the logarithm of this will do


class Dags:
    """Functional DAGs of a batch, and what all features need of them.

    Attributes
    ----------
    batch : GraphBatch
        The reduced graphs.
    depth : ndarray of int64, shape (n_nodes,)
        Length of the longest path to each node.
    inner, weighted, pool : ndarray of bool, shape (n_nodes,)
        Neither input nor output; carries weights; is a pooling op.
    kernel : ndarray of float64, shape (n_nodes,)
        Kernel size, 1 where a node has none.
    token : ndarray of uint64, shape (n_nodes,)
        Hash of op, kernel, dilation and groups: what makes two nodes alike in structure. Sizes such as
        channels are left out, or hardly two nodes of a whole network would be alike.
    """

    def __init__(self, batch: GraphBatch) -> None:
        self.batch = reduce_batch(batch)
        op = self.batch.op
        self.inner = (op != OP_ID["input"]) & (op != OP_ID["output"])
        self.weighted = self.among(PARAMETRIC)
        self.pool = self.among(_POOLS)
        kernel = self.batch.attrs[:, ATTRIBUTE_ID["kernel"]].astype(np.float64)
        self.kernel = np.clip(np.nan_to_num(kernel, nan=1.0), 1.0, 1e6)
        kept = [ATTRIBUTE_ID[name] for name in ("kernel", "dilation", "groups")]
        attrs = np.full_like(self.batch.attrs, np.nan)
        attrs[:, kept] = self.batch.attrs[:, kept]
        self.plain = replace(self.batch, attrs=attrs)
        self.token = wl_colours(self.plain, rounds=0)[0]
        self.graph = self.batch.node_graph
        self.depth = np.zeros(len(op), dtype=np.int64)
        self._levels = self._sort_levels()

    def __len__(self) -> int:
        return len(self.batch)

    def among(self, names: frozenset[str]) -> npt.NDArray[np.bool_]:
        """Mark the nodes whose op is one of `names`; bool, shape (n_nodes,)."""
        return np.array([name in names for name in self.batch.op_names])[self.batch.op]

    def _sort_levels(self) -> list[tuple[Ints, Ints, Ints]]:
        """Group the edges by depth of their target: (targets, first edge of each, sources)."""
        source, target, _ = self.batch.edges
        waiting = np.bincount(target, minlength=self.batch.n_nodes)
        first_out = np.argsort(source, kind="stable")
        n_out = np.bincount(source, minlength=self.batch.n_nodes)
        out_ptr = np.concatenate([[0], np.cumsum(n_out)])
        ready = np.flatnonzero(waiting == 0)
        level = 0
        while len(ready):
            self.depth[ready] = level
            leaving = first_out[ranges(out_ptr[ready], n_out[ready])]
            reached, times = np.unique(target[leaving], return_counts=True)
            waiting[reached] -= times
            ready = reached[waiting[reached] == 0]
            level += 1
        order = np.lexsort((target, self.depth[target]))
        bounds = np.searchsorted(self.depth[target][order], np.arange(1, level + 1))
        levels = []
        for start, stop in pairwise(bounds):
            now = order[start:stop]
            targets, first = np.unique(target[now], return_index=True)
            levels.append((targets, first, source[now]))
        return levels

    def flow(
        self, start: Floats, combine: np.ufunc, step: Callable[[Floats, Ints, Floats], Floats]
    ) -> Floats:
        """Carry a state from the inputs to every node.

        Parameters
        ----------
        start : ndarray of float64, shape (n_nodes, c)
            State of the nodes without predecessors; overwritten.
        combine : ufunc
            Joins the states of all predecessors.
        step : callable
            ``step(joined, nodes, n_terms)`` gives the state of `nodes`; ``n_terms`` has shape (n, 1).
        """
        for targets, first, source in self._levels:
            joined = combine.reduceat(start[source], first, axis=0)
            terms = np.diff(first, append=len(source)).astype(np.float64)[:, None]
            start[targets] = step(joined, targets, terms)
        return start

    def per_graph(self, values: Floats) -> Floats:
        """Add up node values of shape (n_nodes, c) over each graph; shape (len(self), c)."""
        ends = self.batch.node_ptr
        total = np.zeros((len(self), values.shape[1]))
        filled = np.flatnonzero(np.diff(ends))
        if len(filled):
            total[filled] = np.add.reduceat(values, ends[filled], axis=0)
        return total

    def at_output(self, values: Floats) -> Floats:
        """Return the mean of `values` over the connected outputs of each graph; zeros where there is none."""
        chosen = (self.batch.op == OP_ID["output"]) & (self.depth > 0)
        number = self.per_graph(chosen[:, None].astype(np.float64))
        return self.per_graph(np.where(chosen[:, None], values, 0.0)) / np.maximum(number, 1.0)

    def from_input(self, columns: int) -> Floats:
        """Return a state of zeros with a 1 in the first column of every input."""
        start = np.zeros((self.batch.n_nodes, columns))
        start[self.batch.op == OP_ID["input"], 0] = 1.0
        return start


def op_counts(dags: Dags) -> Floats:
    """Count the live ops by kind; shape (n, OP_SLOTS)."""
    names = dags.batch.op_names
    hashed = max(_SLOT.values()) + 1
    slot = np.array([_SLOT.get(name, hashed) for name in names])[dags.batch.op]
    by_kernel = dags.among(_BY_KERNEL)
    slot = slot + np.where(by_kernel, (dags.kernel > 1).astype(int) + (dags.kernel > 3), 0)
    cells = dags.graph[dags.inner] * OP_SLOTS + slot[dags.inner]
    return np.bincount(cells, minlength=len(dags) * OP_SLOTS).reshape(-1, OP_SLOTS).astype(np.float64)


def attribute_means(dags: Dags) -> Floats:
    """Return the mean of log(1 + |value|) of attributes over the nodes that have them.

    Shape (n, len(MEASURED)).
    """
    columns = [ATTRIBUTE_ID[name] for name in MEASURED]
    values = np.abs(dags.batch.attrs[:, columns].astype(np.float64))
    has = np.isfinite(values)
    total = dags.per_graph(np.where(has, np.log1p(np.where(has, values, 0.0)), 0.0))
    return total / np.maximum(dags.per_graph(has.astype(np.float64)), 1.0)


def walk_histogram(dags: Dags) -> Floats:
    """Return the chance that a random walk meets 0, 1, 2, ... weighted ops; shape (n, WALK_BINS)."""
    weighted = dags.weighted

    def step(joined: Floats, nodes: Ints, n_terms: Floats) -> Floats:
        return np.where(weighted[nodes, None], _shifted(joined), joined) / n_terms

    return dags.at_output(dags.flow(dags.from_input(WALK_BINS), np.add, step))


def path_histogram(dags: Dags) -> Floats:
    """Count the paths with 0, 1, 2, ... weighted ops on them; shape (n, WALK_BINS)."""
    weighted = dags.weighted

    def step(joined: Floats, nodes: Ints, n_terms: Floats) -> Floats:
        return np.minimum(np.where(weighted[nodes, None], _shifted(joined), joined), _CEILING)

    return dags.at_output(dags.flow(dags.from_input(WALK_BINS), np.add, step))


def walk_means(dags: Dags) -> Floats:
    """Return how many ops of each family a random walk meets on average; shape (n, 5).

    Families: any, weighted with a kernel above 1, weighted with a kernel of 1, pooling, log kernel area.
    """
    wide = dags.weighted & (dags.kernel > 1)
    adds = np.stack(
        [dags.inner, wide, dags.weighted & ~wide, dags.pool, 2 * np.log(dags.kernel) * dags.inner], axis=1
    ).astype(np.float64)

    def step(joined: Floats, nodes: Ints, n_terms: Floats) -> Floats:
        return joined / n_terms + adds[nodes]

    return dags.at_output(dags.flow(np.zeros_like(adds), np.add, step))


def path_extremes(dags: Dags) -> Floats:
    """Return what the longest and the shortest path add up to; shape (n, 8).

    Ops, weighted ops, ops with a kernel above 1 that carry weights, and reach (kernel - 1): longest, then
    shortest.
    """
    wide = dags.weighted & (dags.kernel > 1)
    adds = np.stack([dags.inner, dags.weighted, wide, (dags.kernel - 1) / 2], axis=1).astype(np.float64)

    def step(joined: Floats, nodes: Ints, n_terms: Floats) -> Floats:
        return joined + adds[nodes]

    return np.hstack(
        [dags.at_output(dags.flow(np.zeros_like(adds), kind, step)) for kind in (np.maximum, np.minimum)]
    )


def path_sketch(dags: Dags, columns: int) -> Floats:
    """Sketch the distribution of op sequences along a random walk; shape (n, columns).

    The path encoding of White et al. ("BANANAS", AAAI 2021) has one entry per possible path. Here every op
    permutes the columns and flips signs in a way of its own, so that a sequence of ops ends in a column that
    the sequence decides: a count sketch that is carried along edges, without listing paths.
    """
    permute = _permutations(dags, columns)

    def step(joined: Floats, nodes: Ints, n_terms: Floats) -> Floats:
        return permute(joined, nodes) / n_terms

    return dags.at_output(dags.flow(dags.from_input(columns), np.add, step))


def path_count_sketch(dags: Dags, columns: int) -> Floats:
    """Sketch how many paths there are of each op sequence, on a logarithmic scale; shape (n, columns).

    As `path_sketch`, but every path counts one however many branch off beside it.
    """
    permute = _permutations(dags, columns)

    def step(joined: Floats, nodes: Ints, n_terms: Floats) -> Floats:
        return np.clip(permute(joined, nodes), -_CEILING, _CEILING)

    counts = dags.at_output(dags.flow(dags.from_input(columns), np.add, step))
    return np.sign(counts) * np.log1p(np.abs(counts))


def wl_sketch(dags: Dags, rounds: int, columns: int) -> Floats:
    """Sketch the counts of neighbourhoods of radius `rounds`; shape (n, columns).

    Weisfeiler-Lehman subtree features (Shervashidze et al., JMLR 2011), along and against the edges and with
    ports, hashed to columns with a sign.
    """
    colours = wl_colours(dags.plain, rounds=rounds)[0]
    column = (colours % np.uint64(columns)).astype(np.int64)
    sign = np.where(colours >> np.uint64(63), -1.0, 1.0)
    cells = np.bincount(dags.graph * columns + column, weights=sign, minlength=len(dags) * columns)
    return cells.astype(np.float64).reshape(-1, columns)


def sizes(dags: Dags) -> Floats:
    """Return sizes of the graph; shape (n, 9).

    Logarithms of: inner nodes, edges, weighted nodes, kernel areas of the weighted nodes (which stand for
    parameters), paths, depth, width; then the mean number of terms per node, and whether output and input
    are connected.
    """
    one = np.ones((dags.batch.n_nodes, 1))
    nodes = dags.per_graph(one * dags.inner[:, None])
    edges = np.diff(dags.batch.edge_ptr)[:, None].astype(np.float64)
    weighted = dags.per_graph(one * dags.weighted[:, None])
    area = dags.per_graph((dags.weighted * dags.kernel**2)[:, None])
    depth = dags.at_output(dags.depth[:, None].astype(np.float64))
    deepest = int(dags.depth.max(initial=0)) + 1
    key, size = np.unique((dags.graph * deepest + dags.depth)[dags.inner], return_counts=True)
    width = np.zeros(len(dags))
    np.maximum.at(width, key // deepest, size)
    return np.hstack(
        [
            np.log1p(nodes), np.log1p(edges), np.log1p(weighted), np.log1p(area),
            np.log1p(path_histogram(dags).sum(axis=1, keepdims=True)),
            np.log1p(depth), np.log1p(width)[:, None], edges / (nodes + 1), np.minimum(depth, 1.0),
        ]
    )  # fmt: skip


def _permutations(dags: Dags, columns: int) -> Callable[[Floats, Ints], Floats]:
    """Return what permutes and signs the columns of nodes, each op in a way of its own."""
    tokens, of_node = np.unique(dags.token, return_inverse=True)
    # Not by a NumPy generator: their streams may change between releases, and with them old vectors.
    drawn = scrambled(tokens[:, None] + np.arange(columns, dtype=np.uint64))
    order = np.argsort(drawn, axis=1)
    sign = np.where(drawn & np.uint64(1), -1.0, 1.0)

    def permute(joined: Floats, nodes: Ints) -> Floats:
        kind = of_node[nodes]
        return np.asarray(np.take_along_axis(joined, order[kind], axis=1) * sign[kind])

    return permute


def scrambled(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Scramble 64-bit numbers one to one (the finaliser of SplitMix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _shifted(histogram: Floats) -> Floats:
    """Move every bin one up; the last one absorbs."""
    moved = np.empty_like(histogram)
    moved[:, 0] = 0.0
    moved[:, 1:] = histogram[:, :-1]
    moved[:, -1] += histogram[:, -1]
    return moved
