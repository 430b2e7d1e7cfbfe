"""Small ONNX models for the tests of the importer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Make = Callable[..., ModelProto]


def make_model(
    nodes: Sequence[NodeProto],
    weights: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Sequence[int | str]] | None = None,
    outputs: Sequence[str] = ("y",),
    functions: Sequence[Any] = (),
    opset: int = 20,
) -> ModelProto:
    """Return a model of these nodes; input ``x`` has shape (1, 4) unless it is said."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
            for n, s in (inputs or {"x": (1, 4)}).items()
        ],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in (weights or {}).items()],
    )
    domains = {node.domain for node in nodes} - {""}
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in sorted(domains))]
    return helper.make_model(graph, functions=functions, opset_imports=imports)


@pytest.fixture
def onnx_model() -> Make:
    return make_model
