"""The normal form of a network, and the builder that both importers share.

The same network gets the same graph, whether it comes from an ONNX file or from a torch module:

- Weights and constants are no nodes; what is computed from them alone is a constant too. An op with a
  constant operand has one input less: ``x * c`` is a ``mul`` with one input.
- What passes its input on is contracted: identity, dropout, casts between floats, copies, reshapes, slices
  and expansions that keep everything. A reshape that only adds or drops axes of length 1 is one of these,
  and of reshapes in a row the last one stays.
- Transposes in a row are one.
- A product with the constant 0 is ``none``, and sums lose it.
- A constant added to the output of one convolution or linear layer, one number a channel, is its bias. A
  constant scale or shift of the output of one batch norm, as Caffe writes it, belongs to the norm.
- Batch norms are kept and never folded into convolutions.
- Scaled dot-product attention is ``attention``, also where it is written out as products and a softmax.
- ``x * sigmoid(x)`` is ``silu``, with a hard sigmoid ``hard_swish``; one divided by a root is ``rsqrt``.
- A sum that feeds only another sum is joined with it.
- A mean over all positions of an image, a pool over all of them and an adaptive pool to one are
  ``global_avg_pool``. Gemm, addmm and products with a constant matrix are ``linear``. Views and flattening
  are ``reshape``. Parts of a split and selected positions are ``slice``, each a node of its own.
- Operands of sums, products, minima and maxima come into one port, those of every other op into the port of
  their position. Several inputs and outputs of a network are told apart by ``index``.
- Ops outside the vocabulary keep their own names. What no input reaches, such as a source of random numbers,
  stays in the graph and counts as zero in its `arch_id`.

Attributes stand for what sets two ops of a kind apart; values of constants do not. What has no attribute of
its own is part of ``setting``: a dilation or kernel that differs between axes, the kind and direction of a
recurrent layer, the rows of an embedding, exponents, slopes and bounds of activations.

Left out on purpose: whether a layer has a bias, the numbers of constants, epsilons of norms, and which layers
share their weights. Left out so far, and thus alike: padding that differs between sides or axes, output
padding, normalised axes, how corners are aligned in upsampling, constant masks of attention, heads of
attention that is written out in another way than the one above, and arguments of ops that keep their own
names.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from archindex.convert.network import Shape
from archindex.core.errors import ModelFileError
from archindex.core.graph import MAX_NODES
from archindex.core.ops import OP_ID

_MASKED = -1e4
"""Below this, a number in an attention mask stands for minus infinity."""

COMMUTATIVE = frozenset({"add", "mul", "maximum", "minimum"})
"""Ops whose operands come into one port."""


_GATED = {"sigmoid": "silu", "hard_sigmoid": "hard_swish"}


@dataclass(frozen=True)
class Value:
    """What an op reads: the output of a step, or a constant.

    Attributes
    ----------
    shape : tuple of int or None
        None where it is unknown.
    step : int or None
        Number of the step that makes it; None for a constant.
    weights : tuple of str
        Names of the weight tensors that a constant is made of.
    data : ndarray or None
        The numbers of a small constant, where they are known.
    """

    shape: Shape | None
    step: int | None = None
    weights: tuple[str, ...] = ()
    data: npt.NDArray[np.generic] | None = None

    @property
    def constant(self) -> bool:
        """Whether no input decides it."""
        return self.step is None

    @property
    def number(self) -> float | None:
        """The number, where this is a constant of one known number."""
        if self.data is None or self.data.size != 1:
            return None
        return float(self.data.reshape(-1)[0])


@dataclass
class Step:
    """One op of the network under construction."""

    op: str
    name: str
    shape: Shape | None
    inputs: list[tuple[int, int]] = field(default_factory=list)
    attrs: dict[str, float] = field(default_factory=dict)
    weights: list[str] = field(default_factory=list)
    flops: int | None = 0
    # Elements of the constant operand, for what may belong to the layer before.
    operand: int | None = None
    # Goes if nothing reads it.
    optional: bool = False
    # Of a transpose: which axis of its input each axis is.
    order: tuple[int, ...] = ()


class Builder:
    """Takes the ops of a network in topological order and keeps them in normal form.

    Attributes
    ----------
    steps : list of Step
        The ops so far.
    weights : dict from str to (int or None)
        Elements of each weight tensor; None where its shape is unknown.
    read : set of str
        Weights that some op reads.
    varied : set of str
        Weights that are known not to hold one number over and over.
    masks : set of str
        Weights that hold nothing but zeros and large negative numbers, as attention masks do.
    affine : set of str
        Scales and shifts that were given to the batch norm before.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.weights: dict[str, int | None] = {}
        self.read: set[str] = set()
        self.varied: set[str] = set()
        self.masks: set[str] = set()
        self.affine: set[str] = set()
        # The shape in which a reshape or transpose saw its input; it may differ by axes of length 1 from that
        # of the step.
        self._seen: dict[int, Shape | None] = {}

    def weight(self, name: str, shape: Shape | None, data: npt.NDArray[np.generic] | None = None) -> Value:
        """Return a weight tensor as a constant."""
        self.weights[name] = None if shape is None else math.prod(shape)
        if data is not None and data.size > 1 and (data != data.reshape(-1)[0]).any():
            self.varied.add(name)
        if data is not None and data.dtype.kind == "f":
            with np.errstate(invalid="ignore"):  # numbers that a damaged file holds
                floats = data.astype(np.float64)
            if ((floats == 0) | (floats < _MASKED)).all():
                self.masks.add(name)
        return Value(shape, weights=(name,), data=data)

    def op(
        self,
        op: str,
        name: str,
        operands: Sequence[Value | None],
        shape: Shape | None,
        attrs: Mapping[str, float] | None = None,
        *,
        flops: int | None = 0,
    ) -> Value:
        """Add an op as it is; operands that are None are left out and keep their ports.

        Raises
        ------
        ModelFileError
            If there are `MAX_NODES` ops already.
        """
        if len(self.steps) >= MAX_NODES:
            raise ModelFileError(f"expected a network of at most {MAX_NODES} ops", got="more")
        step = Step(op, name, shape, attrs=dict(attrs or {}), flops=flops)
        for port, value in enumerate(operands):
            if value is None:
                continue
            if value.step is not None:
                step.inputs.append((value.step, 0 if op in COMMUTATIVE else port))
            else:
                step.weights += value.weights
                self.read.update(value.weights)
        self.steps.append(step)
        return Value(shape, len(self.steps) - 1)

    def elementwise(self, op: str, name: str, operands: Sequence[Value], shape: Shape | None) -> Value:
        """Add a sum, product or other op on operands that are broadcast."""
        dynamic = [v for v in operands if v.step is not None]
        constants = [v for v in operands if v.step is None]
        if op == "mul" and dynamic and any(v.number == 0 for v in constants):
            return self.op("none", name, dynamic[:1], shape)
        if op in ("add", "mul") and len(dynamic) == 1 and dynamic[0].shape == shape and shape is not None:
            neutral = 0 if op == "add" else 1
            if all(v.number == neutral and not v.weights for v in constants):
                return dynamic[0]
        if op == "add" and not constants:
            live = [v for v in dynamic if not self._is_zero(v)]
            if len(live) < len(dynamic) and any(v.shape == shape for v in live) and shape is not None:
                dynamic = live
            elif not live:
                dynamic = [max(dynamic, key=lambda v: math.prod(v.shape or ()))]
            if len(dynamic) == 1 and dynamic[0].shape == shape:
                return dynamic[0]
            operands = dynamic
        if op == "mul" and len(dynamic) == len(operands) == 2:
            for gate, x in (dynamic, dynamic[::-1]):
                gated = self._gated(gate, x)
                if gated is not None:
                    return self.op(gated, name, [x], shape)
        exponent = operands[1].number if op == "pow" and len(operands) > 1 else None
        value = self.op(op, name, operands, shape, {} if exponent is None else setting(exponent))
        if len(dynamic) == 1 and len(constants) == 1 and constants[0].shape is not None:
            self.steps[-1].operand = math.prod(constants[0].shape)
        return value

    def reshape(self, name: str, x: Value, shape: Shape | None) -> Value:
        """Add a reshape, flattening, squeeze or view."""
        if x.step is None:
            return Value(shape, None, x.weights, None if x.data is None else x.data.reshape(-1))
        source = x
        if self.steps[x.step].op == "reshape":
            inner = self.steps[x.step]
            before = inner.inputs[0][0]
            source = Value(self._seen[x.step], before)
            inner.optional = True
        if shape is not None and source.shape is not None and solid(source.shape) == solid(shape):
            return Value(shape, source.step)
        value = self.op("reshape", name, [source], shape)
        if value.step is not None:
            self._seen[value.step] = source.shape
        return value

    def turn(self, number: int, order: Sequence[int], seen: Shape | None) -> None:
        """Say in which order a transpose puts the axes of its input, whose shape it saw as `seen`."""
        self.steps[number].order = tuple(order)
        self._seen[number] = seen
        rank = 0
        for i, a in enumerate(order):
            rank = rank * (len(order) - i) + sum(b < a for b in order[i + 1 :])
        self.steps[number].attrs = {"index": float(rank)}

    def seen_by(self, number: int) -> Shape | None:
        """Return the shape in which a reshape or transpose saw its input."""
        return self._seen.get(number)

    def item(self, name: str, whole: Value, shape: Shape | None, index: int) -> Value:
        """Add one of several outputs of an op."""
        return self.parts([self.op("item", name, [whole], shape, {"index": float(index)})])[0]

    def parts(self, values: list[Value]) -> list[Value]:
        """Mark the outputs of an op, each a step of its own, as steps that go if nothing reads them."""
        for value in values:
            if value.step is not None and self.steps[value.step].op in ("item", "slice"):
                self.steps[value.step].optional = True
        return values

    def unneeded(self, values: Sequence[Value], source: Value) -> None:
        """Mark what `values` are computed by, from `source` on, as steps that go if nothing reads them."""
        waiting = [v.step for v in values]
        while waiting:
            number = waiting.pop()
            if number is None or number == source.step or self.steps[number].op == "input":
                continue
            if not self.steps[number].optional:
                self.steps[number].optional = True
                waiting += [before for before, _ in self.steps[number].inputs]

    def reciprocal(self, name: str, x: Value, shape: Shape | None) -> Value:
        """Add one divided by x; that of a root is ``rsqrt``."""
        if x.step is None or self.steps[x.step].op != "sqrt":
            return self.op("reciprocal", name, [x], shape)
        root = self.steps[x.step]
        root.optional = True
        return self.op("rsqrt", name, [Value(root.shape, root.inputs[0][0])], shape)

    def _gated(self, gate: Value, x: Value) -> str | None:
        """Return the op that x times its own sigmoid is."""
        if gate.step is None:
            return None
        sigmoid = self.steps[gate.step]
        op = _GATED.get(sigmoid.op)
        if op is None or sigmoid.attrs or not sigmoid.inputs or sigmoid.inputs[0][0] != x.step:
            return None
        sigmoid.optional = True
        return op

    def _is_zero(self, value: Value) -> bool:
        return value.step is not None and self.steps[value.step].op == "none"


def own_name(name: str, origin: str) -> str:
    """Return the name of an op outside the vocabulary, kept apart from the ops inside it."""
    return f"{origin}::{name}" if name in OP_ID or not name else name


def setting(*what: object) -> dict[str, float]:
    """Return the attribute ``setting`` for what no other attribute says: a hash below 2**24 of its text.

    Numbers are taken to six digits, so that those that a file holds in single precision are the same.
    """
    text = ",".join(f"{v:.6g}" if isinstance(v, (int, float)) else str(v) for v in what)
    digest = hashlib.blake2b(text.encode(), digest_size=3).digest()
    return {"setting": float(int.from_bytes(digest, "big"))}


def solid(shape: Shape) -> Shape:
    """Return a shape without its axes of length 1."""
    return tuple(d for d in shape if d != 1)
