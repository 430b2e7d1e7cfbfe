"""Layers in normal form: what both importers call for the ops they know, with attributes and multiply-adds.

Shapes are (batch, channels, height, width) for images; `kernel`, `stride` and so on have one entry for each
axis after the second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from archindex.convert.builder import Builder, Value, setting
from archindex.convert.network import Shape

_MOST_AXES: Final = 32


def conv(
    build: Builder,
    name: str,
    operands: Sequence[Value | None],
    shape: Shape | None,
    *,
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    padding: float | None,
    transposed: bool = False,
) -> Value:
    """Add a convolution; `operands` are the input, the kernel, and a bias or more constants."""
    x, kernel = operands[0], operands[1]
    flops: int | None = None
    attrs: dict[str, float] = {}
    weight = None if kernel is None else kernel.shape
    if weight is not None and len(weight) > 2:
        attrs = _window(weight[2:], stride, padding)
        attrs["channels"] = weight[1] * groups if transposed else weight[0]
        seen = x.shape if transposed and x is not None else shape
        if seen is not None:
            # A kernel holds (out, in / groups, ...), a transposed one (in, out / groups, ...).
            flops = math.prod(seen) * math.prod(weight[1:])
    if any(d != 1 for d in dilation):
        attrs["dilation"] = dilation[0]
    inner = (tuple(weight[3:-1]), tuple(stride[1:-1])) if weight is not None else ((), ())
    uneven = any(d != dilation[0] for d in dilation)
    if inner != ((), ()) or uneven:
        attrs |= setting(*inner, tuple(dilation) if uneven else ())
    if groups != 1:
        attrs["groups"] = groups
    op = "transposed_conv" if transposed else "conv"
    return build.op(op, name, operands, shape, attrs, flops=flops)


def pool(
    build: Builder,
    op: str,
    name: str,
    x: Value,
    shape: Shape | None,
    *,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: float | None,
    dilation: Sequence[int] = (),
    counts_padding: bool = False,
    ceil: bool = False,
) -> Value:
    """Add ``avg_pool`` or ``max_pool``; an average over the whole image is ``global_avg_pool``.

    `counts_padding`: whether the zeros around an image count in an average. `ceil`: whether a window that
    begins inside and ends outside counts; said only where there is one.
    """
    whole = x.shape is not None and tuple(kernel) == x.shape[2:] and not padding
    if op == "avg_pool" and whole:
        return build.op("global_avg_pool", name, [x], shape)
    attrs = _window(kernel, stride, padding)
    if any(d != 1 for d in dilation):
        attrs["dilation"] = dilation[0]
    inner = (tuple(kernel[1:-1]), tuple(stride[1:-1])) if len(kernel) > 2 else ()
    border = ["padding counts"] if counts_padding and padding and op == "avg_pool" else []
    if ceil and shape is not None and x.shape is not None:
        # With a mean padding p, floor takes 1 + (size + 2 p - reach) // stride windows.
        reach = [(dilation[i] if dilation else 1) * (k - 1) + 1 for i, k in enumerate(kernel)]
        floor = [
            1 + int(size + 2 * (padding or 0) - r) // s
            for size, r, s in zip(x.shape[2:], reach, stride, strict=True)
        ]
        border += ["ceil"] if tuple(floor) != shape[2:] else []
    if inner or border:
        attrs |= setting(*inner, *border)
    return build.op(op, name, [x], shape, attrs)


def adaptive_avg_pool(build: Builder, name: str, x: Value, shape: Shape | None) -> Value:
    """Add an average pool that is given by the size of its output."""
    if shape is not None and all(d == 1 for d in shape[2:]):
        return build.op("global_avg_pool", name, [x], shape)
    if shape is not None and x.shape == shape:
        return x
    if shape is None or x.shape is None or any(i % o for i, o in zip(x.shape[2:], shape[2:], strict=True)):
        return build.op("adaptive_avg_pool", name, [x], shape)
    kernel = [i // o for i, o in zip(x.shape[2:], shape[2:], strict=True)]
    return pool(build, "avg_pool", name, x, shape, kernel=kernel, stride=kernel, padding=0)


def mean(build: Builder, name: str, x: Value, shape: Shape | None, axes: Sequence[int] | None) -> Value:
    """Add a mean over `axes`, all if None; over all positions of an image it is ``global_avg_pool``."""
    rank = None if x.shape is None else len(x.shape)
    if rank is not None and axes is not None:
        axes = sorted(a % rank for a in axes)
        if rank >= 4 and axes == list(range(2, rank)):
            return build.op("global_avg_pool", name, [x], shape)
    return build.op("mean", name, [x], shape, _axes(axes))


def linear(
    build: Builder,
    name: str,
    x: Value,
    weight: Value,
    more: Sequence[Value | None],
    shape: Shape | None,
    inner: int | None,
) -> Value:
    """Add a linear layer; `inner` is the number of its input features."""
    flops = None if shape is None or inner is None else math.prod(shape) * inner
    attrs = {} if shape is None or not shape else {"channels": float(shape[-1])}
    return build.op("linear", name, [x, weight, *more], shape, attrs, flops=flops)


def matmul(build: Builder, name: str, a: Value, b: Value, shape: Shape | None) -> Value:
    """Add a product of two tensors; with a constant matrix on the right it is ``linear``."""
    if b.constant and b.shape is not None and len(b.shape) == 2:
        return linear(build, name, a, b, (), shape, b.shape[0])
    inner = a.shape[-1] if a.shape else (b.shape[-2] if b.shape and len(b.shape) > 1 else None)
    flops = None if shape is None or inner is None else math.prod(shape) * inner
    return build.op("matmul", name, [a, b], shape, flops=flops)


def attention(
    build: Builder,
    name: str,
    operands: Sequence[Value | None],
    shape: Shape | None,
    packed: tuple[int, int] | None = None,
) -> Value:
    """Add scaled dot-product attention of queries, keys, values and an optional mask.

    Shapes are (batch, heads, length, width). Where they are (batch, length, heads * width), `packed` gives
    the heads of the queries and those of keys and values.
    """
    q, k, v = (None if x is None else x.shape for x in operands[:3])
    flops = None
    heads = packed[0] if packed else None
    if (
        q is not None
        and k is not None
        and v is not None
        and len(q) == len(k) == len(v) == (3 if packed else 4)
    ):
        heads = packed[0] if packed else q[1]
        # Queries times keys times width for the scores, and the same with the width of the values.
        width = q[-1] + (packed[0] * v[-1] // packed[1] if packed else v[-1])
        flops = math.prod(q[:-2]) * q[-2] * k[-2] * width
    return build.op("attention", name, operands, shape, {"heads": heads} if heads else {}, flops=flops)


def embedding(build: Builder, name: str, table: Value, ids: Value, shape: Shape | None) -> Value:
    """Add a look-up of rows of a table of weights."""
    attrs = {"channels": float(table.shape[-1]), **setting(table.shape[0])} if table.shape else {}
    return build.op("embedding", name, [ids, table], shape, attrs)


def part(
    build: Builder, name: str, x: Value, shape: Shape | None, axis: int, start: int, step: int = 1
) -> Value:
    """Add a ``slice`` along one axis; one that keeps everything is contracted."""
    if shape is not None and x.shape == shape and step == 1:
        return x
    attrs: dict[str, float] = {"axis": axis, "index": start}
    if x.shape is not None:
        axis %= max(1, len(x.shape))
        size = x.shape[axis] if x.shape else 1
        attrs = {"axis": axis, "index": start + size if start < 0 else start}
        if shape is not None:
            attrs["channels"] = shape[axis] if len(shape) == len(x.shape) else 1
    if step != 1:
        attrs["stride"] = step
    return build.op("slice", name, [x], shape, attrs)


def transpose(build: Builder, name: str, x: Value, shape: Shape | None, order: Sequence[int] | None) -> Value:
    """Add a transpose; one that moves only axes of length 1 is a reshape."""
    if order is None or len(order) > _MOST_AXES or sorted(order) != list(range(len(order))):
        return build.op("transpose", name, [x], shape)
    if x.step is None:
        return Value(shape, None, x.weights)
    inner = build.steps[x.step]
    if inner.op == "transpose" and len(inner.order) == len(order):
        inner.optional = True
        before = inner.inputs[0][0]
        order = [inner.order[a] for a in order]
        x = Value(build.seen_by(x.step), before)
        if order == sorted(order):
            return x
    if x.shape is not None:
        long = [a for a in order if x.shape[a] != 1]
        if long == sorted(long):
            return build.reshape(name, x, shape)
    value = build.op("transpose", name, [x], shape)
    if value.step is not None:
        build.turn(value.step, order, x.shape)
    return value


def expand(build: Builder, name: str, x: Value, shape: Shape | None) -> Value:
    """Add a broadcast to a larger shape."""
    if x.constant:
        return Value(shape, None, x.weights, x.data if x.number is not None else None)
    if shape is not None and x.shape is not None and math.prod(shape) == math.prod(x.shape):
        return build.reshape(name, x, shape)
    return build.op("expand", name, [x], shape)


def concat(build: Builder, name: str, operands: Sequence[Value], shape: Shape | None, axis: int) -> Value:
    """Add a concatenation; that of one tensor is contracted."""
    if len(operands) == 1:
        return operands[0]
    rank = None if shape is None else len(shape)
    return build.op("concat", name, operands, shape, {"axis": axis % rank if rank else axis})


def along(build: Builder, op: str, name: str, x: Value, shape: Shape | None, axis: int) -> Value:
    """Add an op that works along one axis, such as ``softmax``."""
    rank = None if x.shape is None else len(x.shape)
    return build.op(op, name, [x], shape, {"axis": float(axis % rank if rank else axis)})


def reduction(
    build: Builder, op: str, name: str, x: Value, shape: Shape | None, axes: Sequence[int] | None
) -> Value:
    """Add a sum, maximum or the like over `axes`, all if None."""
    if axes is not None and x.shape is not None:
        axes = sorted(a % max(1, len(x.shape)) for a in axes)
    return build.op(op, name, [x], shape, _axes(axes))


def recurrent(
    build: Builder,
    name: str,
    x: Value,
    more: Sequence[Value | None],
    shape: Shape | None,
    matrices: int | None,
    kind: tuple[str, ...],
) -> Value:
    """Add a recurrent layer over (length, batch, features); `matrices` counts the elements of its matrices.

    Each of them is multiplied once for every position and batch entry. `kind` is what sets it apart:
    ``lstm``, ``gru`` or ``rnn``, the direction, and activations that are not the usual ones.
    """
    flops = (
        None
        if x.shape is None or matrices is None or len(x.shape) < 3
        else x.shape[0] * x.shape[1] * matrices
    )
    attrs = {} if shape is None or not shape else {"channels": float(shape[-1])}
    return build.op("recurrent", name, [x, *more], shape, {**attrs, **setting(*kind)}, flops=flops)


def bounded(bounds: Sequence[float | None]) -> dict[str, float]:
    """Describe the lower and upper bound of a ``clamp``, None or infinite where there is none."""
    return setting(*("" if b is None or math.isinf(b) or abs(b) > 1e38 else b for b in bounds))


def pad(build: Builder, name: str, operands: Sequence[Value | None], shape: Shape | None, mode: str) -> Value:
    """Add what an image is framed with: a constant, or by `mode` ``reflect``, ``edge`` or ``wrap``."""
    return build.op("pad", name, operands, shape, {} if mode == "constant" else setting(mode))


def upsample(
    build: Builder, name: str, operands: Sequence[Value | None], shape: Shape | None, mode: str
) -> Value:
    """Add a change of the image size by ``nearest``, ``linear`` or ``cubic`` interpolation."""
    return build.op("upsample", name, operands, shape, {} if mode == "nearest" else setting(mode))


def of_the_batch() -> dict[str, float]:
    """Describe a batch norm that takes mean and variance from the batch at hand, in evaluation mode, too."""
    return setting("statistics of the batch")


def einsum(build: Builder, name: str, equation: str, operands: Sequence[Value], shape: Shape | None) -> Value:
    """Add an einsum; it multiplies once for every combination of its indices and every further operand."""
    left = equation.replace(" ", "").split("->")[0].split(",")
    sizes: dict[str, int] = {}
    known = len(left) == len(operands)
    for labels, value in zip(left, operands, strict=False):
        if value.shape is None or len(labels) != len(value.shape) or "." in labels:
            known = False
            break
        sizes.update(zip(labels, value.shape, strict=True))
    flops = math.prod(sizes.values()) * (len(operands) - 1) if known else None
    return build.op("einsum", name, operands, shape, flops=flops)


def _window(kernel: Sequence[int], stride: Sequence[int], padding: float | None) -> dict[str, float]:
    attrs: dict[str, float] = {"kernel": kernel[0], "stride": stride[0]}
    if kernel[-1] != kernel[0]:
        attrs["kernel_w"] = kernel[-1]
    if stride[-1] != stride[0]:
        attrs["stride_w"] = stride[-1]
    if padding:
        attrs["padding"] = padding
    return attrs


def _axes(axes: Sequence[int] | None) -> dict[str, float]:
    """Describe a set of axes by its first, and by all of them as bits where there are more."""
    if axes is None or not axes:
        return {}
    if len(axes) == 1:
        return {"axis": float(axes[0])}
    return {"axis": float(axes[0]), "index": float(sum(1 << (a % 24) for a in axes))}
