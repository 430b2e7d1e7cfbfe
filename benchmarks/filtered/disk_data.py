"""Ten million vectors for the benchmark of disk engines: embeddings of architectures, and a mixture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.ops import ATTRIBUTE_ID, OP_ID
from archindex.encoders import make_encoder
from archindex.spaces.nasbench101_cells import PackedCells
from archindex.spaces.registry import space
from benchmarks.filtered.sets import mixture

BLOCK: Final = 100_000
"""Rows that are drawn, encoded and kept at a time."""

MIXED: Final = 500_000
"""Rows of one mixture; ten million at once would not fit into memory."""

VARIANTS: Final = 50
"""Architectures with the wiring of one drawn cell."""

OPS: Final[dict[str, tuple[tuple[str, float, float], ...]]] = {
    "darts": (
        ("max_pool", 3, np.nan),
        ("avg_pool", 3, np.nan),
        ("separable_conv", 3, np.nan),
        ("separable_conv", 5, np.nan),
        ("dilated_conv", 3, 2),
        ("dilated_conv", 5, 2),
    ),
    "nasnet": (
        ("max_pool", 3, np.nan),
        ("max_pool", 5, np.nan),
        ("max_pool", 7, np.nan),
        ("avg_pool", 3, np.nan),
        ("separable_conv", 3, np.nan),
        ("separable_conv", 5, np.nan),
        ("separable_conv", 7, np.nan),
        ("dilated_conv", 3, 2),
    ),
}
"""Ops of a space that may stand in for each other wherever one of them stands: name, kernel, dilation."""

Floats = npt.NDArray[np.float32]


def cells(name: str, n: int, seed: int) -> GraphBatch:
    """Return n architectures of a cell space: drawn wirings, on each of which ops are drawn anew."""
    wirings = space(name).graphs([one.native for one in space(name).sample(-(-n // VARIANTS), seed=seed)])
    batch = wirings.pick(np.repeat(np.arange(len(wirings)), VARIANTS)[:n])
    kernel, dilation = ATTRIBUTE_ID["kernel"], ATTRIBUTE_ID["dilation"]
    op, attrs = batch.op.copy(), batch.attrs.copy()
    ids = np.array([OP_ID[name] for name, _, _ in OPS[name]])
    numbers = np.array([traits for _, *traits in OPS[name]], dtype=np.float32)
    held = np.stack([attrs[:, kernel], attrs[:, dilation]], axis=1)
    same = (held[:, None] == numbers) | (np.isnan(held[:, None]) & np.isnan(numbers))
    free = np.flatnonzero(((op[:, None] == ids) & same.all(axis=2)).any(axis=1))
    drawn = np.random.default_rng(seed).integers(len(ids), size=len(free))
    op[free], attrs[free, kernel], attrs[free, dilation] = ids[drawn], *numbers[drawn].T
    return replace(batch, op=op, attrs=attrs)


def nasbench101(data: Path, n: int) -> GraphBatch:
    """Return the first n cells of NAS-Bench-101's table."""
    rows = duckdb.read_parquet(str(data / "nb101.parquet")).limit(n).fetchnumpy()
    natives = PackedCells.from_table(rows["adj_bits"], rows["ops"].astype(str)).natives()
    return space("nasbench101").graphs(natives)


def write_vectors(file: Path, data: Path, real: dict[str, int], n: int) -> Path:
    """Write n rows as .npy float32[n, 64], in a random order; parts are kept beside it, to go on from.

    Parameters
    ----------
    file : Path
        Where; nothing is done if it is there.
    data : Path
        Folder of the tables.
    real : dict of str to int
        Architectures of each space; the mixture fills up to n.
    n : int
        Rows in all.

    Returns
    -------
    Path
        An .npy of bool[n]: which rows are embeddings.
    """
    kinds = file.with_suffix(".real.npy")
    if file.exists() and kinds.exists():
        return kinds
    encoder = make_encoder("universal")
    parts: list[Path] = []
    for name, count in real.items():
        for number, start in enumerate(range(0, count, BLOCK if name in OPS else count)):
            part = file.with_name(f"part-{name}-{count}-{number}.npy")
            if not part.exists():
                size = min(BLOCK, count - start) if name in OPS else count
                graphs = cells(name, size, seed=number) if name in OPS else nasbench101(data, size)
                vectors = encoder.encode(graphs)
                np.save(part.with_suffix(".tmp.npy"), vectors)
                part.with_suffix(".tmp.npy").rename(part)
                print(f"{part.name}: {len(vectors)}", flush=True)
            parts.append(part)
    order = np.random.default_rng(0).permutation(n)
    beside = file.with_suffix(".tmp.npy")
    whole = np.lib.format.open_memmap(beside, mode="w+", dtype=np.float32, shape=(n, 64))
    done = 0
    for part in parts:
        vectors = np.load(part)
        whole[order[done : done + len(vectors)]] = vectors
        done += len(vectors)
    is_real = np.zeros(n, dtype=np.bool_)
    is_real[order[:done]] = True
    for number, start in enumerate(range(done, n, MIXED)):
        rows = order[start : start + MIXED]
        whole[rows] = mixture(len(rows), np.random.default_rng(number))
    whole.flush()
    np.save(kinds, is_real)
    beside.rename(file)
    return kinds
