"""Networks found again through ONNX: exported, rewritten, imported, searched among all others."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx

from archindex.convert import Expander, from_onnx, to_onnx
from archindex.core.batch import GraphBatch
from archindex.core.canonical import arch_ids
from archindex.encoders.folding import fold_norms
from archindex.spaces.base import Architecture
from archindex.spaces.registry import space
from benchmarks.encoding.networks import encoders, kept, network_vectors, sources
from benchmarks.encoding.rewrites import REWRITES

QUERIES: Final = ("nasbench201", "nats_sss", "nasbench_macro", "fbnet", "pit")
"""Spaces of the networks that are looked for: cells, sizes of one, blocks in a row (two), transformers."""

EACH: Final = 100
"""Networks of each of them."""

MEMBERS: Final[dict[str, int]] = {
    "nats_sss": 12_000, "nasbench201": 9_000, "nasbench_macro": 6_561, "transnas101_micro": 4_096,
    "nasbench101": 4_000, "transnas101_macro": 3_256, "bert": 4_500, "gan_cells": 3_000,
    "resnet_pooling": 36, "nasbench_graph": 1_000, "fbnet": 800, "mnasnet": 500, "mobilenetv3": 400,
    "proxylessnas": 300, "archai_mobilenet": 300, "hat": 250, "pit": 250, "einspace": 250, "hytra": 250,
    "autoformer": 150, "darts": 120, "nasnet": 80, "nasbench_nlp": 30,
}  # fmt: skip
"""Different networks of each space that can build modules, 51,129 in all; fewer of those that take longer."""

QUICK: Final = {"nats_sss": 50, "nasbench_macro": 50, "gan_cells": 20}

PROTOCOL: Final = (
    "Index: 51,129 networks, different strings drawn with seed 0 from every space that builds modules, at "
    "the network level (archindex.convert.Expander, which finds what torch.export finds). Queries: the first "
    "100 of five spaces, written as ONNX files by to_onnx with seed 0, read by from_onnx as they are and "
    "after each rewrite of benchmarks/encoding/rewrites.py (generator seed 1), encoded, searched exactly "
    "(Euclidean, float64). Right is the network that was exported, or one with its network-level arch_id; "
    "distances that differ by less than 1e-9 of the squared norms are ties, and every wrong network at the "
    "distance of the right one counts as before it. 'rank 1': share found first. 'same id': share whose "
    "arch_id after the file is that of the torch module, norms folded on both sides where the row says so. "
    "Encoders are used as they come, nothing is fitted. Norms 'folded': index and queries went through "
    "archindex.encoders.folding.fold_norms first; 'kept': they did not."
)

Floats = npt.NDArray[np.float64]


def members(name: str, n: int) -> list[Architecture]:
    """Return `n` different architectures of a space (all, if it has no more), in the order of the draw."""
    here = space(name)
    found: dict[str, Architecture] = {}
    draw = 0
    while len(found) < n and draw < 60:
        found.update({one.native: one for one in here.sample(n, seed=draw) if one.native not in found})
        draw += 1
    return list(found.values())[:n]


def expanded(name: str, n: int) -> tuple[GraphBatch, dict[str, Any]]:
    """Return the networks of `n` members of a space and the seconds that they took."""

    def make() -> tuple[GraphBatch, dict[str, Any]]:
        start = time.process_time()
        listed = members(name, n)
        expander, parts = Expander(), []
        for first in range(0, len(listed), 500):
            parts.append(expander.graphs(listed[first : first + 500]))
            print(f"  {name}: {first + len(parts[-1])} of {len(listed)} networks", flush=True)
        return GraphBatch.concat(parts), {"seconds": time.process_time() - start}

    def holds(batch: GraphBatch) -> bool:
        """Whether three of those that are stored are still what they expand to."""
        listed, expander = members(name, n), Expander()
        chosen = sorted({0, len(listed) // 2, len(listed) - 1})
        again = arch_ids(expander.graphs(listed[i] for i in chosen))
        return len(batch) == len(listed) and all(
            arch_ids(batch.take(i, i + 1))[0] == one for i, one in zip(chosen, again, strict=True)
        )

    return kept(f"members-{name}-{n}", make, holds)


def imported(name: str, first: int, last: int, n: int) -> tuple[GraphBatch, dict[str, Any]]:
    """Export members `first` to `last` - 1; networks of the file as it is, then of every rewrite of it."""

    def make() -> tuple[GraphBatch, dict[str, Any]]:
        start = time.process_time()
        graphs = []
        with tempfile.TemporaryDirectory() as folder:
            for one in members(name, n)[first:last]:
                path = to_onnx(one, Path(folder, "network.onnx"), seed=0)
                graphs.append(from_onnx(path).graph)
                model = onnx.load(path)
                for rewrite in REWRITES.values():
                    changed = rewrite(model, np.random.default_rng(1))
                    graphs.append(from_onnx(changed.SerializeToString()).graph)
        print(f"  {name}: files {first} to {last - 1} read", flush=True)
        return GraphBatch.from_graphs(graphs), {"seconds": time.process_time() - start}

    return kept(f"files-{sources()}-{name}-{first}-{last}-of-{n}", make)


def pessimistic_ranks(index: Floats, queries: Floats, right: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return the rank of the nearest right row for each query, all ties against it.

    Parameters
    ----------
    index : ndarray of float64, shape (n, dim)
    queries : ndarray of float64, shape (m, dim)
    right : ndarray of bool, shape (m, n)
        Which rows answer which query; at least one each.
    """
    squares = (index**2).sum(axis=1)
    ranks = np.empty(len(queries), dtype=np.int64)
    for i, query in enumerate(queries):
        distance = squares - 2 * (index @ query) + query @ query
        slack = 1e-9 * (squares + query @ query)
        best = distance[right[i]].min()
        ranks[i] = 1 + np.count_nonzero(~right[i] & (distance <= best + slack))
    return ranks


