"""NASNet cells: the conformance suite, the cells that the papers found, what a cell gives."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archindex.core.errors import ArchitectureError
from archindex.spaces.nasnet import OPS, NASNet
from archindex.spaces.stacked_module import edge
from archindex.testing.space_case import SpaceCase

SPACE = NASNet()
# quark0/darts, cnn/genotypes.py
NASNET_A = (
    "Genotype(normal=[('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 0), ('sep_conv_3x3', 0), "
    "('avg_pool_3x3', 1), ('skip_connect', 0), ('avg_pool_3x3', 0), ('avg_pool_3x3', 0), "
    "('sep_conv_3x3', 1), ('skip_connect', 1)], normal_concat=[2, 3, 4, 5, 6], "
    "reduce=[('sep_conv_5x5', 1), ('sep_conv_7x7', 0), ('max_pool_3x3', 1), ('sep_conv_7x7', 0), "
    "('avg_pool_3x3', 1), ('sep_conv_5x5', 0), ('skip_connect', 3), ('avg_pool_3x3', 2), "
    "('sep_conv_3x3', 2), ('max_pool_3x3', 1)], reduce_concat=[4, 5, 6])"
)
AMOEBANET_A = (
    "Genotype(normal=[('avg_pool_3x3', 0), ('max_pool_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 2), "
    "('sep_conv_3x3', 0), ('avg_pool_3x3', 3), ('sep_conv_3x3', 1), ('skip_connect', 1), "
    "('skip_connect', 0), ('avg_pool_3x3', 1)], normal_concat=[4, 5, 6], "
    "reduce=[('avg_pool_3x3', 0), ('sep_conv_3x3', 1), ('max_pool_3x3', 0), ('sep_conv_7x7', 2), "
    "('sep_conv_7x7', 0), ('avg_pool_3x3', 1), ('max_pool_3x3', 0), ('max_pool_3x3', 1), "
    "('conv_7x1_1x7', 0), ('sep_conv_3x3', 5)], reduce_concat=[3, 4, 6])"
)


class TestNASNet(SpaceCase):
    space = SPACE
    n_trained = 1  # the paper's network takes a few seconds


def test_size() -> None:
    # Two sources with replacement out of 2, 3, 4, 5 and 6 nodes; 13 ops on each of ten edges; two cells.
    assert SPACE.size == (3 * 6 * 10 * 15 * 21 * 13**10) ** 2


@pytest.mark.parametrize("native", [NASNET_A, AMOEBANET_A], ids=["NASNet-A", "AmoebaNet-A"])
def test_cells_of_the_papers(native: str) -> None:
    arch = SPACE.parse(native)
    assert arch.native == native
    assert SPACE.from_graph(arch.graph).arch_id == arch.arch_id
    # 3.3 and 3.2 million in the papers, whose stems and skips between sizes differ from DARTS' a little.
    assert 2.5e6 < SPACE.costs([native], "cifar10").params[0] < 3.6e6


def test_a_cell_gives_the_nodes_that_feed_no_other() -> None:
    graph = SPACE.parse(AMOEBANET_A).graph
    joins = [v for v, op in enumerate(graph.ops) if op == "concat"]
    assert [len({port for _, port in graph.predecessors(v)}) for v in joins] == [3, 3]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("reduce_concat=[3, 4, 6]", "reduce_concat=[4, 6]"),
        ("reduce_concat=[3, 4, 6]", "reduce_concat=[3, 4, 5, 6]"),
        ("reduce_concat=[3, 4, 6]", "reduce_concat=range(3, 6)"),
        ("'conv_7x1_1x7'", "'none'"),
        ("('conv_7x1_1x7', 0)", "('conv_7x1_1x7', 6)"),
        ("('conv_7x1_1x7', 0), ('sep_conv_3x3', 5)", "('conv_7x1_1x7', 0)"),
        (", ('conv_7x1_1x7', 0), ('sep_conv_3x3', 5)", ""),
    ],
)
def test_malformed_genotypes_are_refused(old: str, new: str) -> None:
    assert old in AMOEBANET_A
    with pytest.raises(ArchitectureError):
        SPACE.parse(AMOEBANET_A.replace(old, new))


def test_a_skip_in_a_reduction_cell_is_no_1x1_convolution() -> None:
    other = NASNET_A.replace(
        "('sep_conv_5x5', 1), ('sep_conv_7x7', 0)", "('conv_1x1', 1), ('sep_conv_7x7', 0)"
    )
    skip = other.replace("'conv_1x1'", "'skip_connect'")
    assert len(set(SPACE.arch_ids([NASNET_A, other, skip]).tolist())) == 3


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("op", OPS)
def test_ops_keep_channels_and_divide_the_side(op: str, stride: int) -> None:
    module = edge(op, 4, stride)
    assert module(torch.randn(2, 4, 8, 8)).shape == (2, 4, 8 // stride, 8 // stride)
    kernels = [m.kernel_size for m in module.modules() if isinstance(m, nn.Conv2d)]
    sizes = {"conv_7x1_1x7": [(1, 7), (7, 1)], "sep_conv_7x7": [(7, 7), (1, 1)] * 2, "conv_1x1": [(1, 1)]}
    assert kernels == sizes.get(op, kernels)
