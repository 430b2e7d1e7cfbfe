"""Tiny files that ask for large tensors: answered at once and in little memory, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import archindex as ax
from archindex.convert.onnx_growth import FOLLOWED
from archindex.core.errors import ModelFileError

READ = """
import resource, sys
import archindex as ax
from archindex.core.errors import ModelFileError
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
try:
    print("network", ax.from_onnx(sys.stdin.buffer.read()).shapes)
except ModelFileError as error:
    print("refused", error)
"""


def ranged(make: Any, length: int) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Range", ["from", "to", "by"], ["r"]),
        helper.make_node("Cast", ["r"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["one", "f"], ["g"]),
        helper.make_node("Add", ["x", "g"], ["y"]),
    ]
    ends = {"from": np.array(0), "to": np.array(length), "by": np.array(1), "one": np.float32(1)}
    model: onnx.ModelProto = make(nodes, ends, inputs={"x": (1,)})
    return model


def doubled(make: Any, times: int, *, op: str = "Reshape") -> onnx.ModelProto:
    nodes = [helper.make_node("Concat", [f"k{i}"] * 2, [f"k{i + 1}"], axis=0) for i in range(times)]
    nodes.append(helper.make_node(op, ["x", f"k{times}"], ["y"]))
    model: onnx.ModelProto = make(nodes, {"k0": np.array([1])})
    return model


def called(make: Any, depth: int) -> onnx.ModelProto:
    imports = [helper.make_opsetid("", 20), helper.make_opsetid("my", 1)]
    functions = [
        helper.make_function("my", "F0", ["a"], ["c"], [helper.make_node("Relu", ["a"], ["c"])], imports)
    ]
    for i in range(1, depth):
        twice = [
            helper.make_node(f"F{i - 1}", [source], [target], domain="my")
            for source, target in (("a", "b"), ("b", "c"))
        ]
        functions.append(helper.make_function("my", f"F{i}", ["a"], ["c"], twice, imports))
    model: onnx.ModelProto = make(
        [helper.make_node(f"F{depth - 1}", ["x"], ["y"], domain="my")], functions=functions
    )
    return model


@pytest.mark.slow
@pytest.mark.parametrize("what", ["range", "longer range", "concat", "calls", "range in a branch"])
def test_files_that_ask_for_large_tensors(onnx_model: Any, what: str) -> None:
    if what == "range in a branch":
        inner = ranged(onnx_model, 2**40).graph
        del inner.input[:]
        decide = helper.make_node(
            "Constant", [], ["c"], value=helper.make_tensor("c", TensorProto.BOOL, [], [1])
        )
        chosen = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
        model = onnx_model([decide, chosen])
    else:
        model = {
            "range": lambda: ranged(onnx_model, 50_000_000),
            "longer range": lambda: ranged(onnx_model, 2**40),
            "concat": lambda: doubled(onnx_model, 40),
            "calls": lambda: called(onnx_model, 60),
        }[what]()
    raw = model.SerializeToString()
    assert len(raw) < 20_000
    done = subprocess.run(
        [sys.executable, "-c", READ], input=raw, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert done.stdout.split()[0] == (b"refused" if what == "calls" else b"network")


def test_lengths_of_ranges_are_known(onnx_model: Any) -> None:
    found = ax.from_onnx(ranged(onnx_model, 6).SerializeToString())
    assert found.shapes[-1] == (6,)
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "axis"], ["d"]),
        helper.make_node("Range", ["from", "d", "by"], ["r"]),
        helper.make_node("Cast", ["r"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "f"], ["y"]),
    ]
    ends = {"from": np.array(0), "by": np.array(1), "axis": np.array(1)}
    by_shape = onnx_model(nodes, ends, inputs={"x": (3, 7)})
    assert ax.from_onnx(by_shape.SerializeToString()).shapes[-1] == (3, 7)


def test_arithmetic_on_shapes_is_followed(onnx_model: Any) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "first"], ["n"]),
        helper.make_node("Mul", ["n", "two"], ["m"]),
        helper.make_node("Concat", ["m", "rest"], ["sizes"], axis=0),
        helper.make_node("Reshape", ["x", "sizes"], ["y"]),
    ]
    weights = {"first": np.array([0]), "two": np.array([2]), "rest": np.array([-1])}
    found = ax.from_onnx(onnx_model(nodes, weights, inputs={"x": (3, 8)}).SerializeToString())
    assert found.shapes[-1] == (6, 4)


def test_numbers_are_followed_up_to_a_limit_only(onnx_model: Any) -> None:
    """A row of 512 sizes, one an axis, is not followed, and no shape is known."""
    assert ax.from_onnx(doubled(onnx_model, 2, op="Expand").SerializeToString()).shapes[-1] == (1, 1, 1, 4)
    assert FOLLOWED < 512
    assert ax.from_onnx(doubled(onnx_model, 9, op="Expand").SerializeToString()).shapes[-1] is None


def test_functions_that_call_each_other(onnx_model: Any) -> None:
    assert ax.from_onnx(called(onnx_model, 5).SerializeToString()).graph.ops[1] == "my::F4"
    model = called(onnx_model, 3)
    model.functions[0].node[0].op_type, model.functions[0].node[0].domain = "F2", "my"
    with pytest.raises(ModelFileError, match="call themselves"):
        ax.from_onnx(model.SerializeToString())
