"""The networks by value: what a cell computes, written out by hand."""

from __future__ import annotations

import torch
from torch.nn.functional import relu

from archindex.spaces.nasbench101 import NASBench101
from archindex.spaces.nasbench101_module import CellModule, vertex_channels
from archindex.spaces.nasbench201 import NASBench201
from archindex.spaces.nasbench201_module import Cell


def test_channels_are_shared_and_the_first_get_the_rest() -> None:
    parse = NASBench101()._parse
    shared = parse("conv3x3~0+conv3x3~0+conv3x3~0+output~123")
    assert vertex_channels(shared, 128) == [0, 43, 43, 42, 128]
    inner = parse("conv3x3~0+conv3x3~1+conv3x3~1+output~23")
    assert vertex_channels(inner, 128) == [0, 64, 64, 64, 128]
    uneven = parse("maxpool3x3~0+conv1x1~1+conv1x1~0+conv1x1~01+output~234")
    assert vertex_channels(uneven, 128) == [0, 43, 43, 43, 42, 128]


def test_a_nasbench101_cell_by_hand() -> None:
    torch.manual_seed(0)
    cell = NASBench101()._parse("conv1x1~0+conv1x1~0+maxpool3x3~01+output~0123")
    module = CellModule(cell, 5, 8).eval()
    x = torch.randn(2, 5, 6, 6)
    first = module.ops[0](module.projections["1"](x))
    second = module.ops[1](module.projections["2"](x))
    third = module.ops[2](first[:, :2] + module.projections["3"](x))
    expected = torch.cat([first, second, third], dim=1) + module.projections["4"](x)
    assert [first.shape[1], second.shape[1], third.shape[1]] == [3, 3, 2]
    assert torch.allclose(module(x), expected, atol=1e-6)


def test_the_smallest_nasbench101_cell_is_a_projection() -> None:
    torch.manual_seed(0)
    module = CellModule(NASBench101()._parse("output~0"), 5, 8).eval()
    x = torch.randn(1, 5, 4, 4)
    assert torch.equal(module(x), module.projections["1"](x))


def test_a_nasbench201_cell_by_hand() -> None:
    torch.manual_seed(0)
    native = "|nor_conv_1x1~0|+|skip_connect~0|nor_conv_3x3~1|+|none~0|skip_connect~1|nor_conv_1x1~2|"
    module = Cell(NASBench201()._parse(native), 4).eval()
    x = torch.randn(2, 4, 5, 5)
    convs = [m for m in module.modules() if isinstance(m, torch.nn.Conv2d)]
    norms = [m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    node1 = norms[0](convs[0](relu(x)))
    node2 = x + norms[1](convs[1](relu(node1)))
    expected = node1 + norms[2](convs[2](relu(node2)))
    assert torch.allclose(module(x), expected, atol=1e-6)
