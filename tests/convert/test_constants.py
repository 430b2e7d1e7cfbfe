"""Numbers that a file computes from constants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper

import archindex as ax
from archindex.convert.network import Network


def inner(network: Network) -> list[str]:
    return sorted(op for op in network.graph.ops if op not in ("input", "output"))


@pytest.mark.parametrize("op", ["Concat", "Mul"])
def test_numbers_that_are_computed_from_constants_are_known(op: str, onnx_model: Any) -> None:
    """Axes joined from pieces, and bounds that are products."""
    if op == "Concat":
        weights = {"a": np.array([2]), "b": np.array([3])}
        nodes = [
            helper.make_node("Concat", ["a", "b"], ["axes"], axis=0),
            helper.make_node("ReduceMean", ["x", "axes"], ["y"]),
        ]
        model = onnx_model(nodes, weights, {"x": (1, 4, 8, 8)})
        expected = ["global_avg_pool"]
    else:
        weights = {name: np.array(v, np.float32) for name, v in (("low", 0), ("a", 2), ("b", 3))}
        nodes = [
            helper.make_node("Mul", ["a", "b"], ["high"]),
            helper.make_node("Clip", ["x", "low", "high"], ["y"]),
        ]
        model, expected = onnx_model(nodes, weights), ["relu6"]
    assert inner(ax.from_onnx(model.SerializeToString())) == expected


def test_constants_that_one_number_stands_for_are_not_computed_with(onnx_model: Any) -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["sizes"], ["zeros"]),
        helper.make_node("Identity", ["zeros"], ["z"]),
        helper.make_node("Add", ["z", "one"], ["c"]),
        helper.make_node("Add", ["x", "c"], ["y"]),
    ]
    model = onnx_model(nodes, {"sizes": np.array([1, 4]), "one": np.float32(1)})
    assert inner(ax.from_onnx(model.SerializeToString())) == ["add"]


def test_many_numbers_are_not_made_of_few(onnx_model: Any) -> None:
    nodes = [
        helper.make_node("Range", ["start", "limit", "step"], ["many"]),
        helper.make_node("Cast", ["many"], ["floats"], to=1),
        helper.make_node("ReduceSum", ["floats"], ["c"]),
        helper.make_node("Add", ["x", "c"], ["y"]),
    ]
    ends = {"start": np.int64(0), "limit": np.int64(2**40), "step": np.int64(1)}
    assert inner(ax.from_onnx(onnx_model(nodes, ends).SerializeToString())) == ["add"]
