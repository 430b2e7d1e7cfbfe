"""Retrieval of networks of the same family: ONNX files, transformers, GNNs, RNNs and networks of spaces."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.convert import Expander, from_onnx, from_torch
from archindex.core.batch import GraphBatch
from archindex.core.canonical import arch_ids
from archindex.core.errors import ArchindexError
from archindex.core.graph import ArchGraph
from archindex.core.ops import ATTRIBUTE_ID
from archindex.encoders.folding import fold_norms
from archindex.encoders.motifs import MotifEncoder
from archindex.spaces.registry import space
from benchmarks.encoding.networks import encoders, kept, listed_network, network_vectors, sources

LIST: Final = Path(__file__).with_name("families_list.json")
DEVELOPMENT: Final = Path(__file__).with_name("families_development.json")

DEPTH: Final = 20

VARIANTS: Final[dict[str, tuple[float, ...]]] = {
    "ops": (1, 0, 0, 0, 0),
    "shapes": (0, 1, 0, 0, 0),
    "ratios": (0, 0, 1, 0, 0),
    "widths": (0, 0, 0, 1, 0),
    "counts": (0, 0, 0, 0, 1),
    "shapes, ratios": (0, 1, 1, 0, 0),
    "shapes, widths .25": (0, 1, 0, 0.25, 0),
    "shapes, widths 1": (0, 1, 0, 1, 0),
    "shapes, ratios, widths .25": (0, 1, 1, 0.25, 0),
    "shapes, ratios, widths .5": (0, 1, 1, 0.5, 0),
    "shapes, ratios, widths .25, counts .02": (0, 1, 1, 0.25, 0.02),
    "shapes, ratios, widths .25, counts .25": (0, 1, 1, 0.25, 0.25),
    "ops .5, shapes, ratios, widths .25, counts .02": (0.5, 1, 1, 0.25, 0.02),
    "ops 1, shapes, ratios, widths .25, counts .02": (1, 1, 1, 0.25, 0.02),
    "ops 2, shapes, ratios, widths .25, counts .02": (2, 1, 1, 0.25, 0.02),
}
"""Shares of the groups of ``motifs``, in their order, that are compared on the development set."""

_PART: Final = 50  # networks that are traced and kept together: a run that was stopped goes on from there

PROTOCOL: Final = (
    "Networks, relevance and rules: benchmarks/encoding/families_list.json, committed before anything was "
    "scored. Networks are read at the network level: ONNX files by from_onnx, those of spaces by Expander, "
    "the others by from_torch on the meta device. Each queries all others (Euclidean; ties "
    "against the query). Average precision at 20 divides by the smaller of 20 and the number of "
    "relevant others; NDCG at 20 has gains of 0 and 1. Means over queries (MAP@20, NDCG@20) and over groups "
    "('by group': mean of the groups' means). Encoders are used as they come, nothing is fitted. 'random': "
    "vectors drawn with seed 0. Norms 'folded': graphs went through fold_norms first. "
    "Set 'development': benchmarks/encoding/families_development.json, other types and other members of the "
    "spaces, on which `motifs` was developed; 'variant' are other shares of its groups. With `motifs` the "
    "list was scored twice. The first time (MAP@20 .971, NDCG@20 .984 by type, .893 and .927 by family, .754 "
    "and .826 by kind) there was no group 'ops'; it was added for what the development set says of families "
    "and kinds. The second time is the one in this file, and nothing was changed after it. "
    "Rows with 'twins': pairs of networks of two types of the list "
    "that have one arch_id, as they are or with channels, groups and heads left out; where there are none, "
    "graphs alone allow a MAP of 1."
)

Floats = npt.NDArray[np.float64]


def networks(entries: Sequence[Mapping[str, Any]], name: str) -> tuple[GraphBatch, list[int]]:
    """Return the graphs of the entries that can be traced, and their positions in `entries`."""
    expander = Expander()
    batches, positions = [], []
    for first in range(0, len(entries), _PART):
        part = entries[first : first + _PART]
        batch, more = kept(f"families-{sources()}-{name}-{first}", partial(_traced, part, expander))
        print(f"  {name}: {min(first + _PART, len(entries))} of {len(entries)} networks", flush=True)
        batches.append(batch)
        positions += [first + int(i) for i in more["positions"]]
    return GraphBatch.concat(batches), positions


def _traced(entries: Sequence[Mapping[str, Any]], expander: Expander) -> tuple[GraphBatch, dict[str, Any]]:
    graphs, positions = [], []
    start = time.process_time()
    for i, entry in enumerate(entries):
        try:
            graphs.append(_graph(entry, expander))
            positions.append(i)
        except (ArchindexError, ImportError, RuntimeError, ValueError, AttributeError) as error:
            # The rule of the list: what a package here cannot build or torch cannot trace is left out.
            print(f"  left out: {entry['name']}: {type(error).__name__}: {error}"[:300], flush=True)
    return GraphBatch.from_graphs(graphs), {"positions": positions, "seconds": time.process_time() - start}


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
    """Measure; one row for every set, encoder, norms kept or folded, and grain, then one for every group."""
    content = json.loads(LIST.read_text(encoding="utf-8"))
    entries = content["networks"]
    development = json.loads(DEVELOPMENT.read_text(encoding="utf-8"))
    other = development["networks"]
    if quick:
        of_list = ("LSTM", "GRU", "space:nats_sss", "space:nasbench_macro", "alexnet", "GIN")
        entries, other = _few(entries, of_list), _few(other, ("RNN", "SGConv", "space:gan_cells"))
    size = "quick" if quick else "all"
    batch, positions = networks(entries, size)
    traced = [entries[i] for i in positions]
    left_out = {"list": [entry["name"] for i, entry in enumerate(entries) if i not in set(positions)]}
    rows, detail = _scored("list", batch, grains(traced, content))
    rows += _twins(batch, [str(entry["type"]) for entry in traced])
    batch, positions = networks(other, f"development-{size}")
    left_out["development"] = [entry["name"] for i, entry in enumerate(other) if i not in set(positions)]
    groups = grains([other[i] for i in positions], development)
    more, more_detail = _scored("development", batch, groups)
    for row in (*rows, *more):
        if "encoder" in row:
            row["left out"] = ", ".join(left_out[row["set"]]) or "none"
    return [*rows, *more, *_variants(batch, groups), *detail, *more_detail]


def _few(entries: Sequence[Mapping[str, Any]], types: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return the first three networks of each of `types`."""
    some = [entry for entry in entries if entry["type"] in types]
    return [e for i, e in enumerate(some) if sum(o["type"] == e["type"] for o in some[:i]) < 3]


