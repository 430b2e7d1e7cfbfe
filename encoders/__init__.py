"""Encoders: graphs in, vectors out. They know graphs only.

`make_encoder` gives a new one by name, `load_encoder` one that was saved. Neither torch nor any model is
loaded before a learned encoder is asked for.
"""

if not __name__.startswith("archindex."):
    raise ImportError(
        "'encoders' is a part of archindex and not a package of its own: import archindex.encoders instead"
    )

from archindex.encoders.base import Encoder
from archindex.encoders.registry import ENCODERS, load_encoder, make_encoder

__all__ = ["ENCODERS", "Encoder", "load_encoder", "make_encoder"]
