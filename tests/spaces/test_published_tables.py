"""Both benchmarks against their published tables, in the folder that ARCHINDEX_DATA names."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pytest

from archindex.core.batch import GraphBatch
from archindex.core.canonical import arch_ids
from archindex.spaces.nasbench101 import NASBench101, adjacencies
from archindex.spaces.nasbench101_cells import PackedCells
from archindex.spaces.nasbench201 import NASBench201

NB101, NB201 = NASBench101(), NASBench201()
ROWS = 423_624

Columns = Mapping[str, npt.NDArray[Any]]


def _read(name: str, columns: str) -> Columns:
    folder = os.environ.get("ARCHINDEX_DATA")
    if not folder:
        pytest.skip("ARCHINDEX_DATA is unset: the published tables are not here")
    path = Path(folder) / f"{name}.parquet"
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    with duckdb.connect() as connection:
        table = connection.read_parquet(str(path)).project(columns).fetchnumpy()
    return {column: np.ma.getdata(values) for column, values in table.items()}


@pytest.fixture(scope="module")
def nb101() -> Columns:
    """All 423,624 cells of NAS-Bench-101: ``adj_bits``, ``ops``, ``params_m``, vertices and edges."""
    return _read("nb101", "adj_bits, ops, params_m, num_vertices, num_edges")


@pytest.fixture(scope="module")
def nb201() -> Columns:
    """All 15,625 cells of NAS-Bench-201: ``arch_str``, ``ops``, params and FLOPs of the three data sets."""
    costs = ", ".join(f"{d}_params_m, {d}_flops_m" for d in ("cifar10", "cifar100", "in16_120"))
    return _read("nb201", f"arch_str, ops, {costs}")


@pytest.fixture(scope="module")
def cells(nb101: Columns) -> PackedCells:
    return PackedCells.from_table(nb101["adj_bits"], nb101["ops"])


@pytest.fixture(scope="module")
def graphs(cells: PackedCells) -> GraphBatch:
    return cells.graphs()


@pytest.fixture(scope="module")
def identities(graphs: GraphBatch) -> npt.NDArray[np.str_]:
    return arch_ids(graphs, scope=NB101.name)


def test_the_table_of_nasbench101_is_whole(nb101: Columns, cells: PackedCells, graphs: GraphBatch) -> None:
    assert len(cells) == ROWS
    assert (cells.n_vertices == nb101["num_vertices"]).all()
    assert (np.diff(graphs.edge_ptr) == nb101["num_edges"]).all()


def test_every_nasbench101_cell_parses_and_formats_back(cells: PackedCells) -> None:
    natives = cells.natives()
    assert len(set(natives)) == ROWS
    assert all(NB101._format(NB101._parse(native)) == native for native in natives)
    again = PackedCells.from_cells(map(NB101._parse, natives[:1000]))
    assert (again.bits == cells.bits[:1000]).all()
    assert (again.ops == cells.ops[:1000]).all()


def test_every_nasbench101_cell_has_an_arch_id_of_its_own(identities: npt.NDArray[np.str_]) -> None:
    assert len(set(identities.tolist())) == ROWS


def test_the_table_holds_every_class_of_up_to_six_vertices(
    cells: PackedCells, identities: npt.NDArray[np.str_]
) -> None:
    n_small = sum(3 ** (len(sources) - 1) for sources in adjacencies() if len(sources) <= 5)
    listed = [arch.native for arch in itertools.islice(NB101.enumerate(), n_small)]
    assert set(NB101.arch_ids(listed).tolist()) == set(identities[cells.n_vertices <= 6].tolist())


def test_sampled_cells_are_in_the_table(identities: npt.NDArray[np.str_]) -> None:
    drawn = NB101.arch_ids([arch.native for arch in NB101.sample(2000, seed=3)])
    assert np.isin(drawn, identities).all()


def test_params_of_nasbench101_are_the_published_ones(nb101: Columns, cells: PackedCells) -> None:
    assert np.array_equal(cells.costs().params, np.rint(nb101["params_m"] * 1e6).astype(np.int64))


def test_packed_cells_agree_with_single_ones(cells: PackedCells) -> None:
    some = cells.take(np.random.default_rng(4).choice(ROWS, 500, replace=False))
    natives = some.natives()
    assert list(some.graphs()) == [NB101.parse(native).graph for native in natives]
    costs = NB101.costs(natives, "cifar10")
    assert (costs.params == some.costs().params).all()
    assert (costs.flops == some.costs().flops).all()


@pytest.mark.parametrize("dataset", NB201.datasets)
def test_costs_of_nasbench201_are_the_published_ones(nb201: Columns, dataset: str) -> None:
    costs = NB201.costs(nb201["arch_str"].tolist(), dataset)
    assert len(costs.params) == 15_625
    assert np.array_equal(costs.params, np.rint(nb201[f"{dataset}_params_m"] * 1e6).astype(np.int64))
    assert np.array_equal(costs.flops, np.rint(nb201[f"{dataset}_flops_m"] * 1e6).astype(np.int64))


def test_digits_of_the_nasbench201_table_are_positions_of_ops(nb201: Columns) -> None:
    genotypes = NB201.genotypes(nb201["arch_str"].tolist())
    assert ["".join(map(str, row)) for row in genotypes.tolist()] == nb201["ops"].tolist()
