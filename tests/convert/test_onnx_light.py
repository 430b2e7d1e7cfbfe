"""The nine real networks that the package ``onnx`` ships without their weights."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import archindex as ax
from archindex.convert.network import Network

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
NAMES = sorted(path.stem for path in FOLDER.glob("light_*.onnx"))

# Params, and multiply-adds in units of 10**9 to three digits, of the models of the same name in torchvision:
# `num_params` and `_ops` of their published weights (SqueezeNet: version 1.1, whose first layer has 64 3x3
# kernels, as here). ResNet-50 has its stride in the 3x3 convolutions here as there; the variant of He et al.
# 2016 with the stride in the 1x1 convolutions has 3.8.
TORCHVISION = {
    "light_resnet50": (25_557_032, 4.089),
    "light_vgg19": (143_667_240, 19.632),
    "light_densenet121": (7_978_856, 2.834),
    "light_squeezenet": (1_235_496, 0.349),
}


def network(name: str) -> Network:
    return ax.from_onnx(FOLDER / f"{name}.onnx")


def test_there_are_nine() -> None:
    assert len(NAMES) == 9


@pytest.mark.parametrize("name", NAMES)
def test_they_import_with_all_shapes_and_costs(name: str) -> None:
    found = network(name)
    assert found.graph.ops.count("input") == found.graph.ops.count("output") == 1
    assert None not in found.shapes
    assert found.unknown_params == found.unknown_flops == ()
    assert found.unused_params == 0
    assert found.shapes[0] == (1, 3, 224, 224)
    last = found.shapes[-1]
    assert last is not None
    assert last[:2] == (1, 1000)
    assert len(found.names) == len(found.shapes) == len(found.params) == len(found.flops)


@pytest.mark.parametrize("name", TORCHVISION)
def test_params_and_multiply_adds_are_the_published_ones(name: str) -> None:
    params, giga = TORCHVISION[name]
    found = network(name)
    assert found.total_params == params
    assert found.total_flops is not None
    assert round(found.total_flops / 1e9, 3) == giga


def test_alexnet_has_the_params_of_the_bvlc_model() -> None:
    """Counted by hand from the layers of Krizhevsky et al. 2012, with two groups in layers 2, 4 and 5."""
    convs = 96 * (3 * 11**2 + 1) + 256 * (48 * 25 + 1) + 384 * (256 * 9 + 1) + 384 * (192 * 9 + 1)
    convs += 256 * (192 * 9 + 1)
    dense = 4096 * (9216 + 1) + 4096 * (4096 + 1) + 1000 * (4096 + 1)
    assert network("light_bvlc_alexnet").total_params == convs + dense


def test_scales_and_shifts_of_caffe_belong_to_the_norm_before() -> None:
    """Caffe has no scale in its norm: the file stores ones and zeros there, and the learned ones after it."""
    proto = onnx.load(FOLDER / "light_densenet121.onnx")
    kinds = [node.op_type for node in proto.graph.node]
    assert kinds.count("BatchNormalization") == kinds.count("Mul") == kinds.count("Add") == 121
    found = network("light_densenet121")
    norms = [i for i, op in enumerate(found.graph.ops) if op == "batch_norm"]
    assert len(norms) == 121
    assert not {"mul", "add"} & set(found.graph.ops)
    for i in norms:
        shape = found.shapes[i]
        assert shape is not None
        assert found.params[i] == 2 * shape[1]


def test_the_networks_are_told_apart() -> None:
    assert len({network(name).arch_id for name in NAMES}) == 9
    assert network(NAMES[0]).arch_id == network(NAMES[0]).arch_id
