"""NAS-Bench-Macro: the conformance suite, aliases, networks by hand."""

from __future__ import annotations

from itertools import groupby

import pytest

from archindex.core.errors import ArchitectureError
from archindex.spaces.nasbench_macro import STAGES, NASBenchMacro
from archindex.testing.space_case import SpaceCase

SPACE = NASBenchMacro()


class TestNASBenchMacro(SpaceCase):
    space = SPACE


def test_size_is_the_published_one() -> None:
    assert SPACE.size == 6_561


def trained(native: str) -> str:
    """Return the string that the benchmark trained: identities go to the end of their stage."""
    moved, at = "", 0
    for stage in STAGES:
        first, rest = native[at], native[at + 1 : at + stage]
        moved += first + "".join(sorted(rest, key=lambda digit: digit == "0"))
        at += stage
    return moved


def test_aliases_are_the_strings_that_were_trained_once() -> None:
    listed = sorted((arch.native for arch in SPACE.enumerate()), key=trained)
    ids = dict(zip(listed, SPACE.arch_ids(listed).tolist(), strict=True))
    groups = [list(group) for _, group in groupby(listed, key=trained)]
    assert all(len({ids[native] for native in group}) == 1 for group in groups)
    assert len(set(ids.values())) == len(groups) == 3969


def test_costs_by_hand() -> None:
    costs = SPACE.costs(["00000000", "01000000"], "cifar10")
    stem = 3 * 32 * 9 + 2 * 32
    reduce = sum(c * 2 * c + 2 * 2 * c for c in (32, 64, 128))
    head = 256 * 1280 + 2 * 1280 + 1280 * 10 + 10
    block = 64 * 192 + 192 * 9 + 192 * 64 + 2 * (192 + 192 + 64)
    assert costs.params.tolist() == [stem + reduce + head, stem + reduce + head + block]
    pixels = (16**2, 8**2, 4**2)
    flops = 3 * 32 * 9 * 32**2 + sum(2 * c * c * p for c, p in zip((32, 64, 128), pixels, strict=True))
    flops += 256 * 1280 * 16 + 1280 * 10
    assert costs.flops.tolist() == [flops, flops + (64 * 192 * 2 + 192 * 9) * 256]


@pytest.mark.parametrize("native", ["", "0000000", "000000000", "00000003", "0000000\u0660", "0000 000"])
def test_other_strings_are_refused(native: str) -> None:
    with pytest.raises(ArchitectureError):
        SPACE.parse(native)
