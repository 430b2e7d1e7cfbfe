"""Decoding by trial: of several architectures that a decoder makes for a vector, the one encoded nearest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.encoders.grammar import Ids

TRIES: Final = 16
"""Draws for a vector that the likeliest choices do not meet."""

HOTTEST: Final = 4.0
"""Temperature of the last draw; that of the first is 1. A decoder that errs is often sure of itself."""

SAME: Final = 1e-3
"""Two vectors so near are those of one graph."""

Singles = npt.NDArray[np.float32]


def nearest_decoded(
    points: Singles,
    likeliest: Callable[[Singles], Ids],
    drawn: Callable[[Singles, float], Ids],
    encoded: Callable[[Ids], Singles],
) -> Ids:
    """Return decisions for points.

    Parameters
    ----------
    points : ndarray of float32, shape (n, dim)
        What is to be decoded.
    likeliest, drawn : callable
        Decisions for points: the decoder's likeliest, and such as it draws at a temperature; int64, shape
        (m, length).
    encoded : callable
        Vectors of decisions; float32, shape (m, dim).

    Returns
    -------
    ndarray of int64, shape (n, length)
    """
    best = likeliest(points)
    gaps = np.linalg.norm(encoded(best) - points, axis=1)
    for heat in np.linspace(1.0, HOTTEST, TRIES):
        rows = np.flatnonzero(gaps > SAME)
        if len(rows) == 0:
            break
        found = drawn(points[rows], float(heat))
        gap = np.linalg.norm(encoded(found) - points[rows], axis=1)
        nearer = gap < gaps[rows]
        best[rows[nearer]], gaps[rows[nearer]] = found[nearer], gap[nearer]
    return best
