"""The networks of HAT in torch.

Wang et al., "HAT: Hardware-Aware Transformers for Efficient Natural Language Processing", ACL 2020;
mit-han-lab/hardware-aware-transformers, fairseq/models/transformer_super.py: post-norm layers, ReLU,
positions as sines; no dropout here. Where both languages share one embedding, it is the output layer, too,
and the narrower side takes its first columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from archindex.spaces.transformer_blocks import Attention, FeedForward, PostNorm

QKV_WIDTH: Final = 512


class Transformer(nn.Module):
    """Encoder, decoder and output layer.

    Parameters
    ----------
    widths : (int, int)
        Widths of encoder and decoder.
    encoder : sequence of (int, int)
        Of each encoder layer: width of the feed-forward layer, heads.
    decoder : sequence of (int, int, int, int)
        Of each decoder layer: width of the feed-forward layer, heads of self-attention, heads of attention to
        the encoder, encoder layers attended to (-1 the last, 1 the last two, 2 the last three).
    words : (int, int)
        Words of the source and of the target language.
    shared : bool
        Whether both languages and the output layer share one embedding.
    """

    def __init__(
        self,
        widths: tuple[int, int],
        encoder: Sequence[Sequence[int]],
        decoder: Sequence[Sequence[int]],
        *,
        words: tuple[int, int],
        shared: bool,
    ) -> None:
        super().__init__()
        self.widths = widths
        self.shared = shared
        sizes = (
            ((words[0], max(widths)),)
            if shared
            else (*zip(words, widths, strict=True), (words[1], widths[1]))
        )
        self.embeddings = nn.ParameterList(torch.randn(count, width) * width**-0.5 for count, width in sizes)
        self.encoder = nn.ModuleList(EncoderLayer(widths[0], *options) for options in encoder)
        self.decoder = nn.ModuleList(DecoderLayer(widths, *options[:3]) for options in decoder)
        self.attended = [1 if options[3] == -1 else 1 + options[3] for options in decoder]

    def forward(self, sources: Tensor, targets: Tensor) -> Tensor:
        """Return scores of the next word.

        Parameters
        ----------
        sources : Tensor
            Sentences to translate, int64 (batch, tokens).
        targets : Tensor
            The words before, int64 (batch, tokens); may be of another length.

        Returns
        -------
        Tensor
            Float (batch, tokens of `targets`, words).
        """
        x = self._embed(sources, 0)
        memories: list[Tensor] = []
        for layer in self.encoder:
            x = layer(x)
            memories.insert(0, x)
        x = self._embed(targets, 1)
        for layer, attended in zip(self.decoder, self.attended, strict=True):
            x = layer(x, torch.cat(memories[:attended], dim=1))
        scores: Tensor = x @ self.embeddings[-1][:, : self.widths[1]].T
        return scores

    def _embed(self, tokens: Tensor, side: int) -> Tensor:
        width = self.widths[side]
        table = self.embeddings[0 if self.shared else side]
        words: Tensor = table[tokens][..., :width] * math.sqrt(width)
        return words + _positions(tokens.shape[1], width, tokens.device)


class EncoderLayer(nn.Sequential):
    """Self-attention and a feed-forward layer."""

    def __init__(self, width: int, hidden: int, heads: int) -> None:
        super().__init__(
            PostNorm(width, Attention(width, QKV_WIDTH, heads)),
            PostNorm(width, FeedForward(width, hidden, nn.ReLU())),
        )


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the encoder, and a feed-forward layer."""

    def __init__(self, widths: tuple[int, int], hidden: int, heads: int, cross_heads: int) -> None:
        super().__init__()
        memory_dim, width = widths
        self.attention = PostNorm(width, Attention(width, QKV_WIDTH, heads, causal=True))
        self.cross = PostNorm(width, Attention(width, QKV_WIDTH, cross_heads, memory_dim=memory_dim))
        self.feed_forward = PostNorm(width, FeedForward(width, hidden, nn.ReLU()))

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """Return a tensor of the shape of `x`, float (batch, tokens, width)."""
        result: Tensor = self.feed_forward(self.cross(self.attention(x), memory))
        return result


def _positions(tokens: int, width: int, device: torch.device) -> Tensor:
    """Return sines and cosines of falling frequency, float (tokens, width)."""
    half = width // 2
    rates = torch.exp(torch.arange(half, device=device) * (-math.log(10_000) / (half - 1)))
    angles = torch.arange(tokens, device=device)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
