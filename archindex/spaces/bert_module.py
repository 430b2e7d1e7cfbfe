"""BERT encoders in torch.

Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", NAACL 2019,
with queries, keys and values of a width of their own as in AutoTinyBERT (Yin et al., ACL 2021).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from archindex.spaces.transformer_blocks import Attention, FeedForward, PostNorm

POSITIONS: Final = 512
SEGMENTS: Final = 2
_EPS: Final = 1e-12


class Encoder(nn.Module):
    """Embeddings, post-norm transformer layers, and a pooler on the first token.

    Parameters
    ----------
    words : int
        Size of the vocabulary.
    layers : int
        Number of layers.
    width : int
        Width of a token.
    heads : int
        Heads of each layer.
    qkv_size : int
        Width of the queries, keys and values of all heads together; a multiple of `heads`.
    hidden : int
        Width inside the feed-forward layers.
    """

    def __init__(
        self, words: int, layers: int, width: int, *, heads: int, qkv_size: int, hidden: int
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.positions = nn.Embedding(POSITIONS, width)
        self.segments = nn.Embedding(SEGMENTS, width)
        self.norm = nn.LayerNorm(width, eps=_EPS)
        blocks: list[nn.Module] = []
        for _ in range(layers):
            blocks.append(PostNorm(width, Attention(width, qkv_size, heads), _EPS))
            blocks.append(PostNorm(width, FeedForward(width, hidden), _EPS))
        self.layers = nn.Sequential(*blocks)
        self.pooler = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the pooled first token, float (batch, width), of texts, int64 (batch, tokens)."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.words(tokens) + self.positions(places) + self.segments.weight[0]
        x = self.layers(self.norm(x))
        pooled: Tensor = self.pooler(x[:, 0]).tanh()
        return pooled
