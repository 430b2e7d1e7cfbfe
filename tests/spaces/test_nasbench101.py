"""NAS-Bench-101: the native string, its neighbours, how many there are, and how they are drawn."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.spaces.base import Enumerable
from archindex.spaces.nasbench101 import NASBench101, adjacencies, cell_at
from archindex.spaces.nasbench101_cells import MAX_EDGES, Cell, PackedCells
from archindex.spaces.registry import space as named

SPACE = NASBench101()
SMALLEST = "output~0"
DIAMOND = "conv3x3~0+maxpool3x3~0+output~12"


def test_it_is_registered_and_can_be_listed() -> None:
    assert named("nasbench101") == SPACE
    assert isinstance(SPACE, Enumerable)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "output~sources"),
        ("conv3x3~0", "vertex 1"),
        ("output~0+output~1", "vertex 1"),
        ("conv5x5~0+output~1", "op one of conv3x3, conv1x1, maxpool3x3"),
        ("conv3x3~+output~1", "vertex 1"),
        ("conv3x3~1+output~1", "among 0 to 0"),
        ("conv3x3~0+output~10", "vertex 2"),
        ("conv3x3~0+output~11", "vertex 2"),
        ("conv3x3~0+output~1+", "vertex 2"),
        ("conv3x3~0+output~0", "vertex 1 feeds no other"),
        ("conv3x3~0+conv3x3~0+conv3x3~0+output~3", "vertex 1 feeds no other"),
        ("+".join([*(f"conv1x1~{i}" for i in range(6)), "output~6"]), "at most 7 vertices"),
        ("conv3x3~0+conv3x3~01+conv3x3~012+conv3x3~0123+output~4", "it has 11 edges, more than 9"),
    ],
)
def test_malformed_strings_say_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(ArchitectureError, match="expected") as caught:
        SPACE.parse(text)
    assert says in str(caught.value)


def test_the_graph_of_a_cell() -> None:
    graph = SPACE.parse("conv3x3~0+maxpool3x3~01+output~02").graph
    assert graph.ops == ("input", "conv", "max_pool", "output")
    assert graph.edges == ((0, 1, 0), (0, 2, 0), (1, 2, 0), (0, 3, 0), (2, 3, 0))
    assert graph.attrs == ({}, {"kernel": 3}, {"kernel": 3}, {})


def test_a_graph_with_dead_nodes_is_the_cell_that_is_left() -> None:
    ops = ("input", "conv", "conv", "output")
    attrs: tuple[dict[str, float], ...] = ({}, {"kernel": 1}, {"kernel": 3}, {})
    graph = ArchGraph(ops, ((0, 1, 0), (0, 2, 0), (1, 3, 0)), attrs)
    assert SPACE.from_graph(graph).native == "conv1x1~0+output~1"


@pytest.mark.parametrize(
    "graph",
    [
        ArchGraph(("input", "output"), ()),
        ArchGraph(("input", "output"), ((0, 1, 1),)),
        ArchGraph(("input", "output"), ((0, 1, 0), (0, 1, 0))),
        ArchGraph(("input", "output"), ((1, 0, 0),)),
        ArchGraph(("input", "input", "output"), ((0, 2, 0), (1, 2, 0))),
        ArchGraph(("input", "output", "output"), ((0, 1, 0), (0, 2, 0))),
        ArchGraph(("input", "conv", "output"), ((0, 1, 0), (1, 2, 0))),
        ArchGraph(("input", "conv", "output"), ((0, 1, 0), (1, 2, 0)), ({}, {"kernel": 5}, {})),
        ArchGraph(("input", "conv", "output"), ((0, 1, 0), (1, 2, 0)), ({}, {"kernel": 3, "bits": 8}, {})),
        ArchGraph(("input", "output"), ((0, 1, 0),), ({"channels": 3}, {})),
        ArchGraph(
            ("input", *["max_pool"] * 6, "output"),
            tuple((v, v + 1, 0) for v in range(7)),
            ({}, *({"kernel": 3.0} for _ in range(6)), {}),
        ),
    ],
)
def test_other_graphs_are_refused(graph: ArchGraph) -> None:
    with pytest.raises(ArchitectureError, match="NAS-Bench-101"):
        SPACE.from_graph(graph)


def test_every_matrix_is_counted_once() -> None:
    """Against all 2^(n (n - 1) / 2) matrices, checked by matrix products."""
    ours = Counter((len(s) + 1, sum(m.bit_count() for m in s)) for s in adjacencies())
    brute: Counter[tuple[int, int]] = Counter()
    for n in range(2, 8):
        codes = np.arange(1 << (n * (n - 1) // 2))
        codes = codes[np.bitwise_count(codes) <= MAX_EDGES]
        adjacent = np.zeros((len(codes), n, n), dtype=np.int8)
        for bit, (x, y) in enumerate((source, target) for target in range(1, n) for source in range(target)):
            adjacent[:, x, y] = codes >> bit & 1
        forward = np.zeros((len(codes), n), dtype=np.int8)
        backward = np.zeros_like(forward)
        forward[:, 0] = backward[:, -1] = 1
        for _ in range(n):
            forward |= (np.einsum("cx,cxy->cy", forward, adjacent) > 0).astype(np.int8)
            backward |= (np.einsum("cxy,cy->cx", adjacent, backward) > 0).astype(np.int8)
        whole = (forward & backward).all(axis=1)
        brute.update((n, int(edges)) for edges in np.bitwise_count(codes[whole]))
    assert ours == brute
    assert SPACE.size == sum(count * 3 ** (n - 2) for (n, _), count in brute.items()) == 1_293_208


def test_listing_starts_small_and_never_repeats() -> None:
    listed = [arch.native for arch in itertools.islice(SPACE.enumerate(), 20_000)]
    assert listed[:3] == [SMALLEST, "conv3x3~0+output~1", "conv1x1~0+output~1"]
    assert len(set(listed)) == 20_000
    assert [SPACE._format(cell_at(rank)) for rank in range(20_000)] == listed
    assert cell_at(SPACE.size - 1) == Cell(adjacencies()[-1], (2,) * 5)


def test_drawing_is_uniform_over_native_strings() -> None:
    """By numbers of vertices and edges, and by op."""
    drawn = SPACE.graphs([arch.native for arch in SPACE.sample(20_000, seed=1)])
    got = Counter(zip(np.diff(drawn.node_ptr).tolist(), np.diff(drawn.edge_ptr).tolist(), strict=True))
    share = Counter[tuple[int, int]]()
    for sources in adjacencies():
        share[len(sources) + 1, sum(m.bit_count() for m in sources)] += 3 ** (len(sources) - 1)
    expected = {key: 20_000 * ways / SPACE.size for key, ways in share.items()}
    large = [key for key, value in expected.items() if value >= 5]
    chi_square = sum((got[key] - expected[key]) ** 2 / expected[key] for key in large)
    assert len(large) >= 6
    assert chi_square < len(large) + 5 * np.sqrt(2 * len(large))
    kernels = drawn.attrs[:, 0]
    share_1x1 = np.mean(kernels[~np.isnan(kernels)] == 1)
    assert abs(share_1x1 - 1 / 3) < 5 * np.sqrt(2 / 9 / np.count_nonzero(~np.isnan(kernels)))


def test_neighbours_of_small_cells() -> None:
    assert {near.native for near in SPACE.neighbors(SPACE.parse(SMALLEST))} == {
        f"{op}~0+output~01" for op in ("conv3x3", "conv1x1", "maxpool3x3")
    }
    around = {near.native for near in SPACE.neighbors(SPACE.parse(DIAMOND))}
    assert "conv1x1~0+maxpool3x3~0+output~12" in around  # an op
    assert "conv3x3~0+maxpool3x3~01+output~12" in around  # an edge more
    assert "conv3x3~0+output~1" in around  # a vertex less
    assert "conv3x3~0+conv1x1~1+maxpool3x3~0+output~123" in around  # a vertex more


def test_every_cell_of_five_vertices_is_reached_from_the_smallest() -> None:
    seen = {SPACE.parse(SMALLEST)}
    edge = list(seen)
    while edge:
        around = (near for arch in edge for near in SPACE.neighbors(arch) if near.native.count("+") <= 3)
        edge = list(dict.fromkeys(near for near in around if near not in seen))
        seen.update(edge)
    n_small = sum(3 ** (len(sources) - 1) for sources in adjacencies() if len(sources) <= 4)
    assert seen == set(itertools.islice(SPACE.enumerate(), n_small))


def test_neighbours_are_mutual_everywhere_among_small_cells() -> None:
    small = list(itertools.islice(SPACE.enumerate(), 600))
    around = {arch: set(SPACE.neighbors(arch)) for arch in small}
    for arch in small:
        for near in around[arch] & around.keys():
            assert arch in around[near]


@pytest.mark.parametrize(
    ("bits", "ops"),
    [
        (0, ""),
        (1, "0"),
        (0b111, "3"),
        (0b111, "/"),
        (0b101, "00"),
        (0b1000111, "0"),
        (-1, "00000"),
        (2**21 - 1, "00000"),
        (1205349, "020010"),
        (1205349, "0200100"),
        (0b111, " "),
    ],
)
def test_bad_rows_of_a_table_are_refused(bits: int, ops: str) -> None:
    with pytest.raises(ArchitectureError, match="look at row 1"):
        PackedCells.from_table([1, bits], ["", ops])


def test_a_table_needs_ops_for_every_row() -> None:
    with pytest.raises(ArchitectureError, match="expected the ops of 2 cells, got 1"):
        PackedCells.from_table([1, 1], [""])


def test_an_empty_table() -> None:
    cells = PackedCells.from_table([], [])
    assert len(cells) == len(cells.graphs()) == len(cells.natives()) == len(cells.costs().params) == 0
