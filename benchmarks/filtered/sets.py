"""Vectors and attributes that filtered search is measured on: two synthetic sets, and real embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.encoders import make_encoder
from archindex.queries import Column
from archindex.spaces.base import Costed
from archindex.spaces.nasbench101_cells import PackedCells
from archindex.spaces.registry import space
from benchmarks.filtered.work import kept

ROWS: Final = {"mixture": 1_000_000, "mixed": 1_000_000, "isotropic": 200_000, "mixed_fifth": 200_000}
QUICK_ROWS: Final = 5_000
QUERIES: Final = 100
"""Rows beyond these, like them and in no index, that queries are taken from."""

WHOLE: Final = (
    "nasbench101",
    "nasbench201",
    "nats_sss",
    "nasbench_graph",
    "nasbench_macro",
    "transnas101_micro",
    "transnas101_macro",
)
"""Spaces that the mixed set holds whole."""

SAMPLED: Final = ("darts", "nasnet", "fbnet", "mobilenetv3", "proxylessnas", "mnasnet")
"""Spaces of which it holds equal numbers of distinct architectures, drawn at random."""

_VERSION: Final = 1
"""Raised when a set comes out different, so that what was kept is made anew."""

_CHUNK: Final = 1 << 13

PROTOCOL: Final = (
    "mixture: 1,000,000 x 64, 64 Gaussians in 10 dimensions through two layers of tanh, noise .01. mixed: "
    "1,000,000 architectures as vectors of the encoder universal (64 dimensions), nasbench101 (423,624), "
    "nasbench201, nats_sss, nasbench_graph, nasbench_macro and transnas101 whole, the others in equal "
    "parts distinct ones drawn from darts, nasnet, fbnet, mobilenetv3, proxylessnas and mnasnet; in "
    "random order; mixed_fifth: 200,000 of them. isotropic: 200,000 x 64 normal. Columns: 'free0' to "
    "'free3', uniform and independent; mixed: params_m and flops_m (computed, for the first data set of "
    "the space), n_nodes and n_edges of the graph, space; the others: 'bound', a random direction plus "
    "noise of .3 of its deviation. Queries: 100 more of the same, in no index. Seeds 0."
)

Floats = npt.NDArray[np.float32]
Columns = dict[str, Column]


@dataclass(frozen=True, eq=False)
class Set:
    """Rows that are searched.

    Attributes
    ----------
    key : dict
        What made it, for the work folder.
    vectors : float32[n, 64]
    columns : dict of str to Column
        Their attributes.
    queries : float32[QUERIES, 64]
        More of the same, not among the rows.
    asked : dict of str to Column
        Attributes of the queries.
    bound : str
        The column that goes with where a row lies.
    five : tuple of str
        The columns of a conjunction.
    """

    key: dict[str, Any]
    vectors: Floats
    columns: Columns
    queries: Floats
    asked: Columns
    bound: str
    five: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the set."""
        return str(self.key["what"])


