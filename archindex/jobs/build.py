"""The offline build job: data sets -> graphs -> encoder -> vectors -> engine -> published index.

What is finished is kept in ``PATH/building`` until the index is published: a build that was stopped goes on
from there when it is run again with the same arguments.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.canonical import graph_sizes
from archindex.core.checks import check_choice, check_int
from archindex.core.disk import disk_errors
from archindex.core.errors import ArchindexError, ArgumentError, CorruptIndexError
from archindex.core.metrics import MeasurementSpec, Series
from archindex.core.progress import Progress, silent
from archindex.datasets import Table, load
from archindex.encoders import Encoder, load_encoder, make_encoder
from archindex.indexes import ENGINES, EngineChoice, VectorIndex, choose_engine, make_index
from archindex.indexes.base import METRICS, MemoryPlanned, Metric
from archindex.indexes.choose import EXACT_ROWS
from archindex.indexes.dimension import estimate_dimension
from archindex.queries.structures import Structures
from archindex.spaces.registry import space
from archindex.store.files import read_json, remove_tree, sync_tree, write_atomic, write_json
from archindex.store.publishing import create_version
from archindex.store.rows import Rows
from archindex.store.version import VersionInfo
from archindex.store.writer import check_target, writing

CHUNK: Final = 8192
"""Graphs that are encoded between two marks of progress."""


def build_index(
    path: Path,
    data: Sequence[Table | str],
    *,
    encoder: str = "universal",
    engine: str = "auto",
    metric: Metric = "l2",
    seed: int = 0,
    memory_limit: int | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> VersionInfo:
    """Build an index of all architectures of some data sets.

    Parameters
    ----------
    path : Path
        Folder of the index; made if it is not there.
    data : sequence of Table or str
        Data sets, or their names; those of the same search space are merged, the first one's values standing.
    encoder : str
        Name of the encoder; a learned one is trained on the data sets' architectures.
    engine : str
        Name of the vector engine, or ``"auto"``; see `archindex.indexes.choose_engine`.
    metric : {"l2", "cosine"}
        Distance of the index.
    seed : int
        Seed of the training and of the engine.
    memory_limit : int, optional
        Bytes that the engine may take once the index is open.
    overwrite : bool
        Whether an index at `path` may be replaced; it stays readable until the new one is complete.
    progress : Progress
        Told how far it is.

    Returns
    -------
    VersionInfo
        The published version.

    Raises
    ------
    InputError
        If an argument cannot be used, there is something else at `path`, or no engine keeps the limit.
    CorruptIndexError
        If there is a damaged index at `path`, and it is not to be replaced.
    StorageError, IndexLockedError
        If the folder cannot be written to; an index that was there stays as it was.
    """
    if not data:
        raise ArgumentError("expected at least one data set", got=0)
    for item in data:
        if not isinstance(item, (str, Table)):
            raise ArgumentError("expected a data set's name or a Table", got=item)
    check_choice("engine", engine, ["auto", *ENGINES])
    check_choice("metric", metric, METRICS)
    check_int("seed", seed, low=0)
    if memory_limit is not None:
        check_int("memory_limit", memory_limit, low=1)
    fresh = make_encoder(encoder)
    check_target(path, overwrite=overwrite)  # now, before data are read for nothing
    tables = [load(item) if isinstance(item, str) else item for item in data]
    merged = _merge(tables)
    with writing(path):
        # Again: another build may have published meanwhile.
        replaces = check_target(path, overwrite=overwrite)
        work = path / "building"
        _prepare(work, _config(merged, encoder, seed, first=not replaces))
        graphs = [space(table.space).graphs(table.natives) for table in merged]
        ids = [space(t.space).arch_ids(t.natives) for t in merged]
        trained = _trained(work, fresh, graphs, seed, progress)
        vectors = _encoded(work, trained, graphs, progress)
        rows = _rows(merged, graphs, ids, vectors)
        chosen = _chosen(engine, vectors, metric, seed, memory_limit)
        made = make_index(chosen.name, trained.dim, metric, seed, **chosen.arguments)
        progress("build engine", 0, 1)
        info = create_version(
            path,
            rows,
            encoder=trained,
            engine=made,
            engine_name=chosen.name,
            engine_reason=chosen.reason,
            metric=metric,
            data=[table.name for table in tables],
            seed=seed,
            engine_arguments={**_arguments(made), **chosen.arguments},
            data_digests=[_digest(table) for table in tables],
        )
        progress("build engine", 1, 1)
        remove_tree(work)
    return info


def _merge(tables: Sequence[Table]) -> list[Table]:
    by_space: dict[str, Table] = {}
    for table in tables:
        known = by_space.get(table.space)
        by_space[table.space] = table if known is None else known.merge(table)
    return list(by_space.values())


def _chosen(
    engine: str, vectors: npt.NDArray[np.float32], metric: Metric, seed: int, memory_limit: int | None
) -> EngineChoice:
    """Return the engine that was asked for, or the one that suits these vectors."""
    n, dim = vectors.shape
    if engine == "auto":
        # Of few vectors the answer does not depend on it.
        lies = estimate_dimension(vectors, metric, seed) if n > EXACT_ROWS else None
        return choose_engine(n, dim, metric, memory_limit=memory_limit, intrinsic_dimension=lies)
    made = make_index(engine, dim, metric, seed)
    if memory_limit is not None and isinstance(made, MemoryPlanned):
        needed = made.expected_memory(n)
        if needed > memory_limit:
            raise ArgumentError(
                f"expected a memory limit that engine {engine} keeps: {needed / 1e6:,.1f} MB",
                got=f"{memory_limit / 1e6:,.1f} MB",
                fix="raise it, or let the engine be chosen: auto",
            )
    return EngineChoice(engine, {}, "it was asked for")


def _arguments(engine: VectorIndex) -> dict[str, int | None]:
    """Return the constructor arguments of an engine and their defaults."""
    arguments = inspect.signature(type(engine)).parameters.values()
    return {a.name: a.default for a in arguments if a.name not in ("dim", "metric", "seed")}


def _digest(table: Table) -> str:
    """Return a checksum of a table's architectures and measurements."""
    digest = hashlib.blake2b("\n".join((table.space, *table.natives)).encode(), digest_size=16)
    for one in table.series:
        digest.update(json.dumps(asdict(one.spec), sort_keys=True).encode())
        digest.update(one.values.astype("<f8").tobytes())
    return digest.hexdigest()


