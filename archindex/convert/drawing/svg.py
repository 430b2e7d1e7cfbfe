"""SVG pictures of architectures, drawn without Graphviz."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from archindex.convert.drawing.labels import (
    KINDS,
    LONGEST_NATIVE,
    attribute_text,
    cell_names,
    kind_of,
    letters_of,
    number,
    op_text,
    port_marks,
    printable,
    title_of,
)
from archindex.convert.drawing.layout import Layout, layered
from archindex.convert.drawing.picture import Picture, Point, text_width
from archindex.convert.given import graph_of
from archindex.convert.network import Network
from archindex.core.errors import ArgumentError
from archindex.core.graph import ArchGraph
from archindex.spaces.base import Architecture

MOST_NODES: Final = 5_000
"""Nodes that a picture may have; laying out more takes minutes, and nobody can read it."""

MARGIN: Final = 24.0
OP_SIZE: Final = 13.0
SMALL_SIZE: Final = 11.0
MARK_SIZE: Final = 9.0
BOX_HEIGHT: Final = 28.0
TALL_BOX: Final = 42.0
NARROWEST: Final = 360.0
INK: Final = "#1f2630"
PALE: Final = "#5b6572"
EDGE: Final = "#7a828c"


def to_svg(drawn: ArchGraph | Architecture | Network) -> str:
    """Return a picture of an architecture, as SVG text.

    Data flow from top to bottom. A box is a node: its op, below it its attributes by letters that the legend
    explains, its colour the kind of op; all attributes are in its tooltip, also strides, dilations and
    groups of 1. Lines that leave a box share one trunk. Numbers at the ends of lines are input ports, where
    their order matters, and ``+`` tells inputs that are added: all of a node, or those of one port. What
    nothing connects, such as the two cells of DARTS, stands side by side.

    Parameters
    ----------
    drawn : ArchGraph, Architecture or Network
        What to draw, with at most `MOST_NODES` nodes.

    Raises
    ------
    ArgumentError
        If it is none of these, or its graph has more nodes, or so many long edges that nobody could
        follow them.
    """
    graph = graph_of(drawn)
    if graph.n_nodes > MOST_NODES:
        raise ArgumentError(
            f"expected a graph of at most {MOST_NODES} nodes to draw",
            got=f"{graph.n_nodes} nodes",
            fix="draw the cell, or write .dot and give it to a program of Graphviz",
        )
    marks = port_marks(graph)
    entering = [0.0] * graph.n_nodes
    for (_, target, _), mark in zip(graph.edges, marks, strict=True):
        entering[target] += 9 + max(6.0, text_width(mark, MARK_SIZE))
    sizes = [_box(op, attrs, w) for op, attrs, w in zip(graph.ops, graph.attrs, entering, strict=True)]
    layout = layered(sizes, [(source, target) for source, target, _ in graph.edges])
    name, lines = title_of(drawn, max(LONGEST_NATIVE, int(layout.width / 8)))
    legend = _Legend(graph, marks)
    width = max(NARROWEST, layout.width, text_width(name, 17.0) * 1.15, *(text_width(t, 12.0) for t in lines))
    legend_height = legend.wrap(width)
    cells = cell_names(drawn)
    top = MARGIN + 24 + 18 * len(lines) + (40 if cells else 16)
    bottom = top + layout.height + 28
    picture = Picture(width + 2 * MARGIN, bottom + legend_height + MARGIN)
    if isinstance(drawn, Architecture):
        picture.title(printable(str(drawn)))
    picture.text(MARGIN, MARGIN + 14, name, 17.0, INK, bold=True)
    for i, line in enumerate(lines):
        picture.text(MARGIN, MARGIN + 36 + 18 * i, line, 12.0, PALE)
    picture.move(MARGIN + max(0.0, (width - layout.width) / 2), top)
    _draw(picture, graph, layout, sizes, marks)
    for nodes, left, _ in layout.parts:
        for node in cells.keys() & nodes:
            picture.text(left, -14, f"{cells[node]} cell", 14.0, INK, bold=True)
    picture.move(MARGIN, bottom)
    legend.draw(picture)
    return picture.done()


def _draw(
    picture: Picture,
    graph: ArchGraph,
    layout: Layout,
    sizes: Sequence[tuple[float, float]],
    marks: Sequence[str],
) -> None:
    """Draw lines, then boxes, then what stands at the ends of lines."""
    for line in layout.lines:
        picture.line(line.points, EDGE, arrow=line.edge is not None)
    for (op, attrs), centre, size in zip(
        zip(graph.ops, graph.attrs, strict=True), layout.centres, sizes, strict=True
    ):
        _draw_box(picture, op, attrs, centre, size)
    for line in layout.lines:
        if line.edge is not None and marks[line.edge]:
            x, y = line.points[-1]
            picture.text(x + 4, y - 7, marks[line.edge], MARK_SIZE, INK, on_white=True)


def _box(op: str, attrs: Mapping[str, float], entering: float) -> tuple[float, float]:
    """Return width and height of a box: its texts fit, and the lines that come in have room."""
    below = attribute_text(op, attrs)
    text = max(text_width(op_text(op, attrs), OP_SIZE), text_width(below, SMALL_SIZE))
    return max(56.0, text + 22, min(entering + 16, 600.0)), TALL_BOX if below else BOX_HEIGHT


class _Legend:
    """The kinds of ops and the letters that a drawing uses."""

    def __init__(self, graph: ArchGraph, marks: Sequence[str]) -> None:
        used = {kind_of(op) for op in graph.ops}
        self.entries: list[tuple[str, str, str, bool]] = [
            (kind.name, kind.fill, kind.line, kind.dashed) for kind in KINDS if kind in used
        ]
        letters = letters_of(zip(graph.ops, graph.attrs, strict=True))
        self.entries += [(f"{letter}: {name}", "", "", False) for letter, name in letters]
        if any(mark.strip("+") for mark in marks):
            self.entries.append(("0, 1, …: order of the inputs", "", "", False))
        if any(mark.endswith("+") for mark in marks):
            self.entries.append(("+: inputs that are added", "", "", False))
        self.at: list[Point] = []

    def wrap(self, width: float) -> float:
        """Break the entries into lines of at most `width`; return the height."""
        x = y = 0.0
        for name, fill, _, _ in self.entries:
            step = text_width(name, SMALL_SIZE) + (24 if fill else 0) + 18
            if x > 0 and x + step - 18 > width:
                x, y = 0.0, y + 20
            self.at.append((x, y))
            x += step
        return y + 16

    def draw(self, picture: Picture) -> None:
        """Draw it."""
        for (name, fill, line, dashed), (x, y) in zip(self.entries, self.at, strict=True):
            if fill:
                picture.rect((x, y), (18, 12), 3, fill, line, dashed=dashed)
            picture.text(x + (24 if fill else 0), y + 10, name, SMALL_SIZE, PALE)


def _draw_box(
    picture: Picture, op: str, attrs: Mapping[str, float], centre: Point, size: tuple[float, float]
) -> None:
    """Draw a node."""
    kind = kind_of(op)
    (x, y), (width, height) = centre, size
    end = kind.name == "input, output"
    known = "".join(f", {name} {number(value)}" for name, value in attrs.items())
    picture.rect(
        (x - width / 2, y - height / 2),
        size,
        BOX_HEIGHT / 2 if end else 5,
        kind.fill,
        kind.line,
        dashed=kind.dashed,
        tooltip=printable(op) + known,
    )
    colour = "#ffffff" if end else PALE if kind.dashed else INK
    below = attribute_text(op, attrs)
    picture.text(x, y - 3 if below else y + 4.5, op_text(op, attrs), OP_SIZE, colour, centred=True)
    if below:
        picture.text(x, y + 13, below, SMALL_SIZE, "#ffffff" if end else PALE, centred=True)
