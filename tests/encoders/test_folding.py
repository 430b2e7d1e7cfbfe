"""Batch norms are folded away where an optimiser folds them, and nowhere else."""

from __future__ import annotations

import pytest

import archindex as ax
from archindex.core.batch import GraphBatch
from archindex.core.canonical import arch_id
from archindex.core.graph import ArchGraph
from archindex.encoders.folding import fold_norms

Case = tuple[tuple[str, ...], tuple[tuple[int, int, int], ...]]
CHAIN: Case = (
    ("input", "conv", "batch_norm", "relu", "output"),
    ((0, 1, 0), (1, 2, 0), (2, 3, 0), (3, 4, 0)),
)


def folded(case: Case, **attrs: float) -> ArchGraph:
    ops, edges = case
    graph = ArchGraph(ops, edges, tuple(attrs if op == "batch_norm" else {} for op in ops))
    return fold_norms(GraphBatch.from_graphs([graph])).graph(0)


def test_a_norm_behind_a_convolution_goes() -> None:
    assert folded(CHAIN) == ArchGraph(("input", "conv", "relu", "output"), ((0, 1, 0), (1, 2, 0), (2, 3, 0)))


def test_norms_in_a_row_go_and_readers_are_kept_with_their_ports() -> None:
    ops = ("input", "linear", "batch_norm", "batch_norm", "relu", "concat", "output")
    edges = ((0, 1, 0), (1, 2, 0), (2, 3, 0), (3, 4, 0), (3, 5, 1), (4, 5, 0), (5, 6, 0))
    expected = ArchGraph(
        ("input", "linear", "relu", "concat", "output"),
        ((0, 1, 0), (1, 2, 0), (1, 3, 1), (2, 3, 0), (3, 4, 0)),
    )
    assert folded((ops, edges)) == expected


@pytest.mark.parametrize(
    "case",
    [
        # Behind something that has no weights.
        (("input", "relu", "batch_norm", "output"), ((0, 1, 0), (1, 2, 0), (2, 3, 0))),
        # Behind a convolution that something else reads.
        (("input", "conv", "batch_norm", "output"), ((0, 1, 0), (1, 2, 0), (2, 3, 0), (1, 3, 0))),
        # Behind a sum of two convolutions.
        (
            ("input", "conv", "conv", "batch_norm", "output"),
            ((0, 1, 0), (0, 2, 0), (1, 3, 0), (2, 3, 0), (3, 4, 0)),
        ),
        # Behind a convolution twice.
        (("input", "conv", "batch_norm", "output"), ((0, 1, 0), (1, 2, 0), (1, 2, 0), (2, 3, 0))),
    ],
)
def test_other_norms_stay(case: Case) -> None:
    assert folded(case) == ArchGraph(*case)


def test_a_norm_of_the_batch_at_hand_stays() -> None:
    assert "batch_norm" in folded(CHAIN, setting=3.0).ops


def test_many_graphs_at_once_are_each_alone() -> None:
    cells = ax.space("nasbench201").sample(3, seed=4) + ax.space("einspace").sample(3, seed=4)
    graphs = [cell.graph for cell in cells] + [ArchGraph(*CHAIN)] + [ArchGraph(("input", "output"), ())]
    together = fold_norms(GraphBatch.from_graphs(graphs))
    alone = [fold_norms(GraphBatch.from_graphs([graph])).graph(0) for graph in graphs]
    assert [arch_id(graph) for graph in together] == [arch_id(graph) for graph in alone]
    assert list(together)[-2:] == alone[-2:]
    assert list(fold_norms(together)) == list(together)
