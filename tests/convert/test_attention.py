"""Attention that is written out: transformers as ONNX files are the networks of their modules."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import archindex as ax
from archindex.convert.onnx_export import module_to_onnx

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    hf: Any = importlib.import_module("transformers")

SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
IDS = torch.arange(24).reshape(2, 12)
TRANSFORMERS: dict[str, tuple[Callable[[], Any], Tensor]] = {
    "bert": (lambda: hf.BertModel(hf.BertConfig(vocab_size=100, **SMALL)), IDS),
    "gpt2": (
        lambda: hf.GPT2LMHeadModel(
            hf.GPT2Config(
                vocab_size=100, n_embd=64, n_layer=2, n_head=4, use_cache=False,
                bos_token_id=1, eos_token_id=1,
            )
        ),
        IDS,
    ),
    "llama": (
        lambda: hf.LlamaForCausalLM(
            hf.LlamaConfig(vocab_size=100, num_key_value_heads=2, use_cache=False, **SMALL)
        ),
        IDS,
    ),
    "vit": (
        lambda: hf.ViTModel(hf.ViTConfig(image_size=64, patch_size=16, **SMALL)), torch.zeros(2, 3, 64, 64)
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_transformer_and_its_file_are_the_same_network(name: str, tmp_path: Path) -> None:
    make, x = TRANSFORMERS[name]
    module = make()
    with warnings.catch_warnings():
        # Masks of some of these make torch's tracer complain.
        warnings.simplefilter("ignore")
        path = module_to_onnx(module, (x,), tmp_path / "net.onnx")
    direct, through = ax.from_torch(module, (x,)), ax.from_onnx(path)
    assert direct.graph.ops.count("attention") == through.graph.ops.count("attention") == 2
    assert direct.arch_id == through.arch_id
    assert direct.total_flops == through.total_flops
    # LLaMA computes tables of sines and cosines from positions alone, here for a batch of two. They are
    # constants, which ONNX does not tell from weights.
    tables = 2 * 2 * 12 * 16 if name == "llama" else 0
    assert through.total_params == sum(p.numel() for p in module.parameters()) + tables


class Attention(nn.Module):
    """Attention by hand."""

    def __init__(self, scale: str = "product", mask: bool = False, part: str = "") -> None:
        super().__init__()
        self.scale, self.mask, self.part = scale, mask, part
        self.bias = nn.Parameter(torch.randn(1, 3, 5, 7)) if part == "bias" else None

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if self.scale == "query":
            q = q * 0.25
        scores = q @ k.transpose(-2, -1)
        if self.scale == "product":
            scores = scores / 4
        if self.bias is not None:
            scores = scores + self.bias
        if self.mask:
            scores = scores + q.mean(-1, keepdim=True)
        weights = functional.softmax(scores, dim=-2 if self.part == "axis" else -1)
        if self.part == "shown":
            return weights @ v + weights.sum(-1, keepdim=True)
        return weights @ v


QKV = (torch.zeros(2, 3, 5, 8), torch.zeros(2, 3, 7, 8), torch.zeros(2, 3, 7, 6))


def test_products_and_a_softmax_are_attention() -> None:
    plain = ax.from_torch(_Whole(), QKV)
    for scale in ("product", "query", "none"):
        found = ax.from_torch(Attention(scale), QKV)
        assert found.graph.ops == ("input", "input", "input", "attention", "output")
        assert found.arch_id == plain.arch_id
        assert found.total_flops == plain.total_flops


def test_masks_come_into_a_port_of_their_own_and_learned_ones_count() -> None:
    masked = ax.from_torch(Attention("none", mask=True), QKV)
    node = masked.graph.ops.index("attention")
    assert sorted(port for _, target, port in masked.graph.edges if target == node) == [0, 1, 2, 3]
    biased = ax.from_torch(Attention(part="bias"), QKV)
    assert biased.params[biased.graph.ops.index("attention")] == 3 * 5 * 7


@pytest.mark.parametrize("part", ["axis", "shown"])
def test_what_only_looks_like_attention_is_left_alone(part: str) -> None:
    """A softmax over queries, and weights that something else reads as well."""
    found = ax.from_torch(Attention(part=part), QKV)
    assert "attention" not in found.graph.ops
    assert found.graph.ops.count("matmul") == 2
    assert "softmax" in found.graph.ops


class _Whole(nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(q, k, v)


def test_gates_and_roots() -> None:
    class Gate(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * x.sigmoid() + x.sqrt().reciprocal()

    class Named(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return functional.silu(x) + x.rsqrt()

    x = (torch.ones(2, 3),)
    assert ax.from_torch(Gate(), x).arch_id == ax.from_torch(Named(), x).arch_id
    assert "sigmoid" not in ax.from_torch(Gate(), x).graph.ops
