"""IVF-Flat on faiss: k-means lists, the nearest of which are searched through (Jegou et al., TPAMI 2011)."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from archindex.core.checks import check_int
from archindex.core.rng import generator
from archindex.indexes._checked import ROWS, CheckedIndex, write_array
from archindex.indexes._faiss import faiss
from archindex.indexes._points import point_dim, to_distances, to_pairs, to_points
from archindex.indexes._tables import Floats, IdTable, Ints, Pairs
from archindex.indexes.base import Capabilities, Metric, SearchResult

LISTS = "lists.faiss"
TRAINED = "trained.npy"  # for how many rows the lists were made, and how well these fitted
ID_BYTES = 36  # of a row, beside its code: four ids of 8 bytes, its list
ROWS_PER_CENTROID = 39  # fewer make k-means centroids of single rows; faiss's own limit
SAMPLE = 64  # rows that k-means sees for each centroid
BATCH = 1 << 16  # rows put into lists at once; faiss divides larger batches itself
GROWTH = 4  # rows since training, as a factor, after which the lists are made anew


class IvfIndex(CheckedIndex):
    """Vectors in lists around k-means centroids; a search goes through the lists nearest to the query.

    A search goes on past `probes` lists until those seen hold k rows, and at least as many as `probes` lists
    of average length. Under `allowed`, only allowed rows count for that, so a filter that keeps few rows, or
    only rows far from the query, is searched further out and never comes back short.

    Work reported: the centroids of each round of probing, and the rows of the lists probed (the allowed ones
    only, under a filter).

    Parameters
    ----------
    dim : int
        Entries of a vector.
    metric : {"l2", "cosine"}
    seed : int
        Of k-means.
    lists : int, optional
        How many lists; default ``4 sqrt(n)``, but no more than one for 39 rows, when they are made.
    probes : int
        Lists searched at least.
    """

    name = "ivf"

    def __init__(
        self, dim: int, metric: Metric = "l2", *, seed: int = 0, lists: int | None = None, probes: int = 16
    ) -> None:
        self._start(dim, metric, seed, lists, probes)

    def _start(
        self, dim: int, metric: Metric, seed: int, lists: int | None, probes: int, **others: int | None
    ) -> None:
        self._lists = None if lists is None else check_int("lists", lists, low=1)
        self._probes = check_int("probes", probes, low=1)
        CheckedIndex.__init__(self, dim, metric, seed, lists=self._lists, probes=self._probes, **others)
        self._fill(np.empty((0, self._dim), dtype=np.float32), self._table.ids)

    _far = 0.0  # how badly 99 in 100 rows fitted the codes when these were learned, where there are codes

    efforts: ClassVar[tuple[int, ...]] = (4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)

    @property
    def effort(self) -> int:
        """Lists searched at least; see `archindex.indexes.base.Tunable`."""
        return self._probes

    @effort.setter
    def effort(self, effort: int) -> None:
        self._probes = check_int("effort", effort, low=1)

    @property
    def capabilities(self) -> Capabilities:
        """Approximate, filtered, removable."""
        return Capabilities(exact=False, filtered=True, removable=True)

    def memory_bytes(self) -> int:
        """Return the bytes of lists, centroids and ids."""
        engine = self._engine
        tables = (self._table.ids, self._table.labels, self._names, self._list_of)
        rows = int(engine.ntotal) * (int(engine.code_size) + 8)
        return rows + int(engine.nlist) * 4 * int(engine.d) + sum(array.nbytes for array in tables)

    def expected_memory(self, n: int) -> int:
        """Return what `memory_bytes` will say; see `archindex.indexes.base.MemoryPlanned`."""
        point = 4 * point_dim(self._dim, self._metric)
        return check_int("n", n, low=0) * (point + ID_BYTES) + self._number_of_lists(n) * point

    def _number_of_lists(self, n: int) -> int:
        lists = self._lists or min(round(4 * math.sqrt(n)), n // ROWS_PER_CENTROID)
        return max(1, min(lists, n))

    def _fill(self, vectors: Floats, ids: Ints) -> Ints:
        points = to_points(vectors, self._metric)
        return self._train(points.__getitem__, ids)

    def _train(self, take: Callable[[slice | Ints], Floats], ids: Ints) -> Ints:
        """Make lists for the rows of `ids`, whose points `take` returns, and put them in."""
        n, rng = len(ids), generator(self._seed, "ivf")
        seed, lists = int(rng.integers(1 << 31)), self._number_of_lists(n)
        some = np.sort(rng.permutation(n)[: SAMPLE * lists])
        none = np.zeros((1, point_dim(self._dim, self._metric)), dtype=np.float32)
        self._engine: Any = self._made(take(some) if n else none, lists, seed)
        self._trained = n
        self._names = np.empty(0, dtype=np.int64)  # row id of each label ever given
        self._list_of = np.empty(0, dtype=np.int32)  # and its list
        self._sizes = np.zeros(lists, dtype=np.int64)
        for start in range(0, n, BATCH):
            self._place(take(slice(start, start + BATCH)), ids[start : start + BATCH])
        return np.arange(n, dtype=np.int64)

    def _made(self, sample: Floats, lists: int, seed: int) -> Any:
        """Return the empty faiss index, trained on a sample of the points float32[m, point_dim]."""
        dim = sample.shape[1]
        return self._fitted(
            faiss.IndexIVFFlat(faiss.IndexFlatL2(dim), dim, lists, faiss.METRIC_L2), sample, seed
        )

    @staticmethod
    def _fitted(engine: Any, sample: Floats, seed: int) -> Any:
        engine.cp.min_points_per_centroid = 1  # else faiss writes a warning to standard error
        engine.cp.niter = 10
        engine.cp.seed = seed
        engine.train(sample)
        return engine

    def _coded(self, points: Floats) -> Floats:
        """Return points as the faiss index is to see them."""
        return points

    def _place(self, points: Floats, ids: Ints) -> Ints:
        labels = np.arange(len(self._names), len(self._names) + len(ids), dtype=np.int64)
        for start in range(0, len(ids), BATCH):
            part = slice(start, start + BATCH)
            coded = self._coded(points[part])
            lists = self._engine.quantizer.assign(coded, 1)[:, 0]
            self._put(coded, labels[part], lists)
            self._names = np.concatenate([self._names, ids[part]])
            self._list_of = np.concatenate([self._list_of, lists.astype(np.int32)])
            self._sizes += np.bincount(lists, minlength=len(self._sizes))
        return labels

    def _put(self, coded: Floats, labels: Ints, lists: Ints) -> None:
        pointers = [faiss.swig_ptr(array) for array in (coded, labels, lists)]
        self._engine.add_core(len(labels), *pointers)

    def _append(self, vectors: Floats, ids: Ints) -> Ints:
        points = to_points(vectors, self._metric)
        if len(self._names) + len(ids) > GROWTH * self._trained:
            self._anew()
        return self._place(points, ids)

    def _anew(self) -> None:
        """Make lists anew for the rows of the table, which get new labels."""
        held, labels = self._held()
        left = self._names[labels]
        self._table = IdTable.of(left, self._train(held.__getitem__, left))

    def _drop(self, gone: IdTable) -> None:
        self._engine.remove_ids(faiss.IDSelectorBatch(gone.labels))
        self._sizes -= np.bincount(self._list_of[gone.labels], minlength=len(self._sizes))

    def _one(self, query: Floats, k: int) -> SearchResult | None:
        lists, width = len(self._sizes), self._candidates(k)
        probes = min(self._probes, lists)
        if width >= len(self._table):
            return None
        points = self._coded(query if self._metric == "l2" else to_points(query, "cosine"))
        away, near = self._engine.quantizer.search(points, probes)
        seen = int(self._sizes[near[0]].sum())
        if seen < self._target(k) and probes < lists:
            return None
        self._engine.nprobe = probes
        squared, labels = self._engine.search_preassigned(points, width, near, away)
        hits = self._hits(query, squared, labels, k)
        ids = self._names[hits.row]
        order = np.lexsort((ids, hits.distance))[:k]
        if len(order) < k:
            return None
        work = lists + seen + self._compared(width)
        return SearchResult(ids[order][None], hits.distance[order][None], np.array([k]), work)

    def _target(self, k: int) -> int:
        """Return how many rows the lists searched must hold together."""
        # Lists that removals have thinned are searched further out, not with less care.
        return max(k, self._probes * max(self._trained, len(self._table)) // len(self._sizes))

    def _compared(self, width: int) -> int:
        """Return how many of the candidates are compared by their full vectors."""
        return 0

    def _find(self, queries: Floats, k: int, allowed: IdTable | None) -> tuple[Pairs, int]:
        points = self._coded(to_points(queries, self._metric))
        lists = len(self._sizes)
        rows = self._table if allowed is None else allowed
        weights, selector = self._sizes, None
        if allowed is not None:
            weights = np.bincount(self._list_of[allowed.labels], minlength=lists)
            mask = np.zeros(len(self._names), dtype=np.bool_)
            mask[allowed.labels] = True
            bits = np.packbits(mask, bitorder="little")  # the selector only points to it
            selector = faiss.IDSelectorBitmap(bits)
        target = self._target(k)
        found: list[Pairs] = []
        work, probes, waiting = 0, min(self._probes, lists), np.arange(len(queries))
        while len(waiting):
            away, near = self._engine.quantizer.search(points[waiting], probes)
            work += lists * len(waiting)
            seen = weights[near].sum(axis=1)
            ready = (seen >= target) | (probes == lists)
            here, waiting = waiting[ready], waiting[~ready]
            if len(here):
                work += int(seen[ready].sum()) + len(here) * self._compared(self._candidates(k))
                width = min(self._candidates(k), len(rows))
                if selector is None:  # the lists are known: they need not be looked for twice
                    self._engine.nprobe = probes
                    squared, labels = self._engine.search_preassigned(
                        points[here], width, near[ready], away[ready]
                    )
                else:
                    setting = faiss.SearchParametersIVF(nprobe=probes, sel=selector)
                    squared, labels = self._engine.search(points[here], width, params=setting)
                hits = self._hits(queries[here], squared, labels, k)
                found.append(Pairs(here[hits.query], self._names[hits.row], hits.distance))
            probes = min(2 * probes, lists)
        return Pairs.join(found), work

    def _candidates(self, k: int) -> int:
        """Return how many rows the lists are asked for."""
        return k

    def _hits(self, queries: Floats, squared: Floats, labels: Ints, k: int) -> Pairs:
        """Return at least the k best labels of each query, for what faiss found; [m, candidates] both."""
        return to_pairs(labels, to_distances(squared, queries, self._metric))

    def _held(self) -> tuple[Floats, Ints]:
        """Return the points and labels in the lists, sorted by label."""
        stored, points, labels = self._engine.invlists, [], []
        for number in range(self._engine.nlist):
            size = stored.list_size(number)
            if size:
                codes = faiss.rev_swig_ptr(stored.get_codes(number), size * self._engine.code_size)
                points.append(codes.view(np.float32).reshape(size, -1).copy())
                labels.append(faiss.rev_swig_ptr(stored.get_ids(number), size).copy())
        order = np.argsort(np.concatenate(labels))
        return np.concatenate(points)[order], np.concatenate(labels)[order]

    def _write(self, folder: Path) -> list[str]:
        write_array(folder / ROWS, np.stack([self._table.ids, self._table.labels]))
        with (folder / LISTS).open("wb") as file:
            # Through Python's file, which reports a full disk also when it closes.
            faiss.write_index(self._engine, faiss.PyCallbackIOWriter(file.write))
        write_array(folder / TRAINED, np.array([self._trained, self._far]))
        return [LISTS, TRAINED]

    def _read(self, folder: Path) -> None:
        self._engine = faiss.read_index(str(folder / LISTS))
        # Engines saved by earlier versions do not say.
        said = (folder / TRAINED).exists()
        if said:
            trained, self._far = np.load(folder / TRAINED, allow_pickle=False).tolist()
        self._trained = int(trained) if said else len(self._table)
        self._sizes = np.zeros(self._engine.nlist, dtype=np.int64)
        if len(self._table):
            self._names = np.full(int(self._table.labels.max()) + 1, -1, dtype=np.int64)
            self._names[self._table.labels] = self._table.ids
            self._list_of = np.zeros(len(self._names), dtype=np.int32)
            for number in range(self._engine.nlist):
                size = self._sizes[number] = self._engine.invlists.list_size(number)
                if size:
                    labels = faiss.rev_swig_ptr(self._engine.invlists.get_ids(number), int(size))
                    self._list_of[labels] = number
