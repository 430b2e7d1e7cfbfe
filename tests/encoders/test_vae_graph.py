"""Slots: where each node of a graph is heard."""

from __future__ import annotations

import numpy as np

from archindex.core.canonical import reduce_batch
from archindex.core.ops import OP_ID
from archindex.core.ranks import canonical_ranks, home_ports
from archindex.encoders.vae_graph import SLOTS, PackedGraphs, slots
from archindex.spaces.registry import space

EDGES = [("sep_conv_3x3", 0), ("sep_conv_5x5", 1)] * 3 + [("max_pool_3x3", 0), ("dil_conv_3x3", 3)]


def darts(edges: list[tuple[str, int]]) -> str:
    return f"Genotype(normal={edges}, normal_concat=range(2, 6), reduce={EDGES}, reduce_concat=range(2, 6))"


def heard(native: str) -> dict[int, tuple[float, ...]]:
    """The op in each slot and its attributes."""
    reduced = reduce_batch(space("darts").graphs([native]))
    said = np.column_stack([reduced.op, np.nan_to_num(reduced.attrs)]).tolist()
    return dict(zip(slots(reduced).tolist(), map(tuple, said), strict=True))


def test_a_skip_moves_no_other_node() -> None:
    whole = heard(darts(EDGES))
    assert len(whole) == 24
    for place in range(8):
        edges = list(EDGES)
        edges[place] = ("skip_connect", edges[place][1])
        left = heard(darts(edges))
        assert len(left) == 23
        moved = {slot for slot in left if left[slot] != whole[slot]}
        # Only the other op of the same node may stand in the first of the node's two places.
        assert len(moved) == (place % 2 == 0)


def test_nodes_belong_to_the_first_part_that_they_feed() -> None:
    """Node 5 is node 2, passed on, and a pooling: ops of node 2 stay with it."""
    edges = [*EDGES[:6], ("skip_connect", 2), ("max_pool_3x3", 0)]
    reduced = reduce_batch(space("darts").graphs([darts(edges)]))
    home, inputs = home_ports(reduced), reduced.op == OP_ID["input"]
    assert (home[inputs] == 0).all()
    assert np.bincount(home).tolist() == [8, 4, 4, 4, 3]
    rank = canonical_ranks(reduced)
    within = ~inputs[reduced.edges[0]]
    assert (rank[reduced.edges[0]] < rank[reduced.edges[1]])[within & (home[reduced.edges[1]] > 0)].all()


def test_with_one_port_slots_are_ranks() -> None:
    for name in ("nasbench101", "nasbench201", "fbnet"):
        reduced = reduce_batch(space(name).graphs([a.native for a in space(name).sample(50, seed=0)]))
        assert (slots(reduced) == np.minimum(canonical_ranks(reduced), SLOTS - 1)).all()


def test_slots_of_darts_are_never_shared() -> None:
    reduced = reduce_batch(space("darts").graphs([a.native for a in space("darts").sample(500, seed=0)]))
    pairs = np.stack([reduced.node_graph, slots(reduced)], axis=1)
    assert len(np.unique(pairs, axis=0)) == reduced.n_nodes


def test_picked_graphs_keep_their_slots() -> None:
    owner = space("darts")
    graphs = PackedGraphs.of(reduce_batch(owner.graphs([a.native for a in owner.sample(6, seed=0)])))
    picked = graphs.pick(np.array([4, 1]))
    parts = [graphs.slot[graphs.node_ptr[i] : graphs.node_ptr[i + 1]] for i in (4, 1)]
    assert picked.slot.tolist() == np.concatenate(parts).tolist()
