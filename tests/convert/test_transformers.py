"""Real modules of the package ``transformers``, built from small configs without any download."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

import archindex as ax

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    hf: Any = importlib.import_module("transformers")

IDS = torch.arange(5, 17).reshape(1, 12)
IMAGE = torch.zeros(1, 3, 64, 64)
SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
}

# Module, inputs, ops that must be there and how often.
Case = tuple[Callable[[], Any], tuple[torch.Tensor, ...], dict[str, torch.Tensor], dict[str, int]]
CASES: dict[str, Case] = {
    "bert": (
        lambda: hf.BertModel(hf.BertConfig(vocab_size=100, **SMALL)),
        (IDS,),
        {},
        {"attention": 2, "linear": 13, "layer_norm": 5, "gelu": 2},
    ),
    "roberta": (
        lambda: hf.RobertaForMaskedLM(hf.RobertaConfig(vocab_size=100, **SMALL)),
        (IDS,),
        {},
        {"attention": 2, "linear": 14, "layer_norm": 6},
    ),
    "distilbert": (
        lambda: hf.DistilBertModel(
            hf.DistilBertConfig(vocab_size=100, dim=64, n_layers=2, n_heads=4, hidden_dim=128)
        ),
        (IDS,),
        {},
        {"attention": 2, "linear": 12, "layer_norm": 5},
    ),
    "gpt2": (
        lambda: hf.GPT2LMHeadModel(
            hf.GPT2Config(
                vocab_size=100, n_embd=64, n_layer=2, n_head=4, use_cache=False,
                bos_token_id=1, eos_token_id=1,
            )
        ),
        (IDS,),
        {},
        {"attention": 2, "linear": 9, "layer_norm": 5},
    ),
    "llama": (
        lambda: hf.LlamaForCausalLM(
            hf.LlamaConfig(
                vocab_size=100, num_key_value_heads=2, use_cache=False, tie_word_embeddings=True, **SMALL
            )
        ),
        (IDS,),
        {},
        {"attention": 2, "linear": 15, "silu": 2},
    ),
    "t5": (
        lambda: hf.T5ForConditionalGeneration(
            hf.T5Config(
                vocab_size=100, d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4, use_cache=False,
                decoder_start_token_id=0,
            )
        ),
        (),
        {"input_ids": IDS, "decoder_input_ids": IDS},
        {"input": 2, "embedding": 2, "linear": 33},
    ),
    "vit": (
        lambda: hf.ViTModel(hf.ViTConfig(image_size=64, patch_size=16, **SMALL)),
        (IMAGE,),
        {},
        {"attention": 2, "linear": 13, "conv": 1},
    ),
    "deit": (
        lambda: hf.DeiTModel(hf.DeiTConfig(image_size=64, patch_size=16, **SMALL)),
        (IMAGE,),
        {},
        {"attention": 2, "linear": 13, "conv": 1},
    ),
    "swin": (
        lambda: hf.SwinModel(
            hf.SwinConfig(image_size=64, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4)
        ),
        (IMAGE,),
        {},
        {"linear": 25, "roll": 4},
    ),
    "segformer": (
        lambda: hf.SegformerModel(
            hf.SegformerConfig(hidden_sizes=[16, 32, 32, 64], depths=[1, 1, 1, 1])
        ),
        (IMAGE,),
        {},
        {"conv": 11, "linear": 24},
    ),
    "mobilenet_v2": (
        lambda: hf.MobileNetV2Model(hf.MobileNetV2Config(image_size=64)),
        (IMAGE,),
        {},
        {"conv": 52, "batch_norm": 52, "relu6": 35, "add": 10},
    ),
    "resnet": (
        lambda: hf.ResNetModel(
            hf.ResNetConfig(hidden_sizes=[32, 64], depths=[1, 2], embedding_size=16, layer_type="bottleneck")
        ),
        (IMAGE,),
        {},
        {"conv": 12, "batch_norm": 12, "add": 3, "max_pool": 1},
    ),
    "convnext": (
        lambda: hf.ConvNextModel(hf.ConvNextConfig(hidden_sizes=[16, 32], depths=[1, 1], num_stages=2)),
        (IMAGE,),
        {},
        {"conv": 4, "linear": 4, "layer_norm": 5, "gelu": 2},
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_params_are_those_that_torch_counts(name: str) -> None:
    make, args, kwargs, ops = CASES[name]
    torch.manual_seed(0)
    module = make()
    found = ax.from_torch(module, args, kwargs)
    assert found.total_params == sum(p.numel() for p in module.parameters())
    assert found.unknown_params == found.unknown_flops == ()
    assert None not in found.shapes
    counts = {op: found.graph.ops.count(op) for op in ops}
    assert counts == ops


@pytest.mark.slow
def test_multiply_adds_of_bert_by_hand() -> None:
    make, args, kwargs, _ = CASES["bert"]
    length, width, hidden, layers = IDS.shape[1], 64, 128, 2
    linear = length * (4 * width * width + 2 * width * hidden)
    attention = 2 * length * length * width
    assert ax.from_torch(make(), args, kwargs).total_flops == layers * (linear + attention) + width * width


@pytest.mark.slow
def test_another_depth_or_width_is_another_network() -> None:
    def bert(**change: int) -> str:
        module = hf.BertModel(hf.BertConfig(vocab_size=100, **{**SMALL, **change}))
        return ax.from_torch(module, (IDS,)).arch_id

    ids = [bert(), bert(), bert(num_hidden_layers=3), bert(intermediate_size=64), bert(num_attention_heads=2)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 4
