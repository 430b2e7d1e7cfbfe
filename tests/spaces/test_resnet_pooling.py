"""ResNet pooling configurations: the conformance suite, all 36, ResNet20 itself."""

from __future__ import annotations

import pytest

from archindex.core.errors import ArchitectureError
from archindex.spaces.resnet_pooling import CHANNELS, ResNetPooling
from archindex.testing.space_case import SpaceCase

SPACE = ResNetPooling()
RESNET20 = "0,0,0,0,1,0,0,1,0,0"


class TestResNetPooling(SpaceCase):
    space = SPACE


def test_configurations_are_numbered_as_in_the_original() -> None:
    listed = [arch.native for arch in SPACE.enumerate()]
    assert len(listed) == SPACE.size == 36
    assert listed[0] == "0,1,1,0,0,0,0,0,0,0"
    assert listed[23] == RESNET20
    assert listed[33] == "0,0,0,0,0,0,0,1,1,0"
    assert listed[35] == "0,0,0,0,0,0,0,0,1,1"


def test_no_two_are_aliases() -> None:
    listed = [arch.native for arch in SPACE.enumerate()]
    assert len(set(SPACE.arch_ids(listed).tolist())) == 36


def test_params_are_those_of_resnet20() -> None:
    costs = SPACE.costs([arch.native for arch in SPACE.enumerate()], "cifar10")
    # 272,474 with 1x1 convolutions as shortcuts, less the weights of each block's first batch norm.
    assert set(costs.params.tolist()) == {272_474 - 2 * sum(CHANNELS[1:])}


def test_late_pooling_costs_more() -> None:
    flops = SPACE.costs(["0,1,1,0,0,0,0,0,0,0", RESNET20, "0,0,0,0,0,0,0,0,1,1"], "cifar10").flops
    assert flops[0] < flops[1] < flops[2]
    assert flops[1] / 1e6 == pytest.approx(40.8, abs=0.1)


def test_neighbours_move_one_pooling_by_one() -> None:
    around = {arch.native for arch in SPACE.neighbors(SPACE.parse(RESNET20))}
    assert around == {
        "0,0,0,1,0,0,0,1,0,0",
        "0,0,0,0,0,1,0,1,0,0",
        "0,0,0,0,1,0,1,0,0,0",
        "0,0,0,0,1,0,0,0,1,0",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        RESNET20[:-2],
        RESNET20 + ",0",
        "1" + RESNET20[1:],
        "1,0,0,0,1,0,0,0,0,0",
        "0,0,0,0,1,0,0,0,0,0",
        "0,0,0,0,2,0,0,1,0,0",
        "0,0,0,0,1,0,0,1,0,",
        "0,0,0,0,1,0,0,1,0,00",
    ],
)
def test_malformed_strings_are_refused(text: str) -> None:
    with pytest.raises(ArchitectureError, match="expected"):
        SPACE.parse(text)
