"""HNSW on hnswlib (Malkov and Yashunin, TPAMI 2020)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import hnswlib
import numpy as np
import numpy.typing as npt

from archindex.core.checks import check_int
from archindex.core.errors import StorageError
from archindex.core.rng import generator
from archindex.indexes._checked import ROWS, CheckedIndex, write_array
from archindex.indexes._points import point_dim, to_distances, to_points
from archindex.indexes._scan import Block, norms, rows_per_block, scan
from archindex.indexes._tables import EMPTY, Floats, IdTable, Ints, Pairs
from archindex.indexes.base import Capabilities, Metric, SearchResult

Doubles = npt.NDArray[np.float64]

GRAPH = "graph.hnswlib"
NODE_BYTES = 100  # of hnswlib's own tables, which its file lacks: a lock, a place in a map, pointers
CALLS_PER_READ = 8  # reading a vector out of hnswlib costs as much as eight calls of a filter


def node_bytes(width: int, links: int) -> float:
    """Return what a node of `width` entries takes in memory, on average."""
    # A node is on the level above with a chance of 1 / links.
    levels = 4 + (4 * links + 4) / (links - 1)
    return 4 * width + 8 + 8 * links + 4 + levels + NODE_BYTES


class HnswIndex(CheckedIndex):
    """A navigable graph over the distinct vectors; rows of equal vectors share a node.

    Architectures with the same function often have the same embedding. As nodes of their own, more of them
    than a node has links only link to each other, and a search that meets them cannot get out.

    Built by one thread, so that the same seed gives the same graph. A removed node stays in the graph as a
    way through; once these are more than the rest, the graph is built anew.

    Under `allowed`, the graph is searched through a call back, unless so few rows are allowed that going
    through them one by one is cheaper; that is also done when the graph does not reach as many nodes as
    asked.

    Work reported: nodes gone through one by one; for a graph search the length of its candidate list, a
    lower bound, because hnswlib does not count.

    Parameters
    ----------
    dim : int
        Entries of a vector.
    metric : {"l2", "cosine"}
    seed : int
        Of the nodes' levels.
    links : int
        Links of a node (M), at least 2.
    ef_construction : int
        Candidates kept while building.
    ef_search : int
        Candidates kept while searching; never fewer than the nodes asked for and as many again, up to 16.
    """

    name = "hnsw"

    def __init__(
        self,
        dim: int,
        metric: Metric = "l2",
        *,
        seed: int = 0,
        links: int = 16,
        ef_construction: int = 200,
        ef_search: int = 96,
    ) -> None:
        self._links = check_int("links", links, low=2)
        self._ef_construction = check_int("ef_construction", ef_construction, low=1)
        self._ef_search = check_int("ef_search", ef_search, low=1)
        super().__init__(dim, metric, seed, links=links, ef_construction=ef_construction, ef_search=ef_search)
        self._start()

    efforts: ClassVar[tuple[int, ...]] = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)

    @property
    def effort(self) -> int:
        """Candidates kept while searching; see `archindex.indexes.base.Tunable`."""
        return self._ef_search

    @effort.setter
    def effort(self, effort: int) -> None:
        self._ef_search = check_int("effort", effort, low=1)

    @property
    def capabilities(self) -> Capabilities:
        """Approximate, filtered, removable."""
        return Capabilities(exact=False, filtered=True, removable=True)

    def memory_bytes(self) -> int:
        """Return the bytes of the graph with its vectors, and of the tables of ids."""
        tables = (self._table.ids, self._table.labels, self._nodes, self._members)
        nodes = NODE_BYTES * int(self._graph.get_current_count())
        return int(self._graph.index_file_size()) + nodes + sum(array.nbytes for array in tables)

    def expected_memory(self, n: int) -> int:
        """Return what `memory_bytes` will say; see `archindex.indexes.base.MemoryPlanned`."""
        node = node_bytes(point_dim(self._dim, self._metric), self._links)
        return round(check_int("n", n, low=0) * (node + 32))

    def _one(self, query: Floats, k: int) -> SearchResult | None:
        if k > self._live:
            return None
        found = self._walk(query if self._metric == "l2" else to_points(query, "cosine"), k, None)
        if found is None:
            return None
        hits, squared = found
        low = self._nodes.searchsorted(hits[0])
        # Not as long as there are nodes of several rows, unless none of them is met.
        if self._live < len(self._nodes) and (self._nodes.searchsorted(hits[0], "right") - low > 1).any():
            return None
        ids, away = self._members[low], to_distances(squared, query, self._metric)
        order = np.lexsort((ids, away[0]))
        work = min(self._ef(k), self._live)
        return SearchResult(ids[order][None], away[:, order], np.array([k]), work)

    def _start(self) -> None:
        self._graph: Any = hnswlib.Index("l2", point_dim(self._dim, self._metric))
        self._graph.init_index(
            1, self._links, self._ef_construction, int(generator(self._seed, "hnsw").integers(1 << 31))
        )
        # Every (node, row id), sorted: which rows a node stands for.
        self._nodes, self._members = EMPTY.labels, EMPTY.ids
        self._live = 0

    def _fill(self, vectors: Floats, ids: Ints) -> Ints:
        points = to_points(vectors, self._metric)
        self._start()
        return self._place(points, ids)

    def _append(self, vectors: Floats, ids: Ints) -> Ints:
        return self._place(to_points(vectors, self._metric), ids)

    def _place(self, points: Floats, ids: Ints) -> Ints:
        """Return the nodes of `points`, made where there is none of the same point."""
        if not len(points):
            return EMPTY.labels
        whole = points.view(np.dtype((np.void, points.shape[1] * points.itemsize)))[:, 0]
        _, first, which = np.unique(whole, return_index=True, return_inverse=True)
        order = np.argsort(first)  # as given, not by value: the caller's order is often a good one
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        nodes = self._node_of(points[first[order]])[rank[which]]
        members, owners = np.concatenate([self._members, ids]), np.concatenate([self._nodes, nodes])
        by_node = np.lexsort((members, owners))
        self._nodes, self._members = owners[by_node], members[by_node]
        return nodes

    def _node_of(self, points: Floats) -> Ints:
        nodes = np.full(len(points), -1, dtype=np.int64)
        found = self._walk(points, 1, None) if self._live else None
        if found is not None:
            near = found[0][:, 0]
            same = (self._graph.get_items(near) == points).all(axis=1)
            nodes[same] = near[same]
        new = nodes < 0
        count = int(new.sum())
        if count:
            first = self._graph.get_current_count()
            if first + count > self._graph.get_max_elements():
                self._graph.resize_index(max(first + count, 3 * first // 2))
            nodes[new] = np.arange(first, first + count)
            self._graph.add_items(points[new], nodes[new], num_threads=1)
            self._live += count
        return nodes

    def _drop(self, gone: IdTable) -> None:
        keep = ~np.isin(self._members, gone.ids, assume_unique=True)
        self._nodes, self._members = self._nodes[keep], self._members[keep]
        for node in np.setdiff1d(gone.labels, self._nodes):
            self._graph.mark_deleted(node)
            self._live -= 1
        if self._graph.get_current_count() > 2 * self._live:
            left = self._table
            points = self._graph.get_items(left.labels)
            self._start()
            self._table = IdTable(left.ids, self._place(points, left.ids))

    def _find(self, queries: Floats, k: int, allowed: IdTable | None) -> tuple[Pairs, int]:
        points = to_points(queries, self._metric)
        owners, members = self._nodes, self._members
        found, wanted = None, min(k, self._live)
        if allowed is None:
            found = self._walk(points, wanted, None)
        else:
            order = np.lexsort((allowed.ids, allowed.labels))
            owners, members = allowed.labels[order], allowed.ids[order]
            nodes = np.unique(owners)
            wanted = min(k, len(nodes))
            # A search calls back about ef / (share allowed) times, and far more often in a bad place.
            if CALLS_PER_READ * len(nodes) ** 2 > self._ef(wanted) * self._live:
                found = self._walk(points, wanted, nodes)
        work = len(queries) * min(self._ef(wanted), self._live)
        if found is None:
            nodes = np.unique(owners)
            found = self._scan(points, nodes, wanted)
            work = len(queries) * len(nodes)
        hits, squared = found
        return _spread(hits, to_distances(squared, queries, self._metric), owners, members, k), work

    def _ef(self, k: int) -> int:
        return max(self._ef_search, k + min(k, 16))

    def _walk(self, points: Floats, k: int, nodes: Ints | None) -> tuple[Ints, Doubles] | None:
        """Return the k nearest nodes and squared distances [m, k] as the graph finds them, or None."""
        self._graph.set_ef(self._ef(k))
        try:
            if nodes is None:
                found, squared = self._graph.knn_query(points, k)
            else:
                mask = np.zeros(self._graph.get_current_count(), dtype=np.bool_)
                mask[nodes] = True
                # A list answers faster than an array, and one thread because of the interpreter's lock.
                found, squared = self._graph.knn_query(
                    points, k, num_threads=1, filter=mask.tolist().__getitem__
                )
        except RuntimeError:  # hnswlib's way to say that it reached fewer than k
            return None
        return found.astype(np.int64), squared.astype(np.float64)

    def _scan(self, points: Floats, nodes: Ints, k: int) -> tuple[Ints, Doubles]:
        """Return the same as :meth:`_walk` by going through `nodes` int64[n >= k]."""
        step = rows_per_block(points.shape[1])
        parts = (nodes[start : start + step] for start in range(0, len(nodes), step))
        held = ((part, self._graph.get_items(part)) for part in parts)
        pairs = scan((Block(vectors, part, norms(vectors)) for part, vectors in held), points, k, "l2")
        return pairs.row.reshape(-1, k), pairs.distance.reshape(-1, k).astype(np.float64) ** 2

    def _write(self, folder: Path) -> list[str]:
        write_array(folder / ROWS, np.stack([self._table.ids, self._table.labels]))
        path = folder / GRAPH
        self._graph.save_index(str(path))
        if path.stat().st_size != self._graph.index_file_size():  # hnswlib does not look
            raise StorageError(f"could not write all of {path}", fix="check the space there")
        return [GRAPH]

    def _read(self, folder: Path) -> None:
        # A graph that was never initialised: hnswlib complains on standard output about any other.
        self._graph = hnswlib.Index("l2", point_dim(self._dim, self._metric))
        self._graph.load_index(str(folder / GRAPH))
        order = np.lexsort((self._table.ids, self._table.labels))
        self._nodes, self._members = self._table.labels[order], self._table.ids[order]
        self._live = len(np.unique(self._nodes))


def _spread(hits: Ints, found: Floats, owners: Ints, members: Ints, k: int) -> Pairs:
    """Return the rows of nodes int64[m, w], nearest first, at `found` float32[m, w]: k or more of each query.

    `owners` and `members` int64[n] name each row's node and id, sorted by (node, id).
    """
    low = np.searchsorted(owners, hits)
    count = np.minimum(np.searchsorted(owners, hits, side="right") - low, k)
    count[np.cumsum(count, axis=1) - count >= k] = 0  # the nodes before have k rows already
    cell = np.repeat(np.arange(hits.size), count.ravel())
    within = np.arange(len(cell)) - np.searchsorted(cell, cell)
    return Pairs(cell // hits.shape[1], members[low.ravel()[cell] + within], found.ravel()[cell])
