"""Drawings: everything is there, nothing overlaps, and any graph can be drawn."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections import defaultdict
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest

import archindex as ax
from archindex.convert import to_dot, to_svg
from archindex.convert.drawing.crossings import few_crossings
from archindex.convert.drawing.labels import attribute_text, kind_of, op_text, quantity
from archindex.convert.drawing.layout import GAP_PART, Layout, layered
from archindex.convert.drawing.picture import text_width
from archindex.convert.drawing.svg import MOST_NODES
from archindex.core.errors import ArgumentError
from archindex.core.graph import ArchGraph
from archindex.core.ops import OPS
from archindex.spaces.registry import NAMED, SPACES

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = ('a"b\\', "<script>&amp;]]>", "nul\0line\nbreak", "\ud800", "x" * 300, "ünïcode 畳", "")
Edges = list[tuple[int, int]]


def random_graph(n: int, seed: int) -> ArchGraph:
    """A graph of `n` nodes with long and double edges, several ports and attributes."""
    rng = random.Random(seed)
    ops = ["input", "input", *(rng.choice((*OPS[2:], *HOSTILE)) for _ in range(n - 3)), "output"]
    edges = []
    for v in range(2, n):
        for port in range(rng.choice((1, 1, 2, 3))):
            edges.append((max(0, v - 1 - int(rng.expovariate(0.25))), v, port % 2))
    names = ("kernel", "stride", "channels", "expansion", "heads", "ratio", "index")
    attrs = [{k: rng.choice((1.0, 3.0, 0.25, 1024.0)) for k in rng.sample(names, v % 4)} for v in range(n)]
    return ArchGraph(tuple(ops), tuple(edges), tuple(attrs))


def pairs(graph: ArchGraph) -> Edges:
    return [(source, target) for source, target, _ in graph.edges]


def check_layout(layout: Layout, sizes: list[tuple[float, float]], edges: Edges) -> None:
    """Boxes stand apart and inside the drawing; every line leaves its source, and no line meets a box."""
    boxes = [
        (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        for (x, y), (w, h) in zip(layout.centres, sizes, strict=True)
    ]
    for left, top, right, bottom in boxes:
        assert left >= -1e-6 and top >= -1e-6
        assert right <= layout.width + 1e-6 and bottom <= layout.height + 1e-6
    for a, b in combinations(boxes, 2):
        assert a[2] + 10 < b[0] or b[2] + 10 < a[0] or a[3] + 10 < b[1] or b[3] + 10 < a[1]
    ends = {line.edge: line.points[-1] for line in layout.lines if line.edge is not None}
    assert sorted(ends) == list(range(len(edges)))
    assert len(set(ends.values())) == len(edges)
    for e, (_, target) in enumerate(edges):
        left, top, right, _ = boxes[target]
        assert left < ends[e][0] < right
        assert ends[e][1] == pytest.approx(top)
    # Every line starts where another one ends, or below a box that it leaves.
    starts = {line.points[-1] for line in layout.lines if line.edge is None}
    feet = {((box[0] + box[2]) / 2, box[3]) for box in boxes}
    for line in layout.lines:
        x, y = line.points[0]
        assert (x, y) in starts or any(abs(x - a) + abs(y - b) < 1e-6 for a, b in feet)
        for (x0, y0), (x1, y1) in pairwise(line.points):
            for left, top, right, bottom in boxes:
                apart = max(x0, x1) <= left or min(x0, x1) >= right
                assert apart or max(y0, y1) <= top + 1e-6 or min(y0, y1) >= bottom - 1e-6


@pytest.mark.parametrize(("n", "seed"), [(3, 0), (9, 1), (20, 2), (40, 3), (40, 4), (120, 5)])
def test_nothing_overlaps(n: int, seed: int) -> None:
    graph = random_graph(n, seed)
    rng = random.Random(seed)
    sizes = [(rng.uniform(20, 200), rng.choice((28.0, 42.0))) for _ in graph.ops]
    check_layout(layered(sizes, pairs(graph)), sizes, pairs(graph))


def test_edges_point_down_where_nothing_is_cut() -> None:
    graph = random_graph(14, 6)
    centres = layered([(40.0, 20.0)] * 14, pairs(graph)).centres
    assert all(centres[s][1] < centres[t][1] for s, t in pairs(graph))


def test_a_chain_is_straight_and_a_long_one_wraps_into_columns() -> None:
    short = layered([(60.0, 28.0)] * 12, [(i, i + 1) for i in range(11)])
    assert len({x for x, _ in short.centres}) == 1
    sizes, edges = [(60.0, 28.0)] * 300, [(i, i + 1) for i in range(299)]
    long = layered(sizes, edges)
    check_layout(long, sizes, edges)
    assert len({x for x, _ in long.centres}) > 4
    assert 0.4 < long.width / long.height < 2.5


def test_a_chain_of_residual_blocks_wraps_between_few_lines() -> None:
    edges = [(i, i + 1) for i in range(199)] + [(i, i + 5) for i in range(0, 195, 5)]
    sizes = [(80.0, 42.0)] * 200
    layout = layered(sizes, edges)
    check_layout(layout, sizes, edges)
    assert layout.height < 4000


def test_densely_joined_layers_are_drawn() -> None:
    edges = [(i, j) for j in range(2, 40, 2) for i in range(1, j, 2)] + [(i, i + 1) for i in range(40)]
    sizes = [(300.0, 28.0)] * 41
    check_layout(layered(sizes, edges), sizes, edges)


def test_parts_stand_side_by_side_single_nodes_last() -> None:
    layout = layered([(50.0, 20.0)] * 6, [(1, 2), (3, 4), (4, 5)])
    assert [nodes for nodes, _, _ in layout.parts] == [(1, 2), (3, 4, 5), (0,)]
    for (_, left, width), (_, after, _) in pairwise(layout.parts):
        assert after == left + width + GAP_PART


def test_what_can_be_drawn_without_crossings_is() -> None:
    # A ladder written crosswise, and a tree whose leaves are shuffled.
    ladder = few_crossings([[0, 1], [3, 2], [4, 5]], {0: [2], 1: [3], 2: [4], 3: [5], 4: [], 5: []})
    assert ladder in ([[0, 1], [2, 3], [4, 5]], [[1, 0], [3, 2], [5, 4]])
    below: dict[int, list[int]] = {0: [1, 2, 3], 1: [6, 9], 2: [4, 8], 3: [5, 7]} | {
        v: [] for v in range(4, 10)
    }
    middle, leaves = few_crossings([[0], [1, 2, 3], [4, 5, 6, 7, 8, 9]], below)[1:]
    assert [v in below[u] for u in middle for v in leaves[2 * middle.index(u) :][:2]] == [True] * 6


@pytest.mark.parametrize("drawn", [random_graph(15, 7), ax.space("nasbench201").sample(1, seed=0)[0]])
def test_the_picture_holds_every_node_edge_and_text(drawn: ArchGraph) -> None:
    graph = drawn if isinstance(drawn, ArchGraph) else drawn.graph
    text = to_svg(drawn)
    assert text == to_svg(drawn)
    root = ElementTree.fromstring(text)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    boxes = [r for r in root.iter(f"{SVG}rect") if r.find(f"{SVG}title") is not None]
    assert len(boxes) == graph.n_nodes
    assert len([p for p in root.iter(f"{SVG}path") if p.attrib["d"].endswith("Z")]) == len(graph.edges)
    for box in boxes:
        x, y, w, h = (float(box.attrib[k]) for k in ("x", "y", "width", "height"))
        assert x >= 0 and x + w <= width and y >= 0 and y + h <= height
        inside = [
            t
            for t in root.iter(f"{SVG}text")
            if t.get("text-anchor")
            and abs(float(t.attrib["x"]) - x - w / 2) < 0.2
            and y < float(t.attrib["y"]) < y + h
        ]
        assert inside
        assert all(text_width(t.text or "", float(t.attrib["font-size"])) <= w - 10 for t in inside)
    legend = {t.text for t in root.iter(f"{SVG}text")}
    assert {kind_of(op).name for op in graph.ops} <= legend


def test_the_title_tells_space_native_and_costs() -> None:
    arch = ax.space("nasbench201").sample(1, seed=3)[0]
    texts = [t.text or "" for t in ElementTree.fromstring(to_svg(arch)).iter(f"{SVG}text")]
    params = int(ax.space("nasbench201").costs([arch.native], "cifar10").params[0])  # type: ignore[attr-defined]
    assert texts[0] == "nasbench201"
    assert texts[1] == arch.native
    assert quantity(params) + " params" in texts[2]


def test_cells_stand_side_by_side_under_their_names() -> None:
    arch = ax.space("darts").sample(1, seed=4)[0]
    texts = {t.text: t for t in ElementTree.fromstring(to_svg(arch)).iter(f"{SVG}text")}
    normal, reduce = texts["normal cell"], texts["reduce cell"]
    assert normal.attrib["y"] == reduce.attrib["y"]
    x = {
        name: float(texts[name].attrib["x"])
        for name in ("normal cell", "output 0", "reduce cell", "output 1")
    }
    assert list(x.values()) == sorted(x.values())
    assert not any("cell" in str(text) for text in titles("nasbench201"))


def titles(name: str) -> list[str | None]:
    """Every text of a drawing but those of its first lines."""
    root = ElementTree.fromstring(to_svg(ax.space(name).sample(1, seed=0)[0]))
    return [t.text for t in root.iter(f"{SVG}text")][3:]


def test_ports_stand_where_their_order_matters_only() -> None:
    ops = ("input", "input", "sub", "output")
    attrs: tuple[dict[str, float], ...] = ({"index": 0.0}, {"index": 1.0}, {}, {})
    ordered = ArchGraph(ops, ((0, 2, 0), (1, 2, 1), (2, 3, 0)), attrs)
    free = ArchGraph(ops, ((0, 2, 0), (1, 2, 0), (2, 3, 0)), attrs)

    def ports(graph: ArchGraph) -> list[str]:
        found = ElementTree.fromstring(to_svg(graph)).iter(f"{SVG}text")
        return sorted(t.text or "" for t in found if t.get("font-size") == "9")

    assert (ports(ordered), ports(free)) == (["0", "1"], ["+", "+"])
    assert to_dot(ordered).count("headlabel") == 2
    assert to_dot(free).count('headlabel="+"') == 2
    both = ArchGraph(("input", "concat", "add"), ((0, 1, 0), (0, 1, 0), (0, 1, 1), (0, 2, 0), (1, 2, 0)))
    assert ports(both) == ["0+", "0+", "1"]
    legend = [t.text for t in ElementTree.fromstring(to_svg(both)).iter(f"{SVG}text")][-2:]
    assert legend == ["0, 1, …: order of the inputs", "+: inputs that are added"]


def test_every_mark_stands_on_white_and_touches_no_line_but_its_own() -> None:
    root = ElementTree.fromstring(to_svg(random_graph(25, 11)))
    shapes = list(root)
    marks = [i for i, one in enumerate(shapes) if one.get("font-size") == "9"]
    assert marks and "paint-order" not in to_svg(random_graph(25, 11))
    ends = [re.findall(r"-?[\d.]+", p.attrib["d"])[-2:] for p in shapes if p.get("d", "").endswith("Z")]
    for i in marks:
        under, text = shapes[i - 1], shapes[i]
        assert under.tag == f"{SVG}rect" and under.get("fill") == "#ffffff"
        left, foot = float(text.attrib["x"]), float(text.attrib["y"])
        right = left + text_width(text.text or "", 9)
        assert float(under.attrib["x"]) == left
        assert right <= left + float(under.attrib["width"]) + 0.1
        same_row = [float(x) for x, y in ends if abs(float(y) - foot - 7) < 0.2]
        assert not [x for x in same_row if left - 3 < x < right]


# Spaces of named models hold networks of other packages: their drawings are those of `from_torch`.
@pytest.mark.parametrize("name", sorted(SPACES.keys() - NAMED))
def test_different_nodes_of_a_space_look_different(name: str) -> None:
    looks: dict[tuple[str, str], set[tuple[str, frozenset[tuple[str, float]]]]] = defaultdict(set)
    for arch in ax.space(name).sample(40, seed=5):
        for op, attrs in zip(arch.graph.ops, arch.graph.attrs, strict=True):
            looks[op_text(op, attrs), attribute_text(op, attrs)].add((op, frozenset(attrs.items())))
    assert len(looks) > 2
    assert {look: nodes for look, nodes in looks.items() if len(nodes) > 1} == {}


def test_kernels_that_are_no_squares() -> None:
    nasnet = ax.space("nasnet").sample(60, seed=1)
    texts = {text.text for arch in nasnet for text in ElementTree.fromstring(to_svg(arch)).iter(f"{SVG}text")}
    assert {"conv 1x7", "conv 1x3", "conv 1x1"} <= texts
    wide = {"kernel": 1.0, "kernel_w": 7.0, "stride": 1.0, "stride_w": 2.0}
    assert (op_text("conv", wide), attribute_text("conv", wide)) == ("conv 1x7", "s1x2")
    assert attribute_text("im2col", {**wide, "padding": 3.0}) == "k1x7 s1x2 p3"
    assert attribute_text("concat", {"axis": 1.0, "zero_parts": 2.0}) == "ax1 z2"


@pytest.mark.parametrize("op", HOSTILE)
def test_any_op_name_can_be_drawn(op: str) -> None:
    graph = ArchGraph(("input", op, "output"), ((0, 1, 0), (1, 2, 0)))
    assert ElementTree.fromstring(to_svg(graph)) is not None
    to_svg(graph).encode("utf-8")
    label = tokens(to_dot(graph))
    assert "n1" in label
    to_dot(graph).encode("utf-8")


@pytest.mark.parametrize(
    "graph", [ArchGraph((), ()), ArchGraph(("input",), ()), ArchGraph(("none", "add"), ())]
)
def test_the_smallest_graphs_can_be_drawn(graph: ArchGraph) -> None:
    root = ElementTree.fromstring(to_svg(graph))
    assert len(list(root.iter(f"{SVG}title"))) == graph.n_nodes
    assert tokens(to_dot(graph))[0] == "digraph"


def test_too_large_a_graph_is_refused() -> None:
    with pytest.raises(ArgumentError, match="at most"):
        to_svg(ArchGraph(("add",) * (MOST_NODES + 1), ()))


def test_too_many_long_edges_are_refused() -> None:
    n = 700
    edges = [(i, i + 1, 0) for i in range(n - 1)] + [(i, n - 1 - i % 7, 0) for i in range(n // 2)]
    with pytest.raises(ArgumentError, match="bends"):
        to_svg(ArchGraph(("conv",) * n, tuple(edges)))


def tokens(text: str) -> list[str]:
    """The tokens of a text in the DOT language; everything in it has to be one."""
    pattern = r'\s+|"(?:[^"\\\n]|\\[^\n])*"|[A-Za-z_][A-Za-z_0-9]*|-?\d+(?:\.\d+)?|->|[{}\[\]=,;]'
    found, at = [], 0
    while at < len(text):
        match = re.compile(pattern).match(text, at)
        assert match, text[at : at + 40]
        found += [match.group()] if match.group().strip() else []
        at = match.end()
    return found


def test_dot_names_every_node_and_edge_once() -> None:
    graph = random_graph(30, 8)
    found = tokens(to_dot(graph))
    joined = " ".join(found)
    assert found[0] == "digraph" and found[-1] == "}"
    assert len(re.findall(r"(?<!-> )n\d+ \[ label", joined)) == 30
    arrows = re.findall(r"n(\d+) -> n(\d+)", joined)
    assert sorted((int(a), int(b)) for a, b in arrows) == sorted(pairs(graph))


@pytest.mark.skipif(not shutil.which("dot"), reason="the dot program of Graphviz is not installed")
def test_graphviz_reads_the_text() -> None:
    done = subprocess.run(
        ["dot", "-Tplain"], input=to_dot(random_graph(30, 9)).encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"\nnode ") == 30


def test_texts_of_nodes() -> None:
    assert op_text("separable_conv", {"kernel": 5.0}) == "sep conv 5x5"
    assert attribute_text("separable_conv", {"kernel": 5.0, "stride": 2.0}) == "s2"
    assert attribute_text("attention", {"heads": 4.0, "ratio": 0.25}) == "h4 r0.25"
    assert op_text("input", {"index": 1.0}) == "input 1"
    assert op_text("com.acme.Op", {}) == "com.acme.Op"
    assert [quantity(n) for n in (7, 999, 1000, 999_999, 1_073_466, 2 * 10**12)] == [
        "7",
        "999",
        "1 k",
        "1000 k",
        "1.07 M",
        "2 T",
    ]
