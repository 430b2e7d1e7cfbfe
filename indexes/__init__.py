"""Vector engines behind one interface: exact, HNSW, IVF, IVF of short codes, lists on disk.

They know vectors and row ids only.

::

    index = make_index("hnsw", 64, "cosine", seed=0)
    index.build(vectors, ids)
    result = index.search(queries, k=10, allowed=ids_that_fit)

:func:`make_index`, :func:`load_index` and :func:`choose_engine` pick an engine by name. hnswlib and faiss
are imported when their engine is first made, not with this package.
"""

if not __name__.startswith("archindex."):
    raise ImportError(
        "'indexes' is a part of archindex and not a package of its own: import archindex.indexes"
    )

from typing import TYPE_CHECKING, Any

from archindex.indexes.base import (
    DISTANCE_ATOL,
    DISTANCE_RTOL,
    Capabilities,
    Metric,
    SearchResult,
    VectorIndex,
)
from archindex.indexes.choose import EngineChoice, choose_engine
from archindex.indexes.exact import ExactIndex
from archindex.indexes.registry import ENGINES, load_index, make_index

if TYPE_CHECKING:
    from archindex.indexes.hnsw import HnswIndex
    from archindex.indexes.ivf import IvfIndex

__all__ = [
    "DISTANCE_ATOL",
    "DISTANCE_RTOL",
    "ENGINES",
    "Capabilities",
    "EngineChoice",
    "ExactIndex",
    "HnswIndex",
    "IvfIndex",
    "Metric",
    "SearchResult",
    "VectorIndex",
    "choose_engine",
    "load_index",
    "make_index",
]


def __getattr__(name: str) -> Any:
    # Late, because these modules import hnswlib and faiss.
    if name == "HnswIndex":
        from archindex.indexes.hnsw import HnswIndex

        return HnswIndex
    if name == "IvfIndex":
        from archindex.indexes.ivf import IvfIndex

        return IvfIndex
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
