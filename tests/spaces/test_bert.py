"""The BERT space: the authors' configuration, published sizes, the networks against transformers' BERT."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from archindex.core.errors import ArchitectureError
from archindex.spaces.bert import BERT, EXAMPLE
from archindex.spaces.bert_module import Encoder
from archindex.testing.space_case import SpaceCase

SPACE = BERT()

PLACES = {
    "words": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "segments": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
    "pooler": "pooler.dense",
}
IN_LAYER = {
    "0.branch.query": "attention.self.query",
    "0.branch.key": "attention.self.key",
    "0.branch.value": "attention.self.value",
    "0.branch.out": "attention.output.dense",
    "0.norm": "attention.output.LayerNorm",
    "1.branch.0": "intermediate.dense",
    "1.branch.2": "output.dense",
    "1.norm": "output.LayerNorm",
}


def _student(layers: int, width: int, heads: int, qkv: int, ffn: int) -> str:
    config = json.loads(EXAMPLE)
    config["sample_layer_num"] = layers
    config["sample_hidden_size"] = width
    config["sample_num_attention_heads"] = [heads] * layers
    config["sample_qkv_sizes"] = [qkv] * layers
    config["sample_intermediate_sizes"] = [ffn] * layers
    return json.dumps(config)


TINYBERT4 = _student(4, 312, 12, 312, 1200)


class TestBERT(SpaceCase):
    space = SPACE


def test_the_authors_architecture_parses_and_formats_back() -> None:
    assert SPACE.parse(EXAMPLE).native == EXAMPLE


def test_size_is_counted_over_both_settings() -> None:
    assert SPACE.size == 8 * 161 * 1_473 * (11 + 50)


def test_params_of_published_models() -> None:
    """TinyBERT4 as published on the hub, and BERT-base, whose 12 layers are more than the space has."""
    assert int(SPACE.costs([TINYBERT4], "wikipedia").params[0]) == 14_350_248
    with torch.device("meta"):
        base = Encoder(30_522, 12, 768, heads=12, qkv_size=768, hidden=3072)
    assert sum(p.numel() for p in base.parameters()) == 109_482_240


def test_networks_are_those_of_transformers() -> None:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(hidden_size=312, num_hidden_layers=4, num_attention_heads=12, intermediate_size=1200)
    reference: torch.nn.Module = BertModel(config)  # type: ignore[no-untyped-call]
    reference.eval()
    for p in reference.parameters():
        torch.nn.init.normal_(p, std=0.1)
    theirs = reference.state_dict()
    ours = {}
    for name in (module := SPACE.build_module(SPACE.parse(TINYBERT4)).eval()).state_dict():
        head, _, leaf = name.rpartition(".")
        if head in PLACES:
            ours[name] = theirs[f"{PLACES[head]}.{leaf}"]
        else:
            _, index, rest = head.split(".", 2)
            place = IN_LAYER[f"{int(index) % 2}.{rest}"]
            ours[name] = theirs[f"encoder.layer.{int(index) // 2}.{place}.{leaf}"]
    module.load_state_dict(ours)
    (tokens,) = SPACE.example_inputs("wikipedia", batch=2)
    with torch.no_grad():
        assert torch.allclose(module(tokens), reference(tokens).pooler_output, atol=1e-4)


def test_heads_bring_their_widths() -> None:
    arch = SPACE.parse(_student(3, 256, 11, 704, 512))
    wider = [near for near in SPACE.neighbors(arch) if SPACE.taken(near)["sample_num_attention_heads"] == 12]
    assert len(wider) == 50
    assert all(arch in SPACE.neighbors(near) for near in wider)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sample_layer_num": 9}, "list of 9"),
        ({"sample_layer_num": 5.0}, "sample_layer_num"),
        ({"sample_hidden_size": 566}, "sample_hidden_size"),
        ({"sample_qkv_sizes": [516] * 5}, "512 as sample_qkv_sizes of 8 heads"),
        ({"sample_qkv_sizes": [512.0] * 5}, "512 as sample_qkv_sizes of 8 heads"),
        ({"sample_num_attention_heads": [12] * 5}, "sample_qkv_sizes"),
        ({"sample_num_attention_heads": [8, 8, 8, 8, 7]}, "equal numbers"),
        (
            {"sample_num_attention_heads": [True] * 5, "sample_qkv_sizes": [64] * 5},
            "sample_num_attention_heads",
        ),
        ({"sample_intermediate_sizes": 1054}, "sample_intermediate_sizes"),
        ({"sample_intermediate_sizes": []}, "sample_intermediate_sizes"),
        ({"sample_layer_num": 0, "sample_intermediate_sizes": []}, "expected"),
    ],
)
def test_malformed_strings_say_what_is_wrong(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ArchitectureError, match=says):
        SPACE.parse(json.dumps(json.loads(EXAMPLE) | change))


def test_empty_lists_are_refused() -> None:
    config = json.loads(EXAMPLE)
    empty = {key: [] if isinstance(value, list) else value for key, value in config.items()}
    with pytest.raises(ArchitectureError, match="expected"):
        SPACE.parse(json.dumps({**empty, "sample_layer_num": 0}))
