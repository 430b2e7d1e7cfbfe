"""What is one architecture and what is not: reduction, arch_id, canonical form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archindex.core import canonical
from archindex.core.batch import GraphBatch
from archindex.core.canonical import ARCH_ID_LENGTH, arch_id, arch_ids, canonical_form, reduce_batch
from archindex.core.graph import ArchGraph
from archindex.testing.strategies import graphs, unhurried


def graph(ops: str, *edges: tuple[int, int] | tuple[int, int, int]) -> ArchGraph:
    """Make a graph from words and edges, port 0 unless it is said."""
    return ArchGraph(tuple(ops.split()), tuple((e[0], e[1], e[2] if len(e) == 3 else 0) for e in edges))


PLAIN = graph("input conv output", (0, 1), (1, 2))


@unhurried
@given(graphs(), st.data())
def test_numbering_does_not_matter(original: ArchGraph, data: st.DataObject) -> None:
    other = original.relabelled(data.draw(st.permutations(range(original.n_nodes))))
    assert arch_id(other) == arch_id(original)
    assert canonical_form(other) == canonical_form(original)


@unhurried
@given(graphs())
def test_the_canonical_form_is_reduced_and_stays(original: ArchGraph) -> None:
    form = canonical_form(original)
    assert arch_id(form) == arch_id(original)
    assert canonical_form(form) == form
    assert not {"skip", "none"} & set(form.ops)
    assert form.n_nodes <= original.n_nodes


@unhurried
@given(graphs())
def test_another_op_or_attribute_or_edge_is_another_architecture(original: ArchGraph) -> None:
    form = canonical_form(original)
    for node, op in enumerate(form.ops):
        if op not in ("input", "output"):
            ops = (*form.ops[:node], "attention", *form.ops[node + 1 :])
            attrs = (*form.attrs[:node], {"heads": 8.0}, *form.attrs[node + 1 :])
            assert arch_id(ArchGraph(ops, form.edges, form.attrs)) != arch_id(form)
            assert arch_id(ArchGraph(form.ops, form.edges, attrs)) != arch_id(form)
    for edge in form.edges:
        assert arch_id(ArchGraph(form.ops, (*form.edges, edge), form.attrs)) != arch_id(form)


@pytest.mark.parametrize(
    "alias",
    [
        graph("input skip conv output", (0, 1), (1, 2), (2, 3)),
        graph("input conv skip skip output", (0, 1), (1, 2), (2, 3), (3, 4)),
        graph("input conv output none", (0, 1), (1, 2), (0, 3), (3, 2)),
        graph("input conv output conv", (0, 1), (1, 2), (0, 3)),
        graph("input conv output conv", (0, 1), (1, 2), (3, 2)),
        graph("input conv output conv none skip", (0, 1), (1, 2), (0, 4), (4, 5), (5, 3), (3, 2)),
    ],
    ids=["skip before", "skips after", "zero term", "unused", "without input", "fed by zeros"],
)
def test_aliases(alias: ArchGraph) -> None:
    assert arch_id(alias) == arch_id(PLAIN)


def test_skips_join_all_that_comes_in_with_all_that_goes_out() -> None:
    summed = graph(
        "input conv max_pool skip conv linear output",
        *((0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (3, 5), (4, 6), (5, 6)),
    )
    direct = graph(
        "input conv max_pool conv linear output",
        *((0, 1), (0, 2), (1, 3), (2, 3), (1, 4), (2, 4), (3, 5), (4, 5)),
    )
    assert arch_id(summed) == arch_id(direct)
    assert reduce_batch(GraphBatch.from_graphs([summed])).graph(0) == reduce_batch(
        GraphBatch.from_graphs([direct])
    ).graph(0)


def test_x_plus_x_is_not_x() -> None:
    doubled = graph("input skip conv output", (0, 1), (1, 2), (0, 2), (2, 3))
    assert arch_id(doubled) != arch_id(PLAIN)
    assert arch_id(doubled) == arch_id(graph("input conv output", (0, 1), (0, 1), (1, 2)))


def test_ops_with_weights_are_never_merged() -> None:
    used_twice = graph("input conv linear max_pool output", (0, 1), (1, 2), (1, 3), (2, 4), (3, 4))
    two = graph("input conv conv linear max_pool output", (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5))
    assert arch_id(used_twice) != arch_id(two)
    once, twice = (
        graph("input conv output", (0, 1), (1, 2), (1, 2)),
        graph("input conv conv output", (0, 1), (0, 2), (1, 3), (2, 3)),
    )
    assert arch_id(once) != arch_id(twice)


def test_repeated_pools_are_kept() -> None:
    once = graph("input max_pool output", (0, 1), (1, 2))
    assert arch_id(once) != arch_id(graph("input max_pool max_pool output", (0, 1), (1, 2), (2, 3)))


def test_ports_are_ordered_and_one_port_is_not() -> None:
    minus = graph("input conv max_pool sub output", (0, 1), (0, 2), (1, 3, 0), (2, 3, 1), (3, 4))
    swapped = graph("input conv max_pool sub output", (0, 1), (0, 2), (1, 3, 1), (2, 3, 0), (3, 4))
    assert arch_id(minus) != arch_id(swapped)
    plus = graph("input conv max_pool add output", (0, 1), (0, 2), (1, 3), (2, 3), (3, 4))
    assert arch_id(plus) == arch_id(
        graph("input max_pool conv add output", (0, 1), (0, 2), (1, 3), (2, 3), (3, 4))
    )


def test_nothing_left_is_still_an_architecture() -> None:
    empty = graph("input none output", (0, 1), (1, 2))
    assert reduce_batch(GraphBatch.from_graphs([empty])).graph(0) == graph("input output")
    assert arch_id(empty) == arch_id(graph("input output")) != arch_id(graph("input output", (0, 1)))


def test_scopes_keep_cells_of_different_networks_apart() -> None:
    assert len({arch_id(PLAIN), arch_id(PLAIN, "a"), arch_id(PLAIN, "b")}) == 3


def test_ids_are_hexadecimal_and_stable() -> None:
    """The id of a published architecture must not change from one release to the next."""
    identity = arch_id(PLAIN, "example")
    assert len(identity) == ARCH_ID_LENGTH
    assert identity == "63195793ddc964fd6d715392"


def test_a_batch_gives_what_its_graphs_give_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [graph("input " + "conv " * n + "output", *((v, v + 1) for v in range(n + 1))) for n in range(7)]
    monkeypatch.setattr(canonical, "_CHUNK", 3)
    ids = arch_ids(GraphBatch.from_graphs(many))
    assert ids.tolist() == [arch_id(one) for one in many]
    assert len(np.unique(ids)) == 7
    assert arch_ids(GraphBatch.from_graphs([])).shape == (0,)


def test_names_count_and_not_their_place_in_the_vocabulary() -> None:
    """An unknown op has the same id whether or not other unknown ops come before it in the batch."""
    warp, weft = graph("input warp output", (0, 1), (1, 2)), graph("input weft output", (0, 1), (1, 2))
    ids = arch_ids(GraphBatch.from_graphs([warp, weft, warp])).tolist()
    assert ids == [arch_id(warp), arch_id(weft), arch_id(warp)]
    assert ids[0] != ids[1]


def test_an_attribute_of_zero_is_not_a_missing_one() -> None:
    def with_attrs(attrs: dict[str, float]) -> str:
        return arch_id(ArchGraph(PLAIN.ops, PLAIN.edges, ({}, attrs, {})))

    assert len({with_attrs(a) for a in ({}, {"kernel": 0.0}, {"stride": 0.0}, {"kernel": 1.0})}) == 4
    assert with_attrs({"kernel": 0.0}) == with_attrs({"kernel": -0.0})
