"""Params and FLOPs counted on modules, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archindex.core.errors import UnknownNameError
from archindex.spaces.counting import module_costs
from archindex.spaces.gan_cells import GANCells


def test_convolutions_and_products_count_and_nothing_else_does() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8, bias=False),
        nn.ConvTranspose2d(8, 4, 2, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    )
    params, flops = module_costs(module, (torch.randn(1, 3, 6, 6),))
    assert params == (27 * 8 + 8) + 16 + 72 + (8 * 4 * 4 + 4) + 25
    assert flops == 27 * 8 * 36 + 72 * 9 + 8 * 4 * 4 * 9 + 20


def test_shared_parameters_count_once_and_their_use_every_time() -> None:
    layer = nn.Linear(4, 4)
    assert module_costs(nn.Sequential(layer, layer), (torch.randn(1, 4),)) == (20, 32)


def test_nothing_is_computed_on_meta() -> None:
    with torch.device("meta"):
        huge = nn.Linear(1_000_000, 1_000_000, bias=False)
        assert module_costs(huge, (torch.empty(1, 1_000_000),)) == (10**12, 10**12)


def test_spaces_counted_on_their_modules() -> None:
    space = GANCells()
    costs = space.costs([arch.native for arch in space.sample(3)], "cifar10")
    assert costs.params.shape == costs.flops.shape == (3,)
    assert space.costs([], "cifar10").params.shape == (0,)
    with pytest.raises(UnknownNameError):
        space.costs([], "no such data set")
