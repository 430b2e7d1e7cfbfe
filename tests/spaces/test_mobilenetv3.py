"""Once-for-all MobileNetV3: the conformance suite, the largest and the smallest network, unused places."""

from __future__ import annotations

import json
from typing import Any

import pytest

from archindex.core.errors import ArchitectureError
from archindex.spaces.mobilenetv3 import MobileNetV3
from archindex.testing.space_case import SpaceCase

SPACE = MobileNetV3()


def native(ks: Any = 7, e: Any = 6, d: Any = 4, **more: Any) -> str:
    """Return a sample; a number stands for a list of it."""
    lists = {"ks": (ks, 20), "e": (e, 20), "d": (d, 5)}
    sample = {key: [value] * n if isinstance(value, int) else value for key, (value, n) in lists.items()}
    return json.dumps(sample | more)


class TestMobileNetV3(SpaceCase):
    space = SPACE


def test_size_is_the_published_one() -> None:
    # About 2 * 10^19 in Cai et al.: units of two to four blocks, nine options in each.
    assert SPACE.size == (9**2 + 9**3 + 9**4) ** 5 == 21_758_655_492_572_485_851


@pytest.mark.parametrize(
    ("text", "params"),
    [(native(), 7_664_760), (native(ks=3, e=3, d=2), 3_410_792)],
    ids=["largest", "smallest"],
)
def test_params_are_those_of_the_original(text: str, params: int) -> None:
    """Counted by users of the original code on its sub-networks."""
    assert SPACE.costs([text], "imagenet").params[0] == params


def test_flops_of_the_largest_are_below_600_million() -> None:
    flops = SPACE.costs([native(), native(ks=3, e=3, d=2)], "imagenet").flops / 1e6
    # The mobile setting of the paper: at most 600 M multiply-adds.
    assert 550 < flops[0] < 600
    assert 100 < flops[1] < 150


def test_unused_places_are_written_as_zeros() -> None:
    arch = SPACE.parse(native(d=[2, 3, 4, 3, 2]))
    ks = [7, 7, 0, 0, 7, 7, 7, 0, 7, 7, 7, 7, 7, 7, 7, 0, 7, 7, 0, 0]
    e = [6 if k else 0 for k in ks]
    assert arch.native == native(ks=ks, e=e, d=[2, 3, 4, 3, 2])
    assert arch == SPACE.parse(arch.native)
    assert arch.graph.ops.count("mbconv") == 1 + 2 + 3 + 4 + 3 + 2


def test_a_deeper_unit_chooses_its_new_blocks() -> None:
    shallow = SPACE.parse(native(ks=3, e=3, d=2))
    deeper = [near for near in SPACE.neighbors(shallow) if sum(json.loads(near.native)["d"]) == 11]
    assert len(deeper) == 5 * 9  # a new block in one of five units, with nine kernels and expansions
    assert len(SPACE.neighbors(shallow)) == len(deeper) + 10 * (2 + 2)


def test_squeeze_excite_follows_the_unit() -> None:
    graph = SPACE.parse(native()).graph
    blocks = [a for op, a in zip(graph.ops, graph.attrs, strict=True) if op == "mbconv"]
    assert {a["channels"] for a in blocks if "ratio" in a} == {40, 112, 160}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        native()[1:],
        native(r=224),
        native(d=5),
        native(d=[4] * 4),
        native(d=[4.0] * 5),
        native(d=[True] * 5),
        native(d=[[4]] * 5),
        native(d="44444"),
        native(ks=9),
        native(ks=0),
        native(ks=[7] * 19),
        native(ks=[7] * 19 + [None]),
        native(e=1),
        native(ks=[7, 7, 9, 7] + [7] * 16, d=2),
        native(e=[6, 6, 6, {}] + [6] * 16, d=2),
    ],
)
def test_malformed_strings_are_refused(text: str) -> None:
    with pytest.raises(ArchitectureError, match="expected"):
        SPACE.parse(text)
