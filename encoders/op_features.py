"""What an op is, in numbers that mean the same in every search space: the input of learned encoders.

Three parts. *Traits* say what an op does (mixes channels, mixes positions, pools, normalises, ...) and by how
much: a separable convolution mixes positions as a convolution does, so that the two start near each other.
A *signature*, signs hashed from the name, tells ops of equal traits apart. *Attributes* are kernel sizes,
widths and so on, on a logarithmic scale. A name outside the vocabulary gets the traits of the words in it
(``sep_conv_5x5``, ``FancyAttention``), so that a new op gets a sensible vector too.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.ops import ATTRIBUTE_ID

Singles = npt.NDArray[np.float32]

TRAITS: Final = (
    "channels", "positions", "attention", "neighbours", "recurrent", "look_up",
    "pool", "maximum", "whole", "enlarge", "norm", "activation", "gate", "sum", "product", "concat",
    "move", "identity", "zero", "input", "output", "weights", "stages",
)  # fmt: skip
"""Columns of the traits. `channels` and `positions`: mixes them with learned weights; `whole`: pools over all
positions; `stages`: weighted layers in a row within the op."""

SIGNATURE: Final = 8
"""Columns of the signature."""

NUMBERS: Final = (
    "kernel", "stride", "dilation", "groups", "channels", "expansion", "heads", "bits", "ratio", "depth",
    "index", "padding", "kernel_w", "stride_w", "axis", "zero_parts", "setting",
)  # fmt: skip
"""Attributes that are read; spelled out, because a new attribute must not change old vectors."""

WIDTH: Final = len(TRAITS) + SIGNATURE + 2 * len(NUMBERS) + 2
"""Columns of `node_features`."""

_SIGN_WEIGHT: Final = 0.25
_SETTINGS: Final = float(1 << 24)  # `setting` is a hash below this; others are quantities

_CONV: Final = {"channels": 1.0, "positions": 1.0, "weights": 1.0, "stages": 1.0}
_MERGE: Final = {"sum": 1.0}
_NORM: Final = {"norm": 1.0, "weights": 0.25}
_TURN: Final = {"activation": 1.0}
_GATE: Final = {"activation": 1.0, "gate": 1.0}
_MOVE: Final = {"move": 1.0}
_GRAPH: Final = {"channels": 1.0, "neighbours": 1.0, "weights": 1.0, "stages": 1.0}

_OF_OP: Final[dict[str, dict[str, float]]] = {
    "input": {"input": 1.0}, "output": {"output": 1.0}, "skip": {"identity": 1.0}, "none": {"zero": 1.0},
    "dropout": {"identity": 1.0},
    "add": _MERGE, "sub": {"sum": 1.0, "gate": 0.25}, "sum": {"sum": 1.0, "whole": 0.5},
    "mul": {"product": 1.0},
    "div": {"product": 1.0, "gate": 0.25}, "pow": {"product": 0.5, "activation": 0.5},
    "matmul": {"product": 1.0, "channels": 0.5}, "scaled_matmul": {"product": 1.0, "attention": 0.5},
    "concat": {"concat": 1.0}, "blend": {"sum": 0.5, "product": 0.5, "gate": 0.5},
    "conv": _CONV, "separable_conv": _CONV | {"stages": 2.0},
    "dilated_conv": _CONV | {"stages": 1.5}, "transposed_conv": _CONV | {"enlarge": 1.0},
    "linear": {"channels": 1.0, "weights": 1.0, "stages": 1.0},
    "mbconv": _CONV | {"stages": 3.0}, "feed_forward": {"channels": 1.0, "weights": 1.0, "stages": 2.0},
    "attention": {"channels": 1.0, "attention": 1.0, "positions": 0.5, "weights": 1.0, "stages": 2.0},
    "recurrent": {"channels": 1.0, "recurrent": 1.0, "weights": 1.0, "stages": 1.0},
    "embedding": {"look_up": 1.0, "weights": 0.5}, "positional_encoding": {"look_up": 0.5, "weights": 0.25},
    "avg_pool": {"pool": 1.0}, "max_pool": {"pool": 1.0, "maximum": 1.0},
    "global_avg_pool": {"pool": 1.0, "whole": 1.0}, "mean": {"pool": 1.0, "whole": 1.0},
    "upsample": {"enlarge": 1.0},
    "squeeze_excite": {"channels": 0.5, "gate": 1.0, "whole": 0.5, "weights": 0.5},
    "norm": _NORM, "batch_norm": _NORM, "layer_norm": _NORM | {"whole": 0.25}, "group_norm": _NORM,
    "rms_norm": _NORM | {"whole": 0.25},
    "activation": _TURN, "relu": _TURN, "leaky_relu": _TURN, "gelu": _TURN, "silu": _TURN, "elu": _TURN,
    "hard_swish": _TURN, "softmax": _GATE | {"attention": 0.5}, "sigmoid": _GATE, "tanh": _GATE,
    "hard_sigmoid": _GATE,
    "reshape": _MOVE, "split": _MOVE, "transpose": _MOVE, "slice": _MOVE, "gather": _MOVE, "pad": _MOVE,
    "im2col": _MOVE | {"positions": 0.25}, "col2im": _MOVE | {"enlarge": 0.25},
    "gcn": _GRAPH, "sage": _GRAPH, "graph_conv": _GRAPH, "gin": _GRAPH | {"stages": 2.0},
    "gat": _GRAPH | {"attention": 1.0}, "cheb": _GRAPH | {"stages": 1.5},
    "arma": _GRAPH | {"recurrent": 0.25},
}  # fmt: skip

# Words in the names of other ops, in the order in which they are looked for; the first two that fit count.
_OF_WORD: Final = (
    ("attention", "attention"), ("attn", "attention"), ("mbconv", "mbconv"), ("sep", "separable_conv"),
    ("deconv", "transposed_conv"), ("convtranspose", "transposed_conv"), ("conv", "conv"),
    ("lstm", "recurrent"), ("gru", "recurrent"), ("rnn", "recurrent"), ("recurrent", "recurrent"),
    ("globalav", "global_avg_pool"),
    ("max", "max_pool"), ("pool", "avg_pool"), ("norm", "norm"), ("embed", "embedding"), ("linear", "linear"),
    ("gemm", "linear"), ("dense", "linear"), ("matmul", "matmul"), ("relu", "relu"), ("gelu", "gelu"),
    ("swish", "silu"), ("mish", "silu"), ("selu", "elu"), ("softmax", "softmax"), ("sigmoid", "sigmoid"),
    ("tanh", "tanh"), ("upsample", "upsample"), ("resize", "upsample"), ("interpolate", "upsample"),
    ("concat", "concat"), ("cat", "concat"), ("mul", "mul"), ("add", "add"), ("sum", "sum"), ("mean", "mean"),
    ("split", "split"), ("chunk", "split"), ("reshape", "reshape"), ("view", "reshape"),
    ("permute", "transpose"), ("skip", "skip"), ("identity", "skip"), ("graph", "graph_conv"),
)  # fmt: skip


@cache
def op_row(name: str) -> Singles:
    """Return traits and signature of an op; float32, shape (len(TRAITS) + SIGNATURE,)."""
    traits = _OF_OP.get(name)
    if traits is None:
        low = name.lower()
        near = [_OF_OP[kind] for word, kind in _OF_WORD if word in low][:2]
        traits = {trait: max(kind.get(trait, 0.0) for kind in near) for trait in TRAITS} if near else {}
    bits = hashlib.blake2b(name.encode(), digest_size=SIGNATURE).digest()
    signs = [_SIGN_WEIGHT if bit & 1 else -_SIGN_WEIGHT for bit in bits]
    row = np.array([traits.get(trait, 0.0) for trait in TRAITS] + signs, dtype=np.float32)
    row.setflags(write=False)
    return row


def node_features(batch: GraphBatch, nodes: npt.NDArray[np.int64] | None = None) -> Singles:
    """Return the features of nodes.

    Parameters
    ----------
    batch : GraphBatch
        The graphs.
    nodes : ndarray of int64, shape (n,), optional
        Which nodes; all of them if not given.

    Returns
    -------
    ndarray of float32, shape (n, WIDTH)
        Traits, signature, signed ``log(1 + |value|)`` of the attributes, whether there is one, and whether
        an op that mixes positions reaches beyond 1 and beyond 3 of them.
    """
    op = batch.op if nodes is None else batch.op[nodes]
    attrs = batch.attrs if nodes is None else batch.attrs[nodes]
    rows = np.stack([op_row(name) for name in batch.op_names])[op]
    values = attrs[:, [ATTRIBUTE_ID[name] for name in NUMBERS]].astype(np.float64)
    has = np.isfinite(values)
    values = np.where(has, values, 0.0)
    logs = np.sign(values) * np.log1p(np.abs(values))
    logs[:, -1] = values[:, -1] / _SETTINGS
    kernel = np.where(has[:, 0], values[:, 0], 1.0)
    spatial = rows[:, TRAITS.index("positions")] + rows[:, TRAITS.index("pool")] > 0
    wide = np.stack([spatial & (kernel > 1), spatial & (kernel > 3)], axis=1)
    return np.hstack([rows, logs.astype(np.float32), has.astype(np.float32), wide.astype(np.float32)])
