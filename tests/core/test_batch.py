"""GraphBatch packs graphs and gives them back unchanged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archindex.core.batch import GraphBatch
from archindex.core.errors import ArgumentError
from archindex.core.graph import ArchGraph
from archindex.core.ops import ATTRIBUTES, OPS
from archindex.testing.strategies import graphs, unhurried


@unhurried
@given(st.lists(graphs(), max_size=5))
def test_graphs_come_back_as_they_were(several: list[ArchGraph]) -> None:
    batch = GraphBatch.from_graphs(several)
    assert len(batch) == len(several)
    assert list(batch) == several
    assert batch.n_nodes == sum(g.n_nodes for g in several)


@unhurried
@given(st.lists(st.lists(graphs(), max_size=3), min_size=1, max_size=4))
def test_joining_and_taking_are_inverse(groups: list[list[ArchGraph]]) -> None:
    batch = GraphBatch.concat([GraphBatch.from_graphs(group) for group in groups])
    assert list(batch) == [graph for group in groups for graph in group]
    start = 0
    for group in groups:
        assert list(batch.take(start, start + len(group))) == group
        start += len(group)


def test_unknown_ops_keep_their_names_when_joined() -> None:
    one, two = (ArchGraph(("input", a, b), ()) for a, b in (("warp", "conv"), ("weft", "warp")))
    batch = GraphBatch.concat([GraphBatch.from_graphs([one]), GraphBatch.from_graphs([two])])
    assert batch.extra_ops == ("warp", "weft")
    assert list(batch) == [one, two]
    assert batch.op.tolist()[1] == batch.op.tolist()[5] == len(OPS)


def test_arrays_are_laid_out_as_documented() -> None:
    attrs: tuple[dict[str, float], ...] = ({}, {"kernel": 3.0}, {})
    first = ArchGraph(("input", "conv", "output"), ((0, 1, 0), (1, 2, 0)), attrs)
    batch = GraphBatch.from_graphs([first, ArchGraph(("input", "output"), ((0, 1, 4),))])
    assert batch.op.dtype == np.int32
    assert batch.attrs.dtype == np.float32
    assert batch.attrs.shape == (5, len(ATTRIBUTES))
    assert np.count_nonzero(~np.isnan(batch.attrs)) == 1
    assert batch.edges.tolist() == [[0, 1, 3], [1, 2, 4], [0, 0, 4]]
    assert batch.node_ptr.tolist() == [0, 3, 5]
    assert batch.edge_ptr.tolist() == [0, 2, 3]
    assert batch.node_graph.tolist() == [0, 0, 0, 1, 1]


def test_a_slice_is_independent_of_the_whole() -> None:
    graph = ArchGraph(("input", "output"), ((0, 1, 0),))
    batch = GraphBatch.from_graphs([graph] * 3)
    batch.take(1, 3).edges[:] = 0
    assert list(batch) == [graph] * 3


def test_joining_nothing_is_refused() -> None:
    with pytest.raises(ArgumentError, match="at least one batch"):
        GraphBatch.concat([])
