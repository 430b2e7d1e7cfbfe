"""LanceDB: inverted lists, and an index of every column that filters name, looked at before the vectors."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

# Read when its library is loaded.
os.environ.setdefault("LANCE_CPU_THREADS", "1")
os.environ.setdefault("TOKIO_WORKER_THREADS", "1")

import lancedb
import numpy as np
import pyarrow as pa

from benchmarks.filtered.cells import Conditions, text_of
from benchmarks.filtered.peers import Found, Peer, kept_peer
from benchmarks.filtered.sets import Floats, Set


class Lance(Peer):
    """A table with flat inverted lists (about as many as the root of its rows), searched after the filter."""

    name = "LanceDB"
    stores = True
    settings: ClassVar[tuple[Any, ...]] = (4, 16, 64, 256)

    def __init__(self, one: Set) -> None:
        n, dim = one.vectors.shape

        def build(folder: Path) -> None:
            flat = pa.array(one.vectors.ravel(), type=pa.float32())
            columns: dict[str, Any] = {"vector": pa.FixedSizeListArray.from_arrays(flat, dim)}
            names = sorted({one.bound, "free0", *one.five})
            for name in names:
                column = one.columns[name]
                held = pa.array(column.values)
                columns[name] = pa.array(column.categories).take(held) if column.categories else held
            table = lancedb.connect(folder / "lance").create_table("rows", pa.table(columns))
            table.create_index(
                metric="l2", vector_column_name="vector", index_type="IVF_FLAT", num_partitions=int(n**0.5)
            )
            for name in names:
                table.create_scalar_index(
                    name, index_type="BITMAP" if one.columns[name].categories else "BTREE"
                )

        folder = kept_peer(self, one, build, version("lancedb"))
        self._table = lancedb.connect(folder / "lance").open_table("rows")

    def prepare(self, conditions: Conditions) -> str | None:
        """Return the filter as SQL."""
        return text_of(conditions)

    def search(self, query: Floats, k: int, filtered: str | None) -> Found:
        """Return the distances of what it found."""
        asked = self._table.search(query, vector_column_name="vector").limit(k).nprobes(self.setting)
        if filtered is not None:
            asked = asked.where(filtered, prefilter=True)
        squared = asked.select(["_distance"]).to_arrow()["_distance"].to_numpy()
        distances: Found = np.sqrt(np.sort(squared))
        return distances
