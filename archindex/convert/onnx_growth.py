"""Shapes that follow from arithmetic on shapes, with a bound on the numbers that are followed.

Exported models compute the sizes of a reshape from ``Shape``, so numbers have to be followed. The data
propagation of ``onnx.shape_inference`` follows all of them: it writes out every tensor of one axis that
passes through a cast or a sum, 2**40 numbers for a file of 155 bytes. Here small tensors alone are followed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ModelFileError
from archindex.core.graph import MAX_NODES

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TypeProto

FOLLOWED: Final = 256
"""Most numbers of one tensor that are followed; sizes and axes are far fewer."""

_ARITHMETIC: Final = frozenset(
    {"Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Ceil", "Floor", "Sqrt", "Min", "Max", "ReduceProd"}
    | {"Cast", "Concat", "ConstantOfShape", "Equal", "Expand", "Gather", "Identity", "Range", "ReduceSum"}
    | {"Reshape", "Slice", "Squeeze", "Unsqueeze", "Where", "Not", "Less", "Greater", "And", "Or"}
)
"""Ops that sizes are computed with."""

MANY_OF_FEW: Final = frozenset({"ConstantOfShape", "Expand", "Range"})
"""Those of them whose output may be of any size."""


def follow_sizes(model: ModelProto) -> bool:
    """Fill in shapes that arithmetic on shapes decides, in place, node by node in the order of the file.

    Returns
    -------
    bool
        Whether there are more shapes than before.
    """
    graph = model.graph
    known: dict[str, TypeProto] = {v.name: v.type for v in (*graph.input, *graph.value_info, *graph.output)}
    if all(_size(known.get(name)) is not None for node in graph.node for name in node.output if name):
        return False
    return _Follower(model, known).run()


class _Follower:
    def __init__(self, model: ModelProto, known: dict[str, TypeProto]) -> None:
        from archindex.convert.onnx_file import numbers

        self.model, self.known = model, known
        self.versions = {o.domain: o.version for o in model.opset_import}
        self.numbers: dict[str, npt.NDArray[np.generic]] = {}
        for tensor in model.graph.initializer:
            self._declare(tensor)
            if math.prod(tensor.dims) <= FOLLOWED:
                data = numbers(tensor)
                if data is not None:
                    self.numbers[tensor.name] = data

    def _declare(self, tensor: Any) -> None:
        from onnx import helper

        self.known[tensor.name] = helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims))

    def run(self) -> bool:
        found = False
        for node in self.model.graph.node:
            if node.domain not in ("", "ai.onnx") or not node.output:
                continue
            if any(_size(self.known.get(name)) is None for name in node.output if name):
                found |= self._shapes(node)
            self._follow(node)
        if found:
            listed = {v.name: v for v in (*self.model.graph.value_info, *self.model.graph.output)}
            for node in self.model.graph.node:
                for name in node.output:
                    if _size(self.known.get(name)) is None:
                        continue
                    entry = listed.get(name) or self.model.graph.value_info.add(name=name)
                    entry.type.CopyFrom(self.known[name])
        return found

    def _shapes(self, node: NodeProto) -> bool:
        """Infer the shapes of one node from those of its operands, and the numbers of small ones."""
        from onnx import defs, helper, numpy_helper, shape_inference

        types = {name: self.known[name] for name in node.input if name in self.known}
        if len(types) < len({name for name in node.input if name}):
            return False
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            return False
        data = {n: numpy_helper.from_array(self.numbers[n], n) for n in node.input if n in self.numbers}
        try:
            schema = defs.get_schema(node.op_type, self.versions.get(node.domain, 1), node.domain)
            imports = [helper.make_opsetid(domain, version) for domain, version in self.versions.items()]
            made = shape_inference.infer_node_outputs(schema, node, types, data, opset_imports=imports)
        except Exception:  # as in whole models, a node that does not fit leaves its shapes open
            return False
        more = False
        for name, kind in made.items():
            if _size(self.known.get(name)) is None:
                more |= _size(kind) is not None
                self.known[name] = kind
        return more

    def _follow(self, node: NodeProto) -> None:
        from onnx import helper

        from archindex.convert.onnx_file import numbers, shape_of

        target = node.output[0]
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.HasField("t") and math.prod(attribute.t.dims) <= FOLLOWED:
                    data = numbers(attribute.t)
                    if data is not None:
                        self.numbers[target] = data
            return
        size = _size(self.known.get(target))
        if node.op_type in ("Shape", "Size") and node.input[0] in self.known:
            shape = shape_of(helper.make_value_info("x", self.known[node.input[0]]))
            if shape is not None and node.op_type == "Size":
                self.numbers[target] = np.array(math.prod(shape))
            elif shape is not None:
                ends = {a.name: a.i for a in node.attribute}
                part = shape[ends.get("start", 0) : ends.get("end", len(shape))]
                self.numbers[target] = np.array(part, dtype=np.int64)
            return
        if node.op_type not in _ARITHMETIC or size is None or size > FOLLOWED:
            return
        if any(name and name not in self.numbers for name in node.input):
            return
        given = {name: self.numbers[name] for name in node.input if name}
        result = compute(node, given, self.model.opset_import)
        if result is not None:
            self.numbers[target] = result


def compute(
    node: NodeProto, given: Mapping[str, npt.NDArray[np.generic]], opsets: Any
) -> npt.NDArray[np.generic] | None:
    """Return the numbers that one op makes of small constants; None where it is not one for sizes.

    What makes many numbers of few has to be kept away from it: `MANY_OF_FEW`, where the size is not known.

    Parameters
    ----------
    node : NodeProto
        An op of the standard with one output.
    given : mapping from str to ndarray
        Its operands by name.
    opsets : sequence of OperatorSetIdProto
        Versions of the operators.
    """
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    if node.op_type not in _ARITHMETIC or max((data.size for data in given.values()), default=0) > FOLLOWED:
        return None
    kinds = {name: helper.np_dtype_to_tensor_dtype(data.dtype) for name, data in given.items()}
    inputs = [helper.make_tensor_value_info(name, kind, None) for name, kind in kinds.items()]
    outputs = [helper.make_tensor_value_info(node.output[0], TensorProto.UNDEFINED, None)]
    alone = helper.make_model(helper.make_graph([node], "node", inputs, outputs), opset_imports=opsets)
    try:
        with np.errstate(all="ignore"):
            result = ReferenceEvaluator(alone).run(None, dict(given))
    except Exception:  # whatever NumPy and onnx raise: the numbers stay unknown
        return None
    return np.asarray(next(iter(result)))


def _size(kind: TypeProto | None) -> int | None:
    """Return the elements of a tensor of this type; None where a size is open."""
    from archindex.convert.onnx_file import shape_of

    if kind is None:
        return None
    from onnx import helper

    shape = shape_of(helper.make_value_info("x", kind))
    return None if shape is None else math.prod(shape)


def check_calls(model: ModelProto) -> None:
    """Refuse functions that call each other so that they are exponentially long when written out."""
    functions = {(f.domain, f.name): f for f in model.functions}
    length: dict[tuple[str, str], int] = {}

    def calls(owner: Any) -> list[tuple[str, str]]:
        from archindex.convert.onnx_file import graphs_of

        nodes = list(owner.node)
        found = []
        while nodes:
            node = nodes.pop()
            if (node.domain, node.op_type) in functions:
                found.append((node.domain, node.op_type))
            nodes += [n for g in graphs_of(node) for n in g.node]
        return found

    for first in functions:
        waiting, path = [first], set()
        while waiting:
            key = waiting[-1]
            inner = calls(functions[key]) if key not in length else []
            missing = [k for k in inner if k not in length]
            if key in length or not missing:
                length.setdefault(key, 1 + len(functions[key].node) + sum(length[k] for k in inner))
                path.discard(waiting.pop())
            elif path & set(missing) or key in missing:
                raise ModelFileError("expected functions that do not call themselves", got=missing[0][1])
            else:
                path.add(key)
                waiting += missing[:1]
    total = sum(length[k] for k in calls(model.graph))
    if total > MAX_NODES:
        raise ModelFileError(
            f"expected at most {MAX_NODES} nodes, those of called functions included",
            got=f"about 10**{int(math.log10(total))}",
        )