def _scored(
    which: str, batch: GraphBatch, groups: Mapping[str, list[str]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Score every encoder: a row for each, norms kept or folded, and grain; and a row for each group."""
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
            by_group = _by_group(precision, gain, of_entry)
            for group, (queries, ap, _) in by_group.items():
                key = {"set": which, "grain": grain, "group": group, "queries": queries}
                detail.setdefault((grain, group), key)[f"{name} {norms} MAP@20"] = round(ap, 3)
            means = np.array([figures[1:] for figures in by_group.values()]).mean(axis=0)
            rows.append(
                {
                    "set": which,
                    "encoder": name,
                    "norms": norms,
                    "relevance": grain,
                    "networks": len(vectors),
                    **_means(precision, gain),
                    "groups": len(by_group),
                    "MAP@20 by group": round(float(means[0]), 4),
                    "NDCG@20 by group": round(float(means[1]), 4),
                }
            )
    return rows, list(detail.values())


def _means(precision: Floats, gain: Floats) -> dict[str, Any]:
    asked = ~np.isnan(precision)
    return {
        "queries": int(asked.sum()),
        "MAP@20": round(float(precision[asked].mean()), 4),
        "NDCG@20": round(float(gain[asked].mean()), 4),
    }


def _by_group(
    precision: Floats, gain: Floats, of_entry: Sequence[str]
) -> dict[str, tuple[int, float, float]]:
    """Return queries, mean average precision and mean gain of every group that has queries."""
    found = {}
    for group in dict.fromkeys(of_entry):
        chosen = np.array([g == group for g in of_entry]) & ~np.isnan(precision)
        if chosen.any():
            found[group] = (
                int(chosen.sum()), float(precision[chosen].mean()), float(gain[chosen].mean())
            )  # fmt: skip
    return found


def _variants(batch: GraphBatch, groups: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """Score ``motifs`` with other shares of its groups."""
    encoder = MotifEncoder()
    vectors = network_vectors(encoder, [batch])
    rows = []
    for variant, shares in VARIANTS.items():
        weighted = [
            vectors[:, columns] * (share / encoder.shares[group]) ** 0.5
            for share, (group, columns) in zip(shares, encoder.feature_groups.items(), strict=True)
        ]
        for grain, of_entry in groups.items():
            figures = _means(*retrieval(np.hstack(weighted), of_entry))
            rows.append({"set": "development", "variant": variant, "relevance": grain, **figures})
    return rows


def _twins(batch: GraphBatch, of_type: Sequence[str]) -> list[dict[str, Any]]:
    """Count the pairs of networks of two types that are one graph."""
    attrs = batch.attrs.copy()
    attrs[:, [ATTRIBUTE_ID[name] for name in ("channels", "groups", "heads")]] = np.nan
    rows = []
    for sizes, graphs in (("kept", batch), ("left out", replace(batch, attrs=attrs))):
        ids, kind = arch_ids(graphs), np.array(of_type)
        twins = int(((ids[:, None] == ids) & (kind[:, None] != kind)).sum()) // 2
        rows.append({"set": "list", "sizes": sizes, "twins": twins})
    return rows
