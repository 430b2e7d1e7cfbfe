"""FBNet: the conformance suite, all 5,000 published networks, blocks of the skeleton."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from archindex.core.errors import ArchitectureError
from archindex.spaces.blocks import InvertedBottleneck
from archindex.spaces.fbnet import OPS, STAGES, STRIDES, FBNet
from archindex.testing.space_case import SpaceCase

SPACE = FBNet()
SKIPS = "_".join("8" * 22)


class TestFBNet(SpaceCase):
    space = SPACE
    n_trained = 4


@pytest.fixture(scope="module")
def table(published: Any) -> Any:
    return published("fbnet5000_help_latency", "arch, params_m, flops_m")


def test_size_is_the_published_one() -> None:
    assert SPACE.size == 9**22


def test_every_row_parses_and_formats_back(table: Any) -> None:
    rows = table["arch"].tolist()
    assert len(rows) == 5_000
    assert [SPACE.parse(row).native for row in rows] == rows


def test_params_are_the_published_ones(table: Any) -> None:
    costs = SPACE.costs(table["arch"].tolist(), "cifar100")
    assert np.array_equal(costs.params, np.rint(table["params_m"] * 1e6).astype(np.int64))


def test_flops_are_the_published_ones_less_norms_and_activations(table: Any) -> None:
    flops = SPACE.costs(table["arch"].tolist(), "cifar100").flops
    published = np.rint(table["flops_m"] * 1e6).astype(np.int64)
    gap = (published - flops) / published
    assert 0 < gap.min() <= gap.max() < 0.07
    for row in np.random.default_rng(0).choice(5_000, 20, replace=False).tolist():
        assert published[row] - flops[row] == _elementwise(table["arch"][row])


def _elementwise(native: str) -> int:
    """Return what HELP counts beside multiply-adds.

    Two for each output of a batch norm, one for each of a ReLU (the first of a block left out) and for each
    input of the pooling.
    """
    total = 0

    def count(weight: int, *, read: bool = False) -> Any:
        def hook(_: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            nonlocal total
            total += weight * (inputs[0] if read else output).numel()

        return hook

    with torch.device("meta"):
        module = SPACE.build_module(SPACE.parse(native), "cifar100")
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.register_forward_hook(count(2))
            elif isinstance(part, nn.ReLU):
                part.register_forward_hook(count(1))
            elif isinstance(part, nn.AdaptiveAvgPool2d):
                part.register_forward_hook(count(1, read=True))
            elif isinstance(part, InvertedBottleneck):
                part.parts[0].register_forward_hook(count(-1))
        module.eval()(*SPACE.example_inputs("cifar100"))
    return total


def test_skips_that_change_the_shape_have_weights() -> None:
    graph = SPACE.parse(SKIPS).graph
    assert graph.ops.count("skip") == 1 + 5 * 3
    convs = [a for op, a in zip(graph.ops, graph.attrs, strict=True) if op == "conv"][1:-1]
    strides = STRIDES["cifar100"]
    assert [(a["kernel"], a["channels"], a["stride"]) for a in convs] == [
        (1, channels, stride) for (_, channels), stride in zip(STAGES, strides, strict=True) if channels > 16
    ]


@pytest.mark.parametrize("dataset", SPACE.datasets)
@pytest.mark.parametrize("op", range(9))
def test_networks_of_one_block_count_what_the_module_has(op: int, dataset: str) -> None:
    native = "_".join(str(op) * 22)
    with torch.device("meta"):
        module = SPACE.build_module(SPACE.parse(native), dataset)
        scores = module(*SPACE.example_inputs(dataset))
    assert scores.shape == (1, SPACE.images[dataset][0])
    assert SPACE.costs([native], dataset).params[0] == sum(p.numel() for p in module.parameters())


def test_grouped_convolutions_are_shuffled() -> None:
    grouped = SPACE.build_module(SPACE.parse("_".join("1" * 22)), "cifar100")
    assert sum(isinstance(part, nn.ChannelShuffle) for part in grouped.modules()) == 22


@pytest.mark.parametrize(
    "text",
    [
        "",
        SKIPS + "_8",
        SKIPS[:-2],
        SKIPS.replace("8", "9"),
        SKIPS.replace("8", "08"),
        SKIPS.replace("8", "²"),
    ],
)
def test_malformed_strings_are_refused(text: str) -> None:
    with pytest.raises(ArchitectureError, match=f"22 digits.*{OPS[0]}"):
        SPACE.parse(text)
