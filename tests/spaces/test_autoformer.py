"""The AutoFormer space: ViT-Bench-101's rows, the published size of AutoFormer-T, hostile strings."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import duckdb
import pytest
import torch

from archindex.core.errors import ArchitectureError
from archindex.spaces.autoformer import EXAMPLE, AutoFormer
from archindex.spaces.autoformer_module import HEAD_WIDTH, RelativeAttention
from archindex.testing.space_case import SpaceCase

SPACE = AutoFormer()

AUTOFORMER_T = json.dumps(
    {
        "hidden_dim": 192,
        "mlp_ratio": [4.0, 3.5, 3.5, 3.5, 3.5, 3.5, 3.5, 4.0, 4.0, 4.0, 4.0, 4.0],
        "depth": 12,
        "num_heads": [3, 3, 4, 3, 3, 3, 3, 3, 3, 4, 3, 3],
    }
)
"""The architecture that the authors found: AutoFormer/experiments/subnet/AutoFormer-5.7M.yaml."""


class TestAutoFormer(SpaceCase):
    space = SPACE


def test_all_rows_of_vit_bench_101_parse_and_format_back() -> None:
    folder = os.environ.get("ARCHINDEX_DATA")
    if not folder or not (Path(folder) / "vit_bench_101.parquet").is_file():
        pytest.skip("ARCHINDEX_DATA names no folder with vit_bench_101.parquet")
    with duckdb.connect() as connection:
        table = connection.read_parquet(str(Path(folder) / "vit_bench_101.parquet"))
        rows = [row[0] for row in table.filter("space = 'AutoFormer'").project("arch").fetchall()]
    assert len(rows) == 200
    assert [SPACE.parse(text).native for text in rows] == rows
    assert len(set(SPACE.arch_ids(rows).tolist())) == len(set(rows))


def test_size_is_counted_over_the_depths() -> None:
    assert SPACE.size == 3 * (4**12 + 4**13 + 4**14) == 1_056_964_608


def test_params_of_the_published_architecture() -> None:
    """5.7 M by the name of the authors' file."""
    params = int(SPACE.costs([AUTOFORMER_T], "imagenet").params[0])
    assert round(params / 1e6, 1) == 5.7


def test_depth_changes_by_one_layer() -> None:
    arch = SPACE.parse(AUTOFORMER_T)
    deeper = [near for near in SPACE.neighbors(arch) if SPACE.taken(near)["depth"] == 13]
    assert len(deeper) == 4
    assert not [near for near in SPACE.neighbors(arch) if SPACE.taken(near)["depth"] == 14]


def test_relative_attention_adds_what_its_tables_hold() -> None:
    """A zero table leaves plain attention; the table of values shifts the output by what it holds."""
    torch.manual_seed(0)
    layer = RelativeAttention(192, 3, 4)
    x = torch.randn(2, 17, 192)
    with torch.no_grad():
        layer.to_keys.zero_()
        layer.to_values.zero_()
        q, k, v = layer.qkv(x).view(2, 17, 3, 3, HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        plain = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        assert torch.allclose(layer(x), layer.out(plain.transpose(1, 2).flatten(2)), atol=1e-5)
        layer.to_values.fill_(0.5)  # one number down and one across: every value grows by 1
        assert torch.allclose(layer(x), layer.out((plain + 1).transpose(1, 2).flatten(2)), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hidden_dim": 193}, "hidden_dim"),
        ({"hidden_dim": True}, "hidden_dim"),
        ({"depth": 13}, "list of 13"),
        ({"depth": 12.0}, "depth"),
        ({"depth": "12"}, "list of"),
        ({"mlp_ratio": [3.5] * 11 + [4]}, "mlp_ratio.11"),
        ({"mlp_ratio": [[3.5]] * 12}, "mlp_ratio.0"),
        ({"num_heads": [3] * 11 + [5]}, "num_heads.11"),
        ({"num_heads": 3}, "num_heads"),
        ({"more": 1}, "keys"),
    ],
)
def test_malformed_strings_say_what_is_wrong(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ArchitectureError, match=says):
        SPACE.parse(json.dumps(json.loads(EXAMPLE) | change))


@pytest.mark.parametrize("text", ["", "[]", "3", "null", "{", EXAMPLE[:-1] + ', "depth": 12}', "[" * 5000])
def test_what_is_no_such_object_is_refused(text: str) -> None:
    with pytest.raises(ArchitectureError, match="expected"):
        SPACE.parse(text)
