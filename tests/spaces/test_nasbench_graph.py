"""NAS-Bench-Graph: the package's 26,206 classes, its params, its layers by value, bit widths."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from nas_bench_graph.architecture import Arch  # type: ignore[import-untyped]

from archindex.core.errors import ArchitectureError
from archindex.core.rng import generator
from archindex.datasets import load
from archindex.datasets.nasbench_graph import native as native_of_key
from archindex.spaces.nasbench_graph import DATASETS, LINKS, OPS, NASBenchGraph
from archindex.spaces.nasbench_graph_module import Edges, Layer, Rounded
from archindex.testing.space_case import SpaceCase

SPACE = NASBenchGraph()
MIXED = "0,0,1,2|gat,gcn,skip,fc|8,4,8,2"


class TestNASBenchGraph(SpaceCase):
    space = SPACE


@pytest.fixture(scope="module")
def strings() -> list[str]:
    """All strings of the nine trees and four ops, four skips left out."""
    return [
        f"{','.join(map(str, links))}|{','.join(ops)}"
        for links in LINKS
        for ops in itertools.product(OPS, repeat=4)
        if set(ops) != {"skip"}
    ]


def _key(text: str) -> int:
    """Return the key that the package looks an architecture up by."""
    links, ops = (part.split(",") for part in text.split("|"))
    key: int = Arch([int(link) for link in links], ops).valid_hash()
    return key


@pytest.mark.slow
def test_classes_are_those_of_the_package(strings: list[str]) -> None:
    """59,040 strings, 26,206 arch_ids, the same 26,206 keys, and one canonical string for each."""
    assert len(strings) == 9 * 9**4 - 9
    assert all(SPACE.parse(text).native == text for text in strings)
    ids = SPACE.arch_ids(strings).tolist()
    keys = [_key(text) for text in strings]
    assert len(set(ids)) == len(set(keys)) == len(set(zip(ids, keys, strict=True))) == 26_206
    canonical = [SPACE.canonical(SPACE.parse(text)).native for text in strings]
    assert canonical == [native_of_key(key) for key in keys]


@pytest.mark.slow
def test_enumeration_yields_one_of_each_class() -> None:
    natives = [arch.native for arch in SPACE.enumerate()]
    assert len(natives) == SPACE.size == 26_206
    assert len(set(SPACE.arch_ids(natives).tolist())) == 26_206


def test_neighbours_lead_everywhere() -> None:
    seen = {SPACE.parse("0,0,0,0|gat,gat,gat,gat")}
    waiting = list(seen)
    while waiting and len(seen) < 3_000:
        new = set(SPACE.neighbors(waiting.pop(0))) - seen
        seen |= new
        waiting += sorted(new, key=str)
    assert len(seen) >= 3_000
    assert len({arch.native.partition("|")[0] for arch in seen}) == len(LINKS)


@pytest.mark.slow
def test_params_are_those_of_the_table() -> None:
    """All rows of eight data sets; on physics the table keeps to its rule for 24,639 of 26,206."""
    table = load("nasbench_graph")
    columns = table.columns()
    for dataset in DATASETS:
        stated = np.round(columns[f"{dataset}_params_m"].values * 1e6)
        known = np.isfinite(stated)
        natives = [native for native, here in zip(table.natives, known, strict=True) if here]
        params = SPACE.costs(natives, dataset).params
        same = int((params == stated[known]).sum())
        assert len(natives) == (2_021 if dataset == "proteins" else 26_206)
        assert same == (24_639 if dataset == "physics" else len(natives))


REFERENCES: dict[str, Callable[[Any], torch.nn.Module]] = {
    "gat": lambda pyg: pyg.GATConv(12, 2, heads=4),
    "gcn": lambda pyg: pyg.GCNConv(12, 8),
    "gin": lambda pyg: pyg.GINConv(torch.nn.Linear(12, 8)),
    "cheb": lambda pyg: pyg.ChebConv(12, 8, K=2),
    "sage": lambda pyg: pyg.SAGEConv(12, 8),
    "arma": lambda pyg: pyg.ARMAConv(12, 8),
    "graph": lambda pyg: pyg.GraphConv(12, 8),
}


@pytest.mark.parametrize("op", REFERENCES)
def test_layers_are_those_of_torch_geometric(op: str) -> None:
    import torch_geometric.nn  # imported by the module above, which keeps its warnings quiet

    torch.manual_seed(0)
    _, edges = SPACE.example_inputs("proteins")
    both_ways = torch.unique(torch.cat([edges, edges.flip(0)], dim=1), dim=1)
    x = torch.randn(32, 12)
    layer, plain = Layer(op, 12, 8), REFERENCES[op](torch_geometric.nn)
    layer.conv.load_state_dict(plain.state_dict())
    assert torch.allclose(layer(x, Edges(both_ways, 32, x.dtype)), plain(x, both_ways), atol=1e-5)


def test_graphs_side_by_side_do_not_mix() -> None:
    torch.manual_seed(0)
    arch = SPACE.parse("0,1,2,2|gcn,gat,sage,cheb")
    module = SPACE.build_module(arch, "proteins").eval()
    x, edges = SPACE.example_inputs("proteins", batch=2)
    changed = x.clone()
    changed[:32] += 1
    before, after = module(x, edges), module(changed, edges)
    assert not torch.allclose(before[:32], after[:32])
    assert torch.allclose(before[32:], after[32:], atol=1e-6)


# Bit widths


def test_bit_widths_are_read_written_and_shown() -> None:
    arch = SPACE.parse(MIXED)
    assert arch.native == MIXED
    assert [attrs.get("bits") for attrs in arch.graph.attrs] == [None, 8, 4, 8, 2, None]
    assert SPACE.from_graph(arch.graph).arch_id == arch.arch_id
    assert arch.arch_id != SPACE.parse(MIXED.rpartition("|")[0]).arch_id
    assert SPACE.canonical(arch).native == "0,1,1,2|skip,gcn,gat,fc|16,4,8,2"
    assert SPACE.canonical(arch).arch_id == arch.arch_id


def test_neighbours_of_bit_widths_have_bit_widths() -> None:
    arch = SPACE.canonical(SPACE.parse("0,0,1,2|gat,gcn,gin,fc|8,4,8,2"))
    around = SPACE.neighbors(arch)
    assert all(near.native.count("|") == 2 for near in around)
    assert SPACE.parse("0,0,1,2|gat,gcn,gin,fc|8,4,8,4") in around
    assert all(arch in SPACE.neighbors(near) for near in around)
    assert all(arch.native.count("|") == 1 for arch in SPACE.sample(50))


def test_any_numbering_and_order_is_read_back() -> None:
    rng = generator(0, "numbering")
    for arch in [*SPACE.sample(20, seed=2), SPACE.canonical(SPACE.parse(MIXED))]:
        shuffled = arch.graph.relabelled([int(v) for v in rng.permutation(arch.graph.n_nodes)])
        assert SPACE.from_graph(shuffled) == arch
    assert SPACE.parse("0,1,2,1|gcn,gin,fc,cheb").native == "0,1,1,2|gcn,gin,cheb,fc"  # the package's README
    assert SPACE.parse("0,0,2,0|fc,gcn,gin,gat|2,4,8,16").native == "0,0,0,1|gcn,fc,gat,gin|4,2,16,8"


def test_weights_are_rounded_and_trained() -> None:
    torch.manual_seed(0)
    module = SPACE.build_module(SPACE.parse("0,0,1,2|gat,gcn,cheb,arma|2,2,2,2"), "proteins")
    linear = module.get_submodule("layers.1.conv.lin")
    assert isinstance(linear.weight, torch.Tensor)
    assert len(torch.unique(linear.weight)) <= 3
    module(*SPACE.example_inputs("proteins")).square().sum().backward()
    gradient = linear.get_parameter("parametrizations.weight.original").grad
    assert gradient is not None
    assert gradient.abs().sum() > 0
    full = torch.randn(40, 40)
    assert (Rounded(8)(full) - full).abs().max() <= full.abs().max() / 127 / 2 + 1e-6
    assert not torch.equal(Rounded(8)(full), full)
    costs = SPACE.costs(["0,0,1,2|gat,gcn,cheb,arma|2,2,2,2", "0,0,1,2|gat,gcn,cheb,arma"], "proteins")
    assert costs.params[0] == costs.params[1] == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0,0,1,2", "four layers"),
        ("0,0,1,2|gat,gcn,skip", "four layers"),
        ("0,0,1,2|gat,gcn,skip,fc|8,8", "four layers"),
        ("0,0,1,4|gat,gcn,skip,fc", "before"),
        ("0,0,1,02|gat,gcn,skip,fc", "whole number"),
        ("0,0,1,2|gat,gcn,skip,foo", "op.3"),
        ("0,0,1,2|gat,gcn,skip,fc|8,8,8,3", "bits.3"),
        ("0,0,1,2|skip,skip,skip,skip", "combination"),
    ],
)
def test_malformed_strings_say_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(ArchitectureError, match=says):
        SPACE.parse(text)
