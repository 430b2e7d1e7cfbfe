"""One generation of a SPANN index: centroids in memory, and three files that are never written to again.

=================  ===============================================================================
``rows.bin``       id and full vector of each row, in the order of the lists they lie nearest to
``postings.bin``   the lists one after the other: position and code of each of their rows
``ids.bin``        ids in rising order, and the position of each
``graph.hnswlib``  the centroids
``lists.npz``      where each list starts, its scale, and the point around which all are counted
=================  ===============================================================================
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import hnswlib
import numpy as np

from archindex.core.errors import StorageError
from archindex.core.progress import Progress
from archindex.indexes._points import to_points
from archindex.indexes._tables import Floats, Ints
from archindex.indexes.base import Metric
from archindex.indexes.hnsw import NODE_BYTES
from archindex.indexes.postings import Coder, RecordFile, run_of
from archindex.indexes.spann_lists import BLOCK, Centroids, Points, close, cut

ROWS, POSTINGS, IDS, GRAPH, LISTS = "rows.bin", "postings.bin", "ids.bin", "graph.hnswlib", "lists.npz"
FILES: Final = (ROWS, POSTINGS, IDS, GRAPH, LISTS)

ARRAYS: Final = ("starts", "members", "scales", "origin")
"""Attributes of a generation in `LISTS`."""

FENCE: Final = 256
"""Ids of which one is kept in memory."""

_ID = np.dtype([("id", "<i8"), ("position", "<u4")])


class Source(Protocol):
    """Rows to be indexed, wherever they lie."""

    def __len__(self) -> int: ...

    def vectors(self, rows: Ints) -> Floats:
        """Return vectors float32[m, dim] of the rows int64[m], contiguous."""

    def ids(self, rows: Ints) -> Ints:
        """Return their ids int64[m]."""


@dataclass(frozen=True)
class Plan:
    """How a generation is made; see `archindex.indexes.spann.SpannIndex` for what the numbers mean."""

    dim: int
    metric: Metric
    prefix: int
    list_rows: int
    copies: int
    reach: float
    bits: int

    @property
    def coder(self) -> Coder:
        """Of the postings."""
        return Coder(self.prefix, self.bits)

    @property
    def row(self) -> np.dtype[Any]:
        """A record of `ROWS`."""
        return np.dtype([("id", "<i8"), ("vector", "<f4", (self.dim,))])

    def coarse(self, vectors: Floats) -> Floats:
        """Return the points float32[m, prefix] that lists are made of and codes taken from."""
        return np.ascontiguousarray(to_points(vectors, self.metric)[:, : self.prefix])


@dataclass(frozen=True)
class Generation:
    """Files and what of them lies in memory.

    Attributes
    ----------
    plan : Plan
    rows, postings, ids : RecordFile
    centroids : Centroids
        Less `origin`.
    starts : int64[n_lists + 1]
        Postings of list i: ``starts[i]`` to ``starts[i + 1] - 1``.
    members : int64[n_lists]
        How many rows are nearest to each list; these lie one list after the other.
    scales : float32[n_lists]
    origin : float32[prefix]
        Mean of the points: counted from it, numbers keep their digits.
    fences : int64[ceil(n / FENCE)]
        Every `FENCE`-th id.
    """

    plan: Plan
    rows: RecordFile
    postings: RecordFile
    ids: RecordFile
    centroids: Centroids
    starts: Ints
    members: Ints
    scales: Floats
    origin: Floats
    fences: Ints

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(
        cls, plan: Plan, source: Source, groups: Sequence[Ints], rng: np.random.Generator, progress: Progress
    ) -> Generation:
        """Make the lists and write the files, unnamed ones that vanish when nobody uses them.

        Parameters
        ----------
        groups : sequence of int64[m]
            Every row of `source` in one of them; those that are small enough become a list as they are.
        """
        n = len(source)
        few = np.sort(rng.permutation(n)[:BLOCK])
        origin = plan.coarse(source.vectors(few)).mean(axis=0, dtype=np.float64).astype(np.float32)

        def points(rows: Ints) -> Floats:
            found: Floats = plan.coarse(source.vectors(rows)) - origin
            return found

        parts = cut(points, groups, 3 * plan.list_rows // 2, rng, progress)
        means = np.stack([points(part).mean(axis=0, dtype=np.float64) for part in parts]).astype(np.float32)
        centroids = Centroids.of(means, int(rng.integers(1 << 31)))
        row, owner, first = close(points, parts, centroids, plan.copies, plan.reach, progress)
        at = np.argsort(owner[first], kind="stable")
        order = row[first][at]
        position = np.empty(n, dtype=np.int64)
        position[order] = np.arange(len(order))
        by_list = np.argsort(owner, kind="stable")
        held, starts = (
            row[by_list],
            np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(parts)))]),
        )
        rows, ids = _write_rows(plan, source, order, progress)
        postings, scales = _write_postings(plan, points, held, position[held], starts, means, progress)
        members = np.bincount(owner[first], minlength=len(parts))
        return cls(plan, rows, postings, ids, centroids, starts, members, scales, origin, _fences(ids))

    def save(self, folder: Path) -> None:
        """Write all of it into `folder`, which may be the one it was read from."""
        for name, held in ((ROWS, self.rows), (POSTINGS, self.postings), (IDS, self.ids)):
            beside = folder / f"{name}.new"
            held.file.seek(0)
            with beside.open("wb") as file:
                shutil.copyfileobj(held.file, file, 1 << 22)
            beside.replace(folder / name)
        with (folder / LISTS).open("wb") as file:
            np.savez(file, **{name: getattr(self, name) for name in ARRAYS})
        path = folder / GRAPH
        self.centroids.graph.save_index(str(path))
        if path.stat().st_size != self.centroids.graph.index_file_size():  # hnswlib does not look
            raise StorageError(f"could not write all of {path}", fix="check the space there")

    @classmethod
    def load(cls, folder: Path, plan: Plan) -> Generation:
        """Open the files in `folder`, whose checksums were found right."""
        with np.load(folder / LISTS, allow_pickle=False) as lists:
            arrays = {name: lists[name] for name in ARRAYS}
        graph = hnswlib.Index("l2", plan.prefix)
        graph.load_index(str(folder / GRAPH))
        rows, postings, ids = (
            RecordFile((folder / name).open("rb", buffering=0), dtype)
            for name, dtype in ((ROWS, plan.row), (POSTINGS, plan.coder.dtype), (IDS, _ID))
        )
        return cls(plan, rows, postings, ids, Centroids(graph), fences=_fences(ids), **arrays)

    def find(self, ids: Ints) -> tuple[Ints, Ints]:
        """Return those of the rising, distinct `ids` that are here, and their positions."""
        fence = np.searchsorted(self.fences, ids, side="right") - 1
        found, positions = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        starts, sizes = run_of(np.unique(fence[fence >= 0]))
        for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
            for first in range(start, start + size, 256):
                stop = min(first + 256, start + size)
                here = ids[np.searchsorted(fence, first) : np.searchsorted(fence, stop)]
                begin = np.array([first * FENCE])
                held = self.ids.read(begin, np.minimum(stop * FENCE, len(self)) - begin)
                at = np.minimum(np.searchsorted(held["id"], here), len(held) - 1)
                same = held["id"][at] == here
                found.append(here[same])
                positions.append(held["position"][at[same]].astype(np.int64))
        return np.concatenate(found), np.concatenate(positions)

    def parts(self) -> list[Ints]:
        """Return the positions of the rows that are nearest to each list; int64[m] each."""
        return np.split(np.arange(len(self)), np.cumsum(self.members)[:-1])

    def memory_bytes(self) -> int:
        """Return the bytes that lie in memory as long as the index is open."""
        arrays = (self.starts, self.members, self.scales, self.origin, self.fences)
        graph = self.centroids.graph
        nodes = NODE_BYTES * int(graph.get_current_count())
        return int(graph.index_file_size()) + nodes + sum(array.nbytes for array in arrays)

    def disk_bytes(self) -> int:
        """Return the bytes of the files that are read as they are needed."""
        return sum(len(file) * file.dtype.itemsize for file in (self.rows, self.postings, self.ids))


def _fences(ids: RecordFile) -> Ints:
    parts = [np.empty(0, dtype=np.int64)]
    for first in range(0, len(ids), BLOCK):
        size = min(BLOCK, len(ids) - first)
        parts.append(ids.read(np.array([first]), np.array([size]))["id"][::FENCE].copy())
    return np.concatenate(parts)


def _write_rows(plan: Plan, source: Source, order: Ints, progress: Progress) -> tuple[RecordFile, RecordFile]:
    rows, ids = RecordFile.new(plan.row), RecordFile.new(_ID)
    names = np.empty(len(order), dtype=np.int64)
    for start in range(0, len(order), BLOCK):
        here = order[start : start + BLOCK]
        records = np.empty(len(here), dtype=plan.row)
        records["id"] = names[start : start + BLOCK] = source.ids(here)
        records["vector"] = source.vectors(here)
        rows.append(records)
        progress("write rows", start + len(here), len(order))
    by_id = np.argsort(names)
    for start in range(0, len(order), BLOCK):
        here = by_id[start : start + BLOCK]
        pairs = np.empty(len(here), dtype=_ID)
        pairs["id"], pairs["position"] = names[here], here
        ids.append(pairs)
    return rows, ids


def _write_postings(
    plan: Plan,
    points: Points,
    rows: Ints,
    positions: Ints,
    starts: Ints,
    means: Floats,
    progress: Progress,
) -> tuple[RecordFile, Floats]:
    coder, scales = plan.coder, np.ones(len(means), dtype=np.float32)
    file = RecordFile.new(coder.dtype)
    step = max(1, BLOCK // (2 * plan.list_rows))
    for start in range(0, len(means), step):
        stop = min(start + step, len(means))
        some = np.arange(start, stop)[np.diff(starts[start : stop + 1]) > 0]
        here = slice(starts[start], starts[stop])
        if len(some):
            records, scales[some] = coder.encode(
                points(rows[here]), positions[here], means[some], np.diff(starts)[some]
            )
            file.append(records)
        progress("write lists", stop, len(means))
    return file, scales
