"""How likely a row of an unread list is to be among the nearest: what a search needs to know when to stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.indexes._tables import Floats

Doubles = npt.NDArray[np.float64]

LOWEST: Final = -2.0
WIDTH: Final = 0.1
BINS: Final = 120
"""Bins of the curve, in deviations: from where nearly all rows are nearer to beyond what balls allow."""

FEW: Final = 10
"""Neighbours asked for that count as few."""

MANY: Final = 100
"""Neighbours asked for that the engine's effort is learned for as well."""

_LEAST: Final = 1e-12


@dataclass(frozen=True, eq=False)
class HitCurve:
    """The share of a list's rows that lie nearer to a query than its k-th neighbour, by how the list lies.

    How it lies is how many deviations of its rows lie between its centroid and the ball that reaches to the
    k-th neighbour, see `archindex.indexes.lists.Lists.beyond`. The curve is counted on the data of the index
    once, when the lists are made. Multiplied with the rows of each unread list that a filter lets through,
    it gives the neighbours that a search would still miss.

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
        from scipy.optimize import isotonic_regression  # late: queries do without it

        share = np.divide(hits, rows, out=np.zeros(BINS), where=rows > 0)
        seen = np.flatnonzero(hits)
        if not len(seen):
            return cls(np.full(BINS, 1.0))
        first, last = int(seen[0]), int(seen[-1])
        share[:first] = 1.0
        # Falling: bins that rise are pooled, so that the odd neighbour far out does not lift all before it.
        share = isotonic_regression(share, weights=np.maximum(rows, _LEAST), increasing=False).x
        back = max(first, last - 12)
        fall = np.log(share[back] / share[last]) / max(1, last - back)
        beyond = np.arange(1, BINS - last)
        share[last + 1 :] = share[last] * np.exp(-max(fall, 0.05) * beyond)
        return cls(np.maximum(share, _LEAST))

    @staticmethod
    def bins(beyond: Floats) -> npt.NDArray[np.intp]:
        """Return the bin of lists that lie so many deviations out."""
        found = (beyond - np.float32(LOWEST)) * np.float32(1 / WIDTH)
        np.maximum(found, 0, out=found)
        bins: npt.NDArray[np.intp] = np.minimum(found, BINS - 1, out=found).astype(np.intp)
        return bins

    def __call__(self, beyond: Floats) -> Doubles:
        """Return the share of the rows of each list, so many deviations out float32[n], expected nearer."""
        found: Doubles = self.share[self.bins(beyond)]
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
        share of k, where k is `FEW` at most.
    misses_of_many : mapping of str to float
        The same for more: of these, the first lists read are not most of what there is to find.
    efforts, efforts_of_many : mapping of str to int
        For each level that the engine reaches without a filter, how hard it has to try; see
        `archindex.indexes.base.Tunable`.
    intrinsic_dimension : float
        Local intrinsic dimension of the vectors, in the median over some rows.
    """

    curve: HitCurve
    misses: Mapping[str, float]
    misses_of_many: Mapping[str, float]
    efforts: Mapping[str, int] = field(default_factory=dict)
    efforts_of_many: Mapping[str, int] = field(default_factory=dict)
    intrinsic_dimension: float = 0.0
