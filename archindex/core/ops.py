"""The op vocabulary that all search spaces share.

A space maps its native op names onto these, so that a 3x3 convolution is the same op everywhere; what sets
two convolutions apart (kernel, stride, ...) are node attributes. A name outside the vocabulary is kept as it
is and never dropped.
"""

from __future__ import annotations

from typing import Final

OPS: Final[tuple[str, ...]] = (
    "input",
    "output",
    "skip",  # identity
    "none",  # the zero op: its output is all zeros
    "add",
    "mul",
    "sub",
    "concat",
    "matmul",
    "conv",
    "separable_conv",
    "dilated_conv",
    "transposed_conv",
    "linear",
    "avg_pool",
    "max_pool",
    "global_avg_pool",
    "attention",
    "embedding",
    "norm",
    "activation",
    "softmax",
    "squeeze_excite",
    "dropout",
    "upsample",
    "reshape",
    "split",
    "recurrent",
    "gcn",
    "gat",
    "gin",
    "sage",
    "cheb",
    "arma",
    "graph_conv",
    "mbconv",  # inverted bottleneck: expansion, depthwise convolution, projection
    "feed_forward",  # the two linear layers of a transformer block
    "relu",
    "leaky_relu",
    "sigmoid",
    "tanh",
    "gelu",
    "silu",
    "hard_swish",
    "hard_sigmoid",
    "elu",
    "batch_norm",
    "layer_norm",
    "group_norm",
    "rms_norm",
    "div",
    "pow",
    "mean",
    "sum",
    "pad",
    "slice",
    "gather",
    "transpose",
    "im2col",  # images to columns, one row a window
    "col2im",
    "scaled_matmul",  # divided by the root of the length of the rows
    "positional_encoding",  # a learned tensor that is added
    "blend",  # three ports: a * b + (1 - a) * c
)
"""Names of the known ops; the position is the op's id in a `GraphBatch`. New ops go to the end."""

OP_ID: Final[dict[str, int]] = {name: i for i, name in enumerate(OPS)}
"""Id of every known op."""

ATTRIBUTES: Final[tuple[str, ...]] = (
    "kernel",
    "stride",
    "dilation",
    "groups",
    "channels",
    "expansion",
    "heads",
    "bits",
    "ratio",
    "depth",
    "index",  # tells apart several inputs, outputs or cells that nothing else tells apart
    "padding",  # zeros added to a side, the mean over both ends where they differ
    "kernel_w",  # kernel and stride in width, where they are not those in height
    "stride_w",
    "axis",
    "zero_parts",  # parts of a concatenation that are always zero
    "setting",  # stands for all other settings of an op, a hash of their text
)
"""Numeric node attributes; the position is the column in `GraphBatch.attrs`. New ones go to the end."""

ATTRIBUTE_ID: Final[dict[str, int]] = {name: i for i, name in enumerate(ATTRIBUTES)}
"""Column of every attribute."""

PARAMETRIC: Final[frozenset[str]] = frozenset(
    {
        "conv",
        "separable_conv",
        "dilated_conv",
        "transposed_conv",
        "linear",
        "attention",
        "embedding",
        "norm",
        "squeeze_excite",
        "recurrent",
        "gcn",
        "gat",
        "gin",
        "sage",
        "cheb",
        "arma",
        "graph_conv",
        "mbconv",
        "feed_forward",
        "batch_norm",
        "layer_norm",
        "group_norm",
        "rms_norm",
        "positional_encoding",
    }
)
"""Ops that carry weights: two of them are never the same function, even with equal attributes and inputs."""
