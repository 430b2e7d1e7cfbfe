"""Encoding many graphs with the weights of a `GINModel`, every different part of them once.

After k rounds the state of a node depends on what lies at most k steps before it (or after it, in the other
tower). Such parts recur: the 2.9 million nodes of NAS-Bench-101 start in 5 different ways, and after one,
two, three and four rounds there are 232, 24,000, 219,000 and 416,000 different ones. Nodes are grouped by a
hash of that part (Weisfeiler-Lehman, 64 bits) and each group is computed once. Two different parts of a batch
of 10^7 nodes share a hash with a chance of about 10^-6.

NumPy and SciPy alone: a query embeds its architecture without waiting for torch to be loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from archindex.core.batch import GraphBatch
from archindex.core.canonical import wl_colours
from archindex.core.ranges import ranges
from archindex.encoders.features import scrambled
from archindex.encoders.gin_input import PORTS, ends, positions
from archindex.encoders.op_features import node_features

Ints = npt.NDArray[np.int64]
Singles = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint64]
Weights = Mapping[str, npt.NDArray[Any]]

_NORM_EPSILON = np.float32(1e-5)  # as torch's LayerNorm


def encode_reduced(weights: Weights, reduced: GraphBatch) -> Singles:
    """Return the vectors of functional DAGs, equal to those of the `GINModel` up to the order of sums.

    Parameters
    ----------
    weights : mapping from str to ndarray of float32
        State of the model.
    reduced : GraphBatch
        Graphs as `reduce_batch` returns them.

    Returns
    -------
    ndarray of float32, shape (len(reduced), dim)
    """
    source, target, port = reduced.edges
    port = np.minimum(port, PORTS - 1)
    first, last = ends(reduced)
    kinds, shown, kind = _distinct(wl_colours(reduced, rounds=0)[0])
    states = _two_layers(weights, "enter", node_features(reduced, shown))
    down, of_down = _tower(weights, "down", states, kind, kinds, source, target, port)
    up, of_up = _tower(weights, "up", states, kind, kinds, target, source, port)
    where, place = _distinct_rows(positions(reduced))
    joined = (down @ weights["join_down.weight"].T)[of_down]
    joined += (up @ weights["join_up.weight"].T)[of_up]
    joined += _linear(weights, "join_position", where)[place]
    np.maximum(joined, 0, out=joined)
    total = _sums(joined, reduced.node_ptr)
    size = np.maximum(np.diff(reduced.node_ptr), 1).astype(np.float32)[:, None]
    seen = (
        total / size, total / np.sqrt(size), _chosen(down, of_down, last, reduced),
        _chosen(up, of_up, first, reduced), np.log(size),
    )  # fmt: skip
    return _two_layers(weights, "readout", np.hstack(seen))


def _linear(weights: Weights, name: str, x: Singles) -> Singles:
    y: Singles = x @ weights[f"{name}.weight"].T
    y += weights[f"{name}.bias"]
    return y


def _two_layers(weights: Weights, name: str, x: Singles) -> Singles:
    hidden = _linear(weights, f"{name}.0", x)
    np.maximum(hidden, 0, out=hidden)
    return _linear(weights, f"{name}.2", hidden)


def _tower(
    weights: Weights,
    tower: str,
    states: Singles,
    kind: Ints,
    kinds: Hashes,
    source: Ints,
    target: Ints,
    port: Ints,
) -> tuple[Singles, Ints]:
    """Run one tower; return the state of every group of nodes, and the group of every node."""
    order = np.argsort(target, kind="stable")
    source, target, port = source[order], target[order], port[order]
    count = np.bincount(target, minlength=len(kind))
    first_edge = np.cumsum(count) - count
    marks = scrambled(port.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15))
    n_layers = sum(key.startswith(f"{tower}.") and key.endswith("norm.weight") for key in weights)
    for layer in (f"{tower}.{i}" for i in range(n_layers)):
        received = np.zeros(len(kind), dtype=np.uint64)
        np.add.at(received, target, scrambled(kinds[kind[source]] + marks))
        kinds, shown, grown = _distinct(scrambled(scrambled(kinds)[kind] + scrambled(received)))
        edges = ranges(first_edge[shown], count[shown])
        carried = states[kind[source[edges]]]
        carried += weights[f"{layer}.port.weight"][port[edges]]
        np.maximum(carried, 0, out=carried)
        own = states[kind[shown]]
        total = _sums(carried, np.concatenate([[0], np.cumsum(count[shown])]))
        states = own + _two_layers(weights, f"{layer}.mlp", np.hstack([own, total]))
        states -= states.mean(axis=1, keepdims=True)
        states /= np.sqrt(np.square(states).mean(axis=1, keepdims=True) + _NORM_EPSILON)
        states *= weights[f"{layer}.norm.weight"]
        states += weights[f"{layer}.norm.bias"]
        kind = grown
    return states, kind


def _sums(values: Singles, bounds: Ints) -> Singles:
    """Add up rows ``bounds[i]:bounds[i + 1]`` for all i."""
    n = len(values)
    adder = csr_matrix((np.ones(n, dtype=np.float32), np.arange(n), bounds), shape=(len(bounds) - 1, n))
    total: Singles = adder @ values
    return total


def _distinct(hashes: Hashes) -> tuple[Hashes, Ints, Ints]:
    """Return the different hashes, a node of each, and which of them every node has."""
    order = np.argsort(hashes)
    ordered = hashes[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = ordered[1:] != ordered[:-1]
    group = np.empty(len(order), dtype=np.int64)
    group[order] = np.cumsum(new) - 1
    return ordered[new], order[new], group


def _distinct_rows(rows: Singles) -> tuple[Singles, Ints]:
    """Return the different rows, and which of them every row is."""
    hashes = np.zeros(len(rows), dtype=np.uint64)
    for column in rows.T:
        bits = np.ascontiguousarray(column).view(np.uint32).astype(np.uint64)
        hashes = scrambled(hashes + bits + np.uint64(1))
    _, shown, group = _distinct(hashes)
    return rows[shown], group


def _chosen(states: Singles, group: Ints, chosen: Singles, reduced: GraphBatch) -> Singles:
    """Add up the states of the chosen nodes of each graph."""
    nodes = np.flatnonzero(chosen)
    bounds = np.searchsorted(nodes, reduced.node_ptr)
    return _sums(states[group[nodes]], bounds)
