"""The pool: rows under a constraint, and what the space adds to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import archindex as ax
from archindex.core.canonical import graph_sizes
from archindex.core.metrics import MeasurementSpec, Series
from archindex.datasets import Table
from archindex.search.pool import Pool
from archindex.spaces.base import Architecture
from archindex.spaces.nasbench201 import NASBench201
from archindex.testing.strategy_case import small_table

WHERE = "cifar10_params_m < 0.35 AND n_ops >= 2"
SPACE = NASBench201()


def satisfies(architecture: Architecture) -> bool:
    """Whether `WHERE` holds, counted from the space alone."""
    params = SPACE.costs([architecture.native], "cifar10").params[0]
    return bool(params < 350_000 and graph_sizes(SPACE.graphs([architecture.native]))["n_ops"][0] >= 2)


def members(pool: Pool) -> list[Architecture]:
    return [pool.architecture(i) for i in range(len(pool))]


def consistent(pool: Pool) -> None:
    """Require all that is kept by position to be about the same architectures."""
    architectures = members(pool)
    assert len(set(architectures)) == len(pool) == len(pool.vectors) == len(pool.costs) == len(pool.classes)
    assert [pool.position(a) for a in architectures] == list(range(len(pool)))
    identities = [f"{a.space.name} {a.arch_id}" for a in architectures]
    numbered = dict(zip(identities, pool.classes.tolist(), strict=True))
    assert pool.classes.tolist() == [numbered[i] for i in identities]
    assert sorted(numbered.values()) == list(range(len(numbered)))
    assert list(numbered.values()) == sorted(numbered.values())  # in order of appearance


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> ax.Index:
    """300 cells with computed costs; shared, not to be written to."""
    return ax.build(tmp_path_factory.mktemp("pool") / "index", small_table(300), engine="exact")


def test_the_rows_are_the_first_candidates(index: ax.Index) -> None:
    pool = Pool(index.snapshot)
    assert [a.native for a in members(pool)] == index.snapshot.all_rows()["native"].tolist()
    np.testing.assert_array_equal(pool.vectors, index.snapshot.vectors)
    consistent(pool)
    assert len(np.unique(pool.classes)) < len(pool)  # there are aliases among them
    computed = [s for s in index.snapshot.specs() if s.provenance == "computed"]
    assert pool.costs.shape == (len(pool), 6) == (len(pool), len(computed))
    for j, spec in enumerate(computed):
        counts = getattr(SPACE.costs([a.native for a in members(pool)], spec.context), spec.metric)
        np.testing.assert_allclose(pool.costs[:, j], np.log(counts / 1e6), err_msg=spec.column)


def test_graphs_come_in_the_order_asked_for(index: ax.Index) -> None:
    pool = Pool(index.snapshot)
    positions = np.array([7, 2, 299 % len(pool), 2])
    graphs = pool.graphs(positions)
    assert [graphs.graph(i) for i in range(4)] == [pool.architecture(int(p)).graph for p in positions]


def test_a_constraint_keeps_rows_and_strangers_out(index: ax.Index) -> None:
    pool, everything = Pool(index.snapshot, WHERE), Pool(index.snapshot)
    assert members(pool) == [a for a in members(everything) if satisfies(a)]
    strangers = [a for a in SPACE.sample(300, seed=8) if everything.position(a) is None]
    pool.admit([*strangers, *strangers, *members(everything)])
    welcome = {a for a in strangers if satisfies(a)}
    assert 0 < len(welcome) < len(set(strangers))
    assert {a for a in strangers if pool.position(a) is not None} == welcome
    assert all(satisfies(a) for a in members(pool))
    consistent(pool)
    before = len(pool)
    pool.admit(strangers)
    assert len(pool) == before


def test_strangers_are_embedded_and_costed(index: ax.Index) -> None:
    pool, complete = Pool(index.snapshot), small_table(300)
    known = set(complete.natives)
    strangers = list(dict.fromkeys(a for a in SPACE.sample(60, seed=5) if a.native not in known))
    pool.admit(strangers)
    at = np.arange(len(known), len(pool))
    assert [pool.position(a) for a in strangers] == at.tolist()
    np.testing.assert_array_equal(pool.vectors[at], index.encode(strangers))
    flops = SPACE.costs([a.native for a in strangers], "cifar100").flops
    assert any(np.allclose(column, np.log(flops / 1e6)) for column in pool.costs[at].T)


def test_what_is_measured_is_unknown_of_strangers(index: ax.Index) -> None:
    """NULL satisfies no comparison, and IS NULL is true of it."""
    stranger = next(a for a in SPACE.sample(50, seed=5) if not index.snapshot.find(a.native))
    for where, admitted in (("toy_score < 1e9", False), ("toy_score IS NULL", True)):
        pool = Pool(index.snapshot, where)
        pool.admit([stranger])
        assert (pool.position(stranger) is not None) == admitted


def test_neighbours_are_those_of_the_space_under_the_constraint(index: ax.Index) -> None:
    pool = Pool(index.snapshot, WHERE)
    rows, stood_in = len(pool), []
    for position in range(rows):
        around = SPACE.neighbors(pool.architecture(position))
        found = pool.neighbors(position)
        assert position not in found
        there = {pool.architecture(int(i)) for i in found}
        assert there >= {a for a in around if satisfies(a)}
        # What else is there is the first candidate that is an alias of one that the constraint keeps out.
        kept_out = {a.arch_id for a in around if not satisfies(a)}
        assert {a.arch_id for a in there - set(around)} <= kept_out
        others = [int(i) for i in found if pool.architecture(int(i)) not in around]
        assert [pool.classes.tolist().index(pool.classes[i]) for i in others] == others
        stood_in.extend(others)
        np.testing.assert_array_equal(pool.neighbors(position), found)
    assert min(stood_in) < rows <= max(stood_in)  # rows of the index, and candidates of the space
    consistent(pool)


def test_without_a_constraint_every_neighbour_is_a_candidate(index: ax.Index) -> None:
    pool = Pool(index.snapshot)
    before = len(pool)
    found = pool.neighbors(0)
    assert {pool.architecture(int(i)) for i in found} == set(SPACE.neighbors(pool.architecture(0)))
    assert len(found) == 24
    assert len(pool) > before
    consistent(pool)


def test_an_alias_stands_for_a_string_that_is_missing(tmp_path: Path) -> None:
    """In a table with one string of each class, each class is next to all that it can become."""
    natives = [a.native for a in SPACE.enumerate()]
    last = dict(zip(SPACE.arch_ids(natives).tolist(), natives, strict=True))
    scores = Series(MeasurementSpec("score", "toy"), np.arange(len(last), dtype=np.float64))
    table = Table("classes", "nasbench201", tuple(last.values()), (scores,))
    pool = Pool(ax.build(tmp_path / "index", table, engine="exact").snapshot, "toy_score IS NOT NULL")
    stood_in = 0
    for position in range(0, len(pool), 500):
        here = pool.architecture(position)
        around = SPACE.neighbors(here)
        found = {pool.architecture(int(i)) for i in pool.neighbors(position)}
        assert {a.arch_id for a in found} == {a.arch_id for a in around} - {here.arch_id}
        stood_in += len(found - set(around))
    assert stood_in > 0
    assert len(pool) == len(last)


def test_the_nearest_rows_satisfy_the_constraint(index: ax.Index) -> None:
    pool = Pool(index.snapshot, WHERE)
    rows = len(pool)
    pool.neighbors(0)  # what the space adds is no row
    points = index.encode(SPACE.sample(3, seed=4))
    found = pool.nearest(points, 5)
    distances = np.linalg.norm(pool.vectors[:rows][None] - points[:, None], axis=2)
    limits = np.sort(distances, axis=1)[:, 4]
    assert found.max() < rows
    assert len(set(found.tolist())) == len(found)
    near = (distances[:, found] <= limits[:, None] + 1e-5).any(axis=0)
    assert near.all()
    # Ties aside, all that is nearer than the fifth is there.
    assert set(np.flatnonzero((distances < limits[:, None] - 1e-5).any(axis=0))) <= set(found.tolist())


def test_an_empty_pool(index: ax.Index) -> None:
    pool = Pool(index.snapshot, "n_ops < 0")
    assert len(pool) == 0
    assert pool.vectors.shape == (0, index.info.dim)
    assert pool.costs.shape == (0, 6)
    assert pool.position(index.architecture(0)) is None


def test_spaces_side_by_side(tmp_path: Path) -> None:
    """Each architecture has the neighbours, costs and classes of its own space."""
    other = ax.space("nasbench101")
    natives = tuple(dict.fromkeys(a.native for a in other.sample(40, seed=0)))
    scores = Series(MeasurementSpec("score", "toy"), np.arange(len(natives), dtype=np.float64))
    table = Table("cells", "nasbench101", natives, (scores,))
    index = ax.build(tmp_path / "index", [small_table(60), table], engine="exact")
    pool = Pool(index.snapshot)
    consistent(pool)
    spaces = [a.space.name for a in members(pool)]
    first, last = spaces.index("nasbench201"), spaces.index("nasbench101")
    for position in (first, last):
        around = {pool.architecture(int(i)).space.name for i in pool.neighbors(position)}
        assert around == {spaces[position]}
    consistent(pool)
    positions = np.array([last, first, len(pool) - 1])
    graphs = pool.graphs(positions)
    assert [graphs.graph(i) for i in range(3)] == [pool.architecture(int(p)).graph for p in positions]
    strangers = [SPACE.sample(1, seed=77)[0], other.sample(1, seed=77)[0]]
    pool.admit(strangers)
    assert all(pool.position(a) is not None for a in strangers)
    consistent(pool)
    only = Pool(index.snapshot, "space = 'nasbench101'")
    only.admit(strangers)
    assert {a.space.name for a in members(only)} == {"nasbench101"}
