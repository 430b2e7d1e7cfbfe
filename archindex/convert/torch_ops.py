"""Ops of torch (ATen) in normal form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from archindex.convert import layers
from archindex.convert.builder import Builder, Value, setting
from archindex.convert.torch_call import Call

Lower = Callable[[Builder, Call], Value | list[Value]]

_UNCOUNTED: Final = frozenset(
    {
        "_trilinear",
        "bilinear",
        "deform_conv2d",
        "_convolution_mode",
        "stft",
        "istft",
        "addbmm",
        "addmv",
        "addr",
    }
    | {"lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell", "tensordot", "outer", "ger", "dot", "vdot"}
    | {"inner", "kron", "cdist", "_cdist_forward", "_euclidean_dist", "chain_matmul", "cholesky", "inverse"}
    | {
        "cholesky_solve",
        "triangular_solve",
        "matrix_exp",
        "matrix_power",
        "det",
        "logdet",
        "slogdet",
        "pinverse",
    }
    | {"svd", "qr", "cov", "corrcoef", "conv_tbc"}
)


def uncounted(name: str) -> bool:
    """Return whether an op multiplies tensors in a way that is not counted here."""
    if name in ("linalg_vector_norm", "linalg_norm"):
        return False
    return name in _UNCOUNTED or name.startswith(("linalg_", "fft_", "_linalg_"))


def _baddbmm(build: Builder, call: Call) -> Value:
    product = layers.matmul(build, call.name, call.need("batch1"), call.need("batch2"), call.shape)
    terms = [call.need("self"), product]
    for i, factor in enumerate(("beta", "alpha")):
        if call.get(factor, 1) != 1:
            times = Value((), data=np.array(call.get(factor)))
            terms[i] = build.elementwise("mul", call.name, [terms[i], times], terms[i].shape)
    return build.elementwise("add", call.name, terms, call.shape)


def _conv(rank: int, *, transposed: bool = False) -> Lower:
    def lower(build: Builder, call: Call) -> Value:
        weight = call.need("weight")
        padding = call.get("padding")
        dilation = call.sizes("dilation", rank)
        if padding == "same" and weight.shape is not None:
            mean = sum(d * (k - 1) / 2 for d, k in zip(dilation, weight.shape[2:], strict=True)) / rank
        else:
            mean = 0.0 if isinstance(padding, str) else sum(call.sizes("padding", rank)) / rank
        return layers.conv(
            build, call.name, [call.tensor("input"), weight, call.tensor("bias")], call.shape,
            stride=call.sizes("stride", rank), dilation=dilation, groups=int(call.get("groups", 1)),
            padding=mean, transposed=transposed,
        )  # fmt: skip

    return lower


def _convolution(build: Builder, call: Call) -> Value:
    rank = len(call.get("stride"))
    return _conv(rank, transposed=bool(call.get("transposed")))(build, call)  # type: ignore[return-value]


def _pool(op: str, rank: int) -> Lower:
    def lower(build: Builder, call: Call) -> Value:
        kernel = call.sizes("kernel_size", rank)
        stride = call.sizes("stride", rank) or kernel
        padding = sum(call.sizes("padding", rank)) / rank
        return layers.pool(
            build, op, call.name, call.need("self"), call.shape, kernel=kernel, stride=stride,
            padding=padding, dilation=call.sizes("dilation", rank),
            counts_padding=bool(call.get("count_include_pad")), ceil=bool(call.get("ceil_mode")),
        )  # fmt: skip

    return lower


def _adaptive(build: Builder, call: Call) -> Value:
    return layers.adaptive_avg_pool(build, call.name, call.need("self"), call.shape)


def _linear(build: Builder, call: Call) -> Value:
    x, weight = call.need("input"), call.need("weight")
    inner = weight.shape[-1] if weight.shape else None
    return layers.linear(build, call.name, x, weight, [call.tensor("bias")], call.shape, inner)


def _addmm(build: Builder, call: Call) -> Value:
    bias, a, b = call.need("self"), call.need("mat1"), call.need("mat2")
    inner = b.shape[0] if b.shape else None
    if b.constant:
        return layers.linear(build, call.name, a, b, [bias], call.shape, inner)
    product = layers.matmul(build, call.name, a, b, call.shape)
    return build.elementwise("add", call.name, [bias, product], call.shape)


def _matmul(build: Builder, call: Call) -> Value:
    a = call.need("self")
    b = call.tensor("other") or call.tensor("mat2") or call.need("vec")
    return layers.matmul(build, call.name, a, b, call.shape)


def _binary(op: str, *, swapped: bool = False) -> Lower:
    def lower(build: Builder, call: Call) -> Value:
        other = call.tensor("other") or call.need("exponent")
        if call.get("alpha", 1) != 1:
            times = Value((), data=np.array(call.get("alpha")))
            other = build.elementwise("mul", call.name, [other, times], other.shape)
        operands = [call.need("self"), other]
        return build.elementwise(op, call.name, operands[::-1] if swapped else operands, call.shape)

    return lower


def _simple(op: str) -> Lower:
    def lower(build: Builder, call: Call) -> Value:
        return build.op(op, call.name, call.operands, call.shape)

    return lower


def _norm(op: str) -> Lower:
    def lower(build: Builder, call: Call) -> Value:
        operands = [call.tensor("input"), call.tensor("weight"), call.tensor("bias")]
        return build.op(op, call.name, operands, call.shape)

    return lower


def _batch_norm(build: Builder, call: Call) -> Value:
    operands = [call.tensor(name) for name in ("input", "weight", "bias")]
    attrs = layers.of_the_batch() if call.tensor("running_mean") is None else {}
    return build.op("batch_norm", call.name, operands, call.shape, attrs)


def _group_norm(build: Builder, call: Call) -> Value:
    operands = [call.tensor(name) for name in ("input", "weight", "bias")]
    groups = call.get("num_groups", call.get("group"))
    return build.op("group_norm", call.name, operands, call.shape, {"groups": float(groups)})


def _upsample(mode: str) -> Lower:
    def lower(build: Builder, call: Call) -> Value:
        return layers.upsample(build, call.name, call.operands, call.shape, mode)

    return lower


def _pad(build: Builder, call: Call) -> Value:
    # ONNX has other words for the same.
    mode = {"replicate": "edge", "circular": "wrap"}.get(call.get("mode"), call.get("mode"))
    return layers.pad(build, call.name, call.operands, call.shape, str(mode))


def _masked_fill(build: Builder, call: Call) -> Value:
    operands = [call.need("mask"), call.need("value"), call.need("self")]
    return build.op("where", call.name, operands, call.shape)


def _index(build: Builder, call: Call) -> Value:
    """Look rows of a table of weights up; other ways of indexing keep their name."""
    table, ids = call.need("self"), call.get("indices") or ()
    if table.constant and len(ids) == 1 and len(call.tensors("indices")) == 1:
        return layers.embedding(build, call.name, table, call.tensors("indices")[0], call.shape)
    return build.op("index", call.name, call.operands, call.shape)


def _along(op: str) -> Lower:
    def lower(build: Builder, call: Call) -> Value:
        return layers.along(build, op, call.name, call.need("self"), call.shape, int(call.get("dim", -1)))

    return lower


def _identity(build: Builder, call: Call) -> Value:
    return call.operands[0]


def _cast(build: Builder, call: Call) -> Value:
    x = call.operands[0]
    if not call.to_other_kind:
        return x
    return build.op("cast", call.name, [x], call.shape)


def _hardtanh(build: Builder, call: Call) -> Value:
    six = call.get("min_val", call.get("min")) == 0 and call.get("max_val", call.get("max")) == 6
    if six:
        return build.op("relu6", call.name, call.operands, call.shape)
    bounds = [call.get("min_val", call.get("min")), call.get("max_val", call.get("max"))]
    known = all(v is None or isinstance(v, (int, float)) for v in bounds)
    attrs = layers.bounded(bounds) if known else {}
    return build.op("clamp", call.name, call.operands, call.shape, attrs)


def _sloped(op: str, argument: str) -> Lower:
    def lower(build: Builder, call: Call) -> Value:
        slope = float(call.get(argument))
        return build.op(op, call.name, call.operands, call.shape, setting(slope))

    return lower


def _reshape(build: Builder, call: Call) -> Value:
    return build.reshape(call.name, call.operands[0], call.shape)


def _expand(build: Builder, call: Call) -> Value:
    return layers.expand(build, call.name, call.operands[0], call.shape)


def _permute(build: Builder, call: Call) -> Value:
    x = call.need("self")
    order = [int(d) % max(1, len(call.shape or ())) for d in call.get("dims")]
    return layers.transpose(build, call.name, x, call.shape, order)


def _swap(build: Builder, call: Call) -> Value:
    rank = len(call.shape or ())
    order = list(range(rank))
    a, b = int(call.get("dim0", 0)), int(call.get("dim1", 1))
    if rank > 1:
        order[a], order[b] = order[b], order[a]
    return layers.transpose(build, call.name, call.need("self"), call.shape, order)


def _cat(build: Builder, call: Call) -> Value:
    return layers.concat(build, call.name, call.tensors("tensors"), call.shape, int(call.get("dim", 0)))


def _stack(build: Builder, call: Call) -> Value:
    # Each tensor with an axis of length 1 more, concatenated along it.
    return layers.concat(build, call.name, call.tensors("tensors"), call.shape, int(call.get("dim", 0)))


def _channel_shuffle(build: Builder, call: Call) -> Value:
    x, groups = call.need("self"), int(call.get("groups"))
    if x.shape is None:
        return build.op("channel_shuffle", call.name, [x], call.shape)
    batch, channels, *rest = x.shape
    split = (batch, groups, channels // groups, *rest)
    order = [0, 2, 1, *range(3, len(split))]
    apart = build.reshape(call.name, x, split)
    turned = layers.transpose(build, call.name, apart, tuple(split[i] for i in order), order)
    return build.reshape(call.name, turned, call.shape)


def _mean(build: Builder, call: Call) -> Value:
    return layers.mean(build, call.name, call.need("self"), call.shape, call.axes())


def _reduction(op: str) -> Lower:
    def lower(build: Builder, call: Call) -> Value:
        return layers.reduction(build, op, call.name, call.need("self"), call.shape, call.axes())

    return lower


def _embedding(build: Builder, call: Call) -> Value:
    table, ids = call.need("weight"), call.need("indices")
    return layers.embedding(build, call.name, table, ids, call.shape)


def _slice(build: Builder, call: Call) -> Value:
    x, axis, step = call.need("self"), int(call.get("dim", 0)), int(call.get("step", 1))
    start = call.get("start")
    return layers.part(build, call.name, x, call.shape, axis, start if isinstance(start, int) else 0, step)


def _select(build: Builder, call: Call) -> Value:
    index = call.get("index")
    if not isinstance(index, int):
        return build.op("gather", call.name, call.operands, call.shape, {"axis": float(call.get("dim"))})
    return layers.part(build, call.name, call.need("self"), call.shape, int(call.get("dim")), index)


def _split(build: Builder, call: Call) -> list[Value]:
    """Split into parts, or into single positions (``unbind``), whose axis is gone."""
    x, axis = call.need("self"), int(call.get("dim", 0))
    if x.shape is None:
        whole = build.op("split", call.name, [x], None)
        return [build.item(call.name, whole, s, i) for i, s in enumerate(call.shapes)]
    axis %= len(x.shape)
    parts, start = [], 0
    for i, shape in enumerate(call.shapes):
        parts.append(layers.part(build, f"{call.name}_{i}", x, shape, axis, start))
        start += shape[axis] if shape is not None and len(shape) == len(x.shape) else 1
    return build.parts(parts)


def _attention(build: Builder, call: Call) -> Value:
    operands = [call.tensor(name) for name in ("query", "key", "value", "attn_mask")]
    return layers.attention(build, call.name, operands, call.shape)


def _recurrent(build: Builder, call: Call) -> Value:
    weights = call.tensors("params")
    known = [v.shape for v in weights]
    matrices = None if None in known else sum(math.prod(s) for s in known if s is not None and len(s) == 2)
    more = [v for v in call.operands[1:] if v.weights or not v.constant]
    kind, _, activation = call.op.partition("_")
    direction = "bidirectional" if call.get("bidirectional") else "forward"
    full = (kind, direction, *([activation] if activation == "relu" else []))
    return layers.recurrent(build, call.name, call.need("input"), more, call.shape, matrices, full)


def _einsum(build: Builder, call: Call) -> Value:
    return layers.einsum(build, call.name, str(call.get("equation")), call.tensors("tensors"), call.shape)


def _reciprocal(build: Builder, call: Call) -> Value:
    return build.reciprocal(call.name, call.need("self"), call.shape)


def _addcmul(build: Builder, call: Call) -> Value:
    product = build.elementwise("mul", call.name, [call.need("tensor1"), call.need("tensor2")], call.shape)
    return build.elementwise("add", call.name, [call.need("self"), product], call.shape)


_KEPT: Final = (
    "relu", "sigmoid", "tanh", "gelu", "silu", "relu6", "prelu", "selu", "softplus",
    "mish", "local_response_norm", "where", "repeat", "pixel_shuffle", "instance_norm",
)  # fmt: skip

_RENAMED: Final = {
    "hardswish": "hard_swish", "hardsigmoid": "hard_sigmoid", "constant_pad_nd": "pad",
}  # fmt: skip

_SEVERAL: Final[tuple[tuple[Lower, tuple[str, ...]], ...]] = (
    (_identity, ("identity", "dropout", "alpha_dropout", "feature_dropout", "contiguous", "clone", "detach")),
    (_identity, ("alias", "lift_fresh_copy", "_assert_tensor_metadata")),
    (_reshape, ("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "_unsafe_view")),
    (_cast, ("to", "_to_copy", "type_as", "float", "half")),
    (_matmul, ("matmul", "mm", "bmm", "mv")),
    (_expand, ("expand", "expand_as", "broadcast_to")),
    (_split, ("split", "split_with_sizes", "chunk", "unbind", "tensor_split")),
    (_recurrent, ("lstm", "gru", "rnn_tanh", "rnn_relu")),
    (
        _adaptive,
        ("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "_adaptive_avg_pool2d"),
    ),
    (_along("softmax"), ("softmax", "_softmax")),
    (_along("log_softmax"), ("log_softmax", "_log_softmax")),
    (_batch_norm, ("batch_norm", "_native_batch_norm_legit_no_training")),
    (_norm("layer_norm"), ("layer_norm", "native_layer_norm")),
    (_group_norm, ("group_norm", "native_group_norm")),
    (_upsample("nearest"), ("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d")),
    (_upsample("linear"), ("upsample_linear1d", "upsample_bilinear2d", "_upsample_bilinear2d_aa")),
    (_upsample("linear"), ("upsample_trilinear3d",)),
    (_upsample("cubic"), ("upsample_bicubic2d", "_upsample_bicubic2d_aa")),
    (_swap, ("transpose", "t", "swapaxes")),
)

LOWER: Final[dict[str, Lower]] = {
    **{op: _simple(op) for op in _KEPT},
    **{aten: _simple(op) for aten, op in _RENAMED.items()},
    **{name: lower for lower, names in _SEVERAL for name in names},
    **{f"conv{r}d": _conv(r) for r in (1, 2, 3)},
    **{f"conv_transpose{r}d": _conv(r, transposed=True) for r in (1, 2, 3)},
    **{f"max_pool{r}d": _pool("max_pool", r) for r in (1, 2, 3)},
    **{f"max_pool{r}d_with_indices": _pool("max_pool", r) for r in (2, 3)},
    **{f"avg_pool{r}d": _pool("avg_pool", r) for r in (1, 2, 3)},
    "convolution": _convolution, "linear": _linear, "addmm": _addmm, "addcmul": _addcmul,
    "rms_norm": _norm("rms_norm"), "add": _binary("add"), "mul": _binary("mul"), "sub": _binary("sub"),
    "div": _binary("div"), "rsub": _binary("sub", swapped=True), "pow": _binary("pow"),
    "maximum": _binary("maximum"), "minimum": _binary("minimum"), "permute": _permute, "cat": _cat,
    "stack": _stack, "mean": _mean, "sum": _reduction("sum"), "amax": _reduction("amax"),
    "embedding": _embedding, "slice": _slice, "select": _select, "hardtanh": _hardtanh, "einsum": _einsum,
    "scaled_dot_product_attention": _attention, "channel_shuffle": _channel_shuffle,
    "pad": _pad, "masked_fill": _masked_fill, "index": _index, "reciprocal": _reciprocal, "baddbmm": _baddbmm,
    "clamp": _hardtanh, "leaky_relu": _sloped("leaky_relu", "negative_slope"),
    "elu": _sloped("elu", "alpha"),
}  # fmt: skip
"""How each op of torch is put in normal form; others keep their names."""
