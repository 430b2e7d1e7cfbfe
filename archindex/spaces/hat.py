"""HAT: encoder-decoder transformers for translation, every decoder layer choosing what it attends to.

Wang et al., "HAT: Hardware-Aware Transformers for Efficient Natural Language Processing", ACL 2020
(mit-han-lab/hardware-aware-transformers). The options are those from which the authors drew the architectures
that they timed (configs/*/latency_dataset); the supernets that they trained have two of the three numbers of
heads and three of the four feed-forward widths, which are not the same for all tasks.
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
from archindex.spaces.transformers import gather, read_config, residual, spread

if TYPE_CHECKING:
    from torch import Tensor, nn

WIDTHS: Final = (512, 640)
FFN_WIDTHS: Final = (512, 1024, 2048, 3072)
HEADS: Final = (2, 4, 8)
ENCODER_LAYERS: Final = 6
DECODER_LAYERS: Final = tuple(range(1, 7))
ATTENDED: Final = (-1, 1, 2)
"""What a decoder layer attends to: -1 the last encoder layer, 1 the last two, 2 the last three."""

DATASETS: Final[dict[str, tuple[int, int, bool, int]]] = {
    "iwslt14_deen": (8_848, 6_632, False, 23),
    "wmt14_ende": (32_768, 32_768, True, 30),
}
"""Words of both languages, whether they share one embedding, and tokens of a usual sentence."""

_TAIL: Final = "-subtransformer"
_ENCODER: Final = {"encoder-ffn-embed-dim-all": FFN_WIDTHS, "encoder-self-attention-heads-all": HEADS}
_DECODER: Final = {
    "decoder-ffn-embed-dim-all": FFN_WIDTHS,
    "decoder-self-attention-heads-all": HEADS,
    "decoder-ende-attention-heads-all": HEADS,
    "decoder-arbitrary-ende-attn-all": ATTENDED,
}
_KEYS: Final = (
    "encoder-embed-dim",
    "decoder-embed-dim",
    "encoder-ffn-embed-dim-all",
    "decoder-ffn-embed-dim-all",
    "encoder-layer-num",
    "decoder-layer-num",
    "encoder-self-attention-heads-all",
    "decoder-self-attention-heads-all",
    "decoder-ende-attention-heads-all",
    "decoder-arbitrary-ende-attn-all",
)
EXAMPLE: Final = json.dumps(
    {
        f"{key}{_TAIL}": value
        for key, value in zip(
            _KEYS, (512, 512, [3072] * 6, [3072] * 2, 6, 2, [8] * 6, [8] * 2, [4, 8], [-1, 1]), strict=True
        )
    }
)


def _choices() -> tuple[Choice, ...]:
    choices = [
        Choice("encoder-embed-dim", WIDTHS),
        Choice("decoder-embed-dim", WIDTHS),
        Choice("decoder-layer-num", DECODER_LAYERS, ordered=True),
    ]
    for layer in range(ENCODER_LAYERS):
        choices += [Choice(f"{key}.{layer}", options) for key, options in _ENCODER.items()]
    for layer in DECODER_LAYERS:
        deep = ("decoder-layer-num", DECODER_LAYERS[layer - 1 :]) if layer > 1 else None
        choices += [Choice(f"{key}.{layer - 1}", options, deep) for key, options in _DECODER.items()]
    return tuple(choices)


class HAT(CountedOnModule, ChoiceSpace):
    """The encoder-decoder transformers of HAT.

    Native string: the authors' configuration of a SubTransformer (configs/*/subtransformer) as JSON, lists
    with an entry per layer. The encoder has 6 layers, the decoder 1 to 6. Queries, keys and values are 512
    wide everywhere.

    2 widths each; 12 combinations for an encoder layer, 108 for a decoder layer: 4 12^6 (108 + ... + 108^6),
    about 1.9e19. The supernet for the WMT tasks is 4 6^6 (36 + ... + 36^6) = 4.2e14 of them, the 10^15 of the
    paper.

    Examples
    --------
    >>> import archindex as ax
    >>> arch = ax.space("hat").sample(1)[0]
    >>> arch.graph.ops.count("input"), arch.space.parse(arch.native) == arch
    (2, True)
    """

    choices = _choices()
    datasets: tuple[str, ...] = tuple(DATASETS)

    @property
    def name(self) -> str:
        """``"hat"``."""
        return "hat"

    def _read(self, text: str) -> dict[str, Any]:
        whole = read_config(text, tuple(f"{key}{_TAIL}" for key in _KEYS), EXAMPLE)
        config = {key: whole[f"{key}{_TAIL}"] for key in _KEYS}
        layers = config.pop("encoder-layer-num")
        if layers != ENCODER_LAYERS or type(layers) is not int:
            raise ArchitectureError(f"expected encoder-layer-num{_TAIL} of {ENCODER_LAYERS}", got=layers)
        for keys, length in ((_ENCODER, layers), (_DECODER, config["decoder-layer-num"])):
            for key in keys:
                config |= spread(config, key, length)
                del config[key]
        return config

    def _write(self, taken: Mapping[str, Any]) -> str:
        whole: dict[str, Any] = {"encoder-layer-num": ENCODER_LAYERS}
        for key in _KEYS:
            if key in _ENCODER:
                whole[key] = gather(taken, key, ENCODER_LAYERS)
            elif key in _DECODER:
                whole[key] = gather(taken, key, taken["decoder-layer-num"])
            elif key in taken:
                whole[key] = taken[key]
        return json.dumps({f"{key}{_TAIL}": whole[key] for key in _KEYS})

    def _build(self, g: GraphBuilder, taken: Mapping[str, Any]) -> None:
        def option(key: str, layer: int) -> int:
            value: int = taken[f"{key}.{layer}"]
            return value

        width = taken["encoder-embed-dim"]
        x = g.add("embedding", g.input(index=0), channels=width)
        memories = []
        for layer in range(ENCODER_LAYERS):
            heads = option("encoder-self-attention-heads-all", layer)
            x = residual(g, x, "attention", heads=heads, channels=width)
            ratio = option("encoder-ffn-embed-dim-all", layer) / width
            x = residual(g, x, "feed_forward", ratio=ratio, channels=width)
            memories.append(x)
        width = taken["decoder-embed-dim"]
        x = g.add("embedding", g.input(index=1), channels=width)
        layer = 0
        # The depth is looked up only after the layer that all have.
        while layer < DECODER_LAYERS[0] or layer < taken["decoder-layer-num"]:
            heads = option("decoder-self-attention-heads-all", layer)
            x = residual(g, x, "attention", heads=heads, channels=width)
            attended = memories[: -2 - max(0, option("decoder-arbitrary-ende-attn-all", layer)) : -1]
            memory = attended[0] if len(attended) == 1 else g.add("concat", *attended)
            heads = option("decoder-ende-attention-heads-all", layer)
            x = residual(g, x, "attention", memory, heads=heads, channels=width)
            ratio = option("decoder-ffn-embed-dim-all", layer) / width
            x = residual(g, x, "feed_forward", ratio=ratio, channels=width)
            layer += 1
        g.output(x)

    def example_inputs(self, dataset: str = "iwslt14_deen", batch: int = 1) -> tuple[Tensor, Tensor]:
        """Return random sentences and what was translated of them: int64 (batch, tokens) each."""
        import torch

        sources, targets, _, tokens = DATASETS[check_choice("data set of hat", dataset, DATASETS)]
        return torch.randint(sources, (batch, tokens)), torch.randint(targets, (batch, tokens))

    def build_module(self, architecture: Architecture, dataset: str = "iwslt14_deen") -> nn.Module:
        """Return the network of `architecture` for `dataset`; output (batch, tokens, words)."""
        from archindex.spaces.hat_module import Transformer

        sources, targets, shared, _ = DATASETS[check_choice("data set of hat", dataset, DATASETS)]
        taken = self.taken(architecture)
        depth = taken["decoder-layer-num"]
        encoder = [gather(taken, key, ENCODER_LAYERS) for key in _ENCODER]
        decoder = [gather(taken, key, depth) for key in _DECODER]
        return Transformer(
            (taken["encoder-embed-dim"], taken["decoder-embed-dim"]),
            list(zip(*encoder, strict=True)),
            list(zip(*decoder, strict=True)),
            words=(sources, targets),
            shared=shared,
        )
