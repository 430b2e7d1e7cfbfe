"""GrammarSpace on a small grammar: counts, draws, neighbours, strings, and graphs read back."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pytest

from archindex.core.batch import GraphBatch
from archindex.core.build import GraphBuilder, Terms
from archindex.core.canonical import canonical_form, wl_colours
from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.spaces import chart
from archindex.spaces.derivation import Node, Production, Rules, Tree
from archindex.spaces.grammar import GrammarSpace
from archindex.testing.space_case import SpaceCase


class Blocks(GrammarSpace):
    """Chains and branches of convolutions; two or eight copies of a block beside each other."""

    name = "blocks"
    start = "block"
    max_productions = 30
    rules: ClassVar[Rules] = {
        "block": (
            Production("identity", weight=0.5),
            Production("conv"),
            Production("relu"),
            Production("zero", weight=0.1),
            Production("then", ("block", "block"), 1.5),
            Production("beside", ("block", "block", "join"), 0.5),
            Production("copies", ("number", "block", "join"), 0.5),
        ),
        "number": (Production("2"), Production("8")),
        "join": (Production("add"), Production("concat")),
    }

    def _expand(self, g: GraphBuilder, node: Node, x: Terms) -> Terms:
        if node.name == "then":
            first, second = node.children
            return second(first(x))
        if node.children:
            *_, block, join = node.children
            copies = int(node.children[0].name) if node.name == "copies" else 1
            parts = [block(x) for _ in range(copies)]
            if node.name == "beside":
                parts.insert(0, node.children[0](x))
            if join.name == "concat":
                return g.add("concat", *parts)
            return g.add("add", sum(parts, ()))
        ops = {"identity": "skip", "zero": "none"}
        return g.add(ops.get(node.name, node.name), x)


class Short(Blocks):
    """Few enough to be listed."""

    name = "short"
    max_productions = 5


SPACE = Blocks()
SHORT = Short()


def derivations(space: GrammarSpace, symbol: str, limit: int) -> Iterator[tuple[Tree, float, int]]:
    """Yield the derivations of up to `limit` productions: derivation, probability, productions."""
    listed = space.rules[symbol]
    total = sum(one.weight for one in listed)
    for number, one in enumerate(listed):
        below = [list(derivations(space, child, limit - 1)) for child in one.children] if limit else []
        for children in itertools.product(*below):
            size = 1 + sum(n for _, _, n in children)
            if size <= limit:
                tree = Tree(number, tuple(tree for tree, _, _ in children))
                yield tree, one.weight / total * math.prod(p for _, p, _ in children), size


def written(graph: ArchGraph) -> list[list[int]]:
    """Return what a graph is but for the numbers of its nodes."""
    return [sorted(lane.tolist()) for lane in wl_colours(GraphBatch.from_graphs([graph]), rounds=None)]


class TestBlocks(SpaceCase):
    space = SPACE


class TestShort(SpaceCase):
    space = SHORT


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6])
def test_the_size_is_what_brute_force_counts(limit: int) -> None:
    space = type("Limited", (Blocks,), {"max_productions": limit})()
    listed = [tree for tree, _, _ in derivations(space, "block", limit)]
    assert space.size == len(listed) == len(set(listed))


def test_large_spaces_are_counted_exactly() -> None:
    # By hand: chains of n blocks of 4 terminals are counted by the Catalan numbers.
    space = type(
        "Chains",
        (Blocks,),
        {
            "rules": {"block": (*SPACE.rules["block"][:4], SPACE.rules["block"][4])},
            "max_productions": 39,
        },
    )()
    assert space.size == sum(math.comb(2 * n, n) // (n + 1) * 4 ** (n + 1) for n in range(20))


def test_draws_follow_the_weights() -> None:
    n = 20_000
    expected = {tree: p for tree, p, _ in derivations(SHORT, "block", 5)}
    scale = n / sum(expected.values())
    rng = np.random.default_rng(1)
    seen = Counter(SHORT._draw(rng) for _ in range(n))
    assert set(seen) <= set(expected)
    # Rare derivations are put together, so that every cell expects at least five.
    cells = {tree: p * scale for tree, p in expected.items() if p * scale >= 5}
    rest = n - sum(cells.values())
    chi_square = sum((seen[tree] - mean) ** 2 / mean for tree, mean in cells.items())
    chi_square += (n - sum(seen[tree] for tree in cells) - rest) ** 2 / rest
    assert len(cells) > 100
    assert chi_square < len(cells) + 5 * math.sqrt(2 * len(cells))


def test_neighbours_are_mutual_everywhere() -> None:
    listed = [tree for tree, _, _ in derivations(SHORT, "block", 5)]
    around = {tree: set(SHORT._neighbors(tree)) for tree in listed}
    for tree, others in around.items():
        assert tree not in others
        assert others <= set(around)
        assert all(tree in around[other] for other in others)


def test_all_derivations_are_neighbours_of_neighbours() -> None:
    """Every derivation can be reached by mutations."""
    reached, front = {Tree(0)}, [Tree(0)]
    while front:
        front = [new for tree in front for new in SHORT._neighbors(tree) if new not in reached]
        reached.update(front)
    assert len(reached) == SHORT.size


def test_what_one_change_is() -> None:
    near = {arch.native for arch in SPACE.neighbors(SPACE.parse("then(conv,identity)"))}
    assert "then(relu,identity)" in near  # one swapped
    assert "conv" in near  # unwrapped
    assert "copies(2,then(conv,identity),add)" in near  # wrapped
    assert "then(beside(conv,identity,add),identity)" in near
    assert "identity" not in near  # the conv would be lost


@pytest.mark.parametrize(
    "text",
    [
        "",
        "block",
        "then",
        "then(conv)",
        "then(conv,relu",
        "then(conv,relu))",
        "then(conv,relu,relu)",
        "conv,relu",
        "conv()",
        "copies(conv,2,add)",
        "beside(conv,relu,conv)",
        "then(conv,,relu)",
        "then(conv;relu)",
        "then(" * 5_000,
        "then(" * 5_000 + "conv" + ",conv)" * 5_000,
        "(" * 100_000,
        "," * 100_000,
        "conv " * 30_000,
        "x" * 1_000_000,
        "then(cönv,relu)",
    ],
)
def test_hostile_strings_are_refused(text: str) -> None:
    with pytest.raises(ArchitectureError, match="expected"):
        SPACE.parse(text)


def test_blanks_between_names_are_ignored() -> None:
    assert SPACE.parse(" then ( conv ,\n relu ) ").native == "then(conv,relu)"


def test_the_deepest_derivation_is_read() -> None:
    deep = "then(" * 14 + "conv" + ",relu)" * 14
    assert SPACE.parse(deep).native == deep
    with pytest.raises(ArchitectureError, match="30 productions"):
        SPACE.parse(f"then({deep},conv)")


@pytest.mark.parametrize(
    "native",
    [
        "identity",
        "zero",
        "then(then(conv,identity),then(identity,relu))",
        "beside(identity,identity,add)",
        "beside(identity,zero,concat)",
        "beside(conv,conv,add)",
        "then(conv,beside(identity,identity,add))",  # one convolution twice, not two convolutions
        "copies(8,conv,add)",
        "copies(8,then(conv,relu),concat)",
        "copies(2,copies(8,conv,add),concat)",
        "copies(2,beside(conv,copies(2,conv,concat),add),add)",
        "then(beside(conv,identity,add),beside(then(conv,relu),conv,concat))",
        "then(conv,then(zero,relu))",
    ],
)
def test_graphs_are_read_back_as_written(native: str) -> None:
    arch = SPACE.parse(native)
    rng = np.random.default_rng(2)
    graph = arch.graph.relabelled([int(v) for v in rng.permutation(arch.graph.n_nodes)])
    back = SPACE.from_graph(graph)
    assert written(back.graph) == written(graph)
    assert back.arch_id == arch.arch_id
    assert SPACE.from_graph(canonical_form(graph)).arch_id == arch.arch_id


def test_all_short_derivations_are_read_back() -> None:
    for tree, _, _ in derivations(SHORT, "block", 5):
        graph = SHORT._graph(tree)
        assert written(SHORT._graph(SHORT._genotype(graph))) == written(graph)


def test_dead_ends_are_left_out() -> None:
    graph = ArchGraph(("input", "conv", "relu", "output"), ((0, 1, 0), (0, 2, 0), (1, 3, 0)))
    assert SPACE.from_graph(graph).native == "conv"


def test_the_smallest_derivation_is_found() -> None:
    written = SPACE.parse("then(identity,then(then(identity,conv),identity))")
    assert SPACE.from_graph(canonical_form(written.graph)).native == "conv"


def chain(ops: list[str]) -> ArchGraph:
    ops = ["input", *ops, "output"]
    return ArchGraph(tuple(ops), tuple((i, i + 1, 0) for i in range(len(ops) - 1)))


@pytest.mark.parametrize(
    "graph",
    [
        chain(["conv", "norm"]),
        chain(["conv"] * 16),  # 31 productions
        chain(["relu"] * 3_000),
        ArchGraph(("input", "conv", "relu", "output"), ((0, 1, 0), (0, 2, 0), (1, 3, 0), (2, 3, 1))),
        ArchGraph(("input", "input", "add", "output"), ((0, 2, 0), (1, 2, 0), (2, 3, 0))),
        ArchGraph(("input", "conv", "output"), ((0, 1, 0), (1, 2, 0)), ({}, {"kernel": 3}, {})),
    ],
    ids=["op", "long", "huge", "joined by the output", "two inputs", "attribute"],
)
def test_other_graphs_are_refused(graph: ArchGraph) -> None:
    with pytest.raises(ArchitectureError, match="blocks"):
        SPACE.from_graph(graph)


def test_a_search_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = SPACE.parse("copies(8,then(conv,relu),concat)").graph
    monkeypatch.setattr(chart, "MAX_WORK", 50)
    with pytest.raises(ArchitectureError, match="blocks"):
        SPACE.from_graph(graph)
