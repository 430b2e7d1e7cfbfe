"""Graphs packed for motifs: ops as labels, and edges grouped by the labels at their ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.errors import ArgumentError
from archindex.core.ops import ATTRIBUTES
from archindex.core.ranges import ranges

Ints = npt.NDArray[np.int64]
Narrow = npt.NDArray[np.integer[Any]]

ARRAYS: Final = ("label_op", "label_attrs", "node_label", "node_ptr", "source", "target", "pair", "pair_ptr")
"""What `Structures` is made of, beside the names of its ops."""


@dataclass(frozen=True, eq=False)
class Structures:
    """Graphs, each node with a label that stands for its op and attributes.

    Edges that differ in their ports only are one. They are sorted by the labels at both ends, so that those
    that fit an edge of a motif are a few slices.

    Attributes
    ----------
    ops : tuple of str
        Names of ops.
    label_op : ndarray of int32, shape (L,)
        Op of each label, as a position in `ops`.
    label_attrs : ndarray of float32, shape (L, A)
        Attributes of each label, in the order of `archindex.core.ops.ATTRIBUTES`; NaN where there is none.
        Attributes that came after they were written are missing on the right.
    node_label : ndarray of unsigned integers, shape (n_nodes,)
        Label of each node; nodes of a graph lie side by side.
    node_ptr : ndarray of int64, shape (n_graphs + 1,)
        Where the nodes of each graph begin.
    source, target : ndarray of int32, shape (n_edges,)
        Nodes at the ends of each edge.
    pair : ndarray of int64, shape (P, 2)
        Labels at both ends, of each pair of labels that has edges, ascending.
    pair_ptr : ndarray of int64, shape (P + 1,)
        Where the edges of each pair begin.
    """

    ops: tuple[str, ...]
    label_op: npt.NDArray[np.int32]
    label_attrs: npt.NDArray[np.float32]
    node_label: Narrow
    node_ptr: Ints
    source: npt.NDArray[np.int32]
    target: npt.NDArray[np.int32]
    pair: Ints
    pair_ptr: Ints

    def __len__(self) -> int:
        return len(self.node_ptr) - 1

    @cached_property
    def node_graph(self) -> npt.NDArray[np.int32]:
        """Graph of each node; shape (n_nodes,)."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.node_ptr))

    @classmethod
    def of(cls, batch: GraphBatch) -> Structures:
        """Pack the graphs of a batch."""
        used = np.unique(batch.op)
        op = np.searchsorted(used, batch.op)
        # Attributes that no node has take no time to compare.
        shown = np.flatnonzero(~np.isnan(batch.attrs).all(axis=0)) if len(op) else np.empty(0, dtype=np.int64)
        key = op.astype(np.int64)
        for column in shown:
            values, code = np.unique(batch.attrs[:, column], return_inverse=True)
            key = np.unique(key * (len(values) + 1) + code.reshape(-1), return_inverse=True)[1].reshape(-1)
        _, first, label = np.unique(key, return_index=True, return_inverse=True)
        names = batch.op_names
        return cls._made(
            tuple(names[i] for i in used),
            op[first].astype(np.int32),
            batch.attrs[first],
            label.reshape(-1),
            batch.node_ptr,
            batch.edges[0],
            batch.edges[1],
        )

    @classmethod
    def _made(
        cls,
        ops: tuple[str, ...],
        label_op: npt.NDArray[np.int32],
        label_attrs: npt.NDArray[np.float32],
        label: npt.NDArray[Any],
        node_ptr: Ints,
        source: npt.NDArray[Any],
        target: npt.NDArray[Any],
    ) -> Structures:
        n_labels = max(1, len(label_op))
        key = label[source].astype(np.int64) * n_labels + label[target]
        order = np.lexsort((target, source, key))
        source, target, key = source[order], target[order], key[order]
        new = np.ones(len(key), dtype=np.bool_)
        new[1:] = (source[1:] != source[:-1]) | (target[1:] != target[:-1])
        source, target, key = source[new], target[new], key[new]
        pairs, starts = np.unique(key, return_index=True)
        return cls(
            ops=ops,
            label_op=label_op,
            label_attrs=label_attrs,
            node_label=label.astype(np.min_scalar_type(n_labels)),
            node_ptr=np.asarray(node_ptr, dtype=np.int64),
            source=source.astype(np.int32),
            target=target.astype(np.int32),
            pair=np.stack([pairs // n_labels, pairs % n_labels], axis=1),
            pair_ptr=np.append(starts, len(key)).astype(np.int64),
        )

    def pick(self, graphs: Ints) -> Structures:
        """Return some of the graphs, each at most once, in the order given."""
        sizes = np.diff(self.node_ptr)[graphs]
        nodes = ranges(self.node_ptr[graphs], sizes)
        place = np.full(len(self.node_label), -1, dtype=np.int64)
        place[nodes] = np.arange(len(nodes))
        source, target = place[self.source], place[self.target]
        kept = source >= 0
        return self._made(
            self.ops,
            self.label_op,
            self.label_attrs,
            self.node_label[nodes],
            np.concatenate([[0], np.cumsum(sizes)]),
            source[kept],
            target[kept],
        )

    @classmethod
    def concat(cls, parts: Sequence[Structures]) -> Structures:
        """Join packs one after the other; none give an empty one."""
        if not parts:
            return cls.of(GraphBatch.from_graphs([]))
        ops = tuple(dict.fromkeys(name for part in parts for name in part.ops))
        attrs = [_widened(part.label_attrs) for part in parts]
        op = [
            np.array([ops.index(name) for name in part.ops], dtype=np.int32)[part.label_op] for part in parts
        ]
        # Equal labels of different packs become one.
        known: dict[tuple[int, bytes], int] = {}
        numbers = [
            np.array(
                [known.setdefault((int(o), a.tobytes()), len(known)) for o, a in zip(of, rows, strict=True)]
            )
            for of, rows in zip(op, attrs, strict=True)
        ]
        first_node = np.cumsum([0] + [len(part.node_label) for part in parts])
        attributes = [np.frombuffer(key[1], dtype=np.float32) for key in known]
        joined = list(zip(parts, numbers, first_node.tolist(), strict=False))
        return cls._made(
            ops,
            np.array([key[0] for key in known], dtype=np.int32),
            np.stack(attributes) if attributes else np.empty((0, len(ATTRIBUTES)), dtype=np.float32),
            np.concatenate([n.astype(np.int64)[part.node_label] for part, n, _ in joined]),
            np.concatenate([[0], *(part.node_ptr[1:] + first for part, _, first in joined)]),
            np.concatenate([part.source.astype(np.int64) + first for part, _, first in joined]),
            np.concatenate([part.target.astype(np.int64) + first for part, _, first in joined]),
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays that the pack is made of, by name."""
        return {name: getattr(self, name) for name in ARRAYS}

    @classmethod
    def of_arrays(cls, ops: Sequence[str], arrays: Mapping[str, npt.NDArray[Any]]) -> Structures:
        """Return the pack that some arrays are.

        Raises
        ------
        ArgumentError
            If they do not fit one another.
        """
        found = cls(tuple(ops), **{name: arrays[name] for name in ARRAYS})
        n_nodes, n_edges, n_labels = len(found.node_label), len(found.source), len(found.label_op)
        if not (
            found.node_ptr.ndim == found.pair_ptr.ndim == 1
            and len(found.node_ptr) > 0
            and (found.node_ptr[0], found.node_ptr[-1]) == (0, n_nodes)
            and (np.diff(found.node_ptr) >= 0).all()
            and found.label_attrs.shape[0] == n_labels
            and found.pair.shape == (len(found.pair_ptr) - 1, 2)
            and (found.pair_ptr[0], found.pair_ptr[-1]) == (0, n_edges)
            and (np.diff(found.pair_ptr) >= 0).all()
            and len(found.target) == n_edges
            and all(_below(array, n_nodes) for array in (found.source, found.target))
            and all(_below(array, n_labels) for array in (found.node_label, found.pair))
            and _below(found.label_op, len(found.ops))
        ):
            raise ArgumentError("expected packed graphs whose arrays fit one another")
        return found

    def equals(self, other: Structures) -> bool:
        """Return whether two packs hold the same graphs, node by node; labels may have other numbers."""
        if len(self) != len(other) or not np.array_equal(self.node_ptr, other.node_ptr):
            return False
        both = Structures.concat([self, other])
        n = len(self.node_label)
        labels = both.node_label
        mine = both.source < n
        edges = [
            np.sort(both.source[chosen].astype(np.int64) % max(n, 1) * n + both.target[chosen] % max(n, 1))
            for chosen in (mine, ~mine)
        ]
        return np.array_equal(labels[:n], labels[n:]) and np.array_equal(edges[0], edges[1])


def _below(array: npt.NDArray[Any], limit: int) -> bool:
    return array.size == 0 or (int(array.min()) >= 0 and int(array.max()) < limit)


def _widened(attrs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    wide = np.full((len(attrs), len(ATTRIBUTES)), np.nan, dtype=np.float32)
    wide[:, : attrs.shape[1]] = attrs
    return wide
