"""NAS-Bench-201: the native string, all 15,625 cells, networks that run, NATS-Bench's own string."""

from __future__ import annotations

import pytest
import torch

from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.spaces.counting import module_costs
from archindex.spaces.nasbench201 import OPS, NASBench201, nats_unique_string
from archindex.spaces.registry import parse_address
from archindex.testing.space_case import biases

SPACE = NASBench201()
NONE = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
CHAIN = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|"


@pytest.fixture(scope="module")
def natives() -> list[str]:
    return [arch.native for arch in SPACE.enumerate()]


def test_all_strings_parse_and_format_back(natives: list[str]) -> None:
    assert len(set(natives)) == SPACE.size == 15_625
    assert all(SPACE._format(SPACE._parse(native)) == native for native in natives)


def test_classes_of_the_space(natives: list[str]) -> None:
    assert len(set(SPACE.arch_ids(natives).tolist())) == 5_425
    assert len({nats_unique_string(native, consider_zero=True) for native in natives}) == 6_466
    assert len({nats_unique_string(native, consider_zero=False) for native in natives}) == 12_751


def test_a_malformed_string_has_no_nats_string() -> None:
    with pytest.raises(ArchitectureError):
        nats_unique_string("|none~0|", consider_zero=True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"),
        (CHAIN[:-1], "NAS-Bench-201 cell"),
        (CHAIN + "+|none~0|", "NAS-Bench-201 cell"),
        (CHAIN.replace("nor_conv_3x3", "nor_conv_5x5"), "from node 0 to node 1"),
        (CHAIN.replace("skip_connect~1", "skip_connect~0"), "from node 1 to node 2"),
        (CHAIN.replace("skip_connect~1", "skip_connect"), "from node 1 to node 2"),
    ],
)
def test_malformed_strings_say_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(ArchitectureError) as caught:
        SPACE.parse(text)
    assert says in str(caught.value)


def test_addresses() -> None:
    assert parse_address(f"nasbench201:{CHAIN}") == SPACE.parse(CHAIN)
    with pytest.raises(ArchitectureError, match="space:native"):
        parse_address(CHAIN)


def test_aliases_share_an_id_and_others_do_not() -> None:
    shorter = "|none~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|nor_conv_1x1~2|"
    other = CHAIN.replace("nor_conv_1x1", "nor_conv_3x3")
    ids = SPACE.arch_ids([CHAIN, shorter, other]).tolist()
    assert ids[0] == ids[1] != ids[2]


def test_reduced_graphs_name_their_class() -> None:
    graph = ArchGraph(
        ("output", "conv", "conv", "input"),
        ((3, 2, 0), (2, 1, 0), (1, 0, 0)),
        ({}, {"kernel": 1}, {"kernel": 3}, {}),
    )
    assert SPACE.from_graph(graph).arch_id == SPACE.parse(CHAIN).arch_id
    nothing = ArchGraph(("input", "output"), ())
    assert SPACE.from_graph(nothing).native == NONE


@pytest.mark.parametrize("kernel", [5.0, 2.0])
def test_other_kernels_are_refused(kernel: float) -> None:
    graph = SPACE.parse(CHAIN).graph
    attrs = tuple(
        {**a, "kernel": kernel} if op == "conv" else a for op, a in zip(graph.ops, graph.attrs, strict=True)
    )
    with pytest.raises(ArchitectureError, match="nasbench201"):
        SPACE.from_graph(ArchGraph(graph.ops, graph.edges, attrs))


@pytest.mark.parametrize("dataset", SPACE.datasets)
@pytest.mark.parametrize("op", OPS)
def test_networks_of_one_op_run(op: str, dataset: str) -> None:
    """All edges with one op, none included: the gradient reaches the stem, or is zero there."""
    arch = SPACE.parse(NONE.replace("none", op))
    module = SPACE.build_module(arch, dataset)
    (images,) = SPACE.example_inputs(dataset, batch=2)
    costs = SPACE.costs([arch.native], dataset)
    assert sum(p.numel() for p in module.parameters()) == costs.params[0]
    _, flops = module_costs(module, (images[:1],))
    assert flops + biases(module, (images[:1],)) == costs.flops[0]
    scores = module.train()(images)
    assert scores.shape == (2, {"cifar10": 10, "cifar100": 100, "in16_120": 120}[dataset])
    scores.square().sum().backward()
    stem = next(p for name, p in module.named_parameters() if name.startswith("stem"))
    assert stem.grad is not None
    assert bool(stem.grad.abs().sum() > 0) == (op != "none")


def test_average_pooling_leaves_the_padding_out() -> None:
    from archindex.spaces.nasbench201_module import Cell

    pooled = Cell([0, 0, 0, OPS.index("avg_pool_3x3"), 0, 0], 1)(torch.ones(1, 1, 4, 4))
    assert torch.equal(pooled, torch.ones(1, 1, 4, 4))
