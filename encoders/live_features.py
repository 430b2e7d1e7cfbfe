"""What the live ops of a cell do, in units that mean the same in every cell space: counts of ops on paths.

A learner that is to carry over from one space to another must not see what only tells the spaces apart:
params of a certain width, numbers of vertices, the encoding of one space. These features are numbers of live
ops (dead ones gone, skips contracted) and how they lie on the paths from input to output. They are never
scaled per space: two convolutions in a row are two in a row everywhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.ops import ATTRIBUTE_ID, OP_ID
from archindex.encoders.features import Dags, Floats, Ints

_KINDS: Final = ("wide", "narrow", "pool")
_LENGTHS: Final = (*_KINDS, "weights", "ops", "reach")

LIVE_NAMES: Final[tuple[str, ...]] = (
    "fed",
    *(f"{kind}_ops" for kind in _KINDS),
    "log_area",
    *(f"{kind}_walk" for kind in _KINDS),
    *(f"{kind}_walk_variance" for kind in _KINDS),
    *(f"walk_without_{kind}" for kind in (*_KINDS, "weights", "ops")),
    *(f"{length}_longest" for length in _LENGTHS),
    *(f"{length}_shortest" for length in _LENGTHS),
    "log_paths",
    "log_area_longest",
    "sums",
    "output_terms",
)
"""Columns of `live_features`. *wide* and *narrow* ops carry weights and have a kernel above 1 or of 1."""

_CEILING: Final = 1e300  # of path counts


def live_features(batch: GraphBatch) -> npt.NDArray[np.float32]:
    """Return what the live ops of every graph do, on scales that all cell spaces share.

    Parameters
    ----------
    batch : GraphBatch
        The graphs, reduced or not; aliases have equal features.

    Returns
    -------
    ndarray of float32, shape (len(batch), len(LIVE_NAMES))
        In the order of `LIVE_NAMES`: whether anything reaches the output (0 or 1); numbers of live ops; the
        log of 1 + their kernel areas; mean, variance and absence of ops on a random walk from the output to
        an input; the most and the fewest ops on a path (*reach*: half of kernel - 1, added up); the log of
        1 + the number of paths; the log of 1 + the largest kernel area of a path; terms of sums beyond the
        first, the output left out; and terms of the output.
    """
    dags = Dags(batch)
    n = dags.batch.n_nodes
    wide = dags.weighted & (dags.kernel > 1)
    kinds = np.stack([wide, dags.weighted & ~wide, dags.pool], axis=1).astype(np.float64)
    ops = np.hstack([kinds, np.stack([dags.weighted, dags.inner], axis=1)])
    area = (dags.weighted * dags.kernel**2)[:, None]
    lengths = np.hstack([ops, (dags.kernel[:, None] - 1) / 2, area])

    def moments(joined: Floats, nodes: Ints, n_terms: Floats) -> Floats:
        first, second = np.hsplit(joined / n_terms, 2)
        more = kinds[nodes]
        return np.hstack([first + more, second + 2 * first * more + more])

    def without(joined: Floats, nodes: Ints, n_terms: Floats) -> Floats:
        return np.asarray(joined / n_terms * (1.0 - ops[nodes]))

    def add(joined: Floats, nodes: Ints, n_terms: Floats) -> Floats:
        return np.asarray(joined + lengths[nodes])

    def count(joined: Floats, nodes: Ints, n_terms: Floats) -> Floats:
        return np.asarray(np.minimum(joined, _CEILING))

    walk = dags.at_output(dags.flow(np.zeros((n, 6)), np.add, moments))
    inputs = np.repeat((dags.batch.op == OP_ID["input"])[:, None], 5, axis=1).astype(np.float64)
    absent = dags.at_output(dags.flow(inputs, np.add, without))
    longest = dags.at_output(dags.flow(np.zeros_like(lengths), np.maximum, add))
    shortest = dags.at_output(dags.flow(np.zeros_like(lengths), np.minimum, add))
    paths = dags.at_output(dags.flow(dags.from_input(1), np.add, count))
    terms = np.bincount(dags.batch.edges[1], minlength=n)[:, None].astype(np.float64)
    is_output = (dags.batch.op == OP_ID["output"])[:, None]
    depth = dags.at_output(dags.depth[:, None].astype(np.float64))
    features = np.hstack(
        [
            np.minimum(depth, 1.0), dags.per_graph(kinds), np.log1p(dags.per_graph(area)),
            walk[:, :3], walk[:, 3:] - walk[:, :3] ** 2, absent, longest[:, :-1], shortest[:, :-1],
            np.log1p(paths), np.log1p(longest[:, -1:]),
            dags.per_graph(np.maximum(terms - 1, 0.0) * ~is_output), dags.per_graph(terms * is_output),
        ]
    )  # fmt: skip
    return features.astype(np.float32)


def with_projections(batch: GraphBatch) -> GraphBatch:
    """Return the graphs with a 1x1 convolution on every edge from an input to an op.

    Some networks bring the input of a cell to its channels in front of every vertex that reads it
    (NAS-Bench-101), which the graph of the cell does not say. Edges to an output stay as they are: there the
    convolution does what a skip does elsewhere.
    """
    op = batch.op
    source, target, port = batch.edges
    cut = np.flatnonzero((op[source] == OP_ID["input"]) & (op[target] != OP_ID["output"]))
    attrs = np.full((len(cut), batch.attrs.shape[1]), np.nan, dtype=np.float32)
    attrs[:, ATTRIBUTE_ID["kernel"]] = 1
    graph = np.concatenate([batch.node_graph, batch.node_graph[source[cut]]])
    order = np.argsort(graph, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    added = len(op) + np.arange(len(cut))
    via = source.copy()
    via[cut] = added
    edges = np.stack(
        [
            place[np.concatenate([via, source[cut]])],
            place[np.concatenate([target, added])],
            np.concatenate([port, np.zeros_like(cut)]),
        ]
    )
    of_edge = graph[order][edges[1]]
    return replace(
        batch,
        op=np.concatenate([op, np.full(len(cut), OP_ID["conv"], dtype=np.int32)])[order],
        attrs=np.concatenate([batch.attrs, attrs])[order],
        edges=edges[:, np.argsort(of_edge, kind="stable")],
        node_ptr=np.concatenate([[0], np.cumsum(np.bincount(graph, minlength=len(batch)))]),
        edge_ptr=np.concatenate([[0], np.cumsum(np.bincount(of_edge, minlength=len(batch)))]),
    )
