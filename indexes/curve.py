"""How likely a row of an unread list is to be among the nearest: what a search needs to know when to stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.indexes._tables import Floats

Doubles = npt.NDArray[np.float64]

LOWEST: Final = -1.0
WIDTH: Final = 0.025
BINS: Final = 120
"""Bins of the curve: from a cosine of -1, certainly nearer, to 2, beyond what geometry allows."""

_LEAST: Final = 1e-12


@dataclass(frozen=True, eq=False)
class HitCurve:
    """The share of a list's rows that lie nearer to a query than its k-th neighbour, by how the list lies.

    A row at distance s from its centroid, which is at distance D from the query, is nearer than d if the
    cosine of the angle between them at the centroid is above ``c = (D^2 + s^2 - d^2) / (2 D s)``. How
    cosines are spread depends on the data, on its intrinsic dimension above all, and is counted once, when
    the lists are made. Multiplied with the rows of each unread list that a filter lets through, the curve
    gives the neighbours that a search would still miss.

    Attributes
    ----------
    share : float64[BINS]
        Falling, from 1 at most.

    References
    ----------
    Mohoney et al., "Quake: Adaptive Indexing for Vector Search", OSDI 2025, which stops by the volume that a
    ball has in common with each list, taking directions to be uniform.
    """

    share: Doubles

    @classmethod
    def counted(cls, hits: Doubles, rows: Doubles) -> HitCurve:
        """Make the curve from what was counted: neighbours and rows in each bin; float64[BINS] each.

        Beyond the last bin in which there was a neighbour the curve goes on falling as it fell before.
        """
        share = np.divide(hits, rows, out=np.zeros(BINS), where=rows > 0)
        seen = np.flatnonzero(hits)
        if not len(seen):
            return cls(np.full(BINS, 1.0))
        first, last = int(seen[0]), int(seen[-1])
        share[:first] = 1.0
        # Falling: from the right, no bin is below those after it.
        share = np.minimum(np.maximum.accumulate(share[::-1])[::-1], 1.0)
        back = max(first, last - 12)
        fall = np.log(share[back] / share[last]) / max(1, last - back)
        beyond = np.arange(1, BINS - last)
        share[last + 1 :] = share[last] * np.exp(-max(fall, 0.05) * beyond)
        return cls(np.maximum(share, _LEAST))

    @staticmethod
    def bins(squared: Floats, spread: Floats, reach: float) -> npt.NDArray[np.intp]:
        """Return the bin of lists at squared distances with a spread, for rows nearer than `reach`."""
        with np.errstate(over="ignore"):
            bins = squared + spread * spread
            bins -= np.float32(reach * reach)
            bins /= np.maximum(np.sqrt(squared) * spread, np.float32(1e-30))
            bins *= np.float32(0.5 / WIDTH)  # twice the cosine, so far
        bins -= np.float32(LOWEST / WIDTH)
        found: npt.NDArray[np.intp] = np.clip(bins, 0, BINS - 1, out=bins).astype(np.intp)
        return found

    def __call__(self, squared: Floats, spread: Floats, reach: float) -> Doubles:
        """Return the share of the rows of each list that is expected nearer than `reach`.

        Parameters
        ----------
        squared, spread : float32[n]
            Squared distances of the centroids from the query, and spreads of the lists.
        reach : float
            Distance of the k-th row found so far.
        """
        found: Doubles = self.share[self.bins(squared, spread, reach)]
        return found


@dataclass(frozen=True, eq=False)
class Calibration:
    """What was learned from the data of an index about searching it; made by `calibrate`.

    Attributes
    ----------
    curve : HitCurve
        See there.
    misses : mapping of str to float
        For each level (`archindex.core.recall`), the neighbours that may be expected in unread lists, as a
        share of k.
    efforts : mapping of str to int
        For each level that the engine reaches without a filter, how hard it has to try; see
        `archindex.indexes.base.Tunable`.
    intrinsic_dimension : float
        Local intrinsic dimension of the vectors, in the median over some rows.
    """

    curve: HitCurve
    misses: Mapping[str, float]
    efforts: Mapping[str, int] = field(default_factory=dict)
    intrinsic_dimension: float = 0.0
