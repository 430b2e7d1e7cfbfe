"""BERT-like encoders as students of distillation: AutoTinyBERT's search space.

Yin et al., "AutoTinyBERT: Automatic Hyper-parameter Optimization for Efficient Pre-trained Language Models",
ACL 2021. Of the published spaces of small BERTs (NAS-BERT, DynaBERT, AutoDistil) this one is stated most
exactly: its options and its format are in the authors' code (huawei-noah/Pretrained-Language-Model, folder
AutoTinyBERT, searcher.py), it has both of their settings in it, and TinyBERT's students are members.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from archindex.core.build import GraphBuilder
from archindex.core.checks import check_choice
from archindex.core.errors import ArchitectureError
from archindex.spaces.base import Architecture
from archindex.spaces.choices import Choice, ChoiceSpace
from archindex.spaces.counting import CountedOnModule
from archindex.spaces.transformers import read_config, residual

if TYPE_CHECKING:
    from torch import Tensor, nn

LAYERS: Final = tuple(range(1, 9))
HIDDEN_SIZES: Final = tuple(range(128, 769, 4))
FFN_SIZES: Final = tuple(range(128, 3073, 2))
"""In steps of 2: the code says 4 for the paper, but the architecture of its README has 1054."""
HEADS: Final = tuple(range(1, 13))
QKV_SIZES: Final = tuple(range(180, 769, 12))
"""Width of queries, keys and values where there are 12 heads; fewer heads are 64 wide each."""

DATASETS: Final[dict[str, tuple[int, int]]] = {"wikipedia": (30_522, 128)}
"""Words of the vocabulary (BERT's, lower case) and tokens of a text."""

EXAMPLE: Final = (
    '{"sample_layer_num": 5, "sample_num_attention_heads": [8, 8, 8, 8, 8], '
    '"sample_qkv_sizes": [512, 512, 512, 512, 512], "sample_hidden_size": 564, '
    '"sample_intermediate_sizes": [1054, 1054, 1054, 1054, 1054]}'
)
_KEYS: Final = (
    "sample_layer_num",
    "sample_num_attention_heads",
    "sample_qkv_sizes",
    "sample_hidden_size",
    "sample_intermediate_sizes",
)
_PER_LAYER: Final = ("sample_num_attention_heads", "sample_qkv_sizes", "sample_intermediate_sizes")


class BERT(CountedOnModule, ChoiceSpace):
    """The BERT-like encoders of AutoTinyBERT.

    Native string: the authors' configuration as JSON, lists with an entry per layer; all layers are alike.

    8 depths, 161 widths, 1,473 widths of the feed-forward layers, and 61 kinds of attention: 1 to 11 heads of
    width 64 (the authors' setting without a teacher), or 12 heads of 50 widths together (their setting with
    a teacher; 768 is in both): 115,730,664 architectures.

    Examples
    --------
    >>> import archindex as ax
    >>> arch = ax.space("bert").sample(1)[0]
    >>> arch.space.parse(arch.native) == arch
    True
    """

    choices = (
        Choice("sample_layer_num", LAYERS, ordered=True),
        Choice("sample_hidden_size", HIDDEN_SIZES, ordered=True),
        Choice("sample_num_attention_heads", HEADS, ordered=True),
        Choice(
            "sample_qkv_sizes", QKV_SIZES, when=("sample_num_attention_heads", (HEADS[-1],)), ordered=True
        ),
        Choice("sample_intermediate_sizes", FFN_SIZES, ordered=True),
    )
    datasets: tuple[str, ...] = tuple(DATASETS)

    @property
    def name(self) -> str:
        """``"bert"``."""
        return "bert"

    def _read(self, text: str) -> dict[str, Any]:
        config = read_config(text, _KEYS, EXAMPLE)
        layers = config["sample_layer_num"]
        for key in _PER_LAYER:
            values = config[key]
            if not isinstance(values, list) or not values or layers != len(values) or _differ(values):
                raise ArchitectureError(f"expected {key} as a list of {layers} equal numbers", got=values)
            config[key] = values[0]
        heads, qkv = config["sample_num_attention_heads"], config["sample_qkv_sizes"]
        if heads in HEADS[:-1]:
            if qkv != 64 * heads or type(qkv) is not int:
                raise ArchitectureError(
                    f"expected {64 * heads} as sample_qkv_sizes of {heads} heads", got=qkv
                )
            del config["sample_qkv_sizes"]
        return config

    def _write(self, taken: Mapping[str, Any]) -> str:
        layers = taken["sample_layer_num"]
        whole = {**taken, "sample_qkv_sizes": _qkv_size(taken)}
        return json.dumps({key: [whole[key]] * layers if key in _PER_LAYER else whole[key] for key in _KEYS})

    def _build(self, g: GraphBuilder, taken: Mapping[str, Any]) -> None:
        width = taken["sample_hidden_size"]
        x = g.add("embedding", g.input(), channels=width)
        layer = 0
        # The depth is looked up only after the layer that all have.
        while layer < 1 or layer < taken["sample_layer_num"]:
            heads = taken["sample_num_attention_heads"]
            x = residual(g, x, "attention", heads=heads, ratio=_qkv_size(taken) / width, channels=width)
            ratio = taken["sample_intermediate_sizes"] / width
            x = residual(g, x, "feed_forward", ratio=ratio, channels=width)
            layer += 1
        g.output(x)

    def example_inputs(self, dataset: str = "wikipedia", batch: int = 1) -> tuple[Tensor]:
        """Return random texts, int64 (batch, tokens)."""
        import torch

        words, tokens = DATASETS[check_choice("data set of bert", dataset, DATASETS)]
        return (torch.randint(words, (batch, tokens)),)

    def build_module(self, architecture: Architecture, dataset: str = "wikipedia") -> nn.Module:
        """Return the network of `architecture`; output (batch, width), the pooled first token."""
        from archindex.spaces.bert_module import Encoder

        words, _ = DATASETS[check_choice("data set of bert", dataset, DATASETS)]
        taken = self.taken(architecture)
        return Encoder(
            words,
            taken["sample_layer_num"],
            taken["sample_hidden_size"],
            heads=taken["sample_num_attention_heads"],
            qkv_size=_qkv_size(taken),
            hidden=taken["sample_intermediate_sizes"],
        )


def _differ(values: list[Any]) -> bool:
    return any(value != values[0] or type(value) is not type(values[0]) for value in values)


def _qkv_size(taken: Mapping[str, Any]) -> int:
    """Return the width of the queries, keys and values of all heads together."""
    heads: int = taken["sample_num_attention_heads"]
    size: int = taken["sample_qkv_sizes"] if heads == HEADS[-1] else 64 * heads
    return size
