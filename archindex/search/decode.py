"""Decoding: from a point of the embedding space to the nearest valid architecture.

The index is the first decoder: its nearest rows. From there the search space takes over: as long as a
neighbour in the space, in the index or not, embeds nearer to the point, it is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArgumentError
from archindex.encoders import Encoder
from archindex.indexes.base import DISTANCE_ATOL
from archindex.spaces.base import Architecture
from archindex.spaces.registry import space
from archindex.store.snapshot import Snapshot

STARTS: Final = 3
"""Rows of the index from which the descent through the space starts."""

MAX_STEPS: Final = 50
"""Upper limit on the steps of one descent."""


@dataclass(frozen=True)
class Decoded:
    """The architecture that a point stands for.

    Attributes
    ----------
    architecture : Architecture
        A valid architecture.
    distance : float
        Distance of its embedding to the point, in the index's metric.
    row_id : int or None
        Its row in the index, or None if it is not there.
    """

    architecture: Architecture
    distance: float
    row_id: int | None


def decode(snapshot: Snapshot, vectors: npt.NDArray[np.float32]) -> list[Decoded]:
    """Return the nearest valid architecture that index and spaces can give, for each vector.

    Parameters
    ----------
    snapshot : Snapshot
        The index.
    vectors : ndarray of float32, shape (n, dim)
        Points of the embedding space.

    Raises
    ------
    ArgumentError
        If the index has no rows to start from.
    """
    if len(snapshot) == 0:
        raise ArgumentError("expected an index with rows to decode from", got="an empty one", fix="add some")
    found, _ = snapshot.search(vectors, STARTS)
    decoded = []
    for i, vector in enumerate(vectors):
        count = int(found.counts[i])
        rows = snapshot.describe(found.ids[i, :count])
        starts = [
            (Architecture(space(r.space), r.native), float(d))
            for r, d in zip(rows, found.distances[i], strict=False)
        ]
        architecture, distance = _descend(snapshot, vector, *starts[0])
        for start in starts[1:]:
            if distance > DISTANCE_ATOL:
                other = _descend(snapshot, vector, *start)
                architecture, distance = min((architecture, distance), other, key=lambda end: end[1])
        known = [r.row_id for r in snapshot.find(architecture.native, architecture.space.name)]
        decoded.append(Decoded(architecture, distance, known[0] if known else None))
    return decoded


def _descend(
    snapshot: Snapshot, vector: npt.NDArray[np.float32], architecture: Architecture, distance: float
) -> tuple[Architecture, float]:
    for _ in range(MAX_STEPS):
        around = architecture.space.neighbors(architecture)
        if not around or distance <= DISTANCE_ATOL:
            break
        distances = _distances(snapshot.encoder, around, vector, snapshot.info.metric)
        best = int(np.argmin(distances))
        if not distances[best] < distance:
            break
        architecture, distance = around[best], float(distances[best])
    return architecture, distance


def _distances(
    encoder: Encoder, architectures: list[Architecture], vector: npt.NDArray[np.float32], metric: str
) -> npt.NDArray[np.float64]:
    embedded = encoder.encode(architectures[0].space.graphs([a.native for a in architectures])).astype(
        np.float64
    )
    point = vector.astype(np.float64)
    if metric == "l2":
        return np.asarray(np.linalg.norm(embedded - point, axis=1))
    norms = np.linalg.norm(embedded, axis=1) * np.linalg.norm(point)
    cosines = np.divide(embedded @ point, norms, out=np.zeros(len(norms)), where=norms > 0)
    return np.asarray(1.0 - cosines)
