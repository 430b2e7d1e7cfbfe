"""Architectures to ONNX: run by onnxruntime, and imported again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
import torch
from torch import nn

import archindex as ax
from archindex.convert import Expander, to_onnx
from archindex.convert.onnx_export import OPSET, module_to_onnx
from archindex.core.errors import ArgumentError, StorageError, UnknownNameError
from archindex.spaces.base import Architecture
from archindex.spaces.nasbench201 import NASBench201
from archindex.spaces.registry import space

CELLS = {
    "nasbench201": [
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_1x1~1|avg_pool_3x3~2|",
        "|avg_pool_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|avg_pool_3x3~1|skip_connect~2|",
        "|none~0|+|none~0|nor_conv_1x1~1|+|none~0|nor_conv_3x3~1|none~2|",
    ],
    "nasbench101": [
        "output~0",
        "conv1x1~0+conv1x1~0+maxpool3x3~01+output~0123",
        "maxpool3x3~0+conv1x1~1+conv1x1~0+conv1x1~01+output~234",
    ],
}
CASES = [(name, native) for name, natives in CELLS.items() for native in natives]


def run(path: Path, *inputs: torch.Tensor) -> Any:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return session.run(None, {n: x.numpy() for n, x in zip(names, inputs, strict=True)})[0]


def built(arch: Architecture, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module: nn.Module = arch.space.build_module(arch, "cifar10")  # type: ignore[attr-defined]
    return module.eval()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "native"), CASES)
def test_the_file_computes_what_the_module_computes_and_is_its_network(
    name: str, native: str, tmp_path: Path
) -> None:
    """With weights and running statistics that are far from those of a fresh module."""
    module = built(space(name).parse(native), seed=1)
    generator = torch.Generator().manual_seed(2)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.running_mean, part.running_var, part.weight.data, part.bias.data):
                assert tensor is not None
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    images = torch.randn(1, 3, 32, 32, generator=generator)
    path = module_to_onnx(module, (images,), tmp_path / "net.onnx")
    with torch.no_grad():
        expected = module(images).numpy()
    assert np.abs(expected).max() > 0
    assert np.allclose(run(path, images), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    direct, through = ax.from_torch(module, (images,)), ax.from_onnx(path)
    assert through.arch_id == direct.arch_id
    if "none" not in native:
        # Ops that feed nothing but zeros are left out of the file.
        assert through.total_params == direct.total_params
        assert through.total_flops == direct.total_flops


def test_an_architecture_is_written_in_the_stated_opset_with_its_norms(tmp_path: Path) -> None:
    arch = space("nasbench201").parse(CELLS["nasbench201"][1])
    path = to_onnx(arch, tmp_path / "net.onnx", seed=3)
    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
    kinds = [node.op_type for node in model.graph.node]
    module, images = built(arch, seed=3), torch.zeros(1, 3, 32, 32)
    norms = sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())
    assert kinds.count("BatchNormalization") == norms
    assert not {"CastLike", "Expand", "Constant"} & set(kinds)
    with torch.no_grad():
        assert np.allclose(run(path, images), module(images).numpy(), rtol=1e-5, atol=1e-6)
    assert ax.from_onnx(path).arch_id == ax.from_torch(module, (images,)).arch_id


@pytest.mark.slow
def test_the_seed_fixes_the_file(tmp_path: Path) -> None:
    arch = space("nasbench201").parse(CELLS["nasbench201"][1])
    state = torch.random.get_rng_state()
    first = to_onnx(arch, tmp_path / "a.onnx", "cifar100", seed=5)
    assert torch.equal(torch.random.get_rng_state(), state)
    images = torch.zeros(1, 3, 32, 32)
    assert run(first, images).shape == (1, 100)
    again, other = (run(to_onnx(arch, tmp_path / "b.onnx", "cifar100", seed=s), images) for s in (5, 6))
    assert np.array_equal(run(first, images), again)
    assert not np.array_equal(again, other)


class NoModules(NASBench201):
    """A space that builds no modules."""

    build_module = None  # type: ignore[assignment]


class Branching(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    here = space("nasbench201")
    arch = here.parse(CELLS["nasbench201"][1])
    with pytest.raises(UnknownNameError, match="data set of nasbench201"):
        to_onnx(arch, tmp_path / "net.onnx", "mnist")
    with pytest.raises(ArgumentError, match="expected an Architecture"):
        to_onnx(arch.native, tmp_path / "net.onnx")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="builds modules"):
        to_onnx(Architecture(NoModules(), arch.native), tmp_path / "net.onnx")
    with pytest.raises(ArgumentError, match="expected a path"):
        to_onnx(arch, "")
    with pytest.raises(StorageError, match="place to write"):
        to_onnx(arch, tmp_path / "no such folder" / "net.onnx")
    with pytest.raises(ArgumentError, match="export to ONNX"):
        module_to_onnx(Branching(), (torch.zeros(2),), tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "address",
    [
        "transnas101_micro:64-41414-0_32_023",  # cells with parts that are zeros
        "transnas101_micro:64-41414-1_12_101",
    ],
)
def test_zeros_are_neither_weights_nor_ops_of_the_file(address: str, tmp_path: Path) -> None:
    arch = ax.space(address.split(":")[0]).parse(address.split(":")[1])
    module = arch.space.build_module(arch, arch.space.datasets[0])  # type: ignore[attr-defined]
    inputs = arch.space.example_inputs(arch.space.datasets[0])  # type: ignore[attr-defined]
    direct, through = ax.from_torch(module, inputs), ax.from_onnx(to_onnx(arch, tmp_path / "net.onnx"))
    assert direct.arch_id == through.arch_id
    # Of the first, 10,240 constants that are computed from zeros still count: 0.07 % of its params.
    extra = 10_240 if address.endswith("0_32_023") else 0
    assert int(through.params.sum()) == int(direct.params.sum()) + extra
    assert through.unknown_params == direct.unknown_params == ()
    assert through.unused_params == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hat", "resnet_pooling"])
def test_masks_tables_and_norms_of_the_batch_are_those_of_the_module(name: str, tmp_path: Path) -> None:
    [arch] = ax.space(name).sample(1, seed=6)
    assert ax.from_onnx(to_onnx(arch, tmp_path / "net.onnx")).arch_id == Expander().network(arch).arch_id
