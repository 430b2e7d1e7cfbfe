"""Rows on their way into an index: architectures, their vectors and their measurements, as packed columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archindex.core.metrics import Series
from archindex.queries.structures import Structures


@dataclass(frozen=True)
class Rows:
    """`n` architectures as they are handed to the store.

    Attributes
    ----------
    spaces, natives, arch_ids : sequence of str, length n
        Search space, native string and arch_id of each.
    vectors : ndarray of float32, shape (n, dim)
        Embeddings.
    sizes : dict from str to ndarray of int64, shape (n,)
        Whole-number columns read off the graphs; see `archindex.core.canonical.graph_sizes`.
    series : tuple of Series
        Measurements; NaN where missing.
    structures : Structures, optional
        Their graphs packed for motifs, where they are at hand.
    """

    spaces: Sequence[str]
    natives: Sequence[str]
    arch_ids: Sequence[str]
    vectors: npt.NDArray[np.float32]
    sizes: dict[str, npt.NDArray[np.int64]]
    series: tuple[Series, ...] = ()
    structures: Structures | None = None

    def __len__(self) -> int:
        return len(self.natives)


@dataclass(frozen=True)
class RowInfo:
    """What the catalogue says of one row.

    Attributes
    ----------
    row_id : int
        Stable id of the row.
    space, native, arch_id : str
        Search space, native string and arch_id.
    """

    row_id: int
    space: str
    native: str
    arch_id: str