def _config(tables: Sequence[Table], encoder: str, seed: int, *, first: bool) -> dict[str, object]:
    """Describe a build; `first`: it replaces no index, so what it leaves behind was never published."""
    natives = hashlib.blake2b(digest_size=16)
    for table in tables:
        natives.update("\n".join((table.space, *table.natives)).encode())
    return {"architectures": natives.hexdigest(), "encoder": encoder, "seed": seed, "first": first}


def _prepare(work: Path, config: dict[str, object]) -> None:
    """Keep what an earlier run of the same build finished; clear away everything else."""
    stated = work / "config.json"
    try:
        same = read_json(stated).items() >= config.items()
    except (OSError, CorruptIndexError):
        same = False
    if not same:
        with disk_errors("a folder to build in"):
            work.mkdir(exist_ok=True)
            for entry in work.iterdir():
                # The old note stays until the new one replaces it: it tells that the folder is ours.
                if entry.is_dir():
                    remove_tree(entry)
                elif entry != stated:
                    entry.unlink()
            write_json(stated, config)


def _trained(work: Path, fresh: Encoder, graphs: list[GraphBatch], seed: int, progress: Progress) -> Encoder:
    done = work / "encoder"
    try:
        return load_encoder(done)
    except ArchindexError:
        remove_tree(done)
    fresh.fit(GraphBatch.concat(graphs), seed=seed, progress=progress)
    beside = work / "encoder.new"
    remove_tree(beside)
    with disk_errors("the encoder"):
        fresh.save(beside)
        sync_tree(beside)
        beside.rename(done)
    return fresh


def _encoded(
    work: Path, encoder: Encoder, graphs: list[GraphBatch], progress: Progress
) -> npt.NDArray[np.float32]:
    total = sum(len(batch) for batch in graphs)
    parts: list[npt.NDArray[np.float32]] = []
    done = 0
    for batch in graphs:
        for start in range(0, len(batch), CHUNK):
            stop = min(start + CHUNK, len(batch))
            file = work / f"vectors-{done:012d}-{encoder.fingerprint[:16]}.npy"
            part = _read_part(file, stop - start, encoder.dim)
            if part is None:
                part = encoder.encode(batch.take(start, stop))
                content = io.BytesIO()
                np.save(content, part, allow_pickle=False)
                with disk_errors("vectors"):
                    write_atomic(file, content.getvalue())
            parts.append(part)
            done += stop - start
            progress("encode", done, total)
    return np.concatenate(parts)


def _read_part(file: Path, n: int, dim: int) -> npt.NDArray[np.float32] | None:
    try:
        part: npt.NDArray[np.float32] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return part if part.shape == (n, dim) and part.dtype == np.float32 and np.isfinite(part).all() else None


def _rows(
    tables: list[Table],
    graphs: list[GraphBatch],
    ids: list[npt.NDArray[np.str_]],
    vectors: npt.NDArray[np.float32],
) -> Rows:
    sizes = [graph_sizes(batch) for batch in graphs]
    return Rows(
        spaces=[table.space for table in tables for _ in table.natives],
        natives=[native for table in tables for native in table.natives],
        arch_ids=np.concatenate(ids).tolist(),
        vectors=vectors,
        sizes={name: np.concatenate([s[name] for s in sizes]) for name in sizes[0]},
        series=_stack_series(tables),
        structures=Structures.concat([Structures.of(batch) for batch in graphs]),
    )


def _stack_series(tables: list[Table]) -> tuple[Series, ...]:
    """Lay the series of all tables under one another, NaN where a table lacks one."""
    total = sum(len(table) for table in tables)
    stacked: dict[MeasurementSpec, npt.NDArray[np.float64]] = {}
    first = 0
    for table in tables:
        for one in table.series:
            values = stacked.setdefault(one.spec, np.full(total, np.nan))
            values[first : first + len(table)] = one.values
        first += len(table)
    return tuple(Series(spec, values) for spec, values in stacked.items())
