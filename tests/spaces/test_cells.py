"""CellSpace: kinds of cells against what they say, and back from any graph."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from archindex.core.batch import GraphBatch
from archindex.core.canonical import canonical_form
from archindex.core.errors import ArchindexError, ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.spaces.cells import Cell, CellSpace, Edges, Op
from archindex.testing.space_case import SpaceCase

CONVS = ("conv3", "conv5")
WITH_SKIP = ("conv3", "skip")
WITH_ZERO = ("conv3", "skip", "zero")


class Base(CellSpace):
    """Native string: the edges of all cells as a literal."""

    ops: ClassVar[Mapping[str, Op]] = {
        "conv3": ("conv", {"kernel": 3}),
        "conv5": ("conv", {"kernel": 5}),
        "skip": ("skip", {}),
        "zero": ("none", {}),
    }
    label: str

    @property
    def name(self) -> str:
        return self.label

    def _read_cells(self, text: str) -> Mapping[str, Edges]:
        try:
            cells = ast.literal_eval(text)
            return {
                cell.name: [[(str(op), s) for op, s in into] for into in cells[cell.name]]
                for cell in self.cells
            }
        except Exception as error:
            raise ArchitectureError("expected edges", got=text) from error

    def _write_cells(self, cells: Mapping[str, Edges]) -> str:
        return repr(dict(cells))


def made(label: str, *cells: Cell) -> Base:
    space: Base = type("Made", (Base,), {"label": label, "cells": cells})()
    return space


SPACES = {
    space.name: space
    for space in (
        made("complete", Cell("c", 3, WITH_ZERO)),
        made("complete, zeros uncounted", Cell("c", 3, CONVS, uncounted=("zero",), distinct=False)),
        made("complete on nodes", Cell("c", 4, WITH_SKIP, ops_on="nodes")),
        made("all joined", Cell("c", 3, WITH_ZERO, inputs=2, picks=2, output="all")),
        made("loose", Cell("c", 4, WITH_SKIP, inputs=2, picks=2, distinct=False, output="loose")),
        made("loose on nodes", Cell("c", 4, CONVS, picks=2, ops_on="nodes", output="loose")),
        made("last, others dead", Cell("c", 4, WITH_SKIP, picks=2, distinct=False)),
        made("last with zeros", Cell("c", 4, WITH_ZERO, inputs=2, picks=2)),
        made(
            "two cells",
            Cell("a", 3, WITH_SKIP, inputs=2, picks=2, output="loose"),
            Cell("b", 2, WITH_SKIP, inputs=2, picks=2, output="all", stride=2, uncounted=("zero",)),
        ),
    )
}
every_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


class TestTwoCells(SpaceCase):
    space = SPACES["two cells"]


class TestOnNodes(SpaceCase):
    space = SPACES["loose on nodes"]


@every_space
def test_written_graphs_are_read_back_as_written(space: Base) -> None:
    rng = np.random.default_rng(0)
    for arch in space.sample(60, seed=0):
        order = [int(v) for v in rng.permutation(arch.graph.n_nodes)]
        back = space.from_graph(arch.graph.relabelled(order))
        assert sorted(back.graph.ops) == sorted(arch.graph.ops)
        assert canonical_form(back.graph) == canonical_form(arch.graph)


@every_space
def test_reduced_graphs_name_an_alias(space: Base) -> None:
    for arch in space.sample(60, seed=1):
        assert space.from_graph(canonical_form(arch.graph)).arch_id == arch.arch_id


@every_space
def test_packed_graphs_are_the_single_ones(space: Base) -> None:
    natives = [arch.native for arch in space.sample(20, seed=2)]
    assert list(space.graphs(natives)) == [space.parse(native).graph for native in natives]


def test_packed_graphs_with_uncounted_ops() -> None:
    space = SPACES["complete, zeros uncounted"]
    native = "{'c': [[('zero', 0)], [('conv3', 0), ('zero', 1)], [('zero', 0), ('conv5', 1), ('conv3', 2)]]}"
    assert space.parse(native).native == native
    assert list(space.graphs([native])) == [space.parse(native).graph]
    assert space.from_graph(space.parse(native).graph).native == native


def test_sizes_by_hand() -> None:
    assert SPACES["complete, zeros uncounted"].size == 2**6
    assert SPACES["complete"].size == 3**6
    assert SPACES["complete on nodes"].size == 2**4
    assert SPACES["all joined"].size == 1 * 3 * 6 * 3**6
    assert SPACES["loose"].size == 3 * 6 * 10 * 15 * 2**8
    assert SPACES["last with zeros"].size == 1 * 3 * 6 * 10 * 3**8
    assert SPACES["loose on nodes"].size == 1 * 1 * 3 * 6 * 2**4  # node 1 has one source to pick


@pytest.mark.parametrize("name", ["complete", "complete on nodes", "loose on nodes"])
def test_listed_is_counted(name: str) -> None:
    listed = [arch.native for arch in SPACES[name].enumerate()]
    assert len(set(listed)) == len(listed) == SPACES[name].size


def edges_of(graph: ArchGraph, op: str) -> list[list[int]]:
    """Return the sources at each port of the only `op`."""
    node = graph.ops.index(op)
    ports = itertools.groupby(graph.predecessors(node), key=lambda edge: edge[1])
    return [[source for source, _ in group] for _, group in ports]


def test_ops_on_nodes_are_applied_to_sums() -> None:
    native = (
        "{'c': [[('conv3', 0)], [('conv5', 0), ('conv5', 1)], "
        "[('conv3', 0), ('conv3', 2)], [('conv5', 0), ('conv5', 2)]]}"
    )
    graph = SPACES["loose on nodes"].parse(native).graph
    assert graph.ops == ("input", "conv", "conv", "conv", "conv", "concat", "output")
    assert [attrs.get("kernel") for attrs in graph.attrs[1:5]] == [3, 5, 3, 5]
    assert graph.predecessors(2) == [(0, 0), (1, 0)]
    assert edges_of(graph, "concat") == [[3], [4]]  # nodes 1 and 2 feed others


def test_nodes_that_feed_no_other_are_joined_in_order() -> None:
    native = (
        "{'c': [[('conv3', 0), ('skip', 1)], [('conv3', 1), ('conv3', 1)], "
        "[('skip', 2), ('conv3', 0)], [('conv3', 0), ('skip', 0)]]}"
    )
    graph = SPACES["loose"].parse(native).graph
    assert [len(part) for part in edges_of(graph, "concat")] == [2, 2, 2]  # nodes 3, 4 and 5
    assert graph.ops.count("skip") == 3


def test_strides_are_those_of_ops_that_read_inputs() -> None:
    native = (
        "{'a': [[('skip', 0), ('skip', 1)], [('skip', 0), ('skip', 1)], [('skip', 0), ('skip', 1)]], "
        "'b': [[('conv3', 0), ('skip', 1)], [('skip', 2), ('zero', 0)]]}"
    )
    space = SPACES["two cells"]
    graph = space.parse(native).graph
    assert space.parse(native).native == native
    shown = [
        (op, dict(a)) for op, a in zip(graph.ops, graph.attrs, strict=True) if op not in ("input", "output")
    ]
    assert shown[7:] == [
        ("conv", {"kernel": 3, "stride": 2}),
        ("conv", {"kernel": 1, "stride": 2}),  # a skip that halves the side
        ("skip", {}),
        ("none", {"stride": 2}),
        ("concat", {}),
    ]
    # Zero is found, though it is not counted; picks come in ascending order.
    swapped = native.replace("('skip', 2), ('zero', 0)", "('zero', 0), ('skip', 2)")
    assert space.from_graph(graph).native == swapped
    assert not any("zero" in arch.native for arch in space.sample(200))


def test_the_order_of_picks_is_kept_and_says_nothing() -> None:
    space = SPACES["last with zeros"]
    first = space.parse("{'c': [[('conv3', 1), ('skip', 0)]" + ", [('conv3', 0), ('skip', 2)]" * 3 + "]}")
    other = space.parse(first.native.replace("('conv3', 1), ('skip', 0)", "('skip', 0), ('conv3', 1)"))
    assert first.native != other.native
    assert first.arch_id == other.arch_id
    assert all(space.from_graph(arch.graph).arch_id == first.arch_id for arch in (first, other))


def test_twins_that_only_their_readers_tell_apart() -> None:
    # Both first nodes are the same op on the input; the third reads one of them, the fourth both.
    space = made("twins", Cell("c", 4, CONVS, picks=2, distinct=False, ops_on="edges", output="loose"))
    one = "[('conv3', 0), ('conv3', 0)]"
    natives = [
        f"{{'c': [{one}, {one}, [('conv3', {a}), ('conv3', {b})], [('conv3', 1), ('conv5', {c})]]}}"
        for a, b, c in ((1, 1, 2), (1, 2, 2), (2, 2, 1))
    ]
    ids = [space.parse(native).arch_id for native in natives]
    assert len(set(ids)) == 3
    for native, arch_id in zip(natives, ids, strict=True):
        assert space.from_graph(canonical_form(space.parse(native).graph)).arch_id == arch_id


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{'c': [[('conv3', 0), ('skip', 1)]]}", "4 nodes"),
        ("{'c': [[('conv3', 0)], [], [], []]}", "2 edges into node 2"),
        ("{'c': [[('conv3', 0), ('skip', 0)], [], [], []]}", "2 edges into node 3"),
        ("{'c': [" + "[('conv3', 0), ('skip', 0)], " * 4 + "]}", "c.2.sources"),
        ("{'c': [" + "[('conv3', 0), ('what', 1)], " * 4 + "]}", "conv3, skip, zero"),
        ("{'c': [" + "[('conv3', 0), ('skip', 5)], " * 4 + "]}", "c.2.sources"),
    ],
)
def test_refusals_name_the_node(text: str, says: str) -> None:
    with pytest.raises(ArchitectureError) as caught:
        SPACES["last with zeros"].parse(text)
    assert says in str(caught.value)


def test_one_op_at_a_node() -> None:
    text = "{'c': [[('conv3', 0)], [('conv3', 0), ('conv5', 1)], [('conv3', 0)] * 2, [('conv3', 0)] * 2]}"
    with pytest.raises(ArchitectureError, match="expected"):
        SPACES["loose on nodes"].parse(text)


def hostile() -> dict[str, ArchGraph]:
    """Graphs that no cell has, some of them large."""
    n = 2_000
    chain = tuple((i, i + 1, 0) for i in range(n + 1))
    fan = (*((0, i, 0) for i in range(1, n + 1)), *((i, n + 1, 0) for i in range(1, n + 1)))
    return {
        "no output": ArchGraph(("input", "conv"), ((0, 1, 0),)),
        "two outputs": ArchGraph(("input", "output", "output"), ((0, 1, 0), (0, 2, 0))),
        "fed input": ArchGraph(("input", "conv", "input", "output"), ((0, 1, 0), (1, 2, 0), (2, 3, 0))),
        "many inputs": ArchGraph(("input",) * n, ()),
        "long": ArchGraph(("input", *["conv"] * n, "output"), chain),
        "wide": ArchGraph(("input", *["conv"] * n, "output"), fan),
        "parallel": ArchGraph(("input", "conv", "output"), (*((0, 1, 0),) * n, (1, 2, 0))),
        "doubled": ArchGraph(("input", *["skip"] * n, "output"), chain * 2),
        "ports": ArchGraph(("input", "conv", "output"), ((0, 1, 0), (0, 1, 1), (1, 2, 0))),
        "concat beside": ArchGraph(
            ("input", "conv", "concat", "output", "concat"), ((0, 1, 0), (1, 2, 0), (2, 3, 0), (0, 4, 0))
        ),
    }


@every_space
@pytest.mark.parametrize("graph", hostile().values(), ids=hostile())
def test_graphs_of_no_cell_are_refused(space: Base, graph: ArchGraph) -> None:
    with pytest.raises(ArchitectureError):
        space.from_graph(graph)


@every_space
def test_what_is_read_from_a_damaged_graph_is_that_graph(space: Base) -> None:
    rng = np.random.default_rng(4)
    refused = 0
    for arch in space.sample(40, seed=4):
        damaged = damage(arch.graph, rng)
        try:
            back = space.from_graph(damaged)
        except ArchindexError as error:
            assert isinstance(error, ArchitectureError)
            refused += 1
        else:
            assert canonical_form(back.graph) == canonical_form(damaged)
    assert refused > 0


def damage(graph: ArchGraph, rng: np.random.Generator) -> ArchGraph:
    """Return a graph with an op, an attribute or an edge changed."""
    ops: list[str] = list(graph.ops)
    edges: list[tuple[int, int, int]] = list(graph.edges)
    attrs: list[Mapping[str, float]] = list(graph.attrs)
    node, edge = int(rng.integers(len(ops))), int(rng.integers(len(edges)))
    kind = int(rng.integers(4))
    if kind == 0:
        ops[node] = str(rng.choice(["conv", "skip", "none", "output", "concat", "what"]))
    elif kind == 1:
        attrs[node] = {"kernel": float(rng.choice([3, 5, 7]))}
    elif kind == 2:
        edges.pop(edge)
    else:
        edges.append(edges[edge])
    return ArchGraph(tuple(ops), tuple(edges), tuple(attrs))


def test_no_graphs_are_an_empty_batch() -> None:
    empty: Any = SPACES["complete"].graphs([])
    assert isinstance(empty, GraphBatch)
    assert len(empty) == 0


def test_ops_may_be_renamed_by_a_stride() -> None:
    class Shrinking(Base):
        label = "shrinking"
        cells = (Cell("c", 2, CONVS, picks=1, stride=2),)

        def _applied(self, op: str, stride: int) -> Op:
            return ("avg_pool", {"kernel": 2}) if stride == 2 else super()._applied(op, stride)

    arch = Shrinking().parse("{'c': [[('conv3', 0)], [('conv5', 1)]]}")
    assert arch.graph.ops == ("input", "avg_pool", "conv", "output")
    assert Shrinking().from_graph(arch.graph) == arch
