"""SPANN: centroids in memory, posting lists and vectors on disk (Chen et al., NeurIPS 2021)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from archindex.core.checks import check_choice, check_ids, check_int, check_vectors
from archindex.core.errors import ArgumentError, StorageError
from archindex.core.progress import Progress, silent
from archindex.core.rng import generator
from archindex.indexes._files import Manifest, read_manifest, storage_errors, write_manifest
from archindex.indexes._points import point_dim, to_points
from archindex.indexes._scan import Block, norms, rows_per_block, scan
from archindex.indexes._tables import EMPTY, Floats, IdTable, Ints, Pairs
from archindex.indexes.base import METRICS, Capabilities, Metric, SearchResult, VectorIndex
from archindex.indexes.hnsw import node_bytes
from archindex.indexes.spann_files import FENCE, FILES, Generation, Plan
from archindex.indexes.spann_lists import LINKS
from archindex.indexes.spann_search import Search, Setting
from archindex.indexes.spann_sources import Given, Held

_FULL: Final = 0.85
"""Rows of a list over those that it is made for, on average (measured: .73 to .98, most often .85 to .94)."""

TAIL: Final = 4096
"""Added rows that are kept in memory at least; then a 32nd of the rows on disk."""

Mask = npt.NDArray[np.bool_]


class SpannIndex(VectorIndex):
    """Vectors on disk, found through lists whose centroids are in memory.

    Rows are cut into many small lists by k-means, cut again where lists are too large, so that none takes
    long to read. A row near the boundary of its list lies in neighbouring lists as well (closure). A search
    finds the nearest centroids by HNSW, leaves out lists that lie much farther than the nearest one
    (query-aware pruning), reads the others in few calls, compares their codes, and reads the full vectors of
    the best candidates alone: distances returned are exact.

    In memory are the centroids and one id of 256; ids, codes and vectors are read from the files as they
    are needed and kept by nobody but the system's page cache. Files of an index that was built and not
    saved have no name; they lie in the folder that `tempfile` takes (``TMPDIR``).

    Added rows are kept in memory and compared one by one, until there are too many, or the index is saved:
    then the lists are written anew with them, those that have grown too large cut. Removed rows are passed
    over until then.

    Under `allowed`, lists are read on until as many allowed rows were seen as in a search without it; where
    so few are allowed that reading them one by one is cheaper, that is done. Answers are never short.

    Work reported: the rows of the lists read, the candidates compared by their vectors, and rows compared
    one by one; the search for the centroids is not counted.

    Parameters
    ----------
    dim : int
        Entries of a vector.
    metric : {"l2", "cosine"}
    seed : int
        Of k-means and of the graph's levels.
    list_rows : int
        Rows that a list is made for, about.
    copies : int
        Lists that a row lies in at most; 1 leaves closure out.
    reach : int
        A copy is made in a list at most this many percent farther from the row than its nearest one.
    slack : int, optional
        Lists are read that are at most this many percent farther from the query than the nearest one; None
        reads all that `probes` says.
    probes : int
        Lists read at most, without `allowed`.
    prefix : int, optional
        Entries that lists and codes are made of, the first ones: Matryoshka embeddings need not be read to
        the end before candidates are re-ranked (Rege et al., "AdANNS", NeurIPS 2023). Default: all.
    bits : int
        Of each entry of a code, 8 or 32 (no quantisation).
    rerank : int
        Candidates compared by their vectors, for each answer asked for.
    """

    name: ClassVar[str] = "spann"
    efforts: ClassVar[tuple[int, ...]] = (4, 8, 16, 32, 64, 128, 256, 512)

    def __init__(
        self,
        dim: int,
        metric: Metric = "l2",
        *,
        seed: int = 0,
        list_rows: int = 96,
        copies: int = 4,
        reach: int = 10,
        slack: int | None = 100,
        probes: int = 64,
        prefix: int | None = None,
        bits: int = 8,
        rerank: int = 4,
    ) -> None:
        dim = check_int("dim", dim, low=1)
        known: Metric = METRICS[METRICS.index(check_choice("metric", metric, METRICS))]
        self._seed = check_int("seed", seed, low=0)
        width = point_dim(dim, known)
        if bits not in (8, 32):
            raise ArgumentError("bits must be 8 or 32", got=bits)
        self._plan = Plan(
            dim,
            known,
            width if prefix is None else check_int("prefix", prefix, low=1, high=dim),
            check_int("list_rows", list_rows, low=1),
            check_int("copies", copies, low=1),
            check_int("reach", reach, low=0) / 100,
            bits,
        )
        self.slack = slack
        self._probes = check_int("probes", probes, low=1)
        self._rerank = check_int("rerank", rerank, low=1)
        self._arguments: dict[str, int | str | None] = {
            "dim": dim,
            "metric": known,
            "seed": seed,
            "list_rows": list_rows,
            "copies": copies,
            "reach": reach,
            "slack": slack,
            "probes": probes,
            "prefix": prefix,
            "bits": bits,
            "rerank": rerank,
        }
        self._disk: Generation | None = None
        self._kept: Mask | None = None  # of the rows on disk, once one was removed
        self._removed = 0
        self._tail = EMPTY
        self._recent = np.empty((0, dim), dtype=np.float32)  # vectors, by the labels of the tail

    @property
    def dim(self) -> int:
        """Entries of a vector."""
        return self._plan.dim

    @property
    def metric(self) -> Metric:
        """How distances are counted."""
        return self._plan.metric

    @property
    def effort(self) -> int:
        """Lists read at most; see `archindex.indexes.base.Tunable`."""
        return self._probes

    @effort.setter
    def effort(self, effort: int) -> None:
        self._probes = check_int("effort", effort, low=1)

    @property
    def slack(self) -> int | None:
        """Percent by which lists that are read may be farther than the nearest; None: any."""
        return self._slack

    @slack.setter
    def slack(self, slack: int | None) -> None:
        self._slack = None if slack is None else check_int("slack", slack, low=0)

    @property
    def capabilities(self) -> Capabilities:
        """Approximate, filtered, removable."""
        return Capabilities(exact=False, filtered=True, removable=True)

    def __len__(self) -> int:
        return self._on_disk() + len(self._tail)

    def memory_bytes(self) -> int:
        """Return the bytes that lie in memory as long as the index is open: centroids, fences, added rows."""
        kept = 0 if self._kept is None else self._kept.nbytes
        tail = self._recent.nbytes + self._tail.ids.nbytes + self._tail.labels.nbytes
        return kept + tail + (0 if self._disk is None else self._disk.memory_bytes())

    def expected_memory(self, n: int) -> int:
        """Return what `memory_bytes` will say, of thousands of rows within a fifth; see `MemoryPlanned`."""
        lists = check_int("n", n, low=0) / (_FULL * self._plan.list_rows)
        # Beside the centroid: where the list starts, its rows, its scale.
        return round(lists * (node_bytes(self._plan.prefix, LINKS) + 20) + 8 * n / FENCE)

    def disk_bytes(self) -> int:
        """Return the bytes of the files that are read as they are needed."""
        return 0 if self._disk is None else self._disk.disk_bytes()

    def files_read(self) -> tuple[int, int]:
        """Return how often files were read since the index was opened, and how many bytes."""
        files = () if self._disk is None else (self._disk.rows, self._disk.postings, self._disk.ids)
        return sum(file.reads for file in files), sum(file.bytes_read for file in files)

    def build(self, vectors: npt.ArrayLike, ids: npt.ArrayLike, *, progress: Progress = silent) -> None:
        """Hold exactly these rows; see :meth:`VectorIndex.build`.

        A float32 array is read where it lies, mapped ones too, and never copied whole.

        Parameters
        ----------
        vectors, ids
        progress : Progress
            Told how far it is; ten million rows take minutes.

        Raises
        ------
        StorageError
            If the folder for unnamed files refuses.
        """
        held, rows = self._checked(vectors, ids)
        made = self._generation(Given(held, rows), [np.arange(len(rows))], progress) if len(rows) else None
        self._start(made)

    def add(self, vectors: npt.ArrayLike, ids: npt.ArrayLike) -> None:
        """Add rows under new ids; see :meth:`VectorIndex.add`."""
        held, rows = self._checked(vectors, ids)
        ordered = np.sort(rows)
        known = np.concatenate([self._tail.ids[self._tail.positions(ordered)], self._find(ordered)[0]])
        if len(known):
            raise ArgumentError("ids to add must be new", got=int(known.min()), fix="remove it first")
        to_points(held, self.metric)  # refuses what is too long
        before, first = (self._recent, self._tail), len(self._recent)
        self._recent = np.concatenate([self._recent, held])
        self._tail = self._tail.union(IdTable.of(rows, np.arange(first, first + len(rows))))
        if len(self._tail) > max(TAIL, self._on_disk() // 32):
            try:
                self._fold()
            except StorageError:  # as if nothing had been added
                self._recent, self._tail = before
                raise

    def remove(self, ids: npt.ArrayLike) -> int:
        """Remove rows and return how many there were; see :meth:`VectorIndex.remove`."""
        wanted = np.unique(check_ids("ids", ids))
        recent = self._tail.positions(wanted)
        if len(recent):
            left = self._tail.without(recent)
            self._recent = self._recent[left.labels]
            self._tail = IdTable(left.ids, np.arange(len(left)))
        _, positions = self._find(wanted)
        if len(positions) and self._disk is not None:
            if self._kept is None:
                self._kept = np.ones(len(self._disk), dtype=np.bool_)
            self._kept[positions] = False
            self._removed += len(positions)
        return len(recent) + len(positions)

    def search(self, queries: npt.ArrayLike, k: int, allowed: npt.ArrayLike | None = None) -> SearchResult:
        """Return up to k nearest rows of each query; see :meth:`VectorIndex.search`."""
        asked = check_vectors("queries", queries, dim=self.dim)
        k = check_int("k", k, low=1)
        points = self._plan.coarse(asked)
        tail, some = self._tail, None
        if allowed is not None:
            names = np.unique(check_ids("allowed", allowed))
            tail = tail.take(tail.positions(names))
            _, some = self._find(names)
        found: list[Pairs] = []
        work = 0
        if len(tail) and len(asked):
            recent = self._recent[tail.labels]
            found.append(scan([Block(recent, tail.ids, norms(recent))], asked, k, self.metric))
            work += len(asked) * len(tail)
        if self._disk is not None and (self._on_disk() if some is None else len(some)):
            setting = Setting(self._probes, None if self._slack is None else self._slack / 100, self._rerank)
            one = Search(self._disk, setting, self._kept, self._on_disk(), some)
            points -= self._disk.origin
            for number in range(len(asked)):
                ids, away = one.nearest(asked[number], points[number], k)
                found.append(Pairs(np.full(len(ids), number), ids, away))
            work += one.work
        none = np.empty(0, dtype=np.int64)
        joined = Pairs.join(found) if found else Pairs(none, none, np.empty(0, dtype=np.float32))
        return joined.result(len(asked), k, work)

    def save(self, folder: Path) -> None:
        """Write the index into `folder`, added and removed rows folded in; see :meth:`VectorIndex.save`."""
        folder = Path(folder)
        if len(self._tail) or self._removed:
            self._fold()
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if self._disk is not None:
                self._disk.save(folder)
            # Last, so that a save cut short is seen as damage and not as an index.
            names = [] if self._disk is None else FILES
            write_manifest(
                folder,
                Manifest(self.name, {**self._arguments, "probes": self._probes, "slack": self._slack}),
                names,
            )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open what :meth:`save` wrote; see :meth:`VectorIndex.load`."""
        folder = Path(folder)
        index = cls(**read_manifest(folder, cls.name).arguments)
        if (folder / FILES[0]).exists():
            index._disk = Generation.load(folder, index._plan)
        return index

    def _checked(self, vectors: npt.ArrayLike, ids: npt.ArrayLike) -> tuple[Floats, Ints]:
        rows = check_ids("ids", ids)
        if isinstance(vectors, np.ndarray) and vectors.dtype == np.float32 and vectors.ndim == 2:
            step, held = rows_per_block(max(1, vectors.shape[1])), vectors
            if vectors.shape[1] != self.dim or not all(
                np.isfinite(vectors[i : i + step]).all() for i in range(0, len(vectors), step)
            ):
                held = check_vectors("vectors", vectors, dim=self.dim)  # says what is wrong
        else:
            held = check_vectors("vectors", vectors, dim=self.dim)
        if len(held) != len(rows):
            raise ArgumentError(f"ids must be one for each of {len(held)} vectors", got=len(rows))
        ordered = np.sort(rows)
        twice = ordered[:-1][ordered[1:] == ordered[:-1]]
        if len(twice):
            raise ArgumentError("ids must be distinct", got=int(twice[0]), fix="it comes twice")
        return held, rows

    def _on_disk(self) -> int:
        return 0 if self._disk is None else len(self._disk) - self._removed

    def _find(self, ids: Ints) -> tuple[Ints, Ints]:
        """Return those of the rising `ids` that are on disk and not removed, and their positions."""
        if self._disk is None or not len(ids):
            return EMPTY.ids, EMPTY.ids
        found, positions = self._disk.find(ids)
        if self._kept is not None:
            left = self._kept[positions]
            found, positions = found[left], positions[left]
        return found, positions

    def _generation(self, source: Given | Held, groups: list[Ints], progress: Progress) -> Generation:
        with storage_errors(Path(tempfile.gettempdir())):
            return Generation.of(self._plan, source, groups, generator(self._seed, "spann"), progress)

    def _start(self, made: Generation | None) -> None:
        self._disk, self._kept, self._removed, self._tail = made, None, 0, EMPTY
        self._recent = np.empty((0, self.dim), dtype=np.float32)

    def _fold(self) -> None:
        """Write the files again with the rows added and without those removed."""
        source = Held(
            None if self._disk is None else self._disk.rows,
            self._recent,
            self._tail.ids[np.argsort(self._tail.labels)],
        )
        fresh = np.arange(len(source) - len(self._recent), len(source))
        groups = [fresh]
        if self._disk is not None:
            points = self._plan.coarse(self._recent) - self._disk.origin
            owner = self._disk.centroids.nearest(points, 1)[0][:, 0] if len(fresh) else fresh
            by_list = np.split(fresh[np.argsort(owner, kind="stable")], self._ends(owner))
            kept = [part if self._kept is None else part[self._kept[part]] for part in self._disk.parts()]
            groups = [np.concatenate(both) for both in zip(kept, by_list, strict=True)]
        rows = np.concatenate(groups)
        if not len(rows):
            self._start(None)
            return
        # Lists of which little is left are no longer worth a centroid each.
        anew = self._disk is not None and 2 * self._on_disk() < len(self._disk)
        self._start(self._generation(source, [rows] if anew else groups, silent))

    def _ends(self, owner: Ints) -> Ints:
        assert self._disk is not None
        return np.cumsum(np.bincount(owner, minlength=len(self._disk.centroids)))[:-1]
