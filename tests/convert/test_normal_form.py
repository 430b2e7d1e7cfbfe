"""The normal form: what is contracted, what is joined, and what is kept, from both sides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

import archindex as ax
from archindex.convert.network import Network
from archindex.convert.onnx_export import module_to_onnx


class Function(nn.Module):
    """A module around a function."""

    def __init__(self, function: Any, *parts: nn.Module) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, *inputs: Tensor) -> Tensor:
        result: Tensor = self.function(*inputs, *self.parts)
        return result


IMAGE = torch.zeros(2, 4, 8, 8)
MATRIX = torch.zeros(2, 8)

SAME: dict[str, tuple[nn.Module, Tensor, tuple[str, ...]]] = {
    "pooled, flattened, classified": (
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
        IMAGE,
        ("global_avg_pool", "linear"),
    ),
    "mean over positions": (
        Function(lambda x, f: f(x.mean(dim=(2, 3))), nn.Linear(4, 3)),
        IMAGE,
        ("global_avg_pool", "linear"),
    ),
    "pool over all": (nn.AvgPool2d(8), IMAGE, ("global_avg_pool",)),
    "convolution with bias": (nn.Conv2d(4, 6, 3, 2, 1), IMAGE, ("conv",)),
    "grouped and dilated": (nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=4), IMAGE, ("conv",)),
    "one axis": (nn.Conv2d(4, 4, (1, 7), padding=(0, 3)), IMAGE, ("conv",)),
    "transposed": (nn.ConvTranspose2d(4, 6, 2, 2), IMAGE, ("transposed_conv",)),
    "batch norm stays": (nn.Sequential(nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6)), IMAGE, ("conv", "batch_norm")),
    "dropout and identity go": (
        nn.Sequential(nn.Dropout(), nn.Linear(8, 8), nn.Identity(), nn.ReLU()),
        MATRIX,
        ("linear", "relu"),
    ),
    "linear on three axes": (nn.Linear(8, 5), torch.zeros(2, 3, 8), ("linear",)),
    "views in a row": (
        Function(lambda x: x.view(2, 2, 2, 64).reshape(2, 4, 64).flatten(1).relu()),
        IMAGE,
        ("reshape", "relu"),
    ),
    "there and back": (Function(lambda x: x.flatten(1).view(2, 4, 8, 8).relu()), IMAGE, ("relu",)),
    "transposes in a row": (
        Function(lambda x: x.transpose(1, 2).permute(0, 3, 1, 2).relu()),
        IMAGE,
        ("transpose", "relu"),
    ),
    "transposed there and back": (
        Function(lambda x: x.permute(0, 2, 3, 1).permute(0, 3, 1, 2).relu()),
        IMAGE,
        ("relu",),
    ),
    "hard swish": (nn.Hardswish(), IMAGE, ("hard_swish",)),
    "hard swish spelled out": (
        Function(lambda x: functional.hardsigmoid(x.tanh()) * x.tanh()),
        IMAGE,
        ("tanh", "tanh", "hard_sigmoid", "mul"),
    ),
    "padding counts in the mean": (nn.AvgPool2d(3, 2, 1), IMAGE, ("avg_pool",)),
    "padding does not count": (nn.AvgPool2d(3, 2, 1, count_include_pad=False), IMAGE, ("avg_pool",)),
    "a last window that ends outside": (nn.MaxPool2d(3, 2, ceil_mode=True), IMAGE, ("max_pool",)),
    "no last window": (nn.MaxPool2d(3, 2), IMAGE, ("max_pool",)),
    "pool with holes": (nn.MaxPool2d(3, 2, dilation=2), IMAGE, ("max_pool",)),
    "mirrored frame": (nn.ReflectionPad2d(1), IMAGE, ("pad",)),
    "frame of the edge": (nn.ReplicationPad2d(1), IMAGE, ("pad",)),
    "frame of zeros": (nn.ZeroPad2d(1), IMAGE, ("pad",)),
    "twice as large": (nn.Upsample(scale_factor=2), IMAGE, ("upsample",)),
    "twice as large, bilinear": (nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE, ("upsample",)),
    "twice as large, bicubic": (nn.Upsample(scale_factor=2, mode="bicubic"), IMAGE, ("upsample",)),
    "statistics of the batch": (
        nn.Sequential(
            nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6, affine=False, track_running_stats=False), nn.BatchNorm2d(6)
        ),
        IMAGE,
        ("conv", "batch_norm", "batch_norm"),
    ),
    "nothing sliced off": (Function(lambda x: x[:, :4].relu()), IMAGE, ("relu",)),
    "a slice": (Function(lambda x: x[:, 1:3].relu()), IMAGE, ("slice", "relu")),
    "sum of three": (
        Function(lambda x: x.relu() + x.sigmoid() + x.tanh()),
        MATRIX,
        ("relu", "sigmoid", "tanh", "add"),
    ),
    "difference": (Function(lambda x: x.relu() - x.tanh()), MATRIX, ("relu", "tanh", "sub")),
    "zero times x": (Function(lambda x: x * 0 + x.relu()), MATRIX, ("none", "relu")),
    "concatenation": (Function(lambda x: torch.cat([x.relu(), x], 1)), MATRIX, ("relu", "concat")),
    "layer norm and gelu": (nn.Sequential(nn.LayerNorm(8), nn.GELU()), MATRIX, ("layer_norm", "gelu")),
    "softmax": (nn.Softmax(-1), MATRIX, ("softmax",)),
    "pools": (
        nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.AvgPool2d(2)),
        IMAGE,
        ("max_pool", "avg_pool"),
    ),
    "product of two": (
        Function(lambda x: x.relu() @ x.transpose(0, 1)),
        MATRIX,
        ("relu", "transpose", "matmul"),
    ),
    "stacked": (Function(lambda x: torch.stack([x.relu(), x.tanh()], 1)), MATRIX, ("relu", "tanh", "concat")),
    "channel shuffle": (nn.ChannelShuffle(2), IMAGE, ("reshape", "transpose", "reshape")),
    "slopes and bounds": (
        nn.Sequential(nn.LeakyReLU(0.1), nn.ELU(0.5), nn.Hardtanh(-0.3, 0.7)),
        IMAGE,
        ("leaky_relu", "elu", "clamp"),
    ),
    "a power": (Function(lambda x: x**3), MATRIX, ("pow",)),
    "dilated along one axis": (nn.Conv2d(4, 4, 3, dilation=(1, 2)), IMAGE, ("conv",)),
    "three axes": (nn.Conv3d(2, 3, (1, 3, 2)), torch.zeros(1, 2, 4, 5, 6), ("conv",)),
    "embedding": (nn.Embedding(10, 4), torch.zeros(2, 3, dtype=torch.int64), ("embedding",)),
}


@pytest.fixture
def exported(tmp_path: Any) -> Any:
    def export(module: nn.Module, *inputs: Tensor) -> Network:
        return ax.from_onnx(module_to_onnx(module, inputs, tmp_path / "model.onnx"))

    return export


def inner(network: Network) -> list[str]:
    return sorted(op for op in network.graph.ops if op not in ("input", "output"))


@pytest.mark.slow
@pytest.mark.parametrize("name", SAME)
def test_a_module_and_its_file_are_the_same_network(name: str, exported: Any) -> None:
    module, x, ops = SAME[name]
    direct, through = ax.from_torch(module, (x,)), exported(module, x)
    assert inner(direct) == inner(through) == sorted(ops)
    assert direct.arch_id == through.arch_id
    assert direct.total_params == through.total_params == sum(p.numel() for p in module.parameters())
    assert direct.total_flops == through.total_flops
    assert sorted(map(str, direct.graph.attrs)) == sorted(map(str, through.graph.attrs))


def test_all_these_are_told_apart() -> None:
    ids = {name: ax.from_torch(module, (x,)).arch_id for name, (module, x, _) in SAME.items()}
    same = [
        {"pooled, flattened, classified", "mean over positions"},
        {"there and back", "transposed there and back", "nothing sliced off", "zero times x"},
    ]
    different = len(ids) - sum(len(group) - 1 for group in same)
    assert len(set(ids.values())) == different
    for group in same:
        assert len({ids[name] for name in group}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3)),
        (nn.GroupNorm(2, 4), nn.GroupNorm(4, 4)),
        (nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 5, padding=2)),
        (nn.Conv2d(4, 4, (1, 3), padding=(0, 1)), nn.Conv2d(4, 4, (3, 1), padding=(1, 0))),
        (nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1, groups=2)),
        (nn.Conv2d(4, 4, 1), nn.Conv2d(4, 5, 1)),
        (nn.Conv2d(4, 4, 3, padding=2, dilation=2), nn.Conv2d(4, 4, 3, padding=1)),
        (nn.Conv2d(4, 4, 2, 2), nn.Conv2d(4, 4, 2, (2, 1))),
        (nn.Softmax(1), nn.Softmax(2)),
        (Function(lambda x: x[:, :2]), Function(lambda x: x[:, 2:])),
        (Function(lambda x: x.relu() - x.tanh()), Function(lambda x: x.tanh() - x.relu())),
        (nn.Conv2d(4, 4, 3, dilation=(2, 1)), nn.Conv2d(4, 4, 3, dilation=(2, 2))),
        (nn.LeakyReLU(0.1), nn.LeakyReLU(0.2)),
        (nn.ELU(0.5), nn.ELU(1.0)),
        (nn.Hardtanh(-1, 1), nn.Hardtanh(-2, 2)),
        (Function(lambda x: x**2), Function(lambda x: x**3)),
        (Function(lambda x: x.clamp(0.0, 6.0)), Function(lambda x: x.clamp(0.0, 5.0))),
        (Function(lambda x: x.permute(0, 2, 1, 3)), Function(lambda x: x.permute(0, 3, 2, 1))),
    ],
)
def test_attributes_tell_ops_apart(one: nn.Module, other: nn.Module) -> None:
    assert ax.from_torch(one, (IMAGE,)).arch_id != ax.from_torch(other, (IMAGE,)).arch_id


def test_settings_without_an_attribute_of_their_own_tell_ops_apart() -> None:
    series, words, block = (
        torch.zeros(3, 2, 4),
        torch.zeros(2, 3, dtype=torch.int64),
        torch.zeros(1, 2, 6, 6, 6),
    )
    for x, modules in (
        (
            series,
            [nn.LSTM(4, 5), nn.GRU(4, 5), nn.RNN(4, 5), nn.RNN(4, 5, nonlinearity="relu")],
        ),
        (words, [nn.Embedding(rows, 4) for rows in (10, 11)]),
        (block, [nn.Conv3d(2, 2, (3, k, 3)) for k in (1, 3, 5)]),
        (block, [nn.MaxPool3d((3, k, 3)) for k in (1, 3, 5)]),
    ):
        ids = {ax.from_torch(module, (x,)).arch_id for module in modules}
        assert len(ids) == len(modules)


def test_recurrent_kinds_of_files(onnx_model: Any) -> None:
    found = {}
    for op, gates, how in (
        ("LSTM", 4, {}),
        ("LSTM", 4, {"direction": "reverse"}),
        ("GRU", 3, {}),
        ("GRU", 3, {"linear_before_reset": 1}),
        ("RNN", 1, {}),
        ("RNN", 1, {"activations": ["Relu"]}),
    ):
        node = helper.make_node(op, ["x", "w", "r"], ["y"], hidden_size=5, **how)
        weights = {"w": np.ones((1, gates * 5, 4), "f4"), "r": np.ones((1, gates * 5, 5), "f4")}
        raw = onnx_model([node], weights, inputs={"x": (3, 2, 4)}).SerializeToString()
        found[op, str(how)] = ax.from_onnx(raw).arch_id
    assert len(set(found.values())) == 6


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, bias=False)),
        (Function(lambda x: x.relu() + x.tanh()), Function(lambda x: x.tanh() + x.relu())),
        (Function(lambda x: (x + x.relu()) + x.tanh()), Function(lambda x: x + (x.relu() + x.tanh()))),
        (nn.ReLU(), nn.ReLU(inplace=True)),
        (nn.Sequential(nn.AdaptiveAvgPool2d(8), nn.ReLU()), nn.ReLU()),
        (nn.AdaptiveAvgPool2d(4), nn.AvgPool2d(2)),
    ],
)
def test_what_does_not_matter(one: nn.Module, other: nn.Module) -> None:
    assert ax.from_torch(one, (IMAGE,)).arch_id == ax.from_torch(other, (IMAGE,)).arch_id


def test_tensors_of_zeros_are_weights_of_layers_only(exported: Any, onnx_model: Any) -> None:
    """ONNX does not tell weights from other constants, but zeros that are added or joined are no weights."""
    module, x = Function(lambda x: torch.cat([x.new_zeros(2, 8), x], 1)), MATRIX
    direct, through = ax.from_torch(module, (x,)), exported(module, x)
    assert direct.arch_id == through.arch_id
    assert direct.total_params == through.total_params == 0
    assert through.unused_params == 0
    filled = helper.make_node("ConstantOfShape", ["shape"], ["w"])
    for op, ops, params in (("MatMul", ["linear"], 16), ("Add", [], 0), ("Mul", ["none"], 0)):
        model = onnx_model(
            [filled, helper.make_node(op, ["x", "w"], ["y"])],
            {"shape": np.array([4, 4])},
            inputs={"x": (4, 4)},
        )
        found = ax.from_onnx(model.SerializeToString())
        assert (inner(found), found.total_params) == (ops, params)


def test_costs_by_hand() -> None:
    module = nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(96, 5))
    found = ax.from_torch(module, (IMAGE,))
    cost = {op: (int(p), int(f)) for op, p, f in zip(found.graph.ops, found.params, found.flops, strict=True)}
    assert cost["conv"] == (6 * 4 * 9 + 6, 2 * 6 * 16 * 4 * 9)
    assert cost["batch_norm"] == (12, 0)
    assert cost["linear"] == (96 * 5 + 5, 2 * 96 * 5)
    assert cost["input"] == cost["output"] == cost["reshape"] == (0, 0)
    assert found.shapes == ((2, 4, 8, 8), (2, 6, 4, 4), (2, 6, 4, 4), (2, 96), (2, 5), (2, 5))


def test_multiply_adds_of_attention_and_recurrent_layers() -> None:
    q, k, v = torch.zeros(2, 3, 5, 8), torch.zeros(2, 3, 7, 8), torch.zeros(2, 3, 7, 6)
    attention = Function(functional.scaled_dot_product_attention)
    found = ax.from_torch(attention, (q, k, v))
    assert found.total_flops == 2 * 3 * (5 * 7 * 8 + 5 * 7 * 6)
    assert found.graph.attrs[found.graph.ops.index("attention")] == {"heads": 3.0}
    assert sorted(port for _, target, port in found.graph.edges if target == 3) == [0, 1, 2]
    lstm = nn.LSTM(6, 5, num_layers=2)
    counted = ax.from_torch(lstm, (torch.zeros(9, 2, 6),))
    matrices = 4 * 5 * (6 + 5) + 4 * 5 * (5 + 5)
    assert counted.total_flops == 9 * 2 * matrices
    assert counted.total_params == sum(p.numel() for p in lstm.parameters())


def test_gemm_with_and_without_transposing(onnx_model: Any) -> None:
    weight = np.ones((4, 5), np.float32)
    plain = onnx_model(
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"])], {"w": weight, "b": np.ones(5, "f4")}
    )
    turned = onnx_model([helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)], {"w": weight.T.copy()})
    steps = onnx_model(
        [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Add", ["b", "z"], ["y"])],
        {"w": weight, "b": np.ones(5, "f4")},
    )
    networks = [ax.from_onnx(m.SerializeToString()) for m in (plain, turned, steps)]
    assert len({n.arch_id for n in networks}) == 1
    assert [n.total_params for n in networks] == [25, 20, 25]
    assert [n.total_flops for n in networks] == [20, 20, 20]


def test_a_shared_bias_is_added_where_it_is_read(onnx_model: Any) -> None:
    """What two ops read of a layer is its output without the bias of one of them."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Add", ["z", "b"], ["a"]),
        helper.make_node("Mul", ["a", "z"], ["y"]),
    ]
    model = onnx_model(nodes, {"w": np.ones((4, 5), "f4"), "b": np.ones(5, "f4")})
    assert inner(ax.from_onnx(model.SerializeToString())) == ["add", "linear", "mul"]


