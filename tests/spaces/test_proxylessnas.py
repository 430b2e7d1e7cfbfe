"""ProxylessNAS: the conformance suite, and the three published networks."""

from __future__ import annotations

import pytest

from archindex.core.errors import ArchitectureError
from archindex.spaces.proxylessnas import OPS, SKIP, ProxylessNAS
from archindex.testing.space_case import SpaceCase

SPACE = ProxylessNAS()

MOBILE = "53 33 00 00|73 33 53 53|76 53 53 53|56 53 53 53|76 76 73 73|76"
GPU = "53 00 00 00|73 00 00 33|76 00 00 53|56 00 33 53|76 76 76 56|76"
CPU = "36 33 33 33|36 33 33 53|36 00 00 33|56 33 33 33|56 53 53 33|56"


def native(short: str) -> str:
    """Return the string of a network written as kernel and expansion of each place."""
    return "|".join(
        SKIP if op == "00" else f"{op[0]}x{op[0]}_MBConv{op[1]}" for op in short.replace("|", " ").split()
    )


class TestProxylessNAS(SpaceCase):
    space = SPACE


class Wider(ProxylessNAS):
    """The same places in the skeleton of another published network."""


def test_size_follows_from_the_options() -> None:
    assert SPACE.size == 6**6 * 7**15 == 221_502_229_807_900_608


@pytest.mark.parametrize(
    ("short", "widths", "params"),
    [
        (MOBILE, (32, 16, 32, 40, 80, 96, 192, 320, 1280), 4_080_512),
        (GPU, (40, 24, 32, 56, 112, 128, 256, 432, 1728), 7_119_848),
        (CPU, (40, 24, 32, 48, 88, 104, 216, 360, 1432), 4_361_648),
    ],
    ids=["mobile", "gpu", "cpu"],
)
def test_params_of_the_published_networks(
    short: str, widths: tuple[int, ...], params: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Published: counted on the official weights by osmr/imgclsmob, whose tables of blocks these are."""
    monkeypatch.setattr(Wider, "widths", widths)
    assert Wider().costs([native(short)], "imagenet").params[0] == params


def test_flops_of_the_mobile_network() -> None:
    # 320 M multiply-adds, Cai et al., "Once-for-All", ICLR 2020, table 2.
    assert SPACE.costs([native(MOBILE)], "imagenet").flops[0] / 1e6 == pytest.approx(320, abs=1)


def test_skips_are_identities_where_the_shape_stays() -> None:
    arch = SPACE.parse(native(GPU))
    assert arch.graph.ops.count("skip") == 8
    moved = native(GPU).split("|")
    moved[7], moved[6] = moved[6], moved[7]
    assert SPACE.parse("|".join(moved)).arch_id == arch.arch_id


@pytest.mark.parametrize(
    "text",
    [
        "",
        native(MOBILE) + f"|{SKIP}",
        "|".join([SKIP] * 21),
        "|".join([OPS[0]] * 20),
        "|".join([OPS[0]] * 20 + ["3x3_MBConv4"]),
        "|".join([OPS[0]] * 20 + ["3x5_MBConv3"]),
        "|".join([OPS[0]] * 20 + [""]),
    ],
)
def test_malformed_strings_are_refused(text: str) -> None:
    with pytest.raises(ArchitectureError, match="expected"):
        SPACE.parse(text)
