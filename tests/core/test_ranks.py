"""Canonical ranks: an order of nodes that their numbering does not change."""

from __future__ import annotations

import numpy as np

from archindex.core.batch import GraphBatch
from archindex.core.canonical import reduce_batch
from archindex.core.graph import ArchGraph
from archindex.core.ranks import canonical_ranks
from archindex.spaces.registry import space
from archindex.testing.encoder_case import chain, random_graph


def put_in_order(graphs: list[ArchGraph]) -> list[object]:
    reduced = reduce_batch(GraphBatch.from_graphs(graphs))
    ranks, found = canonical_ranks(reduced), list[object]()
    for i in range(len(reduced)):
        own = ranks[reduced.node_ptr[i] : reduced.node_ptr[i + 1]]
        assert sorted(own.tolist()) == list(range(len(own)))
        graph = reduced.graph(i).relabelled([int(v) for v in np.argsort(own)])
        found.append((graph.ops, sorted(graph.edges), graph.attrs))
    return found


def test_isomorphic_graphs_become_one_graph() -> None:
    rng = np.random.default_rng(0)
    graphs = [random_graph(rng) for _ in range(200)]
    renumbered = [g.relabelled([int(v) for v in rng.permutation(g.n_nodes)]) for g in graphs]
    assert put_in_order(graphs) == put_in_order(renumbered)


def test_nodes_that_are_alike_in_pairs() -> None:
    """Two and three equal branches: nodes of one branch stay together however they are numbered."""
    rng = np.random.default_rng(1)
    for branches in (2, 3, 5):
        ops, edges = ["input", "output"], list[tuple[int, int, int]]()
        for _ in range(branches):
            n = len(ops)
            ops += ["conv", "max_pool"]
            edges += [(0, n, 0), (n, n + 1, 0), (n + 1, 1, 0)]
        graph = ArchGraph(tuple(ops), tuple(edges))
        forms = [
            put_in_order([graph.relabelled([int(v) for v in rng.permutation(graph.n_nodes)])])
            for _ in range(20)
        ]
        assert all(form == forms[0] for form in forms)


def test_edges_point_forward_in_cells() -> None:
    owner = space("nasbench101")
    batch = reduce_batch(owner.graphs([a.native for a in owner.sample(500, seed=0)]))
    ranks = canonical_ranks(batch)
    assert (ranks[batch.edges[0]] < ranks[batch.edges[1]]).all()


def test_other_graphs_of_the_batch_do_not_matter() -> None:
    graphs = [chain("conv", "conv"), random_graph(np.random.default_rng(2)), chain("conv")]
    together = put_in_order(graphs)
    assert together == [put_in_order([graph])[0] for graph in graphs]


def test_no_graphs() -> None:
    assert len(canonical_ranks(GraphBatch.from_graphs([]))) == 0
