"""Engines by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from archindex.core.errors import UnknownNameError
from archindex.indexes._files import read_manifest
from archindex.indexes.base import Metric, VectorIndex

ENGINES: Mapping[str, str] = MappingProxyType(
    {
        "exact": "archindex.indexes.exact:ExactIndex",
        "hnsw": "archindex.indexes.hnsw:HnswIndex",
        "ivf": "archindex.indexes.ivf:IvfIndex",
        "ivf_sq8": "archindex.indexes.quantised:IvfSq8Index",
        "ivf_pq": "archindex.indexes.quantised:IvfPqIndex",
        "ivf_opq": "archindex.indexes.quantised:IvfOpqIndex",
        "ivf_rabitq": "archindex.indexes.quantised:IvfRabitqIndex",
        "spann": "archindex.indexes.spann:SpannIndex",
    }
)
"""Where each engine is; by address, because hnswlib and faiss are imported only when used."""


def make_index(
    name: str, dim: int, metric: Metric = "l2", seed: int = 0, **parameters: int | None
) -> VectorIndex:
    """Make an empty engine.

    Parameters
    ----------
    name : str
        A key of :data:`ENGINES`.
    dim : int
        Entries of a vector.
    metric : {"l2", "cosine"}
    seed : int
        Of everything random in it.
    **parameters : int or None
        The engine's own, e.g. ``ef_search=200``.

    Raises
    ------
    UnknownNameError
        If there is no such engine, metric or parameter.
    ArgumentError
        If a value is out of range.
    """
    engine = _engine(name)
    known = [p for p in inspect.signature(engine).parameters if p not in ("dim", "metric", "seed")]
    for parameter in parameters:
        if parameter not in known:
            raise UnknownNameError.of(f"parameter of engine {name}", parameter, known)
    return engine(dim, metric, seed=seed, **parameters)  # type: ignore[call-arg]


def load_index(folder: Path) -> VectorIndex:
    """Read whatever engine :meth:`~archindex.indexes.base.VectorIndex.save` wrote into `folder`.

    Raises
    ------
    IndexMissingError
        If there is no such folder.
    CorruptIndexError
        If a file in it is missing, truncated or altered.
    IndexVersionError
        If it was written in a newer format.
    UnknownNameError
        If it was written by an engine that is not in :data:`ENGINES`.
    """
    return _engine(read_manifest(Path(folder)).engine).load(folder)


def _engine(name: str) -> type[VectorIndex]:
    if name not in ENGINES:
        raise UnknownNameError.of("engine", str(name), ENGINES)
    module, _, attribute = ENGINES[name].partition(":")
    found: type[VectorIndex] = getattr(import_module(module), attribute)
    return found
