"""The exact kernel: the nearest rows of a stream of blocks, by one matrix product and a float64 re-count.

The product ``|b|^2 - 2ab`` in float32 is fast but cancels when a and b are close, so it only nominates: every
row whose value is within a proven rounding bound of the k-th is measured again, by difference, in float64.
Where the bound says little (a cloud far from the origin) more rows are measured and the answer stays exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from archindex.core.deadline import check_time
from archindex.indexes._tables import Floats, Ints, Pairs
from archindex.indexes.base import Metric

BLOCK_ENTRIES = 1 << 22
"""Entries of a block of vectors, of a block of products and of a batch of differences: 16 to 32 MiB each."""

_UNIT = float(np.finfo(np.float32).eps)
_SAFE_NORMS = (1e-15, 1e15)  # inside, no square or product of norms overflows or underflows in float32


@dataclass(frozen=True)
class Block:
    """Rows to scan.

    Attributes
    ----------
    vectors : float32[n, d]
    rows : int64[n]
        What to call them in the answer.
    norms : float32[n]
        Their Euclidean lengths.
    """

    vectors: Floats
    rows: Ints
    norms: Floats


def rows_per_block(dim: int) -> int:
    """Return how many vectors of `dim` entries make a block."""
    return max(1, BLOCK_ENTRIES // dim)


def norms(vectors: Floats) -> Floats:
    """Return the Euclidean lengths float32[n] of float32[n, d], in blocks; inf where too long for float32."""
    found = np.empty(len(vectors), dtype=np.float32)
    step = rows_per_block(vectors.shape[1])
    with np.errstate(over="ignore"):
        for start in range(0, len(vectors), step):
            found[start : start + step] = _lengths(vectors[start : start + step].astype(np.float64))
    return found


def distances(a: Floats, b: Floats, metric: Metric) -> Floats:
    """Return the distance of each row of `b` float32[n, d] to the same row of `a` float32[n or 1, d].

    Counted in float64 and by difference: the cosine distance is half the squared distance of the unit
    vectors, which keeps its digits where ``1 - cos`` has none left.
    """
    found = np.empty(len(b), dtype=np.float32)
    step = rows_per_block(b.shape[1])
    for start in range(0, len(b), step):
        x = (a if len(a) == 1 else a[start : start + step]).astype(np.float64)
        y = b[start : start + step].astype(np.float64)
        if metric == "l2":
            found[start : start + step] = _lengths(x - y)
            continue
        nx, ny = _lengths(x), _lengths(y)
        zero = (nx == 0) | (ny == 0)
        gap = x / np.where(zero, 1, nx)[:, None] - y / np.where(zero, 1, ny)[:, None]
        found[start : start + step] = np.where(zero, 1.0, np.einsum("ij,ij->i", gap, gap) / 2)
    return found


def scan(blocks: Iterable[Block], queries: Floats, k: int, metric: Metric) -> Pairs:
    """Return the k nearest rows of each of `queries` float32[m, d], equal distances by rising row name."""
    best = Pairs(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
    for block in blocks:
        step = max(1, BLOCK_ENTRIES // len(block.rows))
        parts = [best]
        for start in range(0, len(queries), step):
            check_time()
            query, at = _nominate(block, queries[start : start + step], k, metric)
            query += start
            found = Pairs(query, block.rows[at], _measure(block, queries, query, at, metric))
            parts.append(found.nearest(k))
        best = Pairs.join(parts).nearest(k)
    return best


def _nominate(block: Block, queries: Floats, k: int, metric: Metric) -> tuple[Ints, Ints]:
    """Return (query, position in block) of every row that can be among the k nearest of its query."""
    n, lengths = len(block.rows), norms(queries)
    if k >= n:
        query, at = np.divmod(np.arange(len(queries) * n), n)
        return query, at
    lowest = block.norms.min(where=block.norms > 0, initial=1)
    if lowest < _SAFE_NORMS[0] or block.norms.max() > _SAFE_NORMS[1]:
        return _nonzero(_candidates(block.vectors.astype(np.float64), None, queries, k, metric))
    unsafe = (lengths > _SAFE_NORMS[1]) | ((lengths > 0) & (lengths < _SAFE_NORMS[0]))
    near = np.zeros((len(queries), n), dtype=np.bool_)
    near[~unsafe] = _candidates(block.vectors, block.norms, queries[~unsafe], k, metric)
    # Too many to measure one by one: float32 cannot tell these rows apart, a product in float64 can.
    unsafe |= near.sum(axis=1) > 4 * k + n // 16
    if unsafe.any():
        near[unsafe] = _candidates(block.vectors.astype(np.float64), None, queries[unsafe], k, metric)
    return _nonzero(near)


def _candidates(
    vectors: npt.NDArray[Any], lengths: Floats | None, queries: Floats, k: int, metric: Metric
) -> npt.NDArray[np.bool_]:
    """Return the mask bool[m, n] of the rows that can be among the k nearest, counting in `vectors`' type.

    The rounding error of a product of d terms is at most d units times the product of the lengths, in
    whatever order it is summed (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
    """
    kind = vectors.dtype
    unit = (vectors.shape[1] + 8) * float(np.finfo(kind).eps)
    size = np.sqrt(np.einsum("ij,ij->i", vectors, vectors)) if lengths is None else lengths
    wide = queries.astype(np.float64)
    query_size = _lengths(wide)
    if metric == "cosine":
        wide /= np.where(query_size == 0, 1, query_size)[:, None]
        inverse = np.divide(1, size, out=np.zeros(len(size), dtype=kind), where=size > 0)
        value = 1 - _product(wide.astype(kind), vectors) * inverse
        error = np.full(len(queries), unit)
    else:
        value = _product(wide.astype(kind), vectors)
        value *= -2
        value += size**2
        value += (query_size**2)[:, None].astype(kind)
        error = unit * (query_size + float(size.max())) ** 2
    kth = np.maximum(np.partition(value, k - 1, axis=1)[:, k - 1], 0)
    # The last factor keeps rows that differ in float64 and are equal once rounded to float32.
    mask: npt.NDArray[np.bool_] = value <= ((kth + 2 * error) * (1 + 4 * _UNIT))[:, None]
    return mask


def _product(queries: npt.NDArray[Any], vectors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # One query is bound by memory: the threads of BLAS gain nothing, and on a busy machine wait 20 ms for
    # each other.
    product: npt.NDArray[Any] = (
        np.einsum("mj,ij->mi", queries, vectors) if len(queries) == 1 else queries @ vectors.T
    )
    return product


def _nonzero(mask: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
    query, at = np.nonzero(mask)
    return query, at


def _measure(block: Block, queries: Floats, query: Ints, at: Ints, metric: Metric) -> Floats:
    found = np.empty(len(query), dtype=np.float32)
    step = rows_per_block(queries.shape[1])
    for start in range(0, len(query), step):
        part = slice(start, start + step)
        found[part] = distances(queries[query[part]], block.vectors[at[part]], metric)
    return found


def _lengths(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", x, x))
    return found
