"""Archai's MobileNetV2 space: the conformance suite, all 224 published rows, MobileNetV2 itself."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pytest

from archindex.core.errors import ArchitectureError
from archindex.spaces.archai_mobilenet import ArchaiMobileNet
from archindex.testing.space_case import SpaceCase

SPACE = ArchaiMobileNet()
STAGES = [
    "ds_r1_k3_s1_c16",
    "ir_r2_k3_s2_e6_c24",
    "ir_r3_k3_s2_e6_c32",
    "ir_r4_k3_s2_e6_c64",
    "ir_r3_k3_s1_e6_c96",
    "ir_r3_k3_s2_e6_c160",
    "ir_r1_k3_s1_e6_c320",
]


def native(*, channels: Any = 1.0, depth: Any = 1.0, **changed: str) -> str:
    """Return MobileNetV2's string with some stages changed (``s2="ir_..."``)."""
    stages = [[changed.get(f"s{i}", stage)] for i, stage in enumerate(STAGES)]
    return json.dumps({"arch_def": stages, "channel_multiplier": channels, "depth_multiplier": depth})


class TestArchaiMobileNet(SpaceCase):
    space = SPACE


def test_every_row_parses_and_formats_back(published: Any) -> None:
    table = published("archai_facial_landmark", "archid, config")
    rows = table["config"].tolist()
    assert len(rows) == len(set(rows)) == 224
    assert [SPACE.parse(row).native for row in rows] == rows
    # Archai names a network after the SHA-1 of its string.
    assert [hashlib.sha1(row.encode()).hexdigest()[:8] for row in rows] == table["archid"].tolist()


def test_mobilenet_v2_is_in_the_space() -> None:
    classifier = 1_000 * 1_281 - 140 * 1_281
    costs = SPACE.costs([native()], "face_synthetics")
    assert costs.params[0] + classifier == 3_504_872  # torchvision.models.mobilenet_v2


def bottlenecks(text: str) -> list[Any]:
    graph = SPACE.parse(text).graph
    return [a for op, a in zip(graph.ops, graph.attrs, strict=True) if op == "mbconv"]


def test_depths_follow_from_repeats_and_multiplier() -> None:
    def depths(text: str) -> list[int]:
        return [sum(a["channels"] == c for a in bottlenecks(text)) for c in (24, 32, 64, 96, 160, 320)]

    assert depths(native()) == [2, 3, 4, 3, 3, 1]
    assert depths(native(depth=0.25)) == [1, 1, 1, 1, 1, 1]
    assert depths(native(depth=0.75)) == [2, 3, 3, 3, 3, 1]
    assert depths(native(depth=1.25)) == [3, 4, 5, 4, 4, 2]


def test_channels_are_multiples_of_eight_near_the_product() -> None:
    widths = {a["channels"] for a in bottlenecks(native(channels=0.75))}
    assert sorted(widths) == [16, 24, 48, 72, 120, 240]


def test_strings_with_the_same_depths_are_aliases() -> None:
    four, three = native(depth=0.75), native(depth=0.75, s3="ir_r3_k3_s2_e6_c64")
    ids = SPACE.arch_ids([four, three, native()]).tolist()
    assert ids[0] == ids[1] != ids[2]


def test_every_row_is_read_back_from_its_graph(published: Any) -> None:
    rows = published("archai_facial_landmark", "config")["config"].tolist()
    for row in np.random.default_rng(0).choice(rows, 40, replace=False).tolist():
        arch = SPACE.parse(row)
        assert SPACE.from_graph(arch.graph).graph == arch.graph


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        native()[:-1],
        native(channels=1),
        native(channels=0.8),
        native(channels=True),
        native(depth="1.0"),
        native(depth=[1.0]),
        native(s0="ds_r1_k3_s1_e1_c16"),
        native(s0="ds_r2_k3_s1_c16"),
        native(s1="ir_r3_k3_s2_e6_c24"),
        native(s2="ir_r3_k3_s1_e6_c32"),
        native(s2="ir_r3_k3_s2_e6_c032"),
        native(s2="ir_r3_k3_s2_e6_c40"),
        native(s2="ir_r5_k3_s2_e6_c32"),
        native(s2="ir_r3_k9_s2_e6_c32"),
        native(s2="ir_r3_k3_s2_e٦_c32"),
        native().replace('["ds_r1_k3_s1_c16"]', '"ds_r1_k3_s1_c16"'),
        native().replace('["ds_r1_k3_s1_c16"], ', ""),
        native().replace('"depth_multiplier"', '"channel_multiplier"'),
        native().replace("}", ', "width": 1}'),
        native().replace("1.0", "NaN"),
    ],
)
def test_malformed_strings_are_refused(text: str) -> None:
    with pytest.raises(ArchitectureError, match="expected"):
        SPACE.parse(text)
