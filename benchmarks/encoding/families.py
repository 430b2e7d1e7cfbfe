"""Retrieval of networks of the same family: ONNX files, transformers, GNNs, RNNs and networks of spaces."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.convert import Expander, from_onnx, from_torch
from archindex.core.batch import GraphBatch
from archindex.core.errors import ArchindexError
from archindex.core.graph import ArchGraph
from archindex.encoders.folding import fold_norms
from archindex.spaces.registry import space
from benchmarks.encoding.networks import encoders, kept, listed_network, network_vectors, sources

LIST: Final = Path(__file__).with_name("families_list.json")

DEPTH: Final = 20

PROTOCOL: Final = (
    "Networks, relevance and rules: benchmarks/encoding/families_list.json, committed before anything was "
    "scored. Networks are read at the network level: ONNX files by from_onnx, those of spaces by Expander, "
    "the others by from_torch on the meta device. Each queries all others (Euclidean; ties "
    "against the query). Average precision at 20 divides by the smaller of 20 and the number of "
    "relevant others; NDCG at 20 has gains of 0 and 1. Means over queries (MAP@20, NDCG@20) and over groups "
    "('by group': mean of the groups' means). Encoders are used as they come, nothing is fitted. 'random': "
    "vectors drawn with seed 0. Norms 'folded': graphs went through fold_norms first."
)

Floats = npt.NDArray[np.float64]


def networks(entries: Sequence[Mapping[str, Any]], name: str) -> tuple[GraphBatch, list[int]]:
    """Return the graphs of the entries that can be traced, and their positions in `entries`."""

    def make() -> tuple[GraphBatch, dict[str, Any]]:
        graphs, positions = [], []
        expander = Expander()
        start = time.process_time()
        for i, entry in enumerate(entries):
            try:
                graphs.append(_graph(entry, expander))
                positions.append(i)
            except (ArchindexError, ImportError, RuntimeError, ValueError, AttributeError) as error:
                # The rule of the list: what a package here cannot build or torch cannot trace is left out.
                print(f"  left out: {entry['name']}: {type(error).__name__}: {error}"[:300], flush=True)
            if (i + 1) % 50 == 0:
                print(f"  {i + 1} of {len(entries)} networks", flush=True)
        return GraphBatch.from_graphs(graphs), {
            "positions": positions,
            "seconds": time.process_time() - start,
        }

    batch, more = kept(f"families-{sources()}-{name}", make)
    return batch, [int(i) for i in more["positions"]]


def _graph(entry: Mapping[str, Any], expander: Expander) -> ArchGraph:
    if entry["from"] == "onnx":
        spec = find_spec("onnx")
        assert spec is not None and spec.origin is not None
        return from_onnx(Path(spec.origin).parent / "backend/test/data/light" / entry["file"]).graph
    if entry["from"] == "space":
        here = space(entry["type"].removeprefix("space:"))
        return expander.network(here.parse(entry["native"])).graph
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what other packages say while they build a model
        module, inputs, named = listed_network(entry)
        return from_torch(module, inputs, named).graph


def retrieval(vectors: Floats, groups: Sequence[str]) -> tuple[Floats, Floats]:
    """Return average precision and NDCG at `DEPTH` of each query; NaN where a group has no other member."""
    labels = np.unique(np.array(groups), return_inverse=True)[1]
    precision, gain = np.full(len(labels), np.nan), np.full(len(labels), np.nan)
    discount = 1 / np.log2(np.arange(2, DEPTH + 2))
    for i, query in enumerate(vectors):
        relevant = labels == labels[i]
        relevant[i] = False
        if not relevant.any():
            continue
        distance = ((vectors - query) ** 2).sum(axis=1)
        # Equal up to rounding is a tie, and goes against the query.
        order = np.lexsort((relevant, np.round(distance, 9)))
        hits = relevant[order[order != i]][:DEPTH].astype(np.float64)
        ideal = min(DEPTH, int(relevant.sum()))
        precision[i] = (hits * hits.cumsum() / np.arange(1, len(hits) + 1)).sum() / ideal
        gain[i] = (hits * discount[: len(hits)]).sum() / discount[:ideal].sum()
    return precision, gain


def grains(entries: Sequence[Mapping[str, Any]], content: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the group of every entry at each grain."""
    family = {t: f["family"] for f in content["families"] for t in f["types"]}
    kind = {t: name for name, types in content["kinds"].items() for t in types}
    types = [str(entry["type"]) for entry in entries]
    return {"type": types, "family": [family.get(t, t) for t in types], "kind": [kind[t] for t in types]}


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Measure; one row for every encoder, norms kept or folded, and grain, then one for every group."""
    content = json.loads(LIST.read_text(encoding="utf-8"))
    entries = content["networks"]
    if quick:
        wanted = ("LSTM", "GRU", "space:nats_sss", "space:nasbench_macro", "alexnet", "GIN")
        entries = [entry for entry in entries if entry["type"] in wanted]
        entries = [e for i, e in enumerate(entries) if sum(o["type"] == e["type"] for o in entries[:i]) < 3]
    batch, positions = networks(entries, "quick" if quick else "all")
    traced = [entries[i] for i in positions]
    left_out = [entry["name"] for i, entry in enumerate(entries) if i not in set(positions)]
    groups = grains(traced, content)
    rows: list[dict[str, Any]] = []
    detail: dict[tuple[str, str], dict[str, Any]] = {}
    batches = {"kept": batch, "folded": fold_norms(batch)}
    runs = [(name, norms, encoder) for name, encoder in encoders().items() for norms in batches]
    for name, norms, encoder in [*runs, ("random", "kept", None)]:
        if encoder is None:
            vectors = np.random.default_rng(0).normal(size=(len(batch), 64))
        else:
            vectors = network_vectors(encoder, [batches[norms]])
        for grain, of_entry in groups.items():
            precision, gain = retrieval(vectors, of_entry)
            asked = ~np.isnan(precision)
            by_group = {}
            for group in dict.fromkeys(of_entry):
                chosen = np.array([g == group for g in of_entry]) & asked
                if chosen.any():
                    by_group[group] = (float(precision[chosen].mean()), float(gain[chosen].mean()))
                    row = detail.setdefault(
                        (grain, group), {"grain": grain, "group": group, "queries": int(chosen.sum())}
                    )
                    row[f"{name} {norms} MAP@20"] = round(by_group[group][0], 3)
            means = np.array(list(by_group.values())).mean(axis=0)
            rows.append(
                {
                    "encoder": name,
                    "norms": norms,
                    "relevance": grain,
                    "networks": len(vectors),
                    "queries": int(asked.sum()),
                    "groups": len(by_group),
                    "MAP@20": round(float(precision[asked].mean()), 4),
                    "NDCG@20": round(float(gain[asked].mean()), 4),
                    "MAP@20 by group": round(float(means[0]), 4),
                    "NDCG@20 by group": round(float(means[1]), 4),
                    "left out": ", ".join(left_out) or "none",
                }
            )
    return [*rows, *detail.values()]
