"""Networks expanded from cells are those that torch.export finds in the modules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archindex as ax
from archindex.convert import Expander, from_torch
from archindex.convert.torch_run import Runner
from archindex.core.batch import GraphBatch
from archindex.core.canonical import arch_ids, reduce_batch
from archindex.core.errors import ArgumentError, UnknownNameError
from archindex.spaces.base import Architecture, Buildable
from archindex.spaces.nasbench201 import NASBench201
from archindex.spaces.registry import NAMED, SPACES, space

BUILDABLE = [name for name in SPACES if name not in NAMED and isinstance(space(name), Buildable)]
QUICK = ("nats_sss", "nasbench_macro", "gan_cells")


def traced(arch: Architecture) -> Any:
    here: Any = arch.space
    with torch.device("meta"):
        return from_torch(here.build_module(arch, here.datasets[0]), here.example_inputs(here.datasets[0]))


def live_ops(network: Any) -> list[str]:
    reduced = reduce_batch(GraphBatch.from_graphs([network.graph]))
    return sorted(reduced.op_names[op] for op in reduced.op)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in BUILDABLE]
)
def test_an_expanded_network_is_the_traced_one(name: str) -> None:
    expander = Expander()
    sampled = space(name).sample(3, seed=9)
    for arch in sampled[:2]:
        fast, slow = expander.network(arch), traced(arch)
        assert fast.arch_id == slow.arch_id
        assert fast.total_params == slow.total_params
        assert fast.total_flops == slow.total_flops
        # torch.export drops some of what no output needs, and keeps some.
        assert live_ops(fast) == live_ops(slow)
    assert len(arch_ids(expander.graphs(sampled))) == 3


def test_calls_that_were_met_are_not_traced_again() -> None:
    runner = Runner()
    cells = ax.space("nats_sss")
    with torch.device("meta"):
        first, same = (cells.build_module(cells.parse("8:16:16:8:24"), "cifar10") for _ in range(2))  # type: ignore[attr-defined]
        images = cells.example_inputs("cifar10")  # type: ignore[attr-defined]
    runner.network(first, images)
    kinds = runner.kinds
    assert runner.network(same, images).graph == runner.network(first, images).graph
    assert runner.kinds == kinds


def test_the_data_set_is_that_asked_for() -> None:
    expander = Expander()
    arch = ax.space("nats_sss").parse("8:16:16:8:24")
    assert expander.network(arch, "cifar100").shapes[-1] == (1, 100)
    assert expander.network(arch).shapes[-1] == (1, 10)
    with pytest.raises(UnknownNameError, match="data set of nats_sss"):
        expander.network(arch, "mnist")


class NoModules(NASBench201):
    """A space that builds no modules."""

    build_module = None  # type: ignore[assignment]


def test_what_has_no_network() -> None:
    with pytest.raises(ArgumentError, match="expected an Architecture"):
        Expander().network("nasbench201")  # type: ignore[arg-type]
    arch = ax.space("nasbench201").sample(1)[0]
    with pytest.raises(ArgumentError, match="builds modules"):
        Expander().network(Architecture(NoModules(), arch.native))


class InPlace(nn.Module):
    """Changes a tensor of its own, or one that another name sees."""

    def __init__(self, *, shared: bool) -> None:
        super().__init__()
        self.shared = shared

    def forward(self, x: Tensor) -> Tensor:
        y = x * 2
        seen = y.view(-1) if self.shared else y
        return y.relu_() + seen.sum()


class Several(nn.Module):
    """Several inputs and outputs, lists of tensors, tensors made in the forward pass, a shared layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.register_buffer("scale", torch.ones(4))

    def forward(self, x: Tensor, y: Tensor) -> dict[str, Any]:
        a, b = torch.split(torch.cat([self.layer(x), self.layer(y) * self.scale], dim=1), 4, dim=1)
        ones = torch.ones(a.shape, device=a.device)
        best, _ = (a + ones).max(dim=1)
        return {"best": best, "all": (a, b[:, ::2], torch.stack([a, b]))}


class NeedsNumbers(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if float(x.sum()) > 0 else -x


def test_other_modules_are_read_alike() -> None:
    runner = Runner()
    two = (torch.zeros(2, 4, device="meta"), torch.zeros(2, 4, device="meta"))
    for module, inputs in ((Several().to("meta"), two), (InPlace(shared=False), two[:1])):
        fast, slow = runner.network(module, inputs), from_torch(module, inputs)
        assert fast.arch_id == slow.arch_id
        assert fast.total_params == slow.total_params
        assert fast.shapes[-1] == slow.shapes[-1]


@pytest.mark.parametrize("module", [InPlace(shared=True), NeedsNumbers()])
def test_what_cannot_be_run_on_shapes_is_refused(module: nn.Module) -> None:
    with pytest.raises(ArgumentError, match=r"in place|other tensors see|runs on meta tensors"):
        Runner().network(module, (torch.zeros(2, 4, device="meta"),))
