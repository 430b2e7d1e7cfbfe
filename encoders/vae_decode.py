"""Decoding by trial: of the likeliest architectures for a vector, the one encoded nearest. And drawing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.encoders.grammar import Grammar, Ids, Mask, walk

BEAM: Final = 64
"""Architectures that are tried for a vector which the likeliest choices do not meet."""

SAME: Final = 1e-3
"""Two vectors so near are those of one graph."""

_CHUNK: Final = 1024

Singles = npt.NDArray[np.float32]

Doubles = npt.NDArray[np.float64]

Score = Callable[[npt.NDArray[np.int64], Ids], Doubles]
"""Takes of which point each row is, shape (m,), and the choices so far; returns logits, (m, vocabulary)."""


def nearest_decoded(
    points: Singles, grammar: Grammar, score: Score, encoded: Callable[[Ids], Singles], width: int
) -> Ids:
    """Return decisions for points.

    The likeliest choices or, where these are encoded elsewhere than the point, that one of the likeliest
    sequences which is encoded nearest.

    Parameters
    ----------
    points : ndarray of float32, shape (n, dim)
        What is to be decoded.
    grammar : Grammar
        What may follow what.
    score : callable
        The decoder's logits; see `Score`.
    encoded : callable
        Vectors of decisions; float32, shape (m, dim).
    width : int
        Sequences tried.

    Returns
    -------
    ndarray of int64, shape (n, length)
    """
    best = beams(grammar, len(points), 1, score)[:, 0]
    if width == 1:
        return best
    far = np.flatnonzero(_gaps(best, points, encoded) > SAME)
    for start in range(0, len(far), _CHUNK):
        rows = far[start : start + _CHUNK]
        tried = beams(grammar, len(rows), width, partial(_scored, score, rows))
        gaps = _gaps(
            tried.reshape(-1, grammar.length), np.repeat(points[rows], tried.shape[1], axis=0), encoded
        )
        best[rows] = tried[np.arange(len(rows)), gaps.reshape(len(rows), -1).argmin(axis=1)]
    return best


def beams(grammar: Grammar, n: int, width: int, score: Score) -> Ids:
    """Return the likeliest sequences of n points, by beam search among what is allowed; likeliest first.

    Parameters
    ----------
    grammar : Grammar
        What may follow what.
    n : int
        Number of points.
    width : int
        Sequences kept from one choice to the next.
    score : callable
        The decoder's logits; see `Score`.

    Returns
    -------
    ndarray of int64, shape (n, found, grammar.length)
        `width` sequences, or fewer where a space has fewer; where a point has fewer, its first is repeated.
    """
    ids, total = np.empty((n, 1, 0), dtype=np.int64), np.zeros((n, 1))
    for _ in range(grammar.length):
        kept = ids.shape[1]
        prefix = ids.reshape(n * kept, -1)
        allowed = grammar.allowed(prefix)
        logits = np.where(allowed, score(np.repeat(np.arange(n), kept), prefix), -np.inf)
        logits -= np.logaddexp.reduce(logits, axis=1, keepdims=True)
        scores = (total[:, :, None] + logits.reshape(n, kept, -1)).reshape(n, -1)
        chosen = np.argsort(-scores, axis=1, kind="stable")[:, :width]
        total = np.take_along_axis(scores, chosen, axis=1)
        before, option = np.divmod(chosen, grammar.vocabulary)
        ids = np.concatenate(
            [np.take_along_axis(ids, before[:, :, None], axis=1), option[:, :, None]], axis=2
        )
        # What is not allowed gives its place to a copy of the best, which goes on where nothing else does.
        ids = np.where(np.isfinite(total)[:, :, None], ids, ids[:, :1])
    return ids


def drawn(grammar: Grammar, n: int, score: Score, rng: np.random.Generator) -> Ids:
    """Return a sequence for each of n points, every choice drawn with the decoder's probability.

    Returns
    -------
    ndarray of int64, shape (n, grammar.length)
    """
    rows = np.arange(n)

    def choose(prefix: Ids, allowed: Mask) -> Ids:
        # The greatest of logits with Gumbel noise is a draw from their softmax.
        logits = score(rows, prefix) + rng.gumbel(size=allowed.shape)
        chosen: Ids = np.where(allowed, logits, -np.inf).argmax(axis=1)
        return chosen

    return walk(grammar, n, choose)


def _scored(score: Score, rows: npt.NDArray[np.int64], of: npt.NDArray[np.int64], prefix: Ids) -> Doubles:
    return score(rows[of], prefix)


def _gaps(ids: Ids, points: Singles, encoded: Callable[[Ids], Singles]) -> Doubles:
    """Return how far from each point its sequence is encoded; equal sequences are encoded once."""
    different, which = np.unique(ids, axis=0, return_inverse=True)
    gaps: Doubles = np.linalg.norm(
        (encoded(different)[which.reshape(-1)] - points).astype(np.float64), axis=1
    )
    return gaps
