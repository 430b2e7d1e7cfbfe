"""IVF lists of short codes on faiss, their best rows compared again by the full vectors.

Codes are what is held in memory; the full vectors stay in their file, and each search looks up a few dozen to
a few hundred of them. So an index of 64 dimensions takes 52 to 108 bytes a row instead of 300 to 540, and
distances are as exact as those of every other engine.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from archindex.core.checks import check_int
from archindex.indexes._checked import write_array
from archindex.indexes._faiss import faiss
from archindex.indexes._points import point_dim, refuse_long, to_points
from archindex.indexes._scan import distances
from archindex.indexes._stored import StoredVectors
from archindex.indexes._tables import Floats, IdTable, Ints, Pairs
from archindex.indexes.base import Metric
from archindex.indexes.ivf import BATCH, GROWTH, ID_BYTES, IvfIndex

VECTORS = "vectors.npy"
FRAME = "frame.npy"
WORDS = 16
"""Centroids of a sub-quantiser: 4 bits, whose tables fit into vector registers (fast scan)."""

STRANGE = 50
"""One in so many rows may fit the codes worse than 99 in 100 did when these were learned; then anew."""

LEAST = 10
"""Of fewer neighbours asked for, as many candidates are taken as of these: codes err by a rank or two."""

_ROUNDING = 1e-4
"""Relative slack of squared distances in float32, within which rows are compared again in float64."""


class QuantisedIndex(IvfIndex):
    """IVF whose lists hold codes: the best `rerank` times k by code are ordered by their full vectors.

    Full vectors are used where they lie, as `ExactIndex` does: a read-only array, mapped from a file or not,
    is not copied, and a loaded index maps its file. Where no more rows are allowed than would be re-ranked,
    all of them are compared, and the answer is exact. Probing and filters are those of `IvfIndex`.

    Codes are learned from the rows there are. Rows added later may not fit them, as those of another search
    space do not. When these are more than one in :data:`STRANGE`, lists and codes are learned anew.

    Work reported: as `IvfIndex` does, and the rows re-ranked.

    Parameters
    ----------
    dim : int
        Entries of a vector.
    metric : {"l2", "cosine"}
    seed : int
        Of k-means, rotation and codebooks.
    lists : int, optional
        How many lists; see `IvfIndex`.
    probes : int
        Lists searched at least.
    rerank : int, optional
        Rows compared by their full vectors, as a multiple of k (of 10 at least); default: as the codes need.
    """

    multiple: ClassVar[int]
    """Default of `rerank`: with which recall@10 on embeddings is above .99 as far as codes decide it."""

    def __init__(
        self,
        dim: int,
        metric: Metric = "l2",
        *,
        seed: int = 0,
        lists: int | None = None,
        probes: int = 16,
        rerank: int | None = None,
    ) -> None:
        self._begin(dim, metric, seed, lists, probes, rerank)

    def _begin(
        self,
        dim: int,
        metric: Metric,
        seed: int,
        lists: int | None,
        probes: int,
        rerank: int | None,
        **others: int | None,
    ) -> None:
        self._rerank = self.multiple if rerank is None else check_int("rerank", rerank, low=1)
        self._start(dim, metric, seed, lists, probes, rerank=rerank, **others)

    def memory_bytes(self) -> int:
        """Return the bytes of lists, codebooks and ids, and of full vectors that lie in no file."""
        extra = self._frame.nbytes + self._code_tables(int(self._engine.d), int(self._engine.nlist))
        return super().memory_bytes() + extra + self._stored.held_bytes

    def expected_memory(self, n: int) -> int:
        """Return what `memory_bytes` will say; see `archindex.indexes.base.MemoryPlanned`."""
        lists, dim = self._number_of_lists(check_int("n", n, low=0)), self._coded_dim
        frame = 4 * point_dim(self._dim, self._metric) * (1 + (dim if self.turned else 0))
        return n * (self._code_bytes + ID_BYTES) + lists * 4 * dim + frame + self._code_tables(dim, lists)

    turned: ClassVar[bool] = False
    """Whether points are rotated before they are coded."""

    @property
    def _coded_dim(self) -> int:
        """Entries of a point as faiss sees it."""
        return point_dim(self._dim, self._metric)

    @property
    @abstractmethod
    def _code_bytes(self) -> int:
        """Bytes of a code."""

    def _code_tables(self, dim: int, lists: int) -> int:
        """Return the bytes of codebooks and of tables made from them."""
        return 0

    @abstractmethod
    def _empty(self, quantiser: Any, lists: int) -> Any:
        """Return the faiss index, not trained, for points of `_coded_dim` entries."""

    def _rotation(self, points: Floats, seed: int) -> Floats:
        """Return the rotation float32[coded_dim, coded_dim] for a sample of padded points around 0."""
        raise NotImplementedError  # asked for only where `turned`

    def _fill(self, vectors: Floats, ids: Ints) -> Ints:
        refuse_long(vectors, self._metric)
        self._stored = StoredVectors(vectors)
        return self._train(lambda rows: to_points(self._stored.at(rows), self._metric), ids)

    def _append(self, vectors: Floats, ids: Ints) -> Ints:
        points = to_points(vectors, self._metric)
        if len(self._names) + len(ids) > GROWTH * self._trained or self._strange(points):
            left = self._table
            both = np.concatenate([self._stored.at(left.labels), vectors])
            both.flags.writeable = False  # ours alone: saves a copy
            labels = self._fill(both, np.concatenate([left.ids, ids]))
            self._table = IdTable.of(left.ids, labels[: len(left)])
            return labels[len(left) :]
        labels = self._place(points, ids)
        self._stored.append(vectors)
        return labels

    def _strange(self, points: Floats) -> bool:
        """Return whether codes must be learned anew, because points to be added do not fit them."""
        for start in range(0, len(points), BATCH):
            coded = self._coded(points[start : start + BATCH])
            self._strangers += int((self._misfit(self._engine, coded) > self._far).sum())
        return self._strangers * STRANGE > len(self._table) + len(points)

    def _misfit(self, engine: Any, coded: Floats) -> Floats:
        """Return how badly each point fits the codes float32[n]: here its squared distance to a centroid."""
        found: Floats = engine.quantizer.search(coded, 1)[0][:, 0]
        return found

    def _drop(self, gone: IdTable) -> None:
        super()._drop(gone)
        if len(self._stored) > 2 * len(self._table):
            self._anew()

    def _anew(self) -> None:
        left = self._table
        kept = self._stored.at(left.labels)
        kept.flags.writeable = False  # ours alone: saves a copy
        self._replace(kept, left.ids)

    def _made(self, sample: Floats, lists: int, seed: int) -> Any:
        dim, (n, entries) = self._coded_dim, sample.shape
        self._frame: Floats = sample.mean(axis=0, dtype=np.float64).astype(np.float32)[None]
        if self.turned:
            around = np.pad(sample - self._frame, ((0, 0), (0, dim - entries)))
            # With fewer rows than entries, OPQ of faiss writes beyond its memory.
            turn = self._rotation(np.resize(around, (max(n, WORDS, dim), dim)), seed)
            # Rows: what is subtracted, then the rotation, as far as it meets entries that are not padding.
            self._frame = np.concatenate([self._frame, turn[:, :entries]])
        coded = self._coded(sample)
        # A codebook needs as many rows as it has words, equal ones if need be.
        coded = np.resize(coded, (max(n, WORDS), dim))
        engine = self._fitted(self._empty(faiss.IndexFlatL2(dim), lists), coded, seed)
        some = np.ascontiguousarray(coded[:: 1 + len(coded) // 10_000])
        self._far, self._strangers = float(np.quantile(self._misfit(engine, some), 0.99)), 0
        return engine

    def _coded(self, points: Floats) -> Floats:
        # Around their mean: products of points far from the origin have no digits left.
        around = points - self._frame[0]
        if self.turned:
            turned: Floats = around @ self._frame[1:].T
            return turned
        padding = self._coded_dim - around.shape[1]
        return np.pad(around, ((0, 0), (0, padding))) if padding else around

    def _candidates(self, k: int) -> int:
        return self._rerank * max(k, LEAST)

    def _compared(self, width: int) -> int:
        return width

    def _find(self, queries: Floats, k: int, allowed: IdTable | None) -> tuple[Pairs, int]:
        rows, width = self._table if allowed is None else allowed, self._candidates(k)
        if len(rows) > width:
            return super()._find(queries, k, allowed)
        refuse_long(queries, self._metric)
        labels = np.broadcast_to(rows.labels, (len(queries), len(rows)))
        hits = self._hits(queries, np.empty(0, dtype=np.float32), labels, k)
        return Pairs(hits.query, self._names[hits.row], hits.distance), len(queries) * len(rows)

    def _hits(self, queries: Floats, squared: Floats, labels: Ints, k: int) -> Pairs:
        """Return at least the k nearest of the candidates of each query, by their full vectors."""
        points, parts = to_points(queries, self._metric), []
        for number, (query, point, found) in enumerate(zip(queries, points, labels, strict=True)):
            found = found[found >= 0]
            rows = self._stored.at(found)
            if len(found) > k:
                gap = (rows if self._metric == "l2" else to_points(rows, "cosine")) - point
                away = np.einsum("ij,ij->i", gap, gap)
                near = away <= np.partition(away, k - 1)[k - 1] * (1 + _ROUNDING) + np.float32(1e-30)
                found, rows = found[near], rows[near]
            exact = distances(np.broadcast_to(query, rows.shape), rows, self._metric)
            parts.append(Pairs(np.full(len(found), number), found, exact))
        return Pairs.join(parts)

    def _write(self, folder: Path) -> list[str]:
        names = super()._write(folder)
        write_array(folder / FRAME, self._frame)
        self._stored.write(folder / VECTORS)
        return [*names, FRAME, VECTORS]

    def _read(self, folder: Path) -> None:
        super()._read(folder)
        self._frame, self._strangers = np.load(folder / FRAME, allow_pickle=False), 0
        self._stored = StoredVectors.read(folder / VECTORS)
        # Rows after the last that is still there keep their place.
        lost = len(self._stored) - len(self._names)
        self._names = np.concatenate([self._names, np.full(lost, -1)])
        self._list_of = np.concatenate([self._list_of, np.zeros(lost, dtype=np.int32)])


class IvfSq8Index(QuantisedIndex):
    """A byte an entry (scalar quantisation): four times less than float32, and next to nothing lost."""

    name = "ivf_sq8"
    multiple = 4

    @property
    def _code_bytes(self) -> int:
        return self._coded_dim

    def _code_tables(self, dim: int, lists: int) -> int:
        return 8 * dim  # least value and range of each entry

    def _empty(self, quantiser: Any, lists: int) -> Any:
        kind = faiss.ScalarQuantizer.QT_8bit
        return faiss.IndexIVFScalarQuantizer(quantiser, self._coded_dim, lists, kind, faiss.METRIC_L2, True)


class IvfRabitqIndex(QuantisedIndex):
    """A bit an entry after a random rotation, and 8 bytes of correction (RaBitQ).

    References
    ----------
    Gao and Long, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound for
    Approximate Nearest Neighbor Search", SIGMOD 2024.
    """

    name = "ivf_rabitq"
    multiple = 64
    turned = True

    @property
    def _code_bytes(self) -> int:
        return -(-self._coded_dim // 8) + 8

    def _rotation(self, points: Floats, seed: int) -> Floats:
        turn = faiss.RandomRotationMatrix(self._coded_dim, self._coded_dim)
        turn.init(seed)
        found: Floats = faiss.vector_to_array(turn.A).reshape(self._coded_dim, self._coded_dim)
        return found

    def _empty(self, quantiser: Any, lists: int) -> Any:
        return faiss.IndexIVFRaBitQ(quantiser, self._coded_dim, lists, faiss.METRIC_L2)


class IvfPqIndex(QuantisedIndex):
    """Products of codebooks, 4 bits each, of the residuals, compared in registers (IVF-PQ fast scan).

    Parameters
    ----------
    code_bytes : int, optional
        Bytes of a code, at most one for two entries; default one for four.

    References
    ----------
    Jegou, Douze and Schmid, "Product Quantization for Nearest Neighbor Search", TPAMI 2011.
    Andre, Kermarrec and Le Scouarnec, "Quicker ADC", TPAMI 2021.
    """

    name = "ivf_pq"
    multiple = 128

    def __init__(
        self,
        dim: int,
        metric: Metric = "l2",
        *,
        seed: int = 0,
        lists: int | None = None,
        probes: int = 16,
        rerank: int | None = None,
        code_bytes: int | None = None,
    ) -> None:
        if code_bytes is not None:
            most = (check_int("dim", dim, low=1) + 1) // 2
            code_bytes = check_int("code_bytes", code_bytes, low=1, high=most)
        self._asked_bytes = code_bytes
        self._begin(dim, metric, seed, lists, probes, rerank, code_bytes=code_bytes)

    @property
    def _code_bytes(self) -> int:
        return self._asked_bytes or -(-self._dim // 4)

    @property
    def _coded_dim(self) -> int:
        """As many entries for each of the sub-quantisers, some of them 0."""
        parts = 2 * self._code_bytes
        return parts * -(-point_dim(self._dim, self._metric) // parts)

    def _code_tables(self, dim: int, lists: int) -> int:
        return 4 * WORDS * dim

    def _empty(self, quantiser: Any, lists: int) -> Any:
        engine = faiss.IndexIVFPQFastScan(
            quantiser, self._coded_dim, lists, 2 * self._code_bytes, 4, faiss.METRIC_L2, 32
        )
        engine.pq.cp.min_points_per_centroid = 1
        return engine

    def _misfit(self, engine: Any, coded: Floats) -> Floats:
        """Return the squared error of the codes."""
        lists = engine.quantizer.assign(coded, 1)[:, 0]
        rest = coded - engine.quantizer.reconstruct_batch(lists)
        lost = rest - engine.pq.decode(engine.pq.compute_codes(rest))
        found: Floats = np.einsum("ij,ij->i", lost, lost)
        return found

    def _put(self, coded: Floats, labels: Ints, lists: Ints) -> None:
        # Of a fast-scan index only this knows how codes are packed. It finds the same lists again.
        self._engine.add_with_ids(coded, labels)


class IvfOpqIndex(IvfPqIndex):
    """`IvfPqIndex` after a learned rotation, which makes codes of embeddings several times finer (OPQ).

    References
    ----------
    Ge, He, Ke and Sun, "Optimized Product Quantization", TPAMI 2014.
    """

    name = "ivf_opq"
    multiple = 32
    turned = True

    def _rotation(self, points: Floats, seed: int) -> Floats:
        dim, parts = self._coded_dim, 2 * self._code_bytes
        if not points.any():  # no rows yet, or all equal
            return np.eye(dim, dtype=np.float32)
        turn, words = faiss.OPQMatrix(dim, parts), faiss.ProductQuantizer(dim, parts, 4)
        words.cp.min_points_per_centroid = 1
        turn.pq, turn.niter, turn.max_train_points = words, 12, 8192
        turn.train(points)
        found: Floats = faiss.vector_to_array(turn.A).reshape(dim, dim)
        return found
