"""TransNAS-Bench-101: both spaces through the conformance suite; sizes, the rule, networks by hand."""

from __future__ import annotations

import pytest
import torch

from archindex.core.errors import ArchitectureError
from archindex.spaces.transnas101 import Block, TransNAS101Macro, TransNAS101Micro
from archindex.spaces.transnas101_module import Cell, FactorizedReduce
from archindex.testing.space_case import SpaceCase

MICRO, MACRO = TransNAS101Micro(), TransNAS101Macro()


class TestMicro(SpaceCase):
    space = MICRO
    n_samples = 15


class TestMacro(SpaceCase):
    space = MACRO
    n_samples = 15


def test_sizes_are_the_published_ones() -> None:
    assert (MICRO.size, MACRO.size) == (4_096, 3_256)


def test_all_strings_parse_and_format_back() -> None:
    for space in (MICRO, MACRO):
        listed = [arch.native for arch in space.enumerate()]
        assert len(set(listed)) == space.size
        assert [space.parse(native).native for native in listed] == listed


@pytest.mark.parametrize(
    "native",
    [  # the code's own examples, and strings that its users quote
        "64-1234-basic",
        "64-2311-basic",
        "64-43243-basic",
        "64-41443-basic",
        "64-23344-basic",
    ],
)
def test_skeletons_of_the_table_are_allowed(native: str) -> None:
    assert MACRO.validate(native)


@pytest.mark.parametrize(
    "native",
    [
        "64-1111-basic",  # changes nothing
        "64-2222-basic",  # never halves the side, and doubles four times
        "64-3333-basic",  # never doubles
        "64-33333-basic",
        "64-4444-basic",
        "64-33334-basic",  # halves the side five times
        "64-123-basic",
        "64-1234123-basic",
        "64-1230-basic",
        "64-123\u0664-basic",
        "32-1234-basic",
        "64-1234",
        "64-1234-basic-",
    ],
)
def test_other_skeletons_are_refused(native: str) -> None:
    with pytest.raises(ArchitectureError):
        MACRO.parse(native)


@pytest.mark.parametrize(
    "native",
    ["64-41414-1_02_334", "64-41414-1_02_33", "64-41414-1_02", "64-41415-1_02_333", "64-41414-1_02_3³3"],
)
def test_malformed_cells_are_refused(native: str) -> None:
    with pytest.raises(ArchitectureError):
        MICRO.parse(native)


def test_a_cell_without_ops_is_no_function_of_its_input() -> None:
    dead = ["64-41414-0_00_000", "64-41414-3_00_000", "64-41414-0_33_000"]
    assert len(set(MICRO.arch_ids(dead).tolist())) == 1


def test_costs_of_a_skeleton_by_hand() -> None:
    costs = MACRO.costs(["64-4111-basic"], "class_scene")
    stem = 3 * 32 * 9 + 2 * 32 + 32 * 64 * 9 + 2 * 64
    first = 64 * 128 * 9 + 128 * 128 * 9 + 64 * 128 + 3 * 2 * 128
    others = 7 * (2 * 128 * 128 * 9 + 2 * 2 * 128)
    assert costs.params[0] == stem + first + others + 128 * 47 + 47


def test_a_cell_by_hand() -> None:
    torch.manual_seed(0)
    edges = MICRO.edges("64-41414-1_02_103")["cell"]
    module = Cell(edges, Block(4, 8, 2, 6)).eval()
    x = torch.randn(2, 4, 6, 6)
    skip, _, point, _, _, conv = module.ops
    first = skip(x)
    second = point(first)
    assert torch.allclose(module(x), module.ops[3](x) + conv(second), atol=1e-6)
    assert isinstance(skip, FactorizedReduce)
    shifted = torch.zeros_like(x)
    shifted[:, :, :-1, :-1] = x.relu()[:, :, 1:, 1:]
    halves = [half(read) for half, read in zip(skip.halves, (x.relu(), shifted), strict=True)]
    assert torch.allclose(first, skip.norm(torch.cat(halves, dim=1)))
