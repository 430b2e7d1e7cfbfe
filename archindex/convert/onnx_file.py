"""Reading ONNX files that nobody vouches for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from archindex.convert.onnx_growth import check_calls, follow_sizes
from archindex.core.checks import check_int, check_path
from archindex.core.errors import ModelFileError
from archindex.core.graph import MAX_NODES

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

MAX_BYTES: Final = 2**31 - 1
"""Default limit on the bytes of a file, which is also protobuf's own."""

MAX_ELEMENTS: Final = 10**12
"""Limit on the elements that all tensors of a model declare together."""

KNOWN_ELEMENTS: Final = 1 << 16
"""Tensors of up to this many elements are read by value; of larger ones only the shape matters."""

_MAX_RANK: Final = 32
"""Most axes of a tensor, as in NumPy before 2.0."""

_STRIPPED: Final = 1 << 20
"""Bytes above which the numbers of a tensor are dropped before shapes are inferred."""


def read_model(file: str | PathLike[str] | bytes, max_bytes: int) -> ModelProto:
    """Return the model in a file, with sizes, names and external data checked.

    The weights themselves are never needed: external data are not read, wherever they are.

    Raises
    ------
    ModelFileError
        If the file cannot be read or parsed, is too large, or refers to files outside its folder.
    """
    check_int("max_bytes", max_bytes, low=1)
    raw = file if isinstance(file, bytes) else _bytes_of(check_path(file), max_bytes)
    if len(raw) > max_bytes:
        raise ModelFileError(f"expected at most {max_bytes} bytes", got=len(raw), fix="raise max_bytes")
    import onnx
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(raw)
    except DecodeError as error:
        raise ModelFileError(
            "expected an ONNX model in protobuf form", got=str(error), fix="the file is damaged or no ONNX"
        ) from None
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise ModelFileError("expected an ONNX model with a graph", got=f"{len(raw)} bytes without one")
    _check_sizes(model)
    return model


def infer_shapes(model: ModelProto, input_shapes: Mapping[str, Sequence[int]]) -> None:
    """Fill in the shapes of all values that follow from the shapes of the inputs, in place.

    Raises
    ------
    ModelFileError
        If the model contradicts itself, or `input_shapes` names what is no input.
    """
    inputs = {value.name: value for value in model.graph.input}
    for name, shape in input_shapes.items():
        if name not in inputs:
            raise ModelFileError(
                "expected the name of an input", got=name, fix=f"inputs: {', '.join(inputs)}"
            )
        dims = inputs[name].type.tensor_type.shape
        del dims.dim[:]
        for size in shape:
            dims.dim.add().dim_value = check_int(f"size in the shape of {name}", size, low=0)
    imported = {opset.domain for opset in model.opset_import}
    for domain in {node.domain for node in model.graph.node} - imported - {"", "ai.onnx"}:
        # Inference refuses domains that are not listed; ops of unknown domains have no version here anyway.
        model.opset_import.add(domain=domain, version=1)
    for tensor in _tensors(model.graph):
        if len(tensor.raw_data) > _STRIPPED:
            tensor.ClearField("raw_data")
    check_calls(model)
    _infer(model)
    if follow_sizes(model):
        # What functions and branches make of the shapes that were found.
        _infer(model)


def _infer(model: ModelProto) -> None:
    import onnx

    try:
        # Data propagation is left out: it writes out tensors of any length.
        inferred = onnx.shape_inference.infer_shapes(model)
    except Exception as error:  # the C++ side raises RuntimeError, ValueError, InferenceError and others
        raise ModelFileError("expected a model whose shapes fit together", got=str(error)) from None
    model.graph.CopyFrom(inferred.graph)


def shape_of(value: Any) -> tuple[int, ...] | None:
    """Return the shape of a ValueInfoProto; None where a size is missing or symbolic."""
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
        return None
    dims = kind.shape.dim
    if len(dims) > _MAX_RANK or any(not d.HasField("dim_value") or d.dim_value < 0 for d in dims):
        return None
    return tuple(int(d.dim_value) for d in dims)


