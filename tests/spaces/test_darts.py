"""DARTS: the conformance suite, and the 545 rows of OnceNAS-Bench."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import numpy as np
import pytest
import torch
from torch import nn

from archindex.core.canonical import canonical_form
from archindex.core.errors import ArchitectureError
from archindex.spaces.darts import DARTS
from archindex.spaces.stacked_module import FactorizedReduce, edge
from archindex.testing.space_case import SpaceCase

SPACE = DARTS()
FOUND = (  # quark0/darts, cnn/genotypes.py: DARTS, second order
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
    "normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
    "('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), "
    "('max_pool_3x3', 1)], reduce_concat=range(2, 6))"
)


class TestDARTS(SpaceCase):
    space = SPACE
    n_trained = 1  # the paper's network takes a few seconds


@pytest.fixture(scope="module")
def table() -> tuple[list[str], np.ndarray, np.ndarray]:
    """Genotypes, params and FLOPs of OnceNAS-Bench."""
    folder = os.environ.get("ARCHINDEX_DATA")
    if not folder:
        pytest.skip("ARCHINDEX_DATA is unset: the published tables are not here")
    path = Path(folder) / "darts_oncenas545.parquet"
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    with duckdb.connect() as connection:
        rows = connection.read_parquet(str(path)).project("genotype, params_m, flops_m").fetchall()
    natives, params, flops = zip(*rows, strict=True)
    return list(natives), np.rint(np.array(params) * 1e6), np.rint(np.array(flops) * 1e6)


def test_size_is_the_published_one() -> None:
    assert SPACE.size == (180 * 7**8) ** 2 == 1_076_746_950_455_072_400


def test_every_row_parses_and_formats_back(table: tuple[list[str], np.ndarray, np.ndarray]) -> None:
    natives, _, _ = table
    assert len(natives) == 545
    assert [SPACE.parse(native).native for native in natives] == natives
    assert sum("'none'" in native for native in natives) == 359


def test_every_row_is_read_back_from_its_graph(table: tuple[list[str], np.ndarray, np.ndarray]) -> None:
    natives, _, _ = table
    rng = np.random.default_rng(0)
    for native in natives[::5]:
        graph = SPACE.parse(native).graph
        shuffled = graph.relabelled([int(v) for v in rng.permutation(graph.n_nodes)])
        assert SPACE.from_graph(shuffled).arch_id == SPACE.parse(native).arch_id


def test_params_are_those_of_the_table(table: tuple[list[str], np.ndarray, np.ndarray]) -> None:
    natives, params, _ = table
    assert (SPACE.costs(natives, "cifar10").params == params).all()


def test_flops_differ_by_what_the_table_counts_more(
    table: tuple[list[str], np.ndarray, np.ndarray],
) -> None:
    natives, _, flops = table
    counted = SPACE.costs(natives, "cifar10").flops
    assert 0 < (1 - counted / flops).max() < 0.041
    for i in range(0, 545, 180):
        assert counted[i] + _further(natives[i]) == flops[i]


def _further(native: str) -> int:
    """Return what the table adds for batch norm and average pooling."""
    weights = {nn.BatchNorm2d: 4, nn.AvgPool2d: 1, nn.Linear: 0}
    total = 0

    def add(layer: nn.Module, read: tuple[torch.Tensor], given: torch.Tensor) -> None:
        nonlocal total
        total += weights[type(layer)] * given.numel()
        if isinstance(layer, nn.Linear):  # 64 pixels of every channel are added, and divided
            total += 65 * read[0].shape[1]

    with torch.device("meta"):
        module = SPACE.build_module(SPACE.parse(native), "cifar10").eval()
        for layer in module.modules():
            if type(layer) in weights:
                layer.register_forward_hook(add)
        module(*SPACE.example_inputs("cifar10"))
    return total


def test_the_cells_that_darts_found() -> None:
    arch = SPACE.parse(FOUND)
    assert arch.native == FOUND
    spaced = FOUND.replace("=[", " = [\n  ").replace(")]", "),\n  ]").replace("range(2, 6)", "[2, 3, 4, 5]")
    assert SPACE.parse(spaced) == arch
    assert SPACE.costs([FOUND], "cifar10").params[0] == 3_349_342  # "3.3 M" in the paper


def test_the_order_of_two_edges_says_nothing() -> None:
    first, second = "('sep_conv_3x3', 1), ('skip_connect', 0)", "('skip_connect', 0), ('sep_conv_3x3', 1)"
    assert first in FOUND
    other = SPACE.parse(FOUND.replace(first, second))
    assert other.native != FOUND
    assert other.arch_id == SPACE.parse(FOUND).arch_id


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("range(2, 6)", "range(3, 6)"),
        ("range(2, 6)", "range(0, 999999999)"),
        ("range(2, 6)", "[]"),
        ("'sep_conv_3x3'", "'sep_conv_7x7'"),
        ("('skip_connect', 0)", "('skip_connect', 1)"),
        ("('skip_connect', 0)", "('skip_connect', 4)"),
        ("('skip_connect', 0)", "('skip_connect', 00)"),
        ("('skip_connect', 0)", "('skip_connect', \u0663)"),
        ("('skip_connect', 0), ", ""),
        ("('skip_connect', 0), ", "('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 1), "),
        ("Genotype(", "Genotype(("),
        ("Genotype(", "__import__('os')("),
        ("normal=", "normal=" + "[" * 50_000),
    ],
)
def test_malformed_genotypes_are_refused(old: str, new: str) -> None:
    assert old in FOUND
    with pytest.raises(ArchitectureError):
        SPACE.parse(FOUND.replace(old, new))


def test_ops_by_value() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 4, 6, 6)
    assert torch.equal(edge("skip_connect", 4, 1)(x), x)
    assert torch.equal(edge("none", 4, 2)(x), torch.zeros(1, 4, 3, 3))
    ones = torch.ones(1, 4, 6, 6)
    assert torch.equal(edge("avg_pool_3x3", 4, 2)(ones), torch.ones(1, 4, 3, 3))  # padding is left out
    reduce = FactorizedReduce(4, 6).eval()
    first, second = reduce.halves
    expected = torch.cat([first(x.relu()), second(x.relu()[:, :, 1:, 1:])], dim=1)
    assert torch.allclose(reduce(x), reduce.norm(expected))
    assert len([m for m in edge("sep_conv_5x5", 4, 2).modules() if isinstance(m, nn.Conv2d)]) == 4
    assert edge("dil_conv_5x5", 4, 2)(x).shape == (1, 4, 3, 3)


def test_a_zero_edge_is_an_alias_of_none() -> None:
    """Where a node adds zero to another one, the sum is that other one, also where nodes are joined."""
    first = "('skip_connect', 0), ('skip_connect', 1)"
    rest = "('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_5x5', 0), ('sep_conv_5x5', 1)"
    reduce = f"[{first}, {first}, {rest}]"
    cells = [
        f"Genotype(normal=[{first}, {second}, {rest}], normal_concat=range(2, 6), "
        f"reduce={reduce}, reduce_concat=range(2, 6))"
        for second in (first, "('skip_connect', 2), ('none', 0)")
    ]
    one, other = (SPACE.parse(cell) for cell in cells)
    assert one.arch_id == other.arch_id
    assert SPACE.from_graph(canonical_form(other.graph)).arch_id == one.arch_id
