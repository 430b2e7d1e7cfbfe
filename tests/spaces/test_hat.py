"""The HAT space: the authors' configurations, sizes, layers against torch's own, what is attended to."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import nn

from archindex.core.errors import ArchitectureError
from archindex.spaces.hat import DATASETS, EXAMPLE, HAT
from archindex.spaces.hat_module import DecoderLayer, EncoderLayer, Transformer
from archindex.spaces.transformer_blocks import Attention
from archindex.testing.space_case import SpaceCase

SPACE = HAT()

TITANXP = {
    "encoder-embed-dim-subtransformer": 512,
    "decoder-embed-dim-subtransformer": 512,
    "encoder-ffn-embed-dim-all-subtransformer": [3072, 3072, 3072, 3072, 3072, 3072],
    "decoder-ffn-embed-dim-all-subtransformer": [3072, 3072, 3072],
    "encoder-layer-num-subtransformer": 6,
    "decoder-layer-num-subtransformer": 3,
    "encoder-self-attention-heads-all-subtransformer": [4, 4, 8, 8, 8, 4],
    "decoder-self-attention-heads-all-subtransformer": [8, 8, 8],
    "decoder-ende-attention-heads-all-subtransformer": [4, 8, 8],
    "decoder-arbitrary-ende-attn-all-subtransformer": [-1, 1, 1],
}
"""The authors' file HAT_wmt14ende_titanxp@126.0ms_bleu@27.9.yml."""


class TestHAT(SpaceCase):
    space = SPACE
    n_samples = 12  # some 70 ops each, and two data sets to count on


def test_the_authors_configuration_parses_and_formats_back() -> None:
    text = json.dumps(TITANXP)
    assert SPACE.parse(text).native == text
    assert SPACE.parse(EXAMPLE).native == EXAMPLE


def test_size() -> None:
    assert SPACE.size == 4 * 12**6 * sum(108**depth for depth in range(1, 7))


def test_params_are_those_counted_by_hand() -> None:
    """Embedding, per layer q, k, v and out of width 512, the feed-forward layer, and the norms."""
    attention = 4 * (512 * 512 + 512)
    ffn = 512 * 3072 + 3072 + 3072 * 512 + 512
    norm = 2 * 512
    layers = 6 * (attention + ffn + 2 * norm) + 3 * (2 * attention + ffn + 3 * norm)
    assert SPACE.costs([json.dumps(TITANXP)], "wmt14_ende").params[0] == 32_768 * 512 + layers
    assert SPACE.costs([json.dumps(TITANXP)], "iwslt14_deen").params[0] == (8_848 + 2 * 6_632) * 512 + layers


def _fill(theirs: nn.MultiheadAttention, ours: nn.Module) -> None:
    assert isinstance(ours, Attention)
    parts = (ours.query, ours.key, ours.value)
    assert theirs.in_proj_weight is not None
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    theirs.out_proj.load_state_dict(ours.out.state_dict())


def test_layers_are_those_of_torch() -> None:
    torch.manual_seed(0)
    x, memory = torch.randn(2, 7, 512), torch.randn(2, 9, 512)
    ours = EncoderLayer(512, 1024, 4).eval()
    theirs = nn.TransformerEncoderLayer(512, 4, 1024, dropout=0.0, batch_first=True)
    _fill(theirs.self_attn, ours.get_submodule("0.branch"))
    theirs.linear1.load_state_dict(ours.get_submodule("1.branch.0").state_dict())
    theirs.linear2.load_state_dict(ours.get_submodule("1.branch.2").state_dict())
    assert torch.allclose(ours(x), theirs(x), atol=1e-5)

    decoder = DecoderLayer((512, 512), 1024, 8, 2).eval()
    reference = nn.TransformerDecoderLayer(512, 8, 1024, dropout=0.0, batch_first=True)
    _fill(reference.self_attn, decoder.attention.branch)
    reference.multihead_attn = nn.MultiheadAttention(512, 2, batch_first=True)
    _fill(reference.multihead_attn, decoder.cross.branch)
    reference.linear1.load_state_dict(decoder.get_submodule("feed_forward.branch.0").state_dict())
    reference.linear2.load_state_dict(decoder.get_submodule("feed_forward.branch.2").state_dict())
    mask = nn.Transformer.generate_square_subsequent_mask(7)
    assert torch.allclose(decoder(x, memory), reference(x, memory, tgt_mask=mask), atol=1e-5)


def test_a_word_sees_those_before_it_only() -> None:
    torch.manual_seed(0)
    module = SPACE.build_module(SPACE.sample(1)[0]).eval()
    sources, targets = SPACE.example_inputs("iwslt14_deen")
    changed = targets.clone()
    changed[0, 5] = (changed[0, 5] + 1) % 6_632
    with torch.no_grad():
        before, after = module(sources, targets), module(sources, changed)
    assert torch.allclose(before[0, :5], after[0, :5], atol=1e-5)
    assert not torch.allclose(before[0, 5:], after[0, 5:], atol=1e-5)


@pytest.mark.parametrize(("attended", "layers"), [(-1, 1), (1, 2), (2, 3)])
def test_a_decoder_layer_attends_to_the_last_encoder_layers(attended: int, layers: int) -> None:
    module = Transformer(
        (512, 640), [(512, 2)] * 6, [(512, 2, 2, attended)], words=(50, 50), shared=False
    ).eval()
    seen: list[torch.Size] = []
    cross = module.get_submodule("decoder.0.cross.branch")
    cross.register_forward_hook(lambda _, inputs, __: seen.append(inputs[1].shape))
    module(torch.zeros(1, 4, dtype=torch.long), torch.zeros(1, 3, dtype=torch.long))
    assert seen == [torch.Size([1, 4 * layers, 512])]
    config = json.loads(EXAMPLE) | {"decoder-arbitrary-ende-attn-all-subtransformer": [attended, -1]}
    graph = SPACE.parse(json.dumps(config)).graph
    read = [
        sum(target == node for _, target, _ in graph.edges)
        for node, op in enumerate(graph.ops)
        if op == "concat"
    ]
    assert read == ([] if layers == 1 else [layers])


def test_networks_of_unlike_widths_share_an_embedding() -> None:
    config = TITANXP | {"encoder-embed-dim-subtransformer": 640}
    module = SPACE.build_module(SPACE.parse(json.dumps(config)), "wmt14_ende")
    assert [tuple(p.shape) for name, p in module.named_parameters() if "embeddings" in name] == [
        (32_768, 640)
    ]
    with torch.no_grad():
        scores = module(*SPACE.example_inputs("wmt14_ende"))
    assert scores.shape == (1, DATASETS["wmt14_ende"][3], 32_768)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("encoder-layer-num", 5, "encoder-layer-num"),
        ("encoder-layer-num", 6.0, "encoder-layer-num"),
        ("decoder-layer-num", 3, "list of 3"),
        ("decoder-layer-num", 2.0, "decoder-layer-num"),
        ("encoder-embed-dim", 600, "encoder-embed-dim"),
        ("encoder-ffn-embed-dim-all", [512] * 5 + [513], "embed-dim-all.5"),
        ("decoder-ende-attention-heads-all", [[8], 8], "heads-all.0"),
        ("decoder-arbitrary-ende-attn-all", [0, 1], "ende-attn-all.0"),
        ("something-else", 1, "keys"),
    ],
)
def test_malformed_strings_say_what_is_wrong(key: str, value: Any, says: str) -> None:
    config = json.loads(EXAMPLE) | {f"{key}-subtransformer": value}
    with pytest.raises(ArchitectureError, match=says):
        SPACE.parse(json.dumps(config))