def numbers(tensor: TensorProto) -> npt.NDArray[np.generic] | None:
    """Return the values of a small tensor that the file itself holds; None for others.

    Raises
    ------
    ModelFileError
        If the tensor holds fewer or more numbers than it declares.
    """
    from onnx import TensorProto, numpy_helper

    if math.prod(tensor.dims) > KNOWN_ELEMENTS or tensor.data_location == TensorProto.EXTERNAL:
        return None
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except Exception as error:  # whatever NumPy and onnx make of damaged numbers
        raise ModelFileError(f"expected the numbers of tensor {tensor.name!r}", got=str(error)) from None


def graphs_of(node: NodeProto) -> list[GraphProto]:
    """Return the graphs that a node holds: branches of If, bodies of Loop and Scan."""
    held = [a.g for a in node.attribute if a.HasField("g")]
    return held + [g for a in node.attribute for g in a.graphs]


def _bytes_of(path: Path, max_bytes: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise ModelFileError(
                f"expected a file of at most {max_bytes} bytes", got=size, fix="raise max_bytes"
            )
        with path.open("rb") as stream:
            return stream.read(max_bytes + 1)
    except OSError as error:
        raise ModelFileError("expected an ONNX file", got=str(path), fix=error.strerror) from None


def _check_sizes(model: ModelProto) -> None:
    nodes = 0
    waiting: list[Any] = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        nodes += len(graph.node)
        if nodes > MAX_NODES:
            raise ModelFileError(
                f"expected at most {MAX_NODES} nodes, those of subgraphs included", got=nodes
            )
        _check_names(graph)
        waiting += [inner for node in graph.node for inner in graphs_of(node)]
    elements = 0
    for graph in (model.graph, *model.functions):
        for tensor in _tensors(graph):
            if len(tensor.dims) > _MAX_RANK or any(d < 0 for d in tensor.dims):
                raise ModelFileError(
                    f"expected up to {_MAX_RANK} sizes, none negative, for tensor {tensor.name!r}",
                    got=list(tensor.dims[: _MAX_RANK + 1]),
                )
            elements += math.prod(tensor.dims)
            if elements > MAX_ELEMENTS:
                raise ModelFileError(f"expected tensors of at most {MAX_ELEMENTS} elements", got=elements)
            _check_location(tensor)


def _check_names(graph: Any) -> None:
    """Refuse names that are no UTF-8: protobuf hands them over as bytes."""
    names = [node.name for node in graph.node]
    if hasattr(graph, "initializer"):  # a graph, and no function, whose inputs are names themselves
        values = (*graph.initializer, *graph.input, *graph.output, *graph.value_info)
        names += [value.name for value in values]
    for node in graph.node:
        names += [node.op_type, node.domain, *node.input, *node.output, *(a.name for a in node.attribute)]
    for name in names:
        if not isinstance(name, str):
            raise ModelFileError("expected names in UTF-8", got=name)


def _check_location(tensor: TensorProto) -> None:
    """Refuse external data outside the folder of the model; inside they are left unread."""
    for entry in tensor.external_data:
        if entry.key != "location":
            continue
        posix, windows = PurePosixPath(entry.value), PureWindowsPath(entry.value)
        if posix.is_absolute() or windows.drive or windows.root or ".." in (*posix.parts, *windows.parts):
            raise ModelFileError(
                "expected external data inside the folder of the model",
                got=entry.value,
                fix="save the model again with its data beside it",
            )


def _tensors(graph: Any) -> Iterator[TensorProto]:
    """Yield every dense tensor of a graph or function, those of its nodes and subgraphs included."""
    waiting = [graph]
    while waiting:
        current = waiting.pop()
        yield from getattr(current, "initializer", ())
        for sparse in getattr(current, "sparse_initializer", ()):
            yield sparse.values
        for node in current.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                yield from attribute.tensors
                if attribute.HasField("sparse_tensor"):
                    yield attribute.sparse_tensor.values
            waiting += graphs_of(node)
