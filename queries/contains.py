"""Which of many graphs contain a motif.

Edges that fit those of the motif are slices of `Structures`, and reduced until every end of one takes part
in the others that meet there (semi-joins). Where the motif is a path or a tree, and no op of the graph can
take the place of two of its nodes that are not one behind the other, what is left is the answer. Else
embeddings are put together edge by edge, of all graphs at once: at first one of each graph, then some more of
those in which it came to no end. A graph in which there are too many to follow is searched by itself.

References
----------
Yannakakis, "Algorithms for Acyclic Database Schemes", VLDB 1981. Ullmann, "An Algorithm for Subgraph
Isomorphism", Journal of the ACM 1976.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.core.deadline import check_time
from archindex.core.ops import ATTRIBUTE_ID, OPS
from archindex.core.ranges import ranges
from archindex.queries.embedding import behind_of, order_of, parts_of, searched
from archindex.queries.motif import LIMITS, Label, Motif
from archindex.queries.structures import Structures

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Nodes = npt.NDArray[np.integer[Any]]

EMBEDDINGS: Final = (1, 8, 64)
"""Partial embeddings of a graph that are followed at a time, in one try after the other."""

GRAPHS: Final = 32_768
"""Graphs whose embeddings are put together at a time."""


def contains(structures: Structures, motif: Motif, ops: Iterable[str] = ()) -> Bools:
    """Return which of the graphs contain a motif; shape (n_graphs,).

    Parameters
    ----------
    structures : Structures
        The graphs.
    motif : Motif
        The motif.
    ops : iterable of str
        Names of ops that the motif may use, beside the shared vocabulary and those of the graphs.

    Raises
    ------
    UnknownNameError
        If the motif names an op that is neither in the shared vocabulary nor in the graphs.
    FilterError
        If a graph is so alike everywhere that `archindex.queries.embedding.STEPS` tries do not tell.
    """
    return _Matching(structures, motif, ops).run()


def fitting(structures: Structures, label: Label, more: Iterable[str] = ()) -> Bools:
    """Return which labels of the graphs fit a node of a motif; shape (L,)."""
    ops = {*structures.ops, *OPS, *more}
    op, limits = label.resolved(ops)
    found = np.ones(len(structures.label_op), dtype=np.bool_)
    if op is not None:
        held = {name: i for i, name in enumerate(structures.ops)}
        found &= structures.label_op == held.get(op, -1)
    attrs = structures.label_attrs
    for name, sign, value in limits:
        column = ATTRIBUTE_ID[name]
        values = attrs[:, column] if column < attrs.shape[1] else np.full(len(attrs), np.nan)
        if name == "kernel_w" and sign == "=":
            # A kernel states its width only where that is not its height.
            values = np.where(np.isnan(values), attrs[:, ATTRIBUTE_ID["kernel"]], values)
        found &= LIMITS[sign](values, value)
    return found


class _Matching:
    def __init__(self, structures: Structures, motif: Motif, ops: Iterable[str]) -> None:
        self._graphs, self._motif = structures, motif
        self._n = len(structures.node_label)
        self._fits = [fitting(structures, label, ops) for label in motif.labels]
        # Nodes that fit each node of the motif as far as is known; None: as its label says.
        self._fitting: list[Bools | None] = [None] * len(motif.labels)
        self._edges: dict[tuple[int, int], tuple[Nodes, Nodes]] = {}

    def run(self) -> Bools:
        mask = self._numerous()
        for a, b, far in self._motif.edges:
            if not far:
                self._edges[a, b] = self._near(a, b)
        if self._settled():
            for part in parts_of(self._motif):
                mask &= self._rooted(part)
            return mask
        self._reduce()
        for node in range(len(self._motif.labels)):
            mask &= self._having(node)
        left = np.flatnonzero(mask)
        for start in range(0, len(left), GRAPHS):
            graphs = left[start : start + GRAPHS]
            mask[graphs] = self._embedded(graphs)[graphs]
        return mask

    def _numerous(self) -> Bools:
        """Return which graphs have as many nodes of each label as nodes of the motif need at least."""
        mask = np.ones(len(self._graphs), dtype=np.bool_)
        for fit in self._fits:
            need = sum(not (other & ~fit).any() for other in self._fits)
            if need > 1:
                held = self._graphs.node_graph[fit[self._graphs.node_label]]
                mask &= np.bincount(held, minlength=len(mask)) >= need
        return mask

    def _rooted(self, part: set[int]) -> Bools:
        """Return which graphs have a tree of the motif, from its leaves to its root."""
        order = [min(part)]
        above: dict[int, tuple[int, int, bool]] = {}
        for node in order:
            for a, b, far in self._motif.edges:
                child = b if a == node else a
                if node in (a, b) and child not in order:
                    above[child] = (a, b, far)
                    order.append(child)
        for child in reversed(order[1:]):
            a, b, far = above[child]
            parent = a if child == b else b
            if far:
                source, target = self._graphs.source, self._graphs.target
                if child == b:
                    source, target = target, source
                found = self._nodes(parent) & _reached(self._nodes(child), source, target)
            else:
                own, other = self._edges[a, b][:: 1 if child == a else -1]
                known = self._fitting[child]
                found = np.zeros(self._n, dtype=np.bool_)
                found[other if known is None else other[known[own]]] = True
                if self._fitting[parent] is not None:
                    found &= self._nodes(parent)
            self._fitting[parent] = found
        return self._having(order[0])

    def _near(self, a: int, b: int) -> tuple[Nodes, Nodes]:
        """Return the edges whose ends fit two nodes of the motif."""
        graphs = self._graphs
        chosen = np.flatnonzero(self._fits[a][graphs.pair[:, 0]] & self._fits[b][graphs.pair[:, 1]])
        at = ranges(graphs.pair_ptr[chosen], graphs.pair_ptr[chosen + 1] - graphs.pair_ptr[chosen])
        return graphs.source[at], graphs.target[at]

    def _reduce(self) -> None:
        """Leave out edges with an end that other edges there do not have, until nothing changes."""
        edges = list(self._edges)
        changed = len(edges) > 1
        while changed:
            changed = False
            for a, b in edges:
                source, target = self._edges[a, b]
                kept = np.ones(len(source), dtype=np.bool_)
                for node, ends in ((a, source), (b, target)):
                    known = self._fitting[node]
                    if known is not None:
                        kept &= known[ends]
                if not kept.all():
                    source, target = source[kept], target[kept]
                    self._edges[a, b] = source, target
                for node, ends in ((a, source), (b, target)):
                    changed |= self._fit(node, ends)
            # What the last edge leaves out is passed on to the first at once.
            edges.reverse()

    def _fit(self, node: int, ends: Nodes) -> bool:
        """Note which nodes fit one of the motif; return whether they are fewer than was known."""
        found = np.zeros(self._n, dtype=np.bool_)
        found[ends] = True
        known = self._fitting[node]
        # They are among those known, so that equal numbers mean equal nodes.
        fewer = known is None or int(np.count_nonzero(found)) < int(np.count_nonzero(known))
        if fewer:
            self._fitting[node] = found
        return fewer

    def _nodes(self, node: int) -> Bools:
        """Return which nodes of the graphs fit one of the motif."""
        known = self._fitting[node]
        return self._fits[node][self._graphs.node_label] if known is None else known

    def _having(self, node: int) -> Bools:
        """Return which graphs have a node that fits one of the motif."""
        found = np.zeros(len(self._graphs), dtype=np.bool_)
        found[self._graphs.node_graph[np.flatnonzero(self._nodes(node))]] = True
        return found

    def _settled(self) -> bool:
        """Return whether reduced edges are the answer: no cycle, and no two nodes can take one op's place."""
        n = len(self._motif.labels)
        if len(self._motif.edges) + len(parts_of(self._motif)) != n:
            return False
        behind = behind_of(self._motif)
        return all(
            behind[a, b] or behind[b, a] or not (self._fits[a] & self._fits[b]).any()
            for a in range(n)
            for b in range(a)
        )

    def _embedded(self, graphs: Ints) -> Bools:
        """Return which of some graphs have an embedding; shape (n_graphs,)."""
        open_ = np.zeros(len(self._graphs), dtype=np.bool_)
        open_[graphs] = True
        found = np.zeros(len(self._graphs), dtype=np.bool_)
        of_graph = self._graphs.node_graph
        edges = {(a, b): self._pairs(a, b, far, open_) for a, b, far in self._motif.edges}
        order = order_of(self._motif)
        for most in EMBEDDINGS:
            check_time()
            aside = np.zeros(len(self._graphs), dtype=np.bool_)
            table = self._some({order[0]: _within(self._nodes(order[0]), open_, of_graph)}, most, aside)
            for node in order[1:]:
                table = self._some(self._extended(table, node, edges, open_), most, aside)
            found[of_graph[table[order[0]]]] = True
            # Where nothing was left aside, all was tried.
            open_ &= aside & ~found
            if not open_.any():
                return found
        for graph in np.flatnonzero(open_):
            found[graph] = searched(self._graphs, self._motif, self._fits, int(graph))
        return found

    def _pairs(self, a: int, b: int, far: bool, inside: Bools) -> tuple[Nodes, Nodes]:
        """Return the ends of an edge of the motif in some graphs."""
        of_graph = self._graphs.node_graph
        if not far:
            source, target = self._edges[a, b]
            kept = inside[of_graph[source]]
            return source[kept], target[kept]
        source, target = self._graphs.source, self._graphs.target
        kept = inside[of_graph[source]]
        source, target = source[kept].astype(np.int64), target[kept].astype(np.int64)
        order = np.argsort(source, kind="stable")
        source, target = source[order], target[order]
        origin = _within(self._nodes(a), inside, of_graph)
        reached, pairs = origin, [np.empty(0, dtype=np.int64)]
        while len(origin):
            first = np.searchsorted(source, reached)
            counts = np.searchsorted(source, reached, side="right") - first
            met = np.repeat(origin, counts) * self._n + target[ranges(first.astype(np.int64), counts)]
            met = np.unique(met)
            pairs.append(met)
            origin, reached = met // self._n, met % self._n
        known = np.unique(np.concatenate(pairs))
        origin, reached = known // max(self._n, 1), known % max(self._n, 1)
        kept = self._nodes(b)[reached]
        return origin[kept], reached[kept]

    def _extended(
        self,
        table: dict[int, Ints],
        node: int,
        edges: dict[tuple[int, int], tuple[Nodes, Nodes]],
        inside: Bools,
    ) -> dict[int, Ints]:
        """Give every partial embedding each node that fits one more node of the motif."""
        meeting = [(a, b) for a, b in edges if node in (a, b) and (a in table or b in table)]
        rows = len(next(iter(table.values())))
        known: Nodes
        fresh: Nodes
        place: Nodes
        if meeting:
            a, b = meeting[0]
            (known, fresh) = edges[a, b] if b == node else edges[a, b][::-1]
            place = table[a if b == node else b]
        else:
            # A part of its own: any node of the same graph.
            fresh = _within(self._nodes(node), inside, self._graphs.node_graph)
            known, place = self._graphs.node_graph[fresh], self._graphs.node_graph[next(iter(table.values()))]
        order = np.argsort(known, kind="stable")
        known, fresh = known[order], fresh[order]
        first = np.searchsorted(known, place)
        counts = np.searchsorted(known, place, side="right") - first
        again = np.repeat(np.arange(rows), counts)
        added = fresh[ranges(first.astype(np.int64), counts)].astype(np.int64)
        kept = np.ones(len(added), dtype=np.bool_)
        for other in table.values():
            kept &= other[again] != added
        for a, b in meeting[1:]:
            source = added if a == node else table[a][again]
            target = added if b == node else table[b][again]
            keys = np.sort(edges[a, b][0].astype(np.int64) * self._n + edges[a, b][1])
            wanted = source * self._n + target
            at = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
            kept &= (keys[at] == wanted) if len(keys) else False
        again = again[kept]
        return {**{other: column[again] for other, column in table.items()}, node: added[kept]}

    def _some(self, table: dict[int, Ints], most: int, aside: Bools) -> dict[int, Ints]:
        """Keep the first partial embeddings of each graph, and note the graphs of which there are more."""
        graph = self._graphs.node_graph[next(iter(table.values()))]
        order = np.argsort(graph, kind="stable")
        ordered = graph[order]
        new = np.flatnonzero(np.diff(ordered, prepend=-1))
        rank = np.arange(len(ordered)) - np.repeat(new, np.diff(new, append=len(ordered)))
        kept = order[rank < most]
        aside[ordered[rank >= most]] = True
        return {node: column[kept] for node, column in table.items()}


def _reached(nodes: Bools, source: Nodes, target: Nodes) -> Bools:
    """Return which nodes are reached from some by one or more edges."""
    found = np.zeros(len(nodes), dtype=np.bool_)
    last = nodes
    while last.any():
        check_time()
        following = np.zeros(len(nodes), dtype=np.bool_)
        following[target[last[source]]] = True
        last = following & ~found
        found |= following
    return found


def _within(nodes: Bools, inside: Bools, of_graph: npt.NDArray[np.int32]) -> Ints:
    found = np.flatnonzero(nodes)
    return found[inside[of_graph[found]]]