def test_quantised_weights_count_and_index_tensors_do_not(onnx_model: Any) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Reshape", ["z", "shape"], ["y"]),
    ]
    weights = {"q": np.ones((4, 6), np.int8), "s": np.float32(0.1), "shape": np.array([2, 3])}
    found = ax.from_onnx(onnx_model(nodes, weights).SerializeToString())
    assert inner(found) == ["linear", "reshape"]
    assert found.total_params == 24


def test_parts_of_a_split_are_slices_of_their_own(onnx_model: Any) -> None:
    split = helper.make_node("Split", ["x"], ["a", "b"], axis=1, num_outputs=2)
    model = onnx_model([split, helper.make_node("Sub", ["b", "a"], ["y"])])
    found = ax.from_onnx(model.SerializeToString())
    chunked = ax.from_torch(Function(lambda x: x.chunk(2, 1)[1] - x.chunk(2, 1)[0]), (torch.zeros(1, 4),))
    assert inner(found) == inner(chunked) == ["slice", "slice", "sub"]
    assert found.arch_id == chunked.arch_id


def test_second_outputs_are_kept_apart(onnx_model: Any) -> None:
    node = helper.make_node("TopK", ["x", "k"], ["v", "i"])
    cast = helper.make_node("Cast", ["i"], ["f"], to=1)
    model = onnx_model([node, cast, helper.make_node("Mul", ["v", "f"], ["y"])], {"k": np.array([2])})
    found = ax.from_onnx(model.SerializeToString())
    assert inner(found) == ["TopK", "cast", "item", "mul"]


