"""MnasNet: the conformance suite, all 5,138 published rows, EfficientNet-B0."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from archindex.core.errors import ArchitectureError
from archindex.spaces.mnasnet import LAYERS, MnasNet
from archindex.testing.space_case import SpaceCase

SPACE = MnasNet()
B0 = "e1k3l1se1|e6k3l2se1|e6k5l2se1|e6k3l3se1|e6k5l3se1|e6k5l4se1|e6k3l1se1"


class TestMnasNet(SpaceCase):
    space = SPACE


@pytest.fixture(scope="module")
def table(published: Any) -> Any:
    return published("accel_nasbench_mnasnet", "*")


@pytest.fixture(scope="module")
def natives(table: Any) -> list[str]:
    parts = [
        table[f"block{block}_{part}"].astype(int) for block in range(7) for part in ("e", "k", "l", "se")
    ]
    block = "e{}k{}l{}se{}"
    return ["|".join([block] * 7).format(*row) for row in zip(*parts, strict=True)]


def test_size_follows_from_the_options() -> None:
    assert SPACE.size == math.prod(3 * 2 * 2 * len(layers) for layers in LAYERS) == 104_485_552_128


def test_every_row_parses_and_formats_back(natives: list[str]) -> None:
    assert len(natives) == 5_138
    assert [SPACE.parse(native).native for native in natives] == natives


def test_params_are_the_published_ones(table: Any, natives: list[str]) -> None:
    params = SPACE.costs(natives, "imagenet").params
    assert np.array_equal(params, np.rint(table["params_m"] * 1e6).astype(np.int64))


def test_flops_are_the_published_ones_less_norms_and_pooling(table: Any, natives: list[str]) -> None:
    flops = SPACE.costs(natives, "imagenet").flops
    macs = np.rint(table["macs_m"] * 1e6).astype(np.int64)
    gap = (macs - flops) / macs
    assert 0 < gap.min() <= gap.max() < 0.15
    for row in np.random.default_rng(0).choice(len(natives), 15, replace=False).tolist():
        assert macs[row] - flops[row] == _elementwise(natives[row])


def _elementwise(native: str) -> int:
    """Return what Accel-NASBench counts beside multiply-adds; see `MnasNet`."""
    total = 0

    def norm(_: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        nonlocal total
        total += 4 * output.numel()

    def pool(_: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        nonlocal total
        total += inputs[0].numel() + output.numel()

    with torch.device("meta"):
        module = SPACE.build_module(SPACE.parse(native), "imagenet")
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.register_forward_hook(norm)
            elif isinstance(part, nn.AdaptiveAvgPool2d):
                part.register_forward_hook(pool)
        module.eval()(*SPACE.example_inputs("imagenet"))
    return total


def test_efficientnet_b0_is_in_the_space() -> None:
    costs = SPACE.costs([B0], "imagenet")
    assert costs.params[0] == 5_288_548
    # 0.39 billion in Tan and Le, "EfficientNet", ICML 2019, table 2.
    assert abs(costs.flops[0] / 1e6 - 390) < 5


def test_layers_of_a_block_are_alike_but_for_the_first() -> None:
    graph = SPACE.parse(B0).graph
    sixth = [a for a in graph.attrs if a.get("channels") == 192]
    assert [a["stride"] for a in sixth] == [2, 1, 1, 1]
    assert all((a["kernel"], a["expansion"], a["ratio"]) == (5, 6, 0.25) for a in sixth)
    without = SPACE.parse(B0.replace("se1", "se0")).graph
    assert not any("ratio" in a for a in without.attrs)


@pytest.mark.parametrize(
    "text",
    [
        B0 + "|e1k3l1se0",
        B0[:-1],
        B0.replace("|", ","),
        B0.replace("k3", "k7"),
        B0.replace("e6", "e3"),
        B0.replace("l4", "l5"),
        B0.replace("l3", "l4"),
        B0.replace("se1", "se2"),
        B0.replace("e6", "e٦"),
        B0.replace("e6", "e06"),
    ],
)
def test_malformed_strings_are_refused(text: str) -> None:
    with pytest.raises(ArchitectureError, match="expected"):
        SPACE.parse(text)
