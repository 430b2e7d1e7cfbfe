"""Import of torch modules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archindex as ax
from archindex.core.errors import ArgumentError
from archindex.spaces.registry import space


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.embed.weight
        self.never = nn.Linear(3, 3)

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.head(self.embed(ids))
        return scores


def test_tied_weights_count_once_and_unused_ones_too() -> None:
    found = ax.from_torch(Tied(), (torch.zeros(1, 3, dtype=torch.int64),))
    assert found.graph.ops == ("input", "embedding", "linear", "output")
    assert found.params.tolist() == [0, 40, 0, 0]
    assert found.unused_params == 12
    assert found.total_params == sum(p.numel() for p in Tied().parameters()) == 52


class InPlace(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x.sigmoid()
        y.relu_()
        y += x
        return y * x


class OutOfPlace(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x.sigmoid().relu() + x) * x


def test_ops_in_place_are_seen_by_what_reads_the_tensor_later() -> None:
    changed, made = (ax.from_torch(m, (torch.ones(2, 3),)) for m in (InPlace(), OutOfPlace()))
    assert changed.arch_id == made.arch_id


def test_the_module_is_left_as_it_was() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout())
    module[1].eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    found = ax.from_torch(module, (torch.randn(2, 3),))
    assert found.graph.ops == ("input", "linear", "batch_norm", "output")
    assert [part.training for part in module] == [True, False, True]
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_names_are_those_of_the_program() -> None:
    found = ax.from_torch(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), (torch.zeros(1, 3),))
    assert found.names[1:3] == ("linear", "relu")


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_what_cannot_be_traced() -> None:
    with pytest.raises(ArgumentError, match=r"torch\.export can trace"):
        ax.from_torch(Branching(), (torch.zeros(2),))
    with pytest.raises(ArgumentError, match=r"torch\.export can trace"):
        ax.from_torch(nn.Linear(3, 3), (torch.zeros(1, 4),))
    with pytest.raises(ArgumentError, match=r"torch\.nn\.Module"):
        ax.from_torch("resnet50", (torch.zeros(1),))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="as a tuple"):
        ax.from_torch(nn.Linear(3, 3), torch.zeros(1, 3))  # type: ignore[arg-type]


class Unknown(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cummax(torch.special.i0(x), 0).values.relu()


def test_ops_outside_the_vocabulary_keep_their_names() -> None:
    found = ax.from_torch(Unknown(), (torch.zeros(3),))
    assert set(found.graph.ops) == {"input", "special_i0", "cummax", "relu", "output"}


@pytest.mark.parametrize("name", ["nasbench201", "nasbench101"])
def test_costs_are_those_of_the_search_space(name: str) -> None:
    here: Any = space(name)
    arch = here.sample(1, seed=4)[0]
    found = ax.from_torch(here.build_module(arch, "cifar10"), here.example_inputs("cifar10"))
    costs = here.costs([arch.native], "cifar10")
    assert found.total_params == costs.params[0]
    # The spaces count the bias of the classifier as ten multiply-adds, as their benchmarks do.
    assert found.total_flops == costs.flops[0] - 10


class Mapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        mapped: Tensor = torch.vmap(self.one)(x)
        return mapped


def test_plain_functions_are_named_by_module_and_not_by_address() -> None:
    found = ax.from_torch(Mapped(), (torch.zeros(3, 4),))
    assert [op for op in found.graph.ops if "_batch_dim" in op] == [
        "torch._functorch.predispatch._add_batch_dim",
        "torch._functorch.predispatch._remove_batch_dim",
    ]
    assert not any("0x" in op for op in found.graph.ops)


class Applied(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        result: Tensor = self.function(*inputs)
        return result


@pytest.mark.parametrize(
    ("module", "inputs"),
    [
        (nn.LSTMCell(4, 5), (torch.zeros(2, 4),)),
        (nn.GRUCell(4, 5), (torch.zeros(2, 4),)),
        (nn.RNNCell(4, 5), (torch.zeros(2, 4),)),
        (nn.Bilinear(3, 4, 5), (torch.zeros(2, 3), torch.zeros(2, 4))),
        (Applied(torch.outer), (torch.zeros(3), torch.zeros(4))),
        (Applied(torch.dot), (torch.zeros(3), torch.zeros(3))),
        (Applied(torch.kron), (torch.zeros(3), torch.zeros(4))),
        (Applied(torch.cdist), (torch.zeros(3, 4), torch.zeros(5, 4))),
        (Applied(torch.linalg.inv), (torch.eye(3),)),
        (Applied(lambda a, b: torch.tensordot(a, b, dims=1)), (torch.zeros(3, 4), torch.zeros(4, 5))),
    ],
)
def test_products_that_are_not_counted_are_unknown_and_not_free(
    module: nn.Module, inputs: tuple[Tensor, ...]
) -> None:
    found = ax.from_torch(module, inputs)
    assert found.unknown_flops or int(found.flops.sum()) > 0


def test_a_batch_of_products_that_is_added_is_counted() -> None:
    inputs = (torch.zeros(2, 3, 5), torch.zeros(2, 3, 4), torch.zeros(2, 4, 5))
    found = ax.from_torch(Applied(torch.baddbmm), inputs)
    apart = ax.from_torch(Applied(lambda c, a, b: c + a @ b), inputs)
    assert found.total_flops == apart.total_flops == 2 * 3 * 5 * 4
    assert found.arch_id == apart.arch_id
