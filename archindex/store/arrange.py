"""In which order the rows of a version lie: list by list, so that a search reads a few stretches of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.indexes import Metric
from archindex.indexes.calibrate import calibrate
from archindex.indexes.curve import Calibration
from archindex.indexes.list_files import save_lists
from archindex.indexes.lists import Lists
from archindex.indexes.rebalance import rebalanced, uneven

LISTED_ROWS: Final = 20_000
"""Rows from which an index has lists; fewer are compared one by one in about a millisecond."""

LISTED_FOLDER: Final = "lists"

_LARGEST: Final = 1e15
"""Lists count in float32; vectors with larger entries have none."""

_GROWN: Final = 2.0
"""Rows over those that the lists were made for, from which they are made anew."""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def new_order(vectors: Floats, metric: Metric, seed: int) -> tuple[Lists | None, Ints]:
    """Return lists for some rows, None if there are few, and the order in which the rows are to lie."""
    if len(vectors) < LISTED_ROWS or np.abs(vectors).max() > _LARGEST:
        return None, np.arange(len(vectors))
    return _balanced(*Lists.of(vectors, metric, seed), vectors, seed)


def grown_order(lists: Lists | None, vectors: Floats, metric: Metric, seed: int) -> tuple[Lists | None, Ints]:
    """Return the same for rows of which the first lie in lists already.

    New rows go into the lists there are, of which those that have become too large or too small are cut or
    joined, until all together have grown, or shrunk, by a factor of `_GROWN`.
    """
    if lists is None or not lists.trained / _GROWN <= len(vectors) <= lists.trained * _GROWN:
        return new_order(vectors, metric, seed)
    if np.abs(vectors[lists.starts[-1] :]).max(initial=0) > _LARGEST:
        return None, np.arange(len(vectors))
    return _balanced(*lists.with_tail(vectors), vectors, seed)


def _balanced(lists: Lists, order: Ints, vectors: Floats, seed: int) -> tuple[Lists, Ints]:
    if not uneven(lists):
        return lists, order
    lists, again = rebalanced(lists, vectors[order], seed)
    return lists, order[again]


def write_arrays(staged: Path, vectors: Floats, ids: Ints) -> None:
    """Write vectors and row ids into a version, in the order in which they lie."""
    np.save(staged / "vectors.npy", np.ascontiguousarray(vectors), allow_pickle=False)
    np.save(staged / "ids.npy", np.ascontiguousarray(ids), allow_pickle=False)


def write_lists(
    staged: Path,
    lists: Lists | None,
    vectors: Floats,
    ids: Ints,
    engine: object,
    seed: int,
    known: Calibration | None = None,
) -> None:
    """Write lists into a version, with what is learned from its rows; `known`: what was learned before."""
    if lists is None:
        return
    learned = known if known is not None else calibrate(lists, vectors, ids, engine, seed)
    save_lists(staged / LISTED_FOLDER, lists, learned)
