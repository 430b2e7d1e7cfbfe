"""Lists that grow and shrink: whatever comes and goes, every list holds its rows and none is too large."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archindex.indexes import Metric
from archindex.indexes._points import to_points
from archindex.indexes.lists import Lists
from archindex.indexes.rebalance import LARGEST_LIST, SMALL_LIST, rebalanced, uneven
from archindex.store import arrange

DIM = 4

Floats = npt.NDArray[np.float32]


def cloud(n: int, kind: str, seed: int) -> Floats:
    """Rows spread out, in one clump, all equal, equal but for a few, or along a line."""
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=DIM) * 4
    spread = {"wide": 3.0, "clump": 1e-3, "equal": 0.0, "few": 0.0, "line": 0.0}[kind]
    rows = centre + rng.normal(size=(n, DIM)) * spread
    if kind == "few":
        rows[: max(1, n // 50)] += rng.normal(size=(max(1, n // 50), DIM))
    if kind == "line":
        rows[:, 0] += np.linspace(0, 5, n)
    return rows.astype(np.float32)


def check(lists: Lists, vectors: Floats) -> None:
    assert lists.hold(vectors)
    for i in np.flatnonzero(lists.sizes > LARGEST_LIST):
        points = to_points(vectors[lists.starts[i] : lists.starts[i + 1]], lists.metric)
        assert (points == points[0]).all()


steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["wide", "clump", "equal", "few", "line"]), st.integers(1, 3000)),
        st.tuples(st.sampled_from(["remove", "remove near"]), st.integers(1, 2000)),
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@settings(max_examples=12, deadline=None)
@given(steps=steps, seed=st.integers(0, 1000))
def test_any_sequence_leaves_lists_that_hold_and_none_too_large(
    metric: Metric, steps: list[tuple[str, int]], seed: int
) -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(arrange, "LISTED_ROWS", 1000)
    try:
        given = cloud(3000, "wide", seed)
        found, order = arrange.new_order(given, metric, seed)
        vectors = given[order]
        for number, (what, n) in enumerate(steps):
            if what.startswith("remove"):
                rng = np.random.default_rng(number)
                away = rng.random(len(vectors))
                if what == "remove near":  # lists run empty
                    away = np.linalg.norm(vectors - vectors[rng.integers(len(vectors))], axis=1)
                kept = np.ones(len(vectors), dtype=bool)
                kept[np.argsort(away)[: min(n, len(vectors) - 1)]] = False
                found, vectors = None if found is None else found.keeping(kept), vectors[kept]
            else:
                vectors = np.concatenate([vectors, cloud(n, what, number)])
            before = np.sort(vectors.view(f"V{4 * DIM}").ravel().tolist())
            found, order = arrange.grown_order(found, vectors, metric, seed)
            vectors = vectors[order]
            assert (np.sort(vectors.view(f"V{4 * DIM}").ravel().tolist()) == before).all()
            assert found is not None or len(vectors) < 1000
            if found is not None:
                check(found, vectors)
    finally:
        patch.undo()


def test_a_list_that_has_grown_is_cut_and_the_others_stay() -> None:
    given = cloud(20_000, "wide", 0)
    lists, order = Lists.of(given, "l2")
    assert not (lists.sizes > LARGEST_LIST).any()
    near = given[order][:1] + np.random.default_rng(1).normal(size=(3000, DIM)).astype(np.float32) * 0.01
    vectors = np.concatenate([given[order], near.astype(np.float32)])
    grown, again = lists.with_tail(vectors)
    vectors = vectors[again]
    assert (grown.sizes > LARGEST_LIST).sum() == 1
    assert uneven(grown)
    balanced, order = rebalanced(grown, vectors)
    check(balanced, vectors[order])
    assert len(balanced) >= len(lists) + 2
    known = {row.tobytes() for row in lists.centroids}
    assert sum(row.tobytes() in known for row in balanced.centroids) == len(lists) - 1
    # What was cut lies closer together than before.
    fresh = [i for i, row in enumerate(balanced.centroids) if row.tobytes() not in known]
    assert np.median(balanced.radii[fresh]) < grown.radii[np.argmax(grown.sizes)]


def test_what_is_left_of_shrunk_lists_is_joined_where_it_costs_nothing() -> None:
    given = cloud(20_000, "wide", 0)
    lists, order = Lists.of(given, "l2")
    vectors = given[order]
    kept = np.ones(len(vectors), dtype=bool)
    kept[lists.starts[3] + 2 : lists.starts[4]] = False  # two rows of list 3 are left
    kept[lists.starts[5] : lists.starts[6]] = False
    shrunk, vectors = lists.keeping(kept), vectors[kept]
    balanced, order = rebalanced(shrunk, vectors)
    check(balanced, vectors[order])
    known = {row.tobytes() for row in balanced.centroids}
    assert lists.centroids[5].tobytes() not in known  # it was empty
    small = shrunk.sizes < SMALL_LIST
    assert len(balanced) in (len(lists) - 1, len(lists) - small.sum())
    assert balanced.radii.max() <= shrunk.radii.max() * (1 + 2e-4)


def test_equal_rows_stay_in_one_list_however_many() -> None:
    given = np.concatenate([cloud(20_000, "wide", 0), cloud(5000, "equal", 1)])
    lists, order = arrange.new_order(given, "cosine", 0)
    assert lists is not None
    check(lists, given[order])
    assert lists.sizes.max() >= 5000
