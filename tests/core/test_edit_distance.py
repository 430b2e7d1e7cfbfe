"""Exact graph edit distance of small graphs, against the search of networkx."""

from __future__ import annotations

import networkx as nx  # type: ignore[import-untyped]
import numpy as np
import pytest

from archindex.core.batch import GraphBatch
from archindex.core.canonical import reduce_batch
from archindex.core.edit_distance import MAX_INNER, SmallGraphs
from archindex.core.errors import ArgumentError
from archindex.core.graph import ArchGraph
from archindex.spaces.registry import space


def chain(*ops: str) -> ArchGraph:
    names = ("input", *ops, "output")
    return ArchGraph(names, tuple((i, i + 1, 0) for i in range(len(names) - 1)))


def distance(a: ArchGraph, b: ArchGraph) -> int:
    graphs = SmallGraphs(GraphBatch.from_graphs([a, b]))
    return int(graphs.distances(np.array([0]), np.array([1]))[0])


def as_networkx(graph: ArchGraph) -> nx.DiGraph:
    """Return the functional DAG; edges between the same nodes are one edge with their number."""
    drawn = nx.DiGraph()
    for node, op in enumerate(graph.ops):
        drawn.add_node(node, label=(op, tuple(sorted(graph.attrs[node].items()))))
    for source, target, _ in graph.edges:
        times = drawn.get_edge_data(source, target, {"times": 0})["times"]
        drawn.add_edge(source, target, times=times + 1)
    return drawn


def searched(a: ArchGraph, b: ArchGraph) -> float:
    """Return the edit distance by networkx; replacing an input or output costs more than all edits."""

    def replace(one: dict[str, tuple[str, object]], other: dict[str, tuple[str, object]]) -> float:
        ends = {"input", "output"}
        if one["label"][0] in ends or other["label"][0] in ends:
            return 0.0 if one["label"][0] == other["label"][0] else 1000.0
        return float(one["label"] != other["label"])

    def alone(one: dict[str, tuple[str, object]]) -> float:
        return 1000.0 if one["label"][0] in ("input", "output") else 1.0

    found = nx.graph_edit_distance(
        as_networkx(a),
        as_networkx(b),
        node_subst_cost=replace,
        node_del_cost=alone,
        node_ins_cost=alone,
        edge_subst_cost=lambda one, other: abs(one["times"] - other["times"]),
        edge_del_cost=lambda one: one["times"],
        edge_ins_cost=lambda one: one["times"],
    )
    return float(found)


@pytest.mark.parametrize(
    ("name", "pairs", "largest"), [("nasbench201", 12, 4), ("nasbench101", 8, 4), ("nasbench201", 2, 6)]
)
def test_equals_the_search_of_networkx(name: str, pairs: int, largest: int) -> None:
    drawn = space(name).sample(400, seed=3)
    graphs = list(reduce_batch(GraphBatch.from_graphs(arch.graph for arch in drawn)))
    fitting = [g for g in graphs if largest - 2 <= g.n_nodes - 2 <= largest][: 2 * pairs]
    batch = GraphBatch.from_graphs(fitting)
    a, b = np.arange(0, 2 * pairs, 2), np.arange(1, 2 * pairs, 2)
    found = SmallGraphs(batch).distances(a, b)
    assert found.tolist() == [searched(fitting[i], fitting[j]) for i, j in zip(a, b, strict=True)]
    assert found.max() > 0


def test_by_hand() -> None:
    assert distance(chain("conv"), chain("conv")) == 0
    assert distance(chain("conv"), chain("linear")) == 1  # replaced
    assert distance(chain("conv"), chain("conv", "linear")) == 4  # a node, and two edges for one
    assert distance(chain("conv", "linear"), chain("linear", "conv")) == 2
    assert distance(chain(), chain("conv")) == 4
    assert distance(chain("none"), chain()) == 1  # nothing is left of a zero
    twice = ArchGraph(("input", "conv", "output"), ((0, 1, 0), (0, 1, 0), (1, 2, 0)))
    assert distance(chain("conv"), twice) == 1
    kernels = [
        ArchGraph(g.ops, g.edges, ({}, {"kernel": k}, {})) for k in (1.0, 3.0) for g in [chain("conv")]
    ]
    assert distance(*kernels) == 1


def test_is_a_metric_and_numbering_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    graphs = [arch.graph for arch in space("nasbench201").sample(40, seed=1)]
    shuffled = [g.relabelled([int(v) for v in rng.permutation(g.n_nodes)]) for g in graphs]
    small = SmallGraphs(GraphBatch.from_graphs([*graphs, *shuffled]))
    every = np.arange(40)
    table = np.stack([small.distances(np.full(40, i), every) for i in range(40)])
    assert (np.stack([small.distances(np.full(40, 40 + i), every) for i in range(40)]) == table).all()
    assert (table == table.T).all()
    assert (np.diag(table) == 0).all()
    assert (table[:, :, None] <= table[:, None, :] + table.T[None]).all()


def test_larger_graphs_and_several_ends_are_refused() -> None:
    several = ArchGraph(("input", "input", "add", "output"), ((0, 2, 0), (1, 2, 0), (2, 3, 0)))
    batch = GraphBatch.from_graphs(
        [chain(*["conv"] * MAX_INNER), chain(*["conv"] * (MAX_INNER + 1)), several]
    )
    small = SmallGraphs(batch)
    assert small.small.tolist() == [True, False, False]
    for bad in (1, 2):
        with pytest.raises(ArgumentError, match="at most 6 nodes"):
            small.distances(np.array([0]), np.array([bad]))
