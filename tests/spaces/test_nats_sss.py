"""NATS-Bench size space: the conformance suite, all 32,768 networks, published params."""

from __future__ import annotations

import numpy as np
import pytest

from archindex.core.errors import ArchitectureError
from archindex.spaces.nats_sss import WIDTHS, NATSSize
from archindex.testing.space_case import SpaceCase

SPACE = NATSSize()


class TestNATSSize(SpaceCase):
    space = SPACE
    biases_count = True
    listing_cap = 32_768


def test_all_strings_are_listed_in_the_order_of_the_benchmark() -> None:
    listed = [arch.native for arch in SPACE.enumerate()]
    assert len(listed) == SPACE.size == 32_768
    assert (listed[0], listed[1], listed[-1]) == ("8:8:8:8:8", "8:8:8:8:16", "64:64:64:64:64")


def test_no_two_networks_are_aliases() -> None:
    drawn = {arch.native for arch in SPACE.sample(2_000, seed=3)}
    assert len(set(SPACE.arch_ids(sorted(drawn)).tolist())) == len(drawn)


@pytest.mark.parametrize(
    ("native", "params"),
    [("8:8:8:8:8", 11_714), ("8:8:16:40:40", 107_826), ("64:64:64:64:64", 713_674)],
)
def test_params_are_those_that_the_benchmark_stores(native: str, params: int) -> None:
    assert SPACE.costs([native], "cifar10").params[0] == params


def test_costs_grow_with_every_width() -> None:
    for layer in range(5):
        widths = [[32] * 5 for _ in WIDTHS]
        for row, width in zip(widths, WIDTHS, strict=True):
            row[layer] = width
        natives = [":".join(map(str, row)) for row in widths]
        costs = SPACE.costs(natives, "cifar100")
        # 32 beside 32 has no 1x1 convolution: it may cost less than the width below.
        order = [i for i, width in enumerate(WIDTHS) if width != 32]
        assert (np.diff(costs.params[order]) > 0).all()
        assert (np.diff(costs.flops[order]) > 0).all()


def test_skips_that_change_the_channels_have_weights() -> None:
    assert SPACE.parse("16:16:16:16:16").graph.ops.count("skip") == 3
    assert SPACE.parse("16:24:16:24:16").graph.ops.count("skip") == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8:8:8:8",
        "8:8:8:8:8:8",
        "8:8:8:8:72",
        "8:8:8:8:08",
        "8:8:8:8:+8",
        "8;8;8;8;8",
        "8:8:8:8:٨",
        "8:8:8: 8:8",
    ],
)
def test_malformed_strings_are_refused(text: str) -> None:
    with pytest.raises(ArchitectureError, match="expected"):
        SPACE.parse(text)
