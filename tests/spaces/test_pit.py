"""The PiT space: ViT-Bench-101's rows, the published size of PiT-Ti, the rule for the heads."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import duckdb
import pytest

from archindex.core.errors import ArchitectureError
from archindex.spaces.pit import EXAMPLE, PiT
from archindex.testing.space_case import SpaceCase

SPACE = PiT()


class TestPiT(SpaceCase):
    space = SPACE


def test_all_rows_of_vit_bench_101_parse_and_format_back() -> None:
    folder = os.environ.get("ARCHINDEX_DATA")
    if not folder or not (Path(folder) / "vit_bench_101.parquet").is_file():
        pytest.skip("ARCHINDEX_DATA names no folder with vit_bench_101.parquet")
    with duckdb.connect() as connection:
        table = connection.read_parquet(str(Path(folder) / "vit_bench_101.parquet"))
        rows = [row[0] for row in table.filter("space = 'PiT'").project("arch").fetchall()]
    assert len(rows) == 100
    assert [SPACE.parse(text).native for text in rows] == rows
    # The rule for the heads is not read off the table alone, but the table shows all that it allows.
    assert len({tuple(json.loads(text)["num_heads"]) for text in rows}) == 10


def test_size_and_classes() -> None:
    natives = [arch.native for arch in SPACE.enumerate()]
    assert len(natives) == SPACE.size == 4 * 4 * 27 * 10
    assert len(set(SPACE.arch_ids(natives).tolist())) == len(natives)


def test_params_of_pit_ti() -> None:
    """4.9 M by the authors' README (naver-ai/pit), 4.85 M in timm's table of results."""
    assert round(int(SPACE.costs([EXAMPLE], "imagenet").params[0]) / 1e6, 2) == 4.85


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"base_dim": 48}, "base_dim"),
        ({"mlp_ratio": 4.0}, "mlp_ratio"),
        ({"depth": [2, 6]}, "list of 3"),
        ({"depth": [2, 5, 4]}, "depth.1"),
        ({"num_heads": [4, 2, 8]}, "combination"),
        ({"num_heads": {"0": 2}}, "num_heads"),
    ],
)
def test_malformed_strings_say_what_is_wrong(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ArchitectureError, match=says):
        SPACE.parse(json.dumps(json.loads(EXAMPLE) | change))
