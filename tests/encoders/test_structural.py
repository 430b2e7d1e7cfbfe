"""The structural encoder: conformance, what its features count, and how fast it is."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import pytest

from archindex.core.batch import GraphBatch
from archindex.core.graph import ArchGraph
from archindex.encoders import features, make_encoder
from archindex.encoders.features import Dags
from archindex.encoders.structural import StructuralEncoder
from archindex.spaces.nasbench101_cells import PackedCells
from archindex.spaces.registry import space
from archindex.testing.encoder_case import EncoderCase, chain


class TestStructural(EncoderCase):
    @staticmethod
    def make() -> StructuralEncoder:
        return StructuralEncoder()


def paths(graph: ArchGraph) -> list[tuple[str, ...]]:
    """List the ops along every path from input to output, the slow way."""
    following: dict[int, list[int]] = {v: [] for v in range(graph.n_nodes)}
    for source, target, _ in graph.edges:
        following[source].append(target)
    found: list[tuple[str, ...]] = []

    def go(node: int, ops: tuple[str, ...]) -> None:
        if graph.ops[node] == "output":
            found.append(ops)
        for target in following[node]:
            go(target, (*ops, graph.ops[target]) if graph.ops[target] != "output" else ops)

    go(graph.ops.index("input"), ())
    return found


def test_path_features_equal_a_listing_of_all_paths() -> None:
    batch = EncoderCase.graphs()
    dags = Dags(batch)
    histogram, extremes = features.path_histogram(dags), features.path_extremes(dags)
    sizes = features.sizes(dags)
    weighted = {"conv", "linear", "gat"}
    for i, graph in enumerate(dags.batch):
        listed = paths(graph)
        if not listed:
            assert not histogram[i].any() and not extremes[i].any()
            continue
        counts = [sum(op in weighted for op in path) for path in listed]
        assert histogram[i].tolist() == np.bincount(counts, minlength=features.WALK_BINS).tolist()
        lengths = [len(path) for path in listed]
        assert extremes[i, [0, 1, 4, 5]].tolist() == [max(lengths), max(counts), min(lengths), min(counts)]
        assert sizes[i, 4] == pytest.approx(np.log1p(len(listed)))


def test_random_walk_features_are_probabilities() -> None:
    dags = Dags(EncoderCase.graphs())
    total = features.walk_histogram(dags).sum(axis=1)
    connected = features.sizes(dags)[:, -1]
    np.testing.assert_allclose(total, connected, atol=1e-12)


def test_random_walk_weighs_paths_by_their_share() -> None:
    # Output takes the input and a conv: half the walks meet no op, half meet one.
    graph = ArchGraph(("input", "conv", "output"), ((0, 1, 0), (0, 2, 0), (1, 2, 0)))
    dags = Dags(GraphBatch.from_graphs([graph]))
    assert features.walk_histogram(dags)[0, :3].tolist() == [0.5, 0.5, 0.0]
    assert features.walk_means(dags)[0].tolist() == [0.5, 0.0, 0.5, 0.0, 0.0]


def test_sketch_tells_short_op_sequences_apart() -> None:
    ops = ("conv", "max_pool", "linear")
    sequences = [s for n in range(4) for s in itertools.product(ops, repeat=n)]
    sketches = features.path_sketch(Dags(GraphBatch.from_graphs(chain(*s) for s in sequences)), 24)
    assert (np.abs(sketches).sum(axis=1) == 1).all()
    assert len(np.unique(sketches, axis=0)) > 0.5 * len(sequences)
    vectors = StructuralEncoder().encode(GraphBatch.from_graphs(chain(*s) for s in sequences))
    assert len(np.unique(vectors, axis=0)) == len(sequences)


def test_groups_cover_all_columns_once() -> None:
    encoder = StructuralEncoder()
    columns = [i for group in encoder.feature_groups.values() for i in range(group.start, group.stop)]
    assert columns == list(range(encoder.dim))


def test_vectors_are_the_ones_of_this_version() -> None:
    # Who changes a vector raises the version in structural.py, then the numbers here.
    vectors = StructuralEncoder().encode(GraphBatch.from_graphs([chain("conv", "max_pool"), chain("gat")]))
    assert vectors.sum(axis=1).tolist() == pytest.approx([11.6593, 8.1787], abs=1e-3)


def test_all_of_nasbench201_in_seconds_and_aliases_together() -> None:
    cells = space("nasbench201")
    natives = [arch.native for arch in cells.enumerate()]  # type: ignore[attr-defined]
    batch = cells.graphs(natives)
    encoder = make_encoder("structural")
    start = time.process_time()
    vectors = encoder.encode(batch)
    assert time.process_time() - start < 4.0
    _, first, of = np.unique(cells.arch_ids(natives), return_index=True, return_inverse=True)
    np.testing.assert_array_equal(vectors, vectors[first][of])
    assert len(np.unique(vectors.round(5), axis=0)) >= 5_400  # of 5,425: what is hashed may collide


@pytest.mark.skipif("ARCHINDEX_DATA" not in os.environ, reason="needs the published table")
def test_all_of_nasbench101_would_take_less_than_a_minute() -> None:
    table = Path(os.environ["ARCHINDEX_DATA"]) / "nb101.parquet"
    rows = duckdb.execute(f"SELECT adj_bits, ops FROM '{table}' LIMIT 40000").fetchnumpy()
    batch = PackedCells.from_table(rows["adj_bits"], rows["ops"].astype(str)).graphs()
    encoder = StructuralEncoder()
    start = time.process_time()
    vectors = encoder.encode(batch)
    assert time.process_time() - start < 60.0 * len(batch) / 423_624
    assert len(np.unique(vectors.round(5), axis=0)) > 0.99 * len(batch)


def test_needs_no_torch() -> None:
    code = (
        "import sys; from archindex.core.batch import GraphBatch;"
        "from archindex.encoders import make_encoder;"
        "make_encoder('structural').encode(GraphBatch.from_graphs([]));"
        "sys.exit(any(m in sys.modules for m in ('torch', 'torch_geometric', 'safetensors')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
