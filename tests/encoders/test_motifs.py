"""The encoder of whole networks: conformance, and what makes two networks near."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest

from archindex.core.batch import GraphBatch
from archindex.core.graph import ArchGraph
from archindex.encoders import make_encoder
from archindex.encoders.folding import fold_norms
from archindex.encoders.motifs import MotifEncoder
from archindex.spaces.registry import space
from archindex.testing.encoder_case import EncoderCase, chain

Vectors = npt.NDArray[np.float32]


class TestMotifs(EncoderCase):
    @staticmethod
    def make() -> MotifEncoder:
        return MotifEncoder()


def network(blocks: int, width: int, *, kernel: int = 3, norm: bool = False, groups: int = 1) -> ArchGraph:
    """Return residual blocks in a row, of one width, between a stem and a head."""
    conv = {"kernel": kernel, "channels": width, "groups": groups}
    ops, attrs, edges = ["input", "conv"], [{}, {"kernel": 3.0, "channels": float(width)}], [(0, 1, 0)]
    for _ in range(blocks):
        start = len(ops) - 1
        for op in ("relu", "conv", *(["batch_norm"] if norm else [])):
            edges.append((len(ops) - 1, len(ops), 0))
            ops.append(op)
            attrs.append({k: float(v) for k, v in conv.items()} if op == "conv" else {})
        edges += [(len(ops) - 1, len(ops), 0), (start, len(ops), 0)]
        ops.append("add")
        attrs.append({})
    edges += [(len(ops) - 1, len(ops), 0), (len(ops), len(ops) + 1, 0)]
    return ArchGraph((*ops, "linear", "output"), tuple(edges), (*attrs, {"channels": float(width)}, {}))


def groups_of(*graphs: ArchGraph) -> dict[str, Vectors]:
    encoder = MotifEncoder()
    vectors = encoder.encode(GraphBatch.from_graphs(graphs))
    return {name: vectors[:, columns] for name, columns in encoder.feature_groups.items()}


def test_groups_cover_all_columns_once_and_have_their_shares() -> None:
    encoder = MotifEncoder()
    columns = [i for group in encoder.feature_groups.values() for i in range(group.start, group.stop)]
    assert columns == list(range(encoder.dim))
    assert encoder.shares == {"ops": 0.5, "shapes": 1.0, "ratios": 1.0, "widths": 0.25, "counts": 0.02}
    for name, vectors in groups_of(network(3, 16), chain("gat", "linear")).items():
        assert np.linalg.norm(vectors, axis=1) == pytest.approx([encoder.shares[name] ** 0.5] * 2)


def test_depth_and_width_change_no_motif() -> None:
    small, large = network(3, 16), network(11, 96)
    found = groups_of(small, large)
    for name in ("ops", "shapes", "ratios"):
        np.testing.assert_array_equal(found[name][0], found[name][1])
    for name in ("widths", "counts"):
        assert np.abs(found[name][0] - found[name][1]).max() > 0.01


def test_another_kernel_is_further_than_another_size() -> None:
    vectors = MotifEncoder().encode(
        GraphBatch.from_graphs([network(3, 16), network(9, 64), network(3, 16, kernel=5)])
    )
    resized, other = np.linalg.norm(vectors[1:] - vectors[0], axis=1)
    assert resized < 0.6 * other


def test_depthwise_is_another_shape_whatever_the_width() -> None:
    found = groups_of(*(network(3, w, groups=g) for w, g in ((16, 1), (16, 16), (64, 64), (64, 4))))
    shapes = found["shapes"]
    np.testing.assert_array_equal(shapes[1], shapes[2])
    assert len(np.unique(shapes.round(4), axis=0)) == 3


def test_ratios_are_seen_through_ops_without_width() -> None:
    def narrowing(first: float, second: float) -> ArchGraph:
        attrs: tuple[dict[str, float], ...] = ({}, {"channels": first}, {}, {"channels": second}, {})
        return ArchGraph(
            ("input", "conv", "relu", "conv", "output"), tuple((i, i + 1, 0) for i in range(4)), attrs
        )

    found = groups_of(narrowing(64, 16), narrowing(256, 64), narrowing(64, 64))
    np.testing.assert_array_equal(found["ratios"][0], found["ratios"][1])
    assert np.abs(found["ratios"][0] - found["ratios"][2]).max() > 0.01
    np.testing.assert_array_equal(found["shapes"][0], found["shapes"][2])


def test_folded_norms_do_not_matter() -> None:
    normed, plain = network(4, 32, norm=True), network(4, 32)
    batch = GraphBatch.from_graphs([normed, plain])
    encoder = MotifEncoder()
    vectors = encoder.encode(batch)
    np.testing.assert_array_equal(vectors[0], vectors[1])
    np.testing.assert_array_equal(encoder.encode(fold_norms(batch)), vectors)


def test_a_dead_reader_keeps_no_norm() -> None:
    ops, edges = ("input", "conv", "batch_norm", "output"), ((0, 1, 0), (1, 2, 0), (2, 3, 0))
    dead = ArchGraph((*ops, "linear"), (*edges, (1, 4, 0)))
    vectors = MotifEncoder().encode(GraphBatch.from_graphs([ArchGraph(ops, edges), dead]))
    np.testing.assert_array_equal(vectors[0], vectors[1])


def test_vectors_are_the_ones_of_this_version() -> None:
    # Who changes a vector raises the version in motifs.py, then the numbers here.
    vectors = MotifEncoder().encode(GraphBatch.from_graphs([chain("conv", "max_pool"), network(2, 16)]))
    assert (vectors @ np.arange(256.0)).tolist() == pytest.approx([717.809, 18.251], abs=1e-2)


def test_cells_of_nasbench201_that_differ_are_told_apart() -> None:
    cells = space("nasbench201")
    natives = [arch.native for arch in cells.sample(2_000, seed=0)]
    vectors = make_encoder("motifs").encode(cells.graphs(natives))
    _, first, of = np.unique(cells.arch_ids(natives), return_index=True, return_inverse=True)
    np.testing.assert_array_equal(vectors, vectors[first][of])
    assert len(np.unique(vectors.round(5), axis=0)) >= 0.99 * len(first)  # what is hashed may collide


def test_needs_no_torch() -> None:
    code = (
        "import sys; from archindex.core.batch import GraphBatch;"
        "from archindex.encoders import make_encoder;"
        "make_encoder('motifs').encode(GraphBatch.from_graphs([]));"
        "sys.exit(any(m in sys.modules for m in ('torch', 'torch_geometric', 'safetensors')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
