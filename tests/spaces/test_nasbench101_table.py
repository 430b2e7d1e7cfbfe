"""NAS-Bench-101 against the published table of all 423,624 cells."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from archindex.core.batch import GraphBatch
from archindex.core.canonical import arch_ids
from archindex.spaces.nasbench101 import NASBench101, adjacencies
from archindex.spaces.nasbench101_cells import PackedCells

SPACE = NASBench101()
ROWS = 423_624

Columns = Mapping[str, npt.NDArray[Any]]


@pytest.fixture(scope="module")
def cells(nb101: Columns) -> PackedCells:
    return PackedCells.from_table(nb101["adj_bits"], nb101["ops"])


@pytest.fixture(scope="module")
def graphs(cells: PackedCells) -> GraphBatch:
    return cells.graphs()


@pytest.fixture(scope="module")
def identities(graphs: GraphBatch) -> npt.NDArray[np.str_]:
    return arch_ids(graphs, scope=SPACE.name)


def test_the_table_is_whole(nb101: Columns, cells: PackedCells, graphs: GraphBatch) -> None:
    assert len(cells) == ROWS
    assert (cells.n_vertices == nb101["num_vertices"]).all()
    assert (np.diff(graphs.edge_ptr) == nb101["num_edges"]).all()


def test_every_cell_parses_and_formats_back(cells: PackedCells) -> None:
    natives = cells.natives()
    assert len(set(natives)) == ROWS
    assert all(SPACE._format(SPACE._parse(native)) == native for native in natives)
    again = PackedCells.from_cells(map(SPACE._parse, natives[:1000]))
    assert (again.bits == cells.bits[:1000]).all()
    assert (again.ops == cells.ops[:1000]).all()


def test_every_cell_has_an_arch_id_of_its_own(identities: npt.NDArray[np.str_]) -> None:
    assert len(set(identities.tolist())) == ROWS


def test_the_table_holds_every_class_of_up_to_six_vertices(
    cells: PackedCells, identities: npt.NDArray[np.str_]
) -> None:
    n_small = sum(3 ** (len(sources) - 1) for sources in adjacencies() if len(sources) <= 5)
    listed = [arch.native for arch in itertools.islice(SPACE.enumerate(), n_small)]
    assert set(SPACE.arch_ids(listed).tolist()) == set(identities[cells.n_vertices <= 6].tolist())


def test_sampled_cells_are_in_the_table(identities: npt.NDArray[np.str_]) -> None:
    drawn = SPACE.arch_ids([arch.native for arch in SPACE.sample(2000, seed=3)])
    assert np.isin(drawn, identities).all()


def test_params_equal_the_published_ones(nb101: Columns, cells: PackedCells) -> None:
    assert np.array_equal(cells.costs().params, np.rint(nb101["params_m"] * 1e6).astype(np.int64))


def test_packed_cells_agree_with_single_ones(cells: PackedCells) -> None:
    some = cells.take(np.random.default_rng(4).choice(ROWS, 500, replace=False))
    natives = some.natives()
    assert list(some.graphs()) == [SPACE.parse(native).graph for native in natives]
    costs = SPACE.costs(natives, "cifar10")
    assert (costs.params == some.costs().params).all()
    assert (costs.flops == some.costs().flops).all()
