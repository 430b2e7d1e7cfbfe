"""What the graph network is told of edges and places; NumPy alone, for encoding needs no torch."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.canonical import depths
from archindex.core.ops import OP_ID

PORTS: Final = 4
"""Input ports that are told apart; further ones count as the last."""

POSITIONS: Final = 4
"""Columns that say where a node stands."""


def positions(reduced: GraphBatch) -> npt.NDArray[np.float32]:
    """Return where each node stands; float32, shape (n_nodes, POSITIONS)."""
    before, after = depths(reduced), depths(reduced, backward=True)
    whole = before + after
    longest = np.zeros(len(reduced), dtype=np.int64)
    np.maximum.at(longest, reduced.node_graph, whole)
    columns = (
        np.log1p(before), np.log1p(after),
        before / np.maximum(whole, 1), whole == longest[reduced.node_graph],
    )  # fmt: skip
    return np.stack(columns, axis=1).astype(np.float32)


def ends(reduced: GraphBatch) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Mark inputs and outputs; float32, each of shape (n_nodes, 1)."""
    first, last = (reduced.op == OP_ID[name] for name in ("input", "output"))
    return first.astype(np.float32)[:, None], last.astype(np.float32)[:, None]
