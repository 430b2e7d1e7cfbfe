"""The computed encoders beside the structural one: conformance, and what their columns hold."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest

from archindex.core.batch import GraphBatch
from archindex.core.graph import ArchGraph
from archindex.encoders import make_encoder
from archindex.encoders.adjacency import AdjacencyEncoder
from archindex.encoders.baselines import PathEncoder, StatisticsEncoder, WLEncoder, degrees, places
from archindex.encoders.features import Dags
from archindex.spaces.registry import space
from archindex.testing.encoder_case import EncoderCase, chain

COMPUTED = ("paths", "adjacency", "wl", "statistics")


class TestPaths(EncoderCase):
    @staticmethod
    def make() -> PathEncoder:
        return PathEncoder()


class TestAdjacency(EncoderCase):
    @staticmethod
    def make() -> AdjacencyEncoder:
        return AdjacencyEncoder()


class TestWL(EncoderCase):
    @staticmethod
    def make() -> WLEncoder:
        return WLEncoder()


class TestStatistics(EncoderCase):
    @staticmethod
    def make() -> StatisticsEncoder:
        return StatisticsEncoder()


@pytest.mark.parametrize(
    ("name", "told_apart"), [("paths", 4_050), ("adjacency", 5_425), ("wl", 5_425), ("statistics", 5_100)]
)
def test_nasbench201_aliases_together_and_most_others_apart(name: str, told_apart: int) -> None:
    cells = space("nasbench201")
    natives = [arch.native for arch in cells.enumerate()]  # type: ignore[attr-defined]
    vectors = make_encoder(name).encode(cells.graphs(natives))
    _, first, of = np.unique(cells.arch_ids(natives), return_index=True, return_inverse=True)
    np.testing.assert_allclose(vectors, vectors[first][of], rtol=1e-5, atol=1e-5)
    assert len(np.unique(vectors[first].round(4), axis=0)) >= told_apart


@pytest.mark.parametrize("name", COMPUTED)
def test_whole_networks_in_any_numbering(name: str) -> None:
    rng = np.random.default_rng(0)
    ops = ["input", *rng.choice(["conv", "max_pool", "add", "norm"], 300), "output"]
    edges = [(int(rng.integers(max(0, t - 5), t)), t, 0) for t in range(1, 302) for _ in range(2)]
    network = ArchGraph(tuple(map(str, ops)), tuple(edges))
    shuffled = network.relabelled([int(v) for v in rng.permutation(302)])
    a, b = make_encoder(name).encode(GraphBatch.from_graphs([network, shuffled]))
    np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)


def twins() -> list[ArchGraph]:
    """Return one graph, two equal branches of two equal ops, in every numbering of its ops."""
    branches = ArchGraph(
        ("input", "conv", "conv", "conv", "conv", "output"),
        ((0, 1, 0), (0, 2, 0), (1, 3, 0), (2, 4, 0), (3, 5, 0), (4, 5, 0)),
    )
    return [branches.relabelled((0, *inner, 5)) for inner in itertools.permutations(range(1, 5))]


def test_adjacency_orders_nodes_that_nothing_tells_apart() -> None:
    vectors = AdjacencyEncoder().encode(GraphBatch.from_graphs(twins()))
    np.testing.assert_array_equal(vectors, np.broadcast_to(vectors[0], vectors.shape))


def test_adjacency_holds_the_edges() -> None:
    # input -> a -> b -> output, input -> b, and a feeds the output twice.
    graph = ArchGraph(
        ("input", "conv", "max_pool", "output"),
        ((0, 1, 0), (1, 2, 0), (2, 3, 0), (0, 2, 0), (1, 3, 0), (1, 3, 0)),
    )
    vector = AdjacencyEncoder().encode(GraphBatch.from_graphs([graph]))[0]
    codes, edges, ends, rest = np.split(vector, [128, 248, 264])
    assert np.expm1(edges[:4]).round(4).tolist() == [1, 1, 1, 0]  # 0-1, 0-2, 1-2, 0-3
    assert np.expm1(ends[:4]).round(4).tolist() == [0, 2, 1, 0]
    assert not edges[4:].any() and not ends[4:].any() and not rest.any()
    codes = codes.reshape(16, 8)
    assert (np.linalg.norm(codes[:3], axis=1) > 0.5).all()
    assert not codes[3:].any()


def test_adjacency_pools_what_has_no_place() -> None:
    last = [chain(*["conv"] * 20, op) for op in ("conv", "max_pool", "linear")]
    vectors = AdjacencyEncoder().encode(GraphBatch.from_graphs(last))
    np.testing.assert_array_equal(vectors[:, :264], np.broadcast_to(vectors[0, :264], (3, 264)))
    assert len(np.unique(vectors[:, 264:], axis=0)) == 3


def test_paths_of_different_sequences_are_told_apart() -> None:
    ops = ("conv", "max_pool", "linear")
    sequences = [s for n in range(4) for s in itertools.product(ops, repeat=n)]
    vectors = PathEncoder().encode(GraphBatch.from_graphs(chain(*s) for s in sequences))
    assert len(np.unique(vectors, axis=0)) > 0.9 * len(sequences)
    np.testing.assert_allclose(np.abs(vectors).sum(axis=1), np.log(2), rtol=1e-6)


def test_places_are_means_along_the_depth() -> None:
    kernels: list[dict[str, float]] = [{}, {"kernel": 3.0}, {"kernel": 3.0}, {}, {}, {}]
    ops = ("input", "conv", "conv", "conv", "max_pool", "output")
    graph = ArchGraph(ops, chain(*ops[1:-1]).edges, tuple(kernels))
    found = places(Dags(GraphBatch.from_graphs([graph, chain()])))
    np.testing.assert_allclose(found, [[0.3, 0.6, 0.8, 0.0], [0.0, 0.0, 0.0, 0.0]])


def test_degrees_are_those_of_the_nodes() -> None:
    fork = ArchGraph(
        ("input", "conv", "conv", "output"), ((0, 1, 0), (0, 2, 0), (1, 3, 0), (2, 3, 0), (0, 3, 0))
    )
    found = degrees(Dags(GraphBatch.from_graphs([fork, ArchGraph((), ()), chain()])))
    into, out_of = np.array([0, 1, 1, 3]), np.array([3, 1, 1, 0])
    expected = [[d.mean(), d.std(), d.max(), (d > 1).mean()] for d in (into, out_of)]
    np.testing.assert_allclose(found[0], np.concatenate(expected))
    assert not found[1].any()
    np.testing.assert_allclose(found[2], [0.5, 0.5, 1, 0, 0.5, 0.5, 1, 0])


@pytest.mark.parametrize(
    ("name", "sums"),
    [
        ("paths", (-317.4614, -335.4832)),
        ("adjacency", (328.8051, 259.1630)),
        ("wl", (-62.5, -38.1051)),
        ("statistics", (589.8850, 425.0160)),
    ],
)
def test_vectors_are_the_ones_of_this_version(name: str, sums: tuple[float, float]) -> None:
    # Who changes a vector raises the version of its encoder, then the numbers here.
    columns = np.arange(1, make_encoder(name).dim + 1)
    vectors = make_encoder(name).encode(GraphBatch.from_graphs([chain("conv", "max_pool"), chain("gat")]))
    assert (vectors @ columns).tolist() == pytest.approx(sums, abs=1e-3)


def test_need_no_torch() -> None:
    code = (
        "import sys; from archindex.core.batch import GraphBatch;"
        "from archindex.encoders import make_encoder;"
        f"[make_encoder(n).encode(GraphBatch.from_graphs([])) for n in {COMPUTED}];"
        "sys.exit(any(m in sys.modules for m in ('torch', 'torch_geometric', 'safetensors')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
