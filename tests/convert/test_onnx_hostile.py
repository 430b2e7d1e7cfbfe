"""ONNX files that nobody vouches for: a network or a typed error, never anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import archindex as ax
from archindex.convert import onnx_file
from archindex.convert.network import Network
from archindex.core.errors import ArchindexError, ArgumentError, ModelFileError
from archindex.testing.strategies import unhurried

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / "light_squeezenet.onnx"
SMALL = LIGHT.read_bytes()


def read(model: onnx.ModelProto, **how: Any) -> Network:
    return ax.from_onnx(model.SerializeToString(), **how)


def relu(source: str, target: str) -> onnx.NodeProto:
    return helper.make_node("Relu", [source], [target])


@pytest.mark.parametrize(
    "raw", [b"", b"\x00", b"no model at all", SMALL[:200], SMALL[: len(SMALL) // 2], b"\x08\x07"]
)
def test_what_is_no_model_is_refused(raw: bytes) -> None:
    with pytest.raises(ModelFileError, match="expected an ONNX model"):
        ax.from_onnx(raw)


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.onnx", tmp_path):
        with pytest.raises(ModelFileError, match="expected an ONNX file"):
            ax.from_onnx(path)
    with pytest.raises(ArgumentError, match="path"):
        ax.from_onnx(3)  # type: ignore[arg-type]


def test_large_files_are_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    with path.open("wb") as stream:
        stream.truncate(2**40)
    with pytest.raises(ModelFileError, match="raise max_bytes"):
        ax.from_onnx(path)
    with pytest.raises(ModelFileError, match="at most 1000 bytes"):
        ax.from_onnx(SMALL, max_bytes=1000)
    with pytest.raises(ModelFileError, match="at most 1000 bytes"):
        ax.from_onnx(LIGHT, max_bytes=1000)
    with pytest.raises(ArgumentError, match="max_bytes"):
        ax.from_onnx(SMALL, max_bytes=0)


@pytest.mark.parametrize("dims", [[2**62, 2**62], [10**6, 10**6, 2], [-1, 4], [1] * 40])
def test_declared_sizes_are_limited(onnx_model: Any, dims: list[int]) -> None:
    model = onnx_model([relu("x", "y")])
    model.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=dims)
    with pytest.raises(ModelFileError, match=r"elements|sizes"):
        read(model)


def test_costs_beyond_64_bits_are_refused(onnx_model: Any) -> None:
    model = onnx_model([helper.make_node("MatMul", ["x", "w"], ["y"])], inputs={"x": (2**31, 2**31, 10**6)})
    model.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[10**6, 10**6])
    with pytest.raises(ModelFileError, match="flops below"):
        read(model)


def test_too_many_nodes(onnx_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "MAX_NODES", 10)
    chain = [relu("x" if i == 0 else f"v{i}", f"v{i + 1}") for i in range(11)]
    with pytest.raises(ModelFileError, match="at most 10 nodes"):
        read(onnx_model(chain, outputs=["v11"]))
    body = helper.make_graph([relu("x", f"o{i}") for i in range(10)], "body", [], [])
    with pytest.raises(ModelFileError, match="at most 10 nodes"):
        read(onnx_model([helper.make_node("If", ["x"], ["y"], then_branch=body, else_branch=body)]))


@pytest.mark.parametrize(
    "location", ["/etc/passwd", "../weights.bin", "a/../../b", "C:\\weights", "..\\w", "\\\\host\\w"]
)
def test_external_data_outside_the_folder_are_refused(onnx_model: Any, location: str) -> None:
    model = onnx_model([helper.make_node("MatMul", ["x", "w"], ["y"])])
    tensor = model.graph.initializer.add(
        name="w", data_type=TensorProto.FLOAT, dims=[4, 5], data_location=TensorProto.EXTERNAL
    )
    tensor.external_data.add(key="location", value=location)
    with pytest.raises(ModelFileError, match="inside the folder"):
        read(model)
    held = helper.make_node("Constant", [], ["w"], value=tensor)
    inside = onnx_model([held, helper.make_node("MatMul", ["x", "w"], ["y"])])
    with pytest.raises(ModelFileError, match="inside the folder"):
        read(inside)


def test_external_data_inside_the_folder_are_not_needed(onnx_model: Any) -> None:
    model = onnx_model([helper.make_node("MatMul", ["x", "w"], ["y"])])
    tensor = model.graph.initializer.add(
        name="w", data_type=TensorProto.FLOAT, dims=[4, 5], data_location=TensorProto.EXTERNAL
    )
    tensor.external_data.add(key="location", value="there is no such file.bin")
    found = read(model)
    assert found.total_params == 20 == found.total_flops


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([helper.make_node("Add", ["x", "b"], ["a"]), relu("a", "b"), relu("b", "y")], "without cycles"),
        ([relu("y", "y")], "without cycles"),
        ([relu("nowhere", "y")], "something defines"),
        ([relu("x", "a")], "something defines"),
        ([relu("x", "y"), relu("x", "y")], "defined once"),
        ([relu("x", "x"), relu("x", "y")], r"defined once|without cycles"),
    ],
    ids=["cycle", "loop", "undefined input", "undefined output", "defined twice", "input redefined"],
)
def test_contradictions(onnx_model: Any, nodes: list[onnx.NodeProto], message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        read(onnx_model(nodes))


def test_a_weight_defined_twice(onnx_model: Any) -> None:
    model = onnx_model([relu("x", "y")], {"w": np.ones(3, np.float32)})
    model.graph.initializer.append(model.graph.initializer[0])
    with pytest.raises(ModelFileError, match="defined once"):
        read(model)


def test_an_input_defined_twice(onnx_model: Any) -> None:
    model = onnx_model([relu("x", "y")])
    model.graph.input.append(model.graph.input[0])
    with pytest.raises(ModelFileError, match=r"defined once|shapes fit"):
        read(model)


def test_sparse_weights_count_what_is_stored(onnx_model: Any) -> None:
    model = onnx_model([helper.make_node("MatMul", ["x", "w"], ["y"])])
    values = helper.make_tensor("w", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    places = helper.make_tensor("at", TensorProto.INT64, [3], [0, 5, 7])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [4, 5]))
    found = read(model)
    assert found.total_params == 3
    assert found.graph.ops == ("input", "linear", "output")
    model.graph.sparse_initializer.append(model.graph.sparse_initializer[0])
    with pytest.raises(ModelFileError, match="defined once"):
        read(model)


def test_nodes_out_of_order_are_put_in_order(onnx_model: Any) -> None:
    model = onnx_model([relu("x", "a"), helper.make_node("Tanh", ["a"], ["y"])])
    straight = read(model).arch_id
    first = model.graph.node.pop(0)
    model.graph.node.append(first)
    assert read(model).arch_id == straight


@pytest.mark.parametrize(
    ("op", "shape", "message"),
    [
        ("MatMul", (3, 5), "a right operand with 4 rows"),
        ("Gemm", (3, 5), "a right operand with 4 rows"),
        ("Conv", (8, 3, 1, 1), "an input of 4 axes with 3 channels"),
    ],
)
def test_sizes_that_do_not_fit(onnx_model: Any, op: str, shape: tuple[int, ...], message: str) -> None:
    node = helper.make_node(op, ["x", "w"], ["y"])
    with pytest.raises(ModelFileError, match=message):
        read(onnx_model([node], {"w": np.ones(shape, np.float32)}))


def test_missing_shapes_leave_costs_unknown(onnx_model: Any) -> None:
    weights = {"w": np.ones((4, 5), np.float32)}
    model = onnx_model([helper.make_node("MatMul", ["x", "w"], ["y"])], weights, {"x": ("batch", 4)})
    found = read(model)
    linear = found.graph.ops.index("linear")
    assert found.shapes[linear] is None
    assert found.unknown_flops == (linear,)
    assert found.total_flops is None
    assert found.total_params == 20
    known = read(model, input_shapes={"x": (8, 4)})
    assert known.shapes[linear] == (8, 5)
    assert known.total_flops == 160
    assert known.arch_id != found.arch_id or known.graph.attrs == found.graph.attrs


def test_shapes_for_inputs_that_are_none(onnx_model: Any) -> None:
    model = onnx_model([relu("x", "y")])
    with pytest.raises(ModelFileError, match="name of an input"):
        read(model, input_shapes={"q": (1, 4)})
    with pytest.raises(ArgumentError, match="size in the shape of x"):
        read(model, input_shapes={"x": (1, -4)})


def test_weights_of_unknown_shape_leave_params_unknown(onnx_model: Any) -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["w"]),
        helper.make_node("Mul", ["x", "w"], ["y"]),
    ]
    model = onnx_model(nodes)
    model.graph.initializer.add(
        name="size", data_type=TensorProto.INT64, dims=[1], data_location=TensorProto.EXTERNAL
    ).external_data.add(key="location", value="sizes.bin")
    found = read(model)
    assert found.unknown_params == (found.graph.ops.index("mul"),)
    assert found.total_params is None


def test_ops_of_unknown_domains_and_unknown_ops_are_kept(onnx_model: Any) -> None:
    nodes = [
        helper.make_node("Frobnicate", ["x", "w"], ["a"], domain="com.example", name="first"),
        helper.make_node("NoSuchOp", ["a"], ["b"]),
        helper.make_node("skip", ["b"], ["y"]),
    ]
    found = read(onnx_model(nodes, {"w": np.ones((2, 3), np.float32)}))
    assert found.graph.ops == ("input", "com.example::Frobnicate", "NoSuchOp", "onnx::skip", "output")
    assert found.names[1] == "first"
    assert found.total_params == 6
    assert found.unknown_flops == (1, 2, 3)


def test_a_domain_that_is_not_imported_is_kept_too(onnx_model: Any) -> None:
    model = onnx_model([helper.make_node("Frobnicate", ["x"], ["y"], domain="com.example")])
    del model.opset_import[1:]
    assert read(model).graph.ops[1] == "com.example::Frobnicate"


def test_names_that_are_no_text(onnx_model: Any) -> None:
    node = helper.make_node("Frobnicate", ["x"], ["y"], domain="com.example", name="first")
    raw = onnx_model([node]).SerializeToString()
    for text in (b"com.example", b"Frobnicate", b"first"):
        with pytest.raises(ModelFileError):
            ax.from_onnx(raw.replace(text, b"\xa0" * len(text)))


def test_subgraphs_are_one_op_with_all_their_weights(onnx_model: Any) -> None:
    def branch(name: str, width: int) -> onnx.GraphProto:
        weight = numpy_helper.from_array(np.ones((4, width), np.float32), f"w_{name}")
        return helper.make_graph(
            [helper.make_node("MatMul", ["a", f"w_{name}"], [f"o_{name}"])],
            name,
            [],
            [helper.make_tensor_value_info(f"o_{name}", TensorProto.FLOAT, None)],
            [weight],
        )

    nodes = [
        relu("x", "a"),
        helper.make_node("If", ["c"], ["y"], then_branch=branch("t", 3), else_branch=branch("e", 3)),
    ]
    found = read(onnx_model(nodes, {"c": np.array(True)}))
    assert found.graph.ops == ("input", "relu", "If", "output")
    # The branches read what the relu makes, though the op does not list it.
    assert {(s, t) for s, t, _ in found.graph.edges} == {(0, 1), (1, 2), (2, 3)}
    assert found.total_params == 24
    assert found.unknown_flops == (2,)


def test_functions_are_one_op_and_their_weights_count_once(onnx_model: Any) -> None:
    held = helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(np.ones((4, 4), np.float32)))
    function = helper.make_function(
        "mine", "Layer", ["a"], ["b"], [held, helper.make_node("MatMul", ["a", "w"], ["b"])],
        [helper.make_opsetid("", 20)],
    )  # fmt: skip
    nodes = [
        helper.make_node("Layer", ["x"], ["z"], domain="mine"),
        helper.make_node("Layer", ["z"], ["y"], domain="mine"),
    ]
    found = read(onnx_model(nodes, functions=[function]))
    assert found.graph.ops == ("input", "mine::Layer", "mine::Layer", "output")
    assert found.total_params == 16
    assert found.unknown_flops == (1, 2)


def test_attributes_of_the_wrong_kind(onnx_model: Any) -> None:
    weights = {"w": np.ones((4, 4, 3, 3), np.float32)}
    inputs = {"x": (1, 4, 8, 8)}
    for wrong in (
        {"strides": [1]},
        {"strides": "fast"},
        {"dilations": [0, 0]},
        {"group": 0},
        {"pads": [1, 1]},
    ):
        model = onnx_model([helper.make_node("Conv", ["x", "w"], ["y"], **wrong)], weights, inputs)
        with pytest.raises(ModelFileError):
            read(model)


@unhurried
@given(st.data())
def test_mutated_bytes_give_a_network_or_a_typed_error(data: st.DataObject) -> None:
    raw = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        kind = data.draw(st.sampled_from(["change", "cut", "insert"]))
        if kind == "change":
            raw[at] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del raw[at : at + data.draw(st.integers(1, 8))]
        else:
            raw[at:at] = data.draw(st.binary(min_size=1, max_size=4))
    try:
        found = ax.from_onnx(bytes(raw))
    except ArchindexError:
        return
    assert len(found.arch_id) == 24


OP_TYPES = st.sampled_from(
    [
        *(
            "Relu",
            "Add",
            "Conv",
            "Gemm",
            "MatMul",
            "Reshape",
            "Transpose",
            "Slice",
            "Split",
            "Concat",
            "Gather",
        ),
        *("LSTM", "Einsum", "Constant", "Shape", "ConstantOfShape", "BatchNormalization", "MaxPool", "skip"),
        *("Softmax", "ReduceMean", "Attention", "Expand", "Clip", "Loop"),
    ]
)
NUMBERS = st.sampled_from([-(2**63), -1, 0, 1, 2, 3, 1000, 2**31, 2**63 - 1])
ATTRIBUTES = st.sampled_from(
    ["axis", "axes", "perm", "split", "pads", "group", "strides", "kernel_shape", "equation", "value", "to"]
)
VALUES = st.one_of(NUMBERS, st.lists(NUMBERS, min_size=1, max_size=5), st.just("SAME_UPPER"), st.just(1.5))


@unhurried
@given(st.data())
def test_mutated_models_give_a_network_or_a_typed_error(data: st.DataObject) -> None:
    """Changes that leave the file readable, so that they reach the importer itself."""
    model = onnx.load_model_from_string(SMALL)
    graph = model.graph
    names = [name for node in graph.node for name in (*node.input, *node.output)] + [""]
    for _ in range(data.draw(st.integers(1, 5))):
        node = graph.node[data.draw(st.integers(0, len(graph.node) - 1))]
        change = data.draw(st.sampled_from(["op", "input", "output", "attribute", "dims", "drop", "type"]))
        if change == "op":
            node.op_type = data.draw(OP_TYPES)
        elif change == "input":
            node.input.append(data.draw(st.sampled_from(names)))
        elif change == "drop" and node.input:
            del node.input[data.draw(st.integers(0, len(node.input) - 1))]
        elif change == "output":
            node.output.append(data.draw(st.sampled_from([*names, "more"])))
        elif change == "attribute":
            name = data.draw(ATTRIBUTES)
            kept = [a for a in node.attribute if a.name != name]
            del node.attribute[:]
            node.attribute.extend([*kept, helper.make_attribute(name, data.draw(VALUES))])
        else:
            tensor = graph.initializer[data.draw(st.integers(0, len(graph.initializer) - 1))]
            if change == "type":
                tensor.data_type = data.draw(st.sampled_from([0, 1, 3, 7, 8, 9, 16, 99]))
            else:
                del tensor.dims[:]
                tensor.dims.extend(data.draw(st.lists(NUMBERS, max_size=4)))
    try:
        found = read(model)
    except ArchindexError:
        return
    assert len(found.arch_id) == 24
