"""Sequences of decisions: exact masks, one sequence for each architecture, for every declared space."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from archindex.core.errors import ArchitectureError
from archindex.encoders.grammar import Grammar, draw, valid
from archindex.spaces.choices import ChoiceSpace
from archindex.spaces.nasbench101 import NASBench101
from archindex.spaces.registry import space, space_names

DECIDED = [name for name in space_names() if hasattr(space(name), "decisions")]


def grammar(name: str) -> Grammar:
    made: Any = space(name)
    found = made.decisions()
    assert isinstance(found, Grammar)
    return found


def every(found: Grammar) -> npt.NDArray[np.int64]:
    """Return all sequences that the masks leave."""
    ids = np.empty((1, 0), dtype=np.int64)
    for _ in range(found.length):
        row, choice = np.nonzero(found.allowed(ids))
        ids = np.hstack([ids[row], choice[:, None]])
    return ids


def test_most_spaces_have_decisions() -> None:
    wanted = {
        "nasbench101",
        "nasbench201",
        "darts",
        "nasbench_graph",
        "fbnet",
        "transnas101_macro",
        "nasbench_macro",
    }
    assert wanted <= set(DECIDED)
    assert len(DECIDED) >= 20


@pytest.mark.parametrize("name", DECIDED)
def test_what_the_masks_allow_is_valid(name: str) -> None:
    found, owner = grammar(name), space(name)
    natives = found.natives(draw(found, 200, np.random.default_rng(0)))
    for native in natives:
        assert owner.parse(native).native == native
    assert len(set(natives)) > 10


@pytest.mark.parametrize("name", [n for n in DECIDED if n not in ("nats_sss", "nasbench_graph")])
def test_the_way_back(name: str) -> None:
    found, owner = grammar(name), space(name)
    natives = [architecture.native for architecture in owner.sample(60, seed=3)]
    ids = found.ids(natives)
    assert ids.shape == (60, found.length)
    assert valid(found, ids).all()
    again = found.natives(ids)
    np.testing.assert_array_equal(owner.arch_ids(again), owner.arch_ids(natives))
    np.testing.assert_array_equal(found.ids(again), ids)
    assert found.ids([]).shape == (0, found.length)


@pytest.mark.parametrize("name", ["transnas101_macro", "nasbench_macro", "pit", "transnas101_micro"])
def test_masks_leave_exactly_the_space(name: str) -> None:
    found, owner = grammar(name), space(name)
    made = found.natives(every(found))
    assert len(made) == len(set(made)) == owner.size
    assert set(made) == {architecture.native for architecture in owner.enumerate()}  # type: ignore[attr-defined]


@pytest.mark.slow
def test_masks_leave_exactly_nasbench101() -> None:
    found = grammar("nasbench101")
    assert len(every(found)) == space("nasbench101").size == 1_293_208


def test_nasbench101_masks_against_the_space() -> None:
    """Every prefix of drawn cells: a choice is allowed exactly if some cell of the space begins like that."""
    found, owner = grammar("nasbench101"), NASBench101()
    small = [a.native for a in itertools.islice(owner.enumerate(), 3000)]
    for native in small[::100]:
        parts = native.split("+")
        cell = owner._parse(native)
        row = [v for k, m in zip([*(o + 1 for o in cell.ops), 4], cell.sources, strict=True) for v in (k, m)]
        ids = np.array([row + [0] * (found.length - len(row))])
        assert valid(found, ids).all()
        assert found.natives(ids) == [native]
        assert len(parts) * 2 == len(row)
    # Nine edges, and vertices that feed none: dead ends are never entered.
    drawn = draw(found, 3000, np.random.default_rng(1))
    full = np.bitwise_count(drawn[:, 1::2]).sum(axis=1)
    assert full.max() == 9
    assert all(owner.validate(native) for native in found.natives(drawn))


def test_orders_of_vertices_have_one_sequence() -> None:
    found, owner = grammar("nasbench101"), NASBench101()
    aliases = ["conv3x3~0+maxpool3x3~0+output~12", "maxpool3x3~0+conv3x3~0+output~12"]
    assert len(set(owner.arch_ids(aliases))) == 1
    first, second = found.ids(aliases)
    np.testing.assert_array_equal(first, second)
    drawn = found.natives(draw(found, 2000, np.random.default_rng(2)))
    groups: dict[str, set[bytes]] = {}
    for key, row in zip(owner.arch_ids(drawn), found.ids(drawn), strict=True):
        groups.setdefault(str(key), set()).add(row.tobytes())
    assert all(len(rows) == 1 for rows in groups.values())
    assert len(set.union(*groups.values())) == len(groups) < len(set(drawn))


def test_aliases_of_small_spaces_have_one_sequence() -> None:
    found, owner = grammar("nasbench201"), space("nasbench201")
    natives = [architecture.native for architecture in owner.enumerate()]  # type: ignore[attr-defined]
    ids = found.ids(natives)
    assert len(np.unique(ids, axis=0)) == len(set(owner.arch_ids(natives))) == 5425


@pytest.mark.parametrize("name", ["darts", "nasnet"])
def test_written_orders_have_one_sequence(name: str) -> None:
    found, owner = grammar(name), space(name)
    native = owner.sample(1, seed=5)[0].native
    assert isinstance(owner, ChoiceSpace)
    cells = owner.edges(native)  # type: ignore[attr-defined]
    turned = owner._write_cells({cell: [into[::-1] for into in nodes] for cell, nodes in cells.items()})  # type: ignore[attr-defined]
    assert turned != native
    np.testing.assert_array_equal(found.ids([native]), found.ids([turned]))


def test_rules_are_kept_by_looking_ahead() -> None:
    found = grammar("nasbench_graph")
    skips = np.array([[1, 9, 9, 9]])  # three skips: the fourth op may be anything else
    assert np.flatnonzero(found.allowed(skips)[0]).tolist() == list(range(1, 9))


def test_options_that_are_not_counted_are_refused() -> None:
    owner = space("darts")
    native = owner.sample(1, seed=0)[0].native
    with_none = native.replace(native.split("('")[1].split("'")[0], "none", 1)
    assert owner.validate(with_none)
    with pytest.raises(ArchitectureError, match="counts"):
        grammar("darts").ids([native, with_none])


def test_malformed_strings_are_refused() -> None:
    for name in ("nasbench101", "nasbench201"):
        with pytest.raises(ArchitectureError):
            grammar(name).ids(["nonsense"])
