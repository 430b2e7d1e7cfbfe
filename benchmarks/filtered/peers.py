"""Peers of the planner: other libraries, called as their users call them, on a mask of the rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import hnswlib
import numpy as np
import numpy.typing as npt

from archindex.indexes._faiss import faiss

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Peer = Callable[[Floats, int, Mask | None], npt.NDArray[np.floating]]
"""Takes a query, k and a mask; returns the distances of what it found."""

EFFORTS: Final = (32, 64, 256, 1024)
PROBES: Final = (16, 64, 256)
CALLS: Final = 0.05
"""Share of the rows below which hnswlib is not asked: it would call back for nearly all of them."""


def peers(vectors: Floats) -> dict[str, Peer]:
    """Return the peers over some rows, by name and setting; building them takes minutes at a million rows."""
    n, dim = vectors.shape
    faiss.omp_set_num_threads(1)
    graph = faiss.IndexHNSWFlat(dim, 16)
    graph.hnsw.efConstruction = 200
    graph.add(vectors)
    lists = faiss.index_factory(dim, f"IVF{max(16, n // 256)},Flat")
    lists.cp.min_points_per_centroid = 1
    lists.train(vectors[np.random.default_rng(0).permutation(n)[: max(5_000, n // 6)]])
    lists.add(vectors)
    other = hnswlib.Index("l2", dim)
    other.init_index(n, M=16, ef_construction=200, random_seed=0)
    other.add_items(vectors, num_threads=1)
    found: dict[str, Peer] = {"mask + exact": _exact(vectors)}
    for effort in EFFORTS:
        found[f"faiss HNSW, ef {effort}"] = _faiss(graph, "HNSW", effort)
        found[f"hnswlib, ef {effort}"] = _hnswlib(other, effort)
    for probes in PROBES:
        found[f"faiss IVF, nprobe {probes}"] = _faiss(lists, "IVF", probes)
    return found


def _exact(vectors: Floats) -> Peer:
    def search(query: Floats, k: int, mask: Mask | None) -> npt.NDArray[np.floating]:
        gap = (vectors if mask is None else vectors[np.flatnonzero(mask)]) - query
        squared = np.einsum("ij,ij->i", gap, gap)
        k = min(k, len(squared))
        distances: npt.NDArray[np.floating] = np.sort(np.sqrt(np.partition(squared, k - 1)[:k]))
        return distances

    return search


def _faiss(index: object, kind: str, setting: int) -> Peer:
    def search(query: Floats, k: int, mask: Mask | None) -> npt.NDArray[np.floating]:
        # The selector only points to the bits.
        bits = None if mask is None else np.packbits(mask, bitorder="little")
        selector = None if bits is None else faiss.IDSelectorBitmap(bits)
        if kind == "HNSW":
            asked = faiss.SearchParametersHNSW(efSearch=setting, sel=selector)
        else:
            asked = faiss.SearchParametersIVF(nprobe=setting, sel=selector)
        squared, ids = index.search(query[None], k, params=asked)  # type: ignore[attr-defined]
        distances: npt.NDArray[np.floating] = np.sqrt(squared[0][ids[0] >= 0])
        return distances

    return search


def _hnswlib(index: hnswlib.Index, effort: int) -> Peer:
    def search(query: Floats, k: int, mask: Mask | None) -> npt.NDArray[np.floating]:
        index.set_ef(effort)
        if mask is not None and mask.mean() < CALLS:
            return np.empty(0)
        try:
            allowed = None if mask is None else mask.__getitem__
            _, squared = index.knn_query(query[None], k, num_threads=1, filter=allowed)
        except RuntimeError:  # it reached fewer than k
            return np.empty(0)
        distances: npt.NDArray[np.floating] = np.sqrt(squared[0])
        return distances

    return search
