"""Which engine to take when nobody says: by size, dimension, memory and how the vectors lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from archindex.core.checks import check_choice, check_float, check_int
from archindex.core.errors import ArgumentError
from archindex.indexes.base import METRICS, MemoryPlanned, Metric
from archindex.indexes.registry import make_index

EXACT_ROWS: Final = 50_000
EXACT_ENTRIES: Final = 3_200_000
"""Up to this many rows, or entries of all vectors together, comparing everything takes milliseconds."""

HIGH_DIMENSION: Final = 20.0
"""Local intrinsic dimension from which graphs and lists leave little out (docs/engines.md has figures)."""

Arguments = dict[str, int | None]


@dataclass(frozen=True)
class EngineChoice:
    """An engine, and why.

    Attributes
    ----------
    name : str
        A key of `archindex.indexes.ENGINES`.
    arguments : mapping of str to int or None
        Its own constructor arguments that are not the defaults.
    reason : str
        In sentences.
    """

    name: str
    arguments: Mapping[str, int | None] = field(default_factory=dict)
    reason: str = ""


def choose_engine(
    n: int,
    dim: int,
    metric: Metric = "l2",
    *,
    memory_limit: int | None = None,
    intrinsic_dimension: float | None = None,
) -> EngineChoice:
    """Choose the engine for `n` vectors of `dim` entries.

    Few rows are compared one by one. Otherwise it is the fastest engine whose memory is within the limit:
    HNSW, then IVF of a byte an entry (SQ8), then of 2 bits an entry (OPQ), both re-ranked by the full
    vectors, which stay in their file, then lists on disk (SPANN). Where the intrinsic dimension is high,
    lists and graphs leave little out, and a scan of all codes (SQ8, else PQ) takes their place.

    Parameters
    ----------
    n : int
        Rows, at least 0.
    dim : int
        Entries of a vector.
    metric : {"l2", "cosine"}
    memory_limit : int, optional
        Bytes that the engine may take; None: as many as it likes.
    intrinsic_dimension : float, optional
        Local intrinsic dimension of the vectors (`archindex.indexes.dimension.estimate_dimension`); None: not
        known, and taken to be low.

    Raises
    ------
    ArgumentError
        If an argument is out of range, or no engine is small enough; it says which comes nearest.
    """
    n, dim = check_int("n", n, low=0), check_int("dim", dim, low=1)
    metric = METRICS[METRICS.index(check_choice("metric", metric, METRICS))]
    limit = None if memory_limit is None else check_int("memory_limit", memory_limit, low=1)
    high = False
    if intrinsic_dimension is not None:
        high = check_float("intrinsic_dimension", intrinsic_dimension, low=0.0) >= HIGH_DIMENSION
    size = f"{n:,} vectors of {dim} entries"
    few = n <= EXACT_ROWS or n * dim <= EXACT_ENTRIES
    every: Arguments = {"probes": max(1, n)} if high else {}
    finest = ("ivf_sq8", every, "IVF with a byte an entry, re-ranked by full vectors from their file")
    # A rotation is learned where there is something to learn.
    smallest = "ivf_pq" if high else "ivf_opq"
    ways: list[tuple[str, Arguments, str]] = [
        finest,
        (smallest, every, "IVF with 2 bits an entry, re-ranked by full vectors from their file"),
    ]
    if few:
        ways.insert(0, ("exact", {}, "exact search"))
        why = f"{size} are compared in milliseconds, so exact search is fast enough"
    elif high:
        why = (
            f"{size} are many, but their local intrinsic dimension of {intrinsic_dimension:.0f} is high: "
            "graphs and lists leave little out, so all codes are compared"
        )
    else:
        ways.insert(0, ("hnsw", {}, "HNSW"))
        ways.append(("spann", {}, "SPANN with lists and vectors on disk"))
        why = f"{size} are slow to compare one by one, and HNSW finds nearly all neighbours fastest"
    if limit is None:
        name, arguments, what = ways[0]
        return EngineChoice(name, arguments, f"{why}." if not high or few else f"{why} ({what}).")
    needs = [_memory(name, arguments, n, dim, metric) for name, arguments, _ in ways]
    for (name, arguments, what), need in zip(ways, needs, strict=True):
        if need <= limit:
            if name != ways[0][0]:
                needed = f"{_mb(needs[0])} with {ways[0][2]}"
                why = f"{why}, which takes {needed}" if high and not few else f"{size} take {needed}"
            what = what[0].upper() + what[1:]
            return EngineChoice(
                name, arguments, f"{why}. {what} takes {_mb(need)} of the {_mb(limit)} allowed."
            )
    least = min(range(len(ways)), key=needs.__getitem__)
    raise ArgumentError(
        f"expected a memory limit that an engine for {size} keeps",
        got=_mb(limit),
        fix=f"{ways[least][0]} takes {_mb(needs[least])}, {ways[0][0]} {_mb(needs[0])}"
        + ("" if ways[-1][0] == "spann" else "; or keep the vectors on disk: engine spann"),
    )


def _memory(name: str, arguments: Arguments, n: int, dim: int, metric: Metric) -> int:
    engine = make_index(name, dim, metric, 0, **arguments)
    assert isinstance(engine, MemoryPlanned)
    return engine.expected_memory(n)


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
