"""Ops of the ONNX standard in normal form."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Final

from archindex.convert import layers
from archindex.convert.builder import Builder, Value, setting
from archindex.convert.network import Shape
from archindex.convert.onnx_node import Node

Lower = Callable[[Builder, Node], Value | list[Value]]

NO_WEIGHTS: Final[dict[str, tuple[int, ...]]] = {
    "BatchNormalization": (3, 4),
    "Resize": (1, 2, 3),
    "Upsample": (1,),
    "Pad": (1, 2),
    "Clip": (1, 2),
    "LSTM": (4, 5, 6),
    "GRU": (4, 5),
    "RNN": (4, 5),
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
}
"""Operands that are no weights even where they are constants."""

_MOST_AXES: Final = 32

UNCOUNTED: Final = frozenset(
    {"ConvInteger", "QLinearConv", "MatMulInteger", "QLinearMatMul", "DeformConv", "DFT", "STFT"}
    | {"LinearAttention", "CausalConvWithState"}
)
"""Ops of the standard that multiply tensors in ways that are not counted here."""


def _conv(build: Builder, node: Node) -> Value:
    weight = node.operand(1).shape
    kernel = list(weight[2:]) if weight is not None else node.ints("kernel_shape")
    if not kernel:
        return build.op("conv", node.label, node.operands, node.shape, flops=None)
    stride, dilation, padding = node.window(kernel)
    groups, x = node.whole("group", 1), node.operand(0).shape
    if groups < 1:
        raise node.fault("a group count of at least 1", groups)
    if weight is not None and x is not None:
        channels = weight[0] if node.proto.op_type == "ConvTranspose" else weight[1] * groups
        if len(x) != len(weight) or x[1] != channels:
            raise node.fault(f"an input of {len(weight)} axes with {channels} channels", x)
    return layers.conv(
        build, node.label, node.operands, node.shape, stride=stride, dilation=dilation,
        groups=groups, padding=padding, transposed=node.proto.op_type == "ConvTranspose",
    )  # fmt: skip


def _pool(build: Builder, node: Node) -> Value:
    kernel = node.ints("kernel_shape") or []
    stride, dilation, padding = node.window(kernel)
    op = "max_pool" if node.proto.op_type == "MaxPool" else "avg_pool"
    return layers.pool(
        build, op, node.label, node.operand(0), node.shape, kernel=kernel, stride=stride, padding=padding,
        dilation=dilation, counts_padding=bool(node.whole("count_include_pad", 0)),
        ceil=bool(node.whole("ceil_mode", 0)),
    )  # fmt: skip


def _gemm(build: Builder, node: Node) -> Value:
    a, b = node.operand(0), node.operand(1)
    inner = a.shape[0 if node.whole("transA", 0) else 1] if a.shape else None
    rows = b.shape[1 if node.whole("transB", 0) else 0] if b.shape else None
    if None not in (inner, rows) and inner != rows:
        raise node.fault(f"a right operand with {inner} rows", b.shape)
    inner = rows if inner is None else inner
    if b.constant and not node.whole("transA", 0):
        return layers.linear(build, node.label, a, b, node.operands[2:], node.shape, inner)
    flops = None if node.shape is None or inner is None else math.prod(node.shape) * inner
    return build.op("matmul", node.label, node.operands, node.shape, flops=flops)


def _matmul(build: Builder, node: Node) -> Value:
    a, b = node.operand(0), node.operand(1)
    if a.shape and b.shape and a.shape[-1] != b.shape[-2 if len(b.shape) > 1 else 0]:
        raise node.fault(f"a right operand with {a.shape[-1]} rows", b.shape)
    return layers.matmul(build, node.label, a, b, node.shape)


def _elementwise(op: str) -> Lower:
    def lower(build: Builder, node: Node) -> Value:
        return build.elementwise(op, node.label, [v for v in node.operands if v is not None], node.shape)

    return lower


def _simple(op: str) -> Lower:
    def lower(build: Builder, node: Node) -> Value:
        return build.op(op, node.label, node.operands, node.shape)

    return lower


def _along(op: str, default: int) -> Lower:
    def lower(build: Builder, node: Node) -> Value:
        return layers.along(build, op, node.label, node.operand(0), node.shape, node.whole("axis", default))

    return lower


def _identity(build: Builder, node: Node) -> Value | list[Value]:
    x = node.operand(0)
    return [x] * len(node.proto.output)


def _cast(build: Builder, node: Node) -> Value:
    if node.from_float and node.to_float:
        return node.operand(0)
    return build.op("cast", node.label, [node.operand(0)], node.shape)


def _clip(build: Builder, node: Node) -> Value:
    bounds = [node.numbers(1), node.numbers(2)]
    if len(node.operands) == 1:
        bounds = [[node.real("min", -math.inf)], [node.real("max", math.inf)]]
    if bounds == [[0.0], [6.0]]:
        return build.op("relu6", node.label, node.operands, node.shape)
    ends = [v[0] if v else None for v in bounds]
    return build.op("clamp", node.label, node.operands, node.shape, layers.bounded(ends))


def _sloped(op: str, default: float) -> Lower:
    def lower(build: Builder, node: Node) -> Value:
        slope = node.real("alpha", default)
        return build.op(op, node.label, node.operands, node.shape, setting(slope))

    return lower


def _reshape(build: Builder, node: Node) -> Value:
    shape_operand = node.operands[1] if len(node.operands) > 1 else None
    if shape_operand is not None and not shape_operand.constant and node.shape is None:
        return build.op("reshape", node.label, node.operands, None)
    return build.reshape(node.label, node.operand(0), node.shape)


def _transpose(build: Builder, node: Node) -> Value:
    x = node.operand(0)
    order = node.ints("perm", len(x.shape) if x.shape is not None else None)
    if order is None and x.shape is not None:
        order = list(range(len(x.shape)))[::-1]
    return layers.transpose(build, node.label, x, node.shape, order)


def _expand(build: Builder, node: Node) -> Value:
    return layers.expand(build, node.label, node.operand(0), node.shape)


def _concat(build: Builder, node: Node) -> Value:
    operands = [v for v in node.operands if v is not None]
    return layers.concat(build, node.label, operands, node.shape, node.whole("axis", 1))


def _reduction(op: str) -> Lower:
    def lower(build: Builder, node: Node) -> Value:
        known = node.numbers(1)
        axes = (
            node.ints("axes")
            if len(node.operands) < 2
            else None
            if known is None
            else [int(a) for a in known]
        )
        x = node.operand(0)
        if op == "mean":
            return layers.mean(build, node.label, x, node.shape, axes)
        return layers.reduction(build, op, node.label, x, node.shape, axes)

    return lower


def _gather(build: Builder, node: Node) -> Value:
    data, index = node.operand(0), node.operand(1)
    if data.constant:
        return layers.embedding(build, node.label, data, index, node.shape)
    if index.number is not None:
        return layers.part(build, node.label, data, node.shape, node.whole("axis", 0), int(index.number))
    return build.op("gather", node.label, [data, index], node.shape, {"axis": float(node.whole("axis", 0))})


def _gather_nd(build: Builder, node: Node) -> Value:
    table, index = node.operand(0), node.operand(1)
    if not table.constant or index.shape is None or index.shape[-1:] != (1,) or node.whole("batch_dims", 0):
        return build.op("GatherND", node.label, node.operands, node.shape)
    return layers.embedding(build, node.label, table, index, node.shape)


def _slice(build: Builder, node: Node) -> Value:
    x = node.operand(0)
    starts = node.numbers(1) or node.ints("starts")
    axes = node.numbers(3) or node.ints("axes") or list(range(len(starts or [])))
    steps = node.numbers(4) or [1] * len(starts or [])
    if not starts or len(starts) > _MOST_AXES or not len(starts) == len(axes) == len(steps):
        return build.op("slice", node.label, node.operands, node.shape)
    for axis, start, step in zip(axes, starts, steps, strict=True):
        # Several axes at once are as many parts, the shape between them known from the result.
        a = int(axis)
        shape = node.shape
        if shape is not None and x.shape is not None and len(axes) > 1:
            a %= max(1, len(shape))
            shape = (*x.shape[:a], shape[a], *x.shape[a + 1 :])
        x = layers.part(build, node.label, x, shape, a, int(start), int(step))
    return x


def _split(build: Builder, node: Node) -> list[Value]:
    x, axis = node.operand(0), node.whole("axis", 0)
    sizes = node.ints("split") or node.numbers(1)
    outputs = len(node.proto.output)
    if sizes is None:
        seen = [None if s is None or axis >= len(s) else s[axis] for s in node.shapes]
        sizes = [s for s in seen if s is not None]
    if len(sizes) != outputs:
        whole = build.op("split", node.label, node.operands, None)
        return [build.item(node.label, whole, s, i) for i, s in enumerate(node.shapes)]
    starts = [0, *(int(end) for end in itertools.accumulate(sizes))]
    return build.parts(
        [
            layers.part(build, node.proto.output[i], x, node.shapes[i], axis, start)
            for i, start in enumerate(starts[:-1])
        ]
    )


def _adaptive(build: Builder, node: Node) -> Value:
    return build.op("global_avg_pool", node.label, [node.operand(0)], node.shape)


def _recurrent(build: Builder, node: Node) -> Value:
    kernels: list[Shape | None] = [node.operand(i).shape for i in (1, 2)]
    matrices = None if None in kernels else sum(math.prod(k) for k in kernels if k is not None)
    kind = node.proto.op_type.lower()
    more = [text.lower() for text in node.texts("activations")]
    usual = {"lstm": ["sigmoid", "tanh", "tanh"], "gru": ["sigmoid", "tanh"], "rnn": ["tanh"]}[kind]
    if more in (usual, usual * 2):
        more = []
    if kind == "rnn" and more and set(more) == {"relu"}:
        more = ["relu"]
    if kind == "gru" and not node.whole("linear_before_reset", 0):
        more.append("reset before")
    full = (kind, node.text("direction", "forward"), *more)
    return layers.recurrent(build, node.label, node.operand(0), node.operands[1:], node.shape, matrices, full)


def _einsum(build: Builder, node: Node) -> Value:
    operands = [v for v in node.operands if v is not None]
    return layers.einsum(build, node.label, node.text("equation", ""), operands, node.shape)


def _attention(build: Builder, node: Node) -> Value:
    heads = node.whole("q_num_heads", 0)
    packed = (heads, node.whole("kv_num_heads", heads)) if heads else None
    return layers.attention(build, node.label, node.operands[:4], node.shape, packed)


def _reciprocal(build: Builder, node: Node) -> Value:
    return build.reciprocal(node.label, node.operand(0), node.shape)


def _depth_to_space(build: Builder, node: Node) -> Value:
    return build.op("pixel_shuffle", node.label, node.operands, node.shape)


def _pad(build: Builder, node: Node) -> Value:
    return layers.pad(build, node.label, node.operands, node.shape, node.text("mode", "constant"))


def _upsample(build: Builder, node: Node) -> Value:
    return layers.upsample(build, node.label, node.operands, node.shape, node.text("mode", "nearest"))


def _group_norm(build: Builder, node: Node) -> Value:
    attrs = {"groups": float(node.whole("num_groups", 1))}
    return build.op("group_norm", node.label, node.operands, node.shape, attrs)


def _hard_sigmoid(build: Builder, node: Node) -> Value:
    slope, middle = node.real("alpha", 0.2), node.real("beta", 0.5)
    # Without attributes it is that of torch.
    usual = abs(slope - 1 / 6) < 1e-6 and middle == 0.5
    return build.op(
        "hard_sigmoid", node.label, [node.operand(0)], node.shape, {} if usual else setting(slope, middle)
    )


def _batch_norm(build: Builder, node: Node) -> Value:
    if node.constant(3) and node.constant(4):
        return build.op("batch_norm", node.label, node.operands, node.shape)
    x, scale, shift = (node.operand(i) for i in range(3))
    # The statistics are computed, those of the input: the scale and shift of such a norm need be no weights.
    more = [v for v in (scale, shift) if any(w in build.varied for w in v.weights) or not v.constant]
    build.read.update(w for v in (scale, shift) for w in v.weights)
    build.unneeded([node.operand(3), node.operand(4)], x)
    return build.op("batch_norm", node.label, [x, *more], node.shape, layers.of_the_batch())


_NAMES: Final = {
    "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Gelu": "gelu",
    "Swish": "silu", "HardSwish": "hard_swish", "PRelu": "prelu",
    "Selu": "selu", "Softplus": "softplus", "Mish": "mish", "Erf": "erf", "Exp": "exp", "Log": "log",
    "Sqrt": "sqrt", "Neg": "neg", "Abs": "abs", "Sin": "sin", "Cos": "cos",
    "Not": "logical_not", "And": "logical_and", "Where": "where", "Equal": "eq", "Less": "lt",
    "LessOrEqual": "le", "Greater": "gt", "GreaterOrEqual": "ge", "LRN": "local_response_norm",
    "GlobalMaxPool": "global_max_pool", "LayerNormalization": "layer_norm", "RMSNormalization": "rms_norm",
    "InstanceNormalization": "instance_norm", "Tile": "repeat",
}  # fmt: skip

LOWER: Final[dict[str, Lower]] = {
    **{onnx: _simple(op) for onnx, op in _NAMES.items()},
    "Conv": _conv, "ConvTranspose": _conv, "MaxPool": _pool, "AveragePool": _pool,
    "GlobalAveragePool": _adaptive, "Gemm": _gemm, "MatMul": _matmul, "Einsum": _einsum,
    "Add": _elementwise("add"), "Sum": _elementwise("add"), "Mul": _elementwise("mul"),
    "Sub": _elementwise("sub"), "Div": _elementwise("div"), "Pow": _elementwise("pow"),
    "Max": _elementwise("maximum"), "Min": _elementwise("minimum"),
    "Identity": _identity, "Dropout": _identity, "Cast": _cast, "CastLike": _cast, "Clip": _clip,
    "Reshape": _reshape, "Flatten": _reshape, "Squeeze": _reshape, "Unsqueeze": _reshape,
    "Transpose": _transpose, "Expand": _expand, "Concat": _concat, "Gather": _gather,
    "GatherND": _gather_nd, "Slice": _slice,
    "Split": _split, "Softmax": _along("softmax", -1), "LogSoftmax": _along("log_softmax", -1),
    "ReduceMean": _reduction("mean"), "ReduceSum": _reduction("sum"), "ReduceMax": _reduction("amax"),
    "LSTM": _recurrent, "GRU": _recurrent, "RNN": _recurrent, "Attention": _attention,
    "LeakyRelu": _sloped("leaky_relu", 0.01), "Elu": _sloped("elu", 1.0),
    "Pad": _pad, "Resize": _upsample, "Upsample": _upsample, "GroupNormalization": _group_norm,
    "HardSigmoid": _hard_sigmoid, "BatchNormalization": _batch_norm,
    "DepthToSpace": _depth_to_space, "Reciprocal": _reciprocal,
}  # fmt: skip
"""How each op of the standard is put in normal form; others keep their names."""
