"""Rewrites of an ONNX file that leave what it computes as it is.

Each takes a model and returns another one; the first is not changed. All are for files that
`archindex.convert.to_onnx` writes: one graph, no subgraphs, no functions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

Rewrite = Callable[[ModelProto, np.random.Generator], ModelProto]


def rename(model: ModelProto, rng: np.random.Generator) -> ModelProto:
    """Give every node and value a new name, inputs and outputs of the network included."""
    made = _copy(model)
    graph = made.graph
    lists: Any = (graph.initializer, graph.input, graph.output, graph.value_info)
    names = dict.fromkeys(v.name for values in lists for v in values)
    names.update(dict.fromkeys(n for node in graph.node for n in (*node.input, *node.output) if n))
    new = {old: f"v{i}" for old, i in zip(names, rng.permutation(len(names)), strict=True)}
    for values in lists:
        for value in values:
            value.name = new[value.name]
    for node, i in zip(graph.node, rng.permutation(len(graph.node)), strict=True):
        node.name = f"n{i}"
        node.input[:] = [new.get(n, n) for n in node.input]
        node.output[:] = [new.get(n, n) for n in node.output]
    return made


def reorder(model: ModelProto, rng: np.random.Generator) -> ModelProto:
    """Write the nodes in another topological order, drawn at random, and the weights in any."""
    made = _copy(model)
    nodes = list(made.graph.node)
    maker = {name: i for i, node in enumerate(nodes) for name in node.output}
    sources = [{maker[name] for name in node.input if name in maker} for node in nodes]
    readers: list[list[int]] = [[] for _ in nodes]
    for i, before in enumerate(sources):
        for source in before:
            readers[source].append(i)
    ready, order = [i for i, before in enumerate(sources) if not before], []
    while ready:
        order.append(ready.pop(int(rng.integers(len(ready)))))
        for reader in readers[order[-1]]:
            sources[reader].discard(order[-1])
            if not sources[reader]:
                ready.append(reader)
    weights = list(made.graph.initializer)
    _replace(made.graph.node, [nodes[i] for i in order])
    _replace(made.graph.initializer, [weights[i] for i in rng.permutation(len(weights))])
    return made


def add_identities(model: ModelProto, rng: np.random.Generator) -> ModelProto:
    """Put an Identity or a Dropout, which does nothing at inference, behind a fifth of the nodes."""
    made = _copy(model)
    outputs = {value.name for value in made.graph.output}
    # Dropout takes no whole numbers.
    kind_of = {v.name: v.type.tensor_type.elem_type for v in made.graph.value_info}
    floats = {name for name, kind in kind_of.items() if kind == onnx.TensorProto.FLOAT}
    nodes: list[NodeProto] = []
    for node in made.graph.node:
        nodes.append(node)
        name = node.output[0]
        if name in outputs or len(node.output) > 1 or rng.random() > 0.2 or name not in floats:
            continue
        node.output[0] = f"{name}__before"
        kind = "Identity" if rng.random() < 0.5 else "Dropout"
        nodes.append(helper.make_node(kind, [node.output[0]], [name], name=f"{name}__{kind}"))
    _replace(made.graph.node, nodes)
    return made


def spell_out_constants(model: ModelProto, rng: np.random.Generator) -> ModelProto:
    """Write what folding would compute: constants as nodes, shapes as joined pieces, scalars as sums."""
    made = _copy(model)
    graph = made.graph
    nodes: list[NodeProto] = []
    weights = []
    for tensor in graph.initializer:
        data = numpy_helper.to_array(tensor)
        if data.dtype == np.int64 and data.ndim == 1 and len(data) > 1:
            at = int(rng.integers(1, len(data)))
            parts = [data[:at], data[at:]]
            names = [f"{tensor.name}__part{i}" for i in range(2)]
            nodes += [_constant(name, part) for name, part in zip(names, parts, strict=True)]
            nodes.append(helper.make_node("Concat", names, [tensor.name], axis=0))
        elif data.size == 1 and data.dtype in (np.int64, np.float32):
            names = [f"{tensor.name}__part{i}" for i in range(2)]
            nodes += [_constant(names[0], data), _constant(names[1], np.ones_like(data))]
            nodes.append(helper.make_node("Mul", names, [tensor.name]))
        elif data.size < 4096 and rng.random() < 0.5:
            nodes.append(_constant(tensor.name, data))
        else:
            weights.append(tensor)
    _replace(graph.initializer, weights)
    _replace(graph.node, [*nodes, *graph.node])
    return made


def fold_norms(model: ModelProto, rng: np.random.Generator) -> ModelProto:
    """Fold every batch norm behind a convolution or Gemm that feeds nothing else into its weights."""
    made = _copy(model)
    graph = made.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    uses: dict[str, int] = {}
    for node in graph.node:
        for name in node.input:
            uses[name] = uses.get(name, 0) + 1
    makers = {node.output[0]: node for node in graph.node}
    gone: set[str] = set()
    for norm in graph.node:
        layer = makers.get(norm.input[0]) if norm.op_type == "BatchNormalization" else None
        if layer is None or layer.op_type not in ("Conv", "Gemm") or uses[norm.input[0]] != 1:
            continue
        if any(uses[name] != 1 or name not in tensors for name in layer.input[1:]):
            continue
        epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
        scale, shift, mean, variance = (numpy_helper.to_array(tensors[name]) for name in norm.input[1:5])
        factor = scale / np.sqrt(variance + epsilon)
        kernel = numpy_helper.to_array(tensors[layer.input[1]])
        rows = layer.op_type == "Conv" or any(a.name == "transB" and a.i for a in layer.attribute)
        along = factor.reshape(-1, *[1] * (kernel.ndim - 1)) if rows else factor
        bias = numpy_helper.to_array(tensors[layer.input[2]]) if len(layer.input) > 2 else np.zeros_like(mean)
        folded = {
            layer.input[1]: kernel * along,
            (f"{layer.input[1]}_bias" if len(layer.input) < 3 else layer.input[2]): (bias - mean) * factor
            + shift,
        }
        for name, data in folded.items():
            if name not in tensors:
                tensors[name] = graph.initializer.add()
                layer.input.append(name)
            tensors[name].CopyFrom(numpy_helper.from_array(data.astype(np.float32), name))
        layer.output[0] = norm.output[0]
        makers[norm.output[0]] = layer
        gone.add(norm.output[0])
    kept = [n for n in graph.node if not (n.op_type == "BatchNormalization" and n.output[0] in gone)]
    read = {name for node in kept for name in node.input}
    _replace(graph.node, kept)
    _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in read])
    made_names = {name for node in kept for name in node.output}
    _replace(graph.value_info, [v for v in graph.value_info if v.name in made_names])
    return made


def fold_constants(model: ModelProto, rng: np.random.Generator) -> ModelProto:
    """Fold constants, as onnxscript's pass does, after they were spelled out."""
    from onnxscript import optimizer

    made = spell_out_constants(model, rng)
    optimizer.fold_constants(made, onnx_shape_inference=False)
    optimizer.remove_unused_nodes(made)
    return made


def optimise(model: ModelProto, rng: np.random.Generator) -> ModelProto:
    """Return what onnxruntime's basic optimiser writes: constants, identities and norms folded."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "optimised.onnx")
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(path)


def everything(model: ModelProto, rng: np.random.Generator) -> ModelProto:
    """Apply all rewrites of one file together, but for onnxruntime's."""
    for rewrite in (fold_norms, spell_out_constants, add_identities, reorder, rename):
        model = rewrite(model, rng)
    return model


REWRITES: Final[dict[str, Rewrite]] = {
    "constants folded": fold_constants,
    "renamed": rename,
    "reordered": reorder,
    "identities": add_identities,
    "norms folded": fold_norms,
    "onnxruntime basic": optimise,
    "all together": everything,
}
"""Rewrites by name."""


def _copy(model: ModelProto) -> ModelProto:
    made = ModelProto()
    made.CopyFrom(model)
    return made


def _replace(field: Any, values: list[Any]) -> None:
    """Write other values into a repeated field."""
    held = [type(value).FromString(value.SerializeToString()) for value in values]
    del field[:]
    field.extend(held)


def _constant(name: str, data: Any) -> NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(data, f"{name}_value"))