def make_set(name: str, data: Path, *, quick: bool = False) -> Set:
    """Return the set called `name`, from the work folder if it was made before; a small one where `quick`."""
    n = QUICK_ROWS if quick else ROWS[name]
    if name == "mixed_fifth":
        return _first(make_set("mixed", data, quick=quick), name, n // 5 if quick else n)
    key: dict[str, Any] = {"what": name, "rows": n, "queries": QUERIES, "version": _VERSION}
    if name == "mixed":
        key["encoder"] = make_encoder("universal").fingerprint
        bound, five = "params_m", ("params_m", "n_nodes", "n_edges", "space", "free0")
    else:
        bound, five = "bound", ("bound", "free0", "free1", "free2", "free3")

    def fill(folder: Path) -> None:
        rng, rows = np.random.default_rng(0), n + QUERIES
        vectors, columns = _mixed(rows, data, rng) if name == "mixed" else _synthetic(name, rows, rng)
        columns |= {f"free{i}": Column.double(rng.random(rows)) for i in range(4)}
        np.save(folder / "vectors.npy", vectors)
        arrays: dict[str, Any] = {column: content.values for column, content in columns.items()}
        arrays |= {f"{c}.categories": np.array(x.categories) for c, x in columns.items() if x.categories}
        np.savez(folder / "columns.npz", **arrays)

    folder = kept(key, fill)
    with np.load(folder / "columns.npz") as stored:
        held = {entry: stored[entry] for entry in stored.files}
    vectors, columns = np.load(folder / "vectors.npy"), dict(_columns(held))
    rows, others = np.arange(n), np.arange(n, n + QUERIES)
    return Set(
        key,
        vectors[:n],
        {column: content.take(rows) for column, content in columns.items()},
        vectors[n:],
        {column: content.take(others) for column, content in columns.items()},
        bound,
        five,
    )


def _first(one: Set, name: str, n: int) -> Set:
    """Return the first rows of a set, which lie in random order, with its queries."""
    rows = np.arange(n)
    return replace(
        one,
        key={**one.key, "what": name, "rows": n},
        vectors=one.vectors[:n],
        columns={column: content.take(rows) for column, content in one.columns.items()},
    )


def _columns(held: dict[str, npt.NDArray[Any]]) -> Iterator[tuple[str, Column]]:
    for name, values in held.items():
        if name.endswith(".categories"):
            continue
        if f"{name}.categories" in held:
            yield name, Column.varchar(values, held[f"{name}.categories"].tolist())
        else:
            yield name, Column.double(values) if values.dtype.kind == "f" else Column.bigint(values)


def _synthetic(name: str, n: int, rng: np.random.Generator) -> tuple[Floats, Columns]:
    vectors = mixture(n, rng) if name == "mixture" else rng.normal(size=(n, 64)).astype(np.float32)
    along = vectors @ rng.normal(size=64)
    return vectors, {"bound": Column.double(along + 0.3 * along.std() * rng.normal(size=n))}


def mixture(n: int, rng: np.random.Generator) -> Floats:
    """Return points of a 10-dimensional mixture of Gaussians, bent into 64 dimensions; float32 (n, 64)."""
    centres, shapes = 3 * rng.normal(size=(64, 10)), 0.5 * rng.normal(size=(64, 10, 10))
    which = rng.integers(64, size=n)
    flat = centres[which] + np.einsum("nij,nj->ni", shapes[which], rng.normal(size=(n, 10)))
    first, second = rng.normal(size=(10, 128)) / 10**0.5, rng.normal(size=(128, 64)) / 128**0.5
    bent = np.tanh(flat @ first) @ second + 0.01 * rng.normal(size=(n, 64))
    found: Floats = bent.astype(np.float32)
    return found


def _mixed(n: int, data: Path, rng: np.random.Generator) -> tuple[Floats, Columns]:
    """Return n architectures of several spaces; where n is less than a million, less of each."""
    share = min(1.0, n / ROWS["mixed"])
    parts: dict[str, dict[str, npt.NDArray[Any]]] = {}
    for name in WHOLE:
        parts[name] = _described(name, _whole(name, data, share))
    left = n - sum(len(part["vectors"]) for part in parts.values())
    for i, name in enumerate(SAMPLED):
        parts[name] = _described(name, _drawn(name, (left + i) // len(SAMPLED)))
        print(f"mixed: {name}", flush=True)
    names = sorted(parts)
    code = np.concatenate([np.full(len(part["vectors"]), names.index(name)) for name, part in parts.items()])
    order = rng.permutation(n)
    of = {what: np.concatenate([part[what] for part in parts.values()])[order] for what in parts[names[0]]}
    return of["vectors"], {
        "params_m": Column.double(of["params"] / 1e6),
        "flops_m": Column.double(of["flops"] / 1e6),
        "n_nodes": Column.bigint(of["nodes"]),
        "n_edges": Column.bigint(of["edges"]),
        "space": Column.varchar(code[order].astype(np.int32), names),
    }


def _whole(name: str, data: Path, share: float) -> list[str]:
    if name == "nasbench101":
        rows = duckdb.read_parquet(str(data / "nb101.parquet"))
        found = rows.limit(round(share * 423_624)).fetchnumpy()
        return PackedCells.from_table(found["adj_bits"], found["ops"].astype(str)).natives()
    listed = [architecture.native for architecture in space(name).enumerate()]  # type: ignore[attr-defined]
    return listed[:: round(1 / share)]


def _drawn(name: str, wanted: int) -> list[str]:
    found: dict[str, None] = {}
    seed = 0
    while len(found) < wanted:
        found |= dict.fromkeys(drawn.native for drawn in space(name).sample(wanted - len(found), seed))
        seed += 1
    return list(found)


def _described(name: str, natives: list[str]) -> dict[str, npt.NDArray[Any]]:
    """Return the vectors, sizes and costs of architectures of one space."""
    one, encoder = space(name), make_encoder("universal")
    assert isinstance(one, Costed)
    dataset = one.datasets[0]
    parts: list[dict[str, npt.NDArray[Any]]] = []
    for start in range(0, len(natives), _CHUNK):
        some = natives[start : start + _CHUNK]
        batch: GraphBatch = one.graphs(some)
        costs = one.costs(some, dataset)
        parts.append(
            {
                "vectors": np.asarray(encoder.encode(batch), dtype=np.float32),
                "params": costs.params,
                "flops": costs.flops,
                "nodes": np.diff(batch.node_ptr),
                "edges": np.diff(batch.edge_ptr),
            }
        )
    return {what: np.concatenate([part[what] for part in parts]) for what in parts[0]}
