"""From an ONNX file to a `Network`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from archindex.convert.builder import Builder, Value, own_name
from archindex.convert.finish import finish
from archindex.convert.network import Network
from archindex.convert.onnx_file import MAX_BYTES, graphs_of, infer_shapes, numbers, read_model, shape_of
from archindex.convert.onnx_growth import MANY_OF_FEW, compute
from archindex.convert.onnx_node import Node
from archindex.convert.onnx_ops import LOWER, NO_WEIGHTS, UNCOUNTED
from archindex.core.errors import ArchindexError, ModelFileError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

_MANY: Final = 256
"""Most weights that a constant is made of; a computation on more of them is kept as an op."""

_LAYERS: Final = frozenset(
    {"Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum", "BatchNormalization", "LayerNormalization", "PRelu"}
    | {"GroupNormalization", "InstanceNormalization", "RMSNormalization", "LSTM", "GRU", "RNN", "Gather"}
    | {"ConvInteger", "QLinearConv", "MatMulInteger", "QLinearMatMul", "DeformConv", "DequantizeLinear"}
)
"""Ops whose constant operands are weights whatever their numbers are."""

_PASSES_ON: Final = frozenset({"Identity", "Cast", "CastLike", "Reshape", "Squeeze", "Unsqueeze", "Flatten"})
"""Ops that leave the numbers of a constant as they are."""


def from_onnx(
    file: str | PathLike[str] | bytes,
    *,
    input_shapes: Mapping[str, Sequence[int]] = MappingProxyType({}),
    max_bytes: int = MAX_BYTES,
) -> Network:
    """Read an ONNX model as a network, in the normal form of `archindex.convert.builder`.

    ONNX does not tell weights from other constants: every tensor of more than one floating point number that
    the file holds counts as a weight, save running statistics and operands that are no weights, such as the
    scales of a resize. So do 8-bit and narrower integers, which are quantised weights. A tensor that the file
    fills with one number (``ConstantOfShape``), as models without their weights do, is such a tensor too,
    unless it is filled with zeros or ones and something other than a layer reads it: then it is that number.

    Subgraphs (``If``, ``Loop``, ``Scan``), functions and ops of unknown domains are kept as one op under
    their own name; weights inside count, FLOPs are unknown.

    Parameters
    ----------
    file : path or bytes
        The model. Its weights may be missing: only their shapes matter, and external data are never read.
    input_shapes : mapping from str to sequence of int
        Shapes to take for inputs; needed where the file leaves sizes open, or all that follows is unknown.
    max_bytes : int
        Largest file to read.

    Raises
    ------
    ModelFileError
        If the file is no ONNX model, is damaged, contradicts itself (cycles, undefined or doubly defined
        values, sizes that do not fit), is too large, or refers to data outside its folder.
    """
    try:
        model = read_model(file, max_bytes)
        infer_shapes(model, input_shapes)
        return _Importer(model).network()
    except ArchindexError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # Ops with operands that their definition does not allow, and names that are no text, end here.
        raise ModelFileError(
            "expected ops as the ONNX standard defines them",
            got=f"{type(error).__name__}: {error}",
            fix="run onnx.checker.check_model on the file",
        ) from error


class _Importer:
    def __init__(self, model: ModelProto) -> None:
        self.build = Builder()
        self.graph = model.graph
        self.opsets = model.opset_import
        self.functions = {(f.domain, f.name): f for f in model.functions}
        listed = (*self.graph.input, *self.graph.value_info, *self.graph.output)
        self.shapes = {v.name: shape_of(v) for v in listed}
        self.floats = {v.name for v in listed if _is_float(v.type.tensor_type.elem_type)}
        self.values: dict[str, Value] = {}
        # Tensors that the file fills with zeros or ones, and that number.
        self.filled: dict[str, float] = {}

    def network(self) -> Network:
        self._constants()
        constants = set(self.values)
        for value in self.graph.input:
            # Files of old versions list their weights among the inputs.
            if value.name not in constants:
                self._once(value.name)
                self.values[value.name] = self.build.op("input", value.name, [], self.shapes[value.name])
        for proto in _sorted(self.graph, self.values):
            self._node(proto)
        for value in self.graph.output:
            found = self._read(value.name, f"output {value.name!r}")
            self.build.op("output", value.name, [found], found.shape)
        return finish(self.build)

    def _constants(self) -> None:
        for tensor in self.graph.initializer:
            self._once(tensor.name)
            self.values[tensor.name] = self._tensor(tensor.name, tensor)
        for sparse in self.graph.sparse_initializer:
            # What is stored counts, and the op sees the dense shape.
            name = sparse.values.name
            self._once(name)
            stored = self.build.weight(name, tuple(sparse.values.dims))
            self.values[name] = Value(tuple(sparse.dims), None, stored.weights)

    def _once(self, name: str) -> None:
        if name in self.values:
            raise ModelFileError("expected every value to be defined once", got=name)

    def _tensor(self, name: str, tensor: TensorProto) -> Value:
        shape, data = tuple(tensor.dims), numbers(tensor)
        if int(np.prod(shape, dtype=object)) > 1 and _is_weight(tensor.data_type):
            return self.build.weight(name, shape, data)
        return Value(shape, data=data)

    def _read(self, name: str, reader: str) -> Value:
        if name not in self.values:
            raise ModelFileError(f"expected a value that something defines, for {reader}", got=name)
        return self.values[name]

    def _node(self, proto: NodeProto) -> None:
        label = proto.name or (proto.output[0] if proto.output else proto.op_type)
        operands = [self._read(n, f"node {label!r}") if n else None for n in proto.input]
        outputs = [name for name in proto.output if name]
        for name in outputs:
            self._once(name)
        shape = self.shapes.get(proto.output[0]) if proto.output else None
        node = Node(proto, label, operands, shape, tuple(self.shapes.get(n) for n in proto.output))
        node.to_float = bool(proto.output) and proto.output[0] in self.floats
        node.from_float = bool(proto.input) and (
            proto.input[0] in self.floats or bool(operands and operands[0] and operands[0].weights)
        )
        made = self._lower(node)
        for i, name in enumerate(proto.output):
            if not name:
                continue
            if isinstance(made, list):
                self.values[name] = made[i]
            elif i == 0 or made.step is None:
                self.values[name] = made
            else:
                self.values[name] = self.build.item(name, made, self.shapes.get(name), i)

    def _lower(self, node: Node) -> Value | list[Value]:
        from onnx.defs import has

        standard = node.proto.domain in ("", "ai.onnx")
        key = (node.proto.domain, node.proto.op_type)
        inner = graphs_of(node.proto)
        if key in self.functions or inner or not standard:
            return self._opaque(node, inner)
        op = node.proto.op_type
        if op == "Constant":
            return self._constant_node(node)
        if op == "ConstantOfShape" and node.operands and node.constant(0):
            return self._constant_of_shape(node)
        if op == "Shape":
            return self._shape(node)
        if op not in _LAYERS | _PASSES_ON and op not in ("Expand", "Transpose"):
            node.operands = [self._as_number(v) for v in node.operands]
        if node.operands and all(v is None or v.constant for v in node.operands):
            weights = tuple(dict.fromkeys(w for v in node.operands if v for w in v.weights))
            first = node.operands[0]
            if len(weights) <= _MANY:
                data = first.data if first and op in _PASSES_ON else self._computed(node)
                value = Value(node.shape, None, weights, data)
                return [value] * len(node.proto.output) if op == "Split" else value
        # What is no weight of an op must not be counted there, but it is read.
        for slot in NO_WEIGHTS.get(op, ()):
            if node.constant(slot):
                constant = node.operand(slot)
                self.build.read.update(constant.weights)
                node.operands[slot] = Value(constant.shape, None, (), constant.data)
        if op in LOWER:
            return LOWER[op](self.build, node)
        counted = op not in UNCOUNTED and has(op)
        name = own_name(op, "onnx")
        return self.build.op(name, node.label, node.operands, node.shape, flops=0 if counted else None)

    def _computed(self, node: Node) -> npt.NDArray[np.generic] | None:
        """Return the numbers that an op makes of small constants that are no weights."""
        given = {name: v for name, v in zip(node.proto.input, node.operands, strict=True) if v is not None}
        data = {}
        for name, value in given.items():
            if value.data is None or value.shape is None or value.weights:
                return None
            if value.data.size != math.prod(value.shape):  # one number that stands for all
                return None
            data[name] = value.data.reshape(value.shape)
        return None if node.proto.op_type in MANY_OF_FEW else compute(node.proto, data, self.opsets)

    def _constant_node(self, node: Node) -> Value:
        for attribute in node.proto.attribute:
            if attribute.name == "value" and attribute.HasField("t"):
                return self._tensor(node.proto.output[0], attribute.t)
            if attribute.name in ("value_float", "value_int"):
                number = attribute.f if attribute.name == "value_float" else attribute.i
                return Value((), data=np.array(number))
            if attribute.name in ("value_floats", "value_ints"):
                data = np.array(attribute.floats or attribute.ints)
                return Value(data.shape, data=data)
        return Value(node.shape)

    def _constant_of_shape(self, node: Node) -> Value:
        sizes = node.numbers(0)
        shape = node.shape if sizes is None else tuple(int(s) for s in sizes)
        filled = next((a.t for a in node.proto.attribute if a.name == "value"), None)
        if filled is not None and not _is_weight(filled.data_type):
            return Value(shape, data=None)
        name = node.proto.output[0]
        number = 0.0 if filled is None else float(self._tensor("", filled).number or 0)
        if number in (0, 1) and shape is not None:
            self.filled[name] = number
        return self.build.weight(name, shape)

    def _as_number(self, value: Value | None) -> Value | None:
        """Return a tensor of nothing but zeros, or ones, as that number, which is no weight."""
        if value is None or len(value.weights) != 1 or value.weights[0] not in self.filled:
            return value
        name = value.weights[0]
        self.build.read.add(name)
        return Value(value.shape, data=np.array(self.filled[name]))

    def _shape(self, node: Node) -> Value:
        x = node.operand(0)
        if x.shape is None:
            return self.build.op("shape", node.label, [x], node.shape)
        part = x.shape[slice(node.whole("start", 0), node.whole("end", len(x.shape)))]
        return Value((len(part),), data=np.array(part, dtype=np.int64))

    def _opaque(self, node: Node, inner: list[GraphProto]) -> Value:
        """Keep an op that holds a graph, or that nobody here knows, as one op with all its weights."""
        operands = list(node.operands)
        function = self.functions.get((node.proto.domain, node.proto.op_type))
        held = [(node.label, graph) for graph in (*inner, *([function] if function else []))]
        while held:
            path, graph = held.pop()
            made = {v.name for v in getattr(graph, "initializer", ())}
            for tensor in getattr(graph, "initializer", ()):
                operands.append(self._tensor(f"{path}/{tensor.name}", tensor))
            for i, proto in enumerate(graph.node):
                made.update(proto.output)
                for attribute in proto.attribute:
                    if proto.op_type == "Constant" and attribute.HasField("t"):
                        # A function holds its weights once, however often it is called.
                        owner = f"{function.domain}::{function.name}" if function else path
                        operands.append(self._tensor(f"{owner}/{i}", attribute.t))
                held += [(f"{path}/{i}", g) for g in graphs_of(proto)]
                # What a subgraph takes from outside is an input of the op.
                outer = [n for n in proto.input if n in self.values and n not in made] if inner else []
                operands += [self.values[n] for n in outer]
        domain = node.proto.domain
        name = own_name(node.proto.op_type, "onnx") if domain in ("", "ai.onnx") else None
        unique = list({id(v): v for v in operands if v is not None}.values())
        return self.build.op(
            name or f"{domain}::{node.proto.op_type}", node.label, unique, node.shape, flops=None
        )


def _sorted(graph: GraphProto, known: Iterable[str]) -> list[NodeProto]:
    """Return the nodes so that each comes after those that it reads."""
    maker: dict[str, int] = {}
    for i, node in enumerate(graph.node):
        for name in node.output:
            if name:
                if name in maker:
                    raise ModelFileError("expected every value to be defined once", got=name)
                maker[name] = i
    after: list[list[int]] = [[] for _ in graph.node]
    waiting = [0] * len(graph.node)
    for i, node in enumerate(graph.node):
        for source in {maker[name] for name in _reads(node) if name in maker}:
            after[source].append(i)
            waiting[i] += 1
    ready = [i for i in range(len(waiting)) if waiting[i] == 0]
    order: list[int] = []
    for i in ready:
        order.append(i)
        for target in after[i]:
            waiting[target] -= 1
            if waiting[target] == 0:
                ready.append(target)
    if len(order) < len(waiting):
        stuck = next(i for i in range(len(waiting)) if waiting[i])
        raise ModelFileError(
            "expected a graph without cycles", got=f"a cycle at {graph.node[stuck].name or stuck!r}"
        )
    return [graph.node[i] for i in order]


def _reads(node: NodeProto) -> list[str]:
    """Return all names that a node reads, those of its subgraphs included."""
    names = list(node.input)
    waiting = graphs_of(node)
    while waiting:
        graph = waiting.pop()
        made = {name for inner in graph.node for name in inner.output}
        made.update(v.name for v in graph.input)
        made.update(v.name for v in graph.initializer)
        names += [name for inner in graph.node for name in inner.input if name not in made]
        waiting += [g for inner in graph.node for g in graphs_of(inner)]
    return names


def _is_float(kind: int) -> bool:
    from onnx import TensorProto

    return kind in (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)


def _is_weight(kind: int) -> bool:
    """Return whether a constant of this type is a weight: any floating point, or narrow integers."""
    from onnx import TensorProto

    wide = {"INT16", "INT32", "INT64", "UINT16", "UINT32", "UINT64", "BOOL", "STRING", "UNDEFINED"}
    return kind in TensorProto.DataType.values() and TensorProto.DataType.Name(kind) not in wide
