"""From a point of the embedding space back to a valid architecture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import archindex as ax
from archindex.core.errors import ArgumentError, InputError
from archindex.datasets import Table
from archindex.indexes.base import METRICS
from archindex.spaces.base import Architecture
from archindex.testing.vectors import true_distances

ATOL = 1e-5


@pytest.fixture(scope="module", params=METRICS)
def index(
    request: pytest.FixtureRequest, small_table: Table, tmp_path_factory: pytest.TempPathFactory
) -> ax.Index:
    """400 of 15,625 cells, in each metric."""
    folder = tmp_path_factory.mktemp("decode") / "index"
    return ax.build(folder, small_table, engine="exact", metric=request.param)


@pytest.fixture
def strangers(index: ax.Index) -> list[Architecture]:
    """Cells that are not in the index, nor are their aliases."""
    known = set(index.snapshot.all_rows()["arch_id"].tolist())
    return [a for a in ax.space("nasbench201").sample(60, seed=11) if a.arch_id not in known]


def distances_to(
    index: ax.Index, architectures: list[Architecture], point: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    return true_distances(index.encode(architectures), point, index.info.metric)


def test_a_rows_own_vector_stands_for_it_or_an_alias(index: ax.Index) -> None:
    vectors = np.asarray(index.snapshot.vectors)
    decoded = index.decode(vectors)
    assert len(decoded) == len(index)
    for vector, found in zip(vectors, decoded, strict=True):
        assert found.distance == pytest.approx(0, abs=ATOL)
        assert distances_to(index, [found.architecture], vector)[0] == pytest.approx(0, abs=ATOL)
        assert ax.space("nasbench201").validate(found.architecture.native)


def test_what_the_index_lacks_is_found_in_the_space(index: ax.Index, strangers: list[Architecture]) -> None:
    """Never farther than the nearest row; mostly nearer, and there it is no row."""
    points = index.encode(strangers)
    nearest = [hits.distances[0] for hits in index.query(list(points), k=1)]
    decoded = index.decode(points)
    for found, point, limit in zip(decoded, points, nearest, strict=True):
        assert found.distance <= limit
        true = distances_to(index, [found.architecture], point)[0]
        assert found.distance == pytest.approx(true, abs=ATOL)
        rows = index.snapshot.find(found.architecture.native, "nasbench201")
        assert found.row_id == (rows[0].row_id if rows else None)
        if found.distance < limit - ATOL:
            assert found.row_id is None
    nearer = sum(f.distance < limit - ATOL for f, limit in zip(decoded, nearest, strict=True))
    assert nearer >= 0.7 * len(strangers)
    assert sum(f.distance < ATOL for f in decoded) >= 0.5 * len(strangers)


def test_no_neighbour_is_nearer_than_what_was_decoded(index: ax.Index) -> None:
    """Points between architectures and points far from all."""
    vectors = np.asarray(index.snapshot.vectors)
    rng = np.random.default_rng(0)
    points = np.concatenate([(vectors[:4] + vectors[4:8]) / 2, 5 * rng.normal(size=(4, vectors.shape[1]))])
    for point, found in zip(points, index.decode(points), strict=True):
        around = found.architecture.space.neighbors(found.architecture)
        assert (distances_to(index, around, point) >= found.distance - ATOL).all()


def test_one_point_is_a_batch_of_one(index: ax.Index) -> None:
    vector = np.asarray(index.snapshot.vectors[9])
    assert index.decode(vector) == index.decode(vector[None])
    assert index.decode(np.empty((0, index.info.dim))) == []


def test_interpolation_ends_at_its_ends(index: ax.Index, strangers: list[Architecture]) -> None:
    start, end = index.architecture(3), index.architecture(200)
    assert start.arch_id != end.arch_id
    path = index.interpolate(3, end.native, steps=6)
    assert len(path) == 6
    for given, found in ((start, path[0]), (end, path[-1])):
        vector = index.encode([given])[0]
        assert found.distance == pytest.approx(0, abs=ATOL)
        assert distances_to(index, [found.architecture], vector)[0] == pytest.approx(0, abs=ATOL)
    assert len({p.architecture.arch_id for p in path}) > 2
    still = index.interpolate(start, start, steps=2)
    assert still[0] == still[1]
    assert index.interpolate(strangers[0], start)[-1].distance == pytest.approx(0, abs=ATOL)


def test_bad_points_are_refused(index: ax.Index) -> None:
    dim = index.info.dim
    for bad in (
        np.ones(dim + 1),
        np.ones((2, 2, dim)),
        np.full(dim, np.nan),
        np.full(dim, np.inf),
        ["a"] * dim,
    ):
        with pytest.raises(ArgumentError, match="vectors"):
            index.decode(bad)
    for steps in (1, 0, -3, 2.5, True):
        with pytest.raises(ArgumentError, match="steps"):
            index.interpolate(0, 1, steps=steps)  # type: ignore[arg-type]
    with pytest.raises(InputError):
        index.interpolate(0, 10**6)
    with pytest.raises(InputError):
        index.interpolate("|nonsense~0|", 1)


def test_an_index_without_rows_has_nothing_to_start_from(small_table: Table, tmp_path: Path) -> None:
    index = ax.build(tmp_path / "index", small_table.take([0, 1]), engine="exact")
    index.remove([0, 1])
    with pytest.raises(InputError, match="row"):
        index.decode(np.ones(index.info.dim))