def test_several_inputs_and_outputs_are_told_apart(onnx_model: Any) -> None:
    inputs = {"a": (1, 4), "b": (1, 4)}
    nodes = [helper.make_node("Relu", ["a"], ["y"]), helper.make_node("Tanh", ["b"], ["z"])]
    straight = ax.from_onnx(onnx_model(nodes, inputs=inputs, outputs=("y", "z")).SerializeToString())
    crossed = ax.from_onnx(onnx_model(nodes, inputs=inputs, outputs=("z", "y")).SerializeToString())
    assert straight.arch_id != crossed.arch_id
    assert [a for a in straight.graph.attrs if a] == [{"index": 0.0}, {"index": 1.0}] * 2


def test_shapes_that_are_computed_are_constants(onnx_model: Any) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(np.ones(1, np.float32))),
        helper.make_node("Expand", ["w", "s"], ["e"]),
        helper.make_node("Mul", ["x", "e"], ["y"]),
    ]
    found = ax.from_onnx(onnx_model(nodes).SerializeToString())
    assert inner(found) == ["mul"]
    assert found.total_params == 0


def test_x_times_its_own_hard_sigmoid_is_hard_swish(onnx_model: Any) -> None:
    x = torch.zeros(1, 4)
    swish = ax.from_torch(nn.Hardswish(), (x,))
    written_out = Function(lambda x: x * functional.hardsigmoid(x))
    assert ax.from_torch(written_out, (x,)).arch_id == swish.arch_id
    nodes = [
        helper.make_node("HardSigmoid", ["x"], ["s"], alpha=1 / 6, beta=0.5),
        helper.make_node("Mul", ["s", "x"], ["y"]),
    ]
    assert ax.from_onnx(onnx_model(nodes).SerializeToString()).arch_id == swish.arch_id
    # The default slope of ONNX is another one.
    nodes[0] = helper.make_node("HardSigmoid", ["x"], ["s"])
    other = ax.from_onnx(onnx_model(nodes).SerializeToString())
    assert inner(other) == ["hard_sigmoid", "mul"]
    assert "setting" in other.graph.attrs[1]


def test_norms_of_the_batch_are_others_and_what_computes_them_goes(exported: Any) -> None:
    own, running = (nn.BatchNorm2d(4, affine=False, track_running_stats=kept) for kept in (False, True))
    direct, through = ax.from_torch(own, (IMAGE,)), exported(own, IMAGE)
    assert inner(direct) == inner(through) == ["batch_norm"]
    assert through.total_params == direct.total_params == 0
    assert direct.arch_id != ax.from_torch(running, (IMAGE,)).arch_id