def scores(ranks: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return mean reciprocal rank and the share of first ranks."""
    return {"mrr": round(float((1 / ranks).mean()), 4), "rank 1": round(float((ranks == 1).mean()), 4)}


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Measure; one row for every encoder, norms kept or folded, and rewrite, and one for every space."""
    wanted: Mapping[str, int] = QUICK if quick else MEMBERS
    asked = {"nasbench_macro": 2} if quick else dict.fromkeys(QUERIES, EACH)
    pools = {name: expanded(name, n) for name, n in wanted.items()}
    files = {name: [*_files(name, n, wanted[name])] for name, n in asked.items()}
    index = [batch for batch, _ in pools.values()]
    kinds = ["as written", *REWRITES]
    queries = [batch for of_space in files.values() for batch, _ in of_space]
    n_queries = sum(asked.values())
    first = np.cumsum([0, *(len(batch) for batch in index)])
    offset = dict(zip(pools, first, strict=False))
    origin = np.concatenate([offset[name] + np.arange(n) for name, n in asked.items()])
    of_space = np.repeat(np.array(list(asked)), list(asked.values()))
    rows: list[dict[str, Any]] = []
    for norms in ("kept", "folded"):
        if norms == "folded":
            index, queries = [fold_norms(b) for b in index], [fold_norms(b) for b in queries]
        ids = np.concatenate([arch_ids(batch) for batch in index])
        query_ids = np.concatenate([arch_ids(batch) for batch in queries]).reshape(n_queries, len(kinds))
        right = ids[origin][:, None] == ids[None]
        same = query_ids == ids[origin][:, None]
        for name, encoder in encoders().items():
            start = time.process_time()
            vectors = network_vectors(encoder, index)
            seconds = time.process_time() - start
            asked_vectors = network_vectors(encoder, queries).reshape(n_queries, len(kinds), -1)
            for k, kind in enumerate(kinds):
                ranks = pessimistic_ranks(vectors, asked_vectors[:, k], right)
                rows.append(
                    {
                        "encoder": name,
                        "dim": encoder.dim,
                        "norms": norms,
                        "rewrite": kind,
                        "queries": n_queries,
                        "index": len(vectors),
                        **scores(ranks),
                        "same id": round(float(same[:, k].mean()), 4),
                        "worst rank": int(ranks.max()),
                        **{f"mrr {s}": scores(ranks[of_space == s])["mrr"] for s in asked},
                        "encode cpu s": round(seconds, 1),
                    }
                )
    rows += [
        {
            "space": name,
            "networks": len(batch),
            "different ids": len(np.unique(arch_ids(batch))),
            "nodes of one": round(batch.n_nodes / len(batch)),
            "expansion cpu ms each": round(1000 * float(more["seconds"]) / len(batch), 1),
            "export and imports cpu s each": round(
                sum(float(m["seconds"]) for _, m in files.get(name, [])) / max(1, asked.get(name, 0)), 2
            ),
        }
        for name, (batch, more) in pools.items()
    ]
    return rows


def _files(name: str, n: int, members_of: int) -> Iterator[tuple[GraphBatch, dict[str, Any]]]:
    step = 10  # files of which the graphs are kept together
    for first in range(0, n, step):
        yield imported(name, first, min(n, first + step), members_of)
