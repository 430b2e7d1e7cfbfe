from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

import archindex as ax
from archindex.core.errors import ArchitectureError
from archindex.datasets import Table
from archindex.evaluate.diff import compare, compare_in
from archindex.store.addresses import parse_anywhere

SPACE = ax.space("nasbench201")
A = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_3x3~2|"
B = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|"


def test_every_change_is_found_and_no_other() -> None:
    found = compare(SPACE.parse(A), SPACE.parse(B))
    assert found.cell == (("op on edge 2->3", "conv(kernel=3)", "conv(kernel=1)"),)
    assert found.live_ops == (("conv(kernel=1)", 0, 1), ("conv(kernel=3)", 2, 1))
    assert {what for what, _, _ in found.costs} == {
        f"{data} {what}, millions"
        for data in ("cifar10", "cifar100", "in16_120")
        for what in ("params", "FLOPs")
    }
    params = next(change for change in found.costs if change[0] == "cifar10 params, millions")
    assert params[1] == pytest.approx(SPACE.costs([A], "cifar10").params[0] / 1e6)  # type: ignore[attr-defined]
    assert not found.alias


@pytest.mark.parametrize("seed", range(5))
def test_distance_is_that_of_the_encoder_and_shares_make_it_up(seed: int) -> None:
    from archindex.encoders import make_encoder

    a, b = SPACE.sample(2, seed=seed)
    found = compare(a, b)
    va, vb = make_encoder("structural").encode(SPACE.graphs([a.native, b.native])).astype(np.float64)
    assert found.distance == pytest.approx(float(np.linalg.norm(va - vb)), rel=1e-6)
    assert sum(c.share for c in found.contributions) == pytest.approx(1.0)
    assert list(found.contributions) == sorted(found.contributions, key=lambda c: -c.share)


def test_the_same_architecture_differs_in_nothing() -> None:
    found = compare(SPACE.parse(A), SPACE.parse(A))
    assert (found.cell, found.live_ops, found.costs, found.contributions) == ((), (), (), ())
    assert found.distance == 0
    assert found.explain()[0] == "the same architecture"


def test_the_same_ops_wired_differently_are_told() -> None:
    chain = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|nor_conv_1x1~1|none~2|"
    side_by_side = "|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_1x1~0|skip_connect~1|none~2|"
    found = compare(SPACE.parse(chain), SPACE.parse(side_by_side))
    assert found.live_ops == ()
    assert not found.alias
    assert found.explain()[0] == "the same live ops, wired differently"


def test_cells_of_different_shape_are_compared_by_ops_and_edges() -> None:
    other = ax.space("nasbench101")
    a, b = other.sample(20, seed=0)[:2]
    found = compare(a, b)
    assert found.cell
    across = compare(SPACE.parse(A), a)
    assert [what for what, _, _ in across.costs] == ["cifar10 params, millions", "cifar10 FLOPs, millions"]
    assert any("edge between nodes" in what for what, _, _ in across.cell)


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_inside_an_index(small_table: Table, tmp_path: Path, metric: Literal["l2", "cosine"]) -> None:
    with ax.build(tmp_path / "x", small_table.take(range(60)), metric=metric) as index:
        a, b = (index.architecture(native) for native in small_table.natives[:2])
        found = compare_in(index.snapshot, a, b)
        hits = index.query(a, k=60)
        place = hits.architectures.index(b)
        assert found.distance == pytest.approx(float(hits.distances[place]), rel=1e-4, abs=1e-6)
        assert found.nearer == int((hits.distances < hits.distances[place] * (1 - 1e-5) - 1e-6).sum())
        assert found.rows == 60
        record = index.get(a)
        assert {what: left for what, left, _ in found.columns}["cifar10_valid_acc"] == (
            record.attributes["cifar10_valid_acc"]
        )
        stranger = next(x for x in SPACE.sample(90, seed=2) if x.native not in small_table.natives)
        assert all(right is None for _, _, right in compare_in(index.snapshot, a, stranger).columns)


def test_addresses_without_an_index() -> None:
    assert parse_anywhere(A) == parse_anywhere(f"nasbench201:{A}") == SPACE.parse(A)
    with pytest.raises(ArchitectureError, match="needs an index"):
        parse_anywhere("10af7d5a09")
