"""How a query goes through the lists of a SPANN index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.indexes._scan import distances
from archindex.indexes._tables import Floats, Ints
from archindex.indexes.postings import run_of
from archindex.indexes.spann_files import Generation

BY_ID: Final = 32
"""Postings that are compared in the time that it takes to read one row by itself."""

CHUNK: Final = 1 << 18
"""Postings that are held at a time."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Setting:
    """How hard to try; see `archindex.indexes.spann.SpannIndex`."""

    probes: int
    slack: float | None
    rerank: int


class Search:
    """Searches over the rows on disk.

    Parameters
    ----------
    disk : Generation
    setting : Setting
    kept : bool[n], optional
        Which rows were not removed; None: all are left.
    live : int
        How many that are.
    allowed : int64[a], optional
        Positions of the rows to search among, none of which was removed.

    Attributes
    ----------
    work : int
        Postings and rows compared so far.
    """

    def __init__(
        self, disk: Generation, setting: Setting, kept: Mask | None, live: int, allowed: Ints | None
    ) -> None:
        self._disk, self._setting, self._allowed = disk, setting, allowed
        self._mask, self._live = kept, live
        if allowed is not None:
            self._mask = np.zeros(len(disk), dtype=np.bool_)
            self._mask[allowed] = True
            self._live = len(allowed)
        self._average = len(disk.postings) / len(disk.centroids)
        self.work = 0

    def nearest(self, query: Floats, point: Floats, k: int) -> tuple[Ints, Floats]:
        """Return ids and distances of at least the k rows found nearest, in no order.

        Parameters
        ----------
        query : float32[dim]
        point : float32[prefix]
            Its coarse point, less the origin.
        k : int
        """
        setting, wanted, n_lists = self._setting, min(k, self._live), len(self._disk.centroids)
        probes, slack = setting.probes, setting.slack
        target = float(wanted)
        if self._allowed is not None:
            slack, target = None, max(target, probes * self._average)
            # As many postings hold that many allowed rows, if these lie everywhere.
            if target * len(self._disk) / self._live >= BY_ID * self._live:
                return self._measured(query, np.sort(self._allowed))
        probes = max(probes, round(wanted / self._average))
        count = setting.rerank * k
        while True:
            positions, seen = self._candidates(point, probes, slack, count, 2 * wanted)
            if len(positions) < wanted <= seen:  # the copies of some took the places of others
                count *= self._disk.plan.copies
                positions, seen = self._candidates(point, probes, slack, count, 2 * wanted)
            if probes >= n_lists or (seen >= target and len(positions) >= wanted):
                break
            probes, slack = 2 * probes, None
            if self._allowed is not None and probes * self._average >= BY_ID * self._live:
                return self._measured(query, np.sort(self._allowed))
        return self._measured(query, positions)

    def _candidates(
        self, point: Floats, probes: int, slack: float | None, count: int, sure: int
    ) -> tuple[Ints, int]:
        """Return the positions that look nearest, rising and distinct, and how many postings could be.

        Lists that hold the first `sure` postings are never left out.
        """
        disk = self._disk
        lists, away = (found[0] for found in disk.centroids.nearest(point[None], probes))
        if slack is not None:
            held = np.cumsum(disk.starts[lists + 1] - disk.starts[lists])
            last = min(int(np.searchsorted(held, sure)), len(lists) - 1)
            lists = lists[away <= (1 + slack) ** 2 * away[last]]
        order = np.argsort(lists)
        lists, away = lists[order], away[: len(lists)][order]
        starts, sizes = disk.starts[lists], disk.starts[lists + 1] - disk.starts[lists]
        scales = disk.scales[lists]
        position, value, seen = np.empty(0, dtype=np.uint32), np.empty(0, dtype=np.float32), 0
        edges = np.flatnonzero(np.diff(np.cumsum(sizes) // CHUNK)) + 1
        for part in np.split(np.arange(len(lists)), edges) if len(edges) else [slice(None)]:
            postings = disk.postings.read(starts[part], sizes[part])
            self.work += len(postings)
            near = disk.plan.coder.squared(postings, point, away[part], scales[part], sizes[part])
            at = postings["position"]
            if self._mask is not None:
                kept = np.flatnonzero(self._mask[at])
                at, near = at[kept], near[kept]
            seen += len(at)
            if len(at) > count:
                best = np.argpartition(near, count - 1)[:count]
                at, near = at[best], near[best]
            position, value = np.concatenate([position, at]), np.concatenate([value, near])
        if len(value) > count:
            position = position[np.argpartition(value, count - 1)[:count]]
        return np.unique(position).astype(np.int64), seen

    def _measured(self, query: Floats, positions: Ints) -> tuple[Ints, Floats]:
        """Return the ids and the distances of the rows at rising positions, by their vectors."""
        ids = np.empty(len(positions), dtype=np.int64)
        away = np.empty(len(positions), dtype=np.float32)
        for start in range(0, len(positions), CHUNK // 16):
            here = slice(start, start + CHUNK // 16)
            rows = self._disk.rows.read(*run_of(positions[here]))
            vectors = np.ascontiguousarray(rows["vector"])
            ids[here] = rows["id"]
            away[here] = distances(np.broadcast_to(query, vectors.shape), vectors, self._disk.plan.metric)
        self.work += len(positions)
        return ids, away
