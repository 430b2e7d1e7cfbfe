"""Qdrant in the process: its HNSW walks with the filter, helped by an index of every payload field."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import qdrant_edge as qdrant

from benchmarks.filtered.cells import Between, Conditions
from benchmarks.filtered.peers import Found, Peer, kept_peer
from benchmarks.filtered.sets import Floats, Set

_BATCH: Final = 10_000


class Qdrant(Peer):
    """One shard; payload indexes are made before the rows come, so that its graph has links for them.

    Its settings: candidates kept, and whether ACORN looks at the neighbours of rows that do not pass.
    """

    name = "qdrant"
    stores = True
    settings: ClassVar[tuple[Any, ...]] = ((32, False), (64, True), (128, False), (512, False), (512, True))

    def __init__(self, one: Set) -> None:
        def build(folder: Path) -> None:
            config = qdrant.EdgeConfig(
                vectors=qdrant.EdgeVectorParams(size=one.vectors.shape[1], distance=qdrant.Distance.Euclid),
                hnsw_config=qdrant.HnswIndexConfig(16, 100, 10_000, max_indexing_threads=1),
                optimizers=qdrant.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1_000),
                max_search_threads=1,
            )
            (folder / "shard").mkdir()
            shard = qdrant.EdgeShard.create(str(folder / "shard"), config)
            for name in _fields(one):
                shard.update(qdrant.UpdateOperation.create_field_index(name, _schema(one, name)))
            fields = {name: one.columns[name].to_list() for name in _fields(one)}
            for start in range(0, len(one.vectors), _BATCH):
                stop = min(start + _BATCH, len(one.vectors))
                points = [
                    qdrant.Point(i, one.vectors[i].tolist(), {name: of[i] for name, of in fields.items()})
                    for i in range(start, stop)
                ]
                shard.update(qdrant.UpdateOperation.upsert_points(points))
            shard.optimize()
            shard.flush()
            shard.close()

        self._shard = qdrant.EdgeShard.load(
            str(kept_peer(self, one, build, version("qdrant-edge-py")) / "shard")
        )

    def prepare(self, conditions: Conditions) -> Any:
        """Return its filter object."""
        if not conditions:
            return None
        return qdrant.Filter(
            must=[
                qdrant.FieldCondition(part.column, range=qdrant.RangeFloat(gte=part.low, lte=part.high))
                if isinstance(part, Between)
                else qdrant.FieldCondition(part.column, match=qdrant.MatchAny(list(part.words)))
                for part in conditions
            ]
        )

    def search(self, query: Floats, k: int, filtered: Any) -> Found:
        """Return the distances of what it found."""
        effort, acorn = self.setting
        params = qdrant.SearchParams(
            hnsw_ef=max(effort, k), acorn=qdrant.AcornSearchParams(enable=True) if acorn else None
        )
        found = self._shard.query(
            qdrant.QueryRequest(
                limit=k, query=qdrant.Query.Nearest(query.tolist()), filter=filtered, params=params
            )
        )
        return np.sort([point.score for point in found])

    def close(self) -> None:
        """Close the shard."""
        self._shard.close()


def _fields(one: Set) -> list[str]:
    return sorted({one.bound, "free0", *one.five})


def _schema(one: Set, name: str) -> Any:
    kinds = {
        "DOUBLE": qdrant.PayloadSchemaType.Float,
        "BIGINT": qdrant.PayloadSchemaType.Integer,
        "VARCHAR": qdrant.PayloadSchemaType.Keyword,
    }
    return kinds[one.columns[name].kind]
