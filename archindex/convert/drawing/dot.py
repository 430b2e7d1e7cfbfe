"""Graphviz text of an architecture."""

from __future__ import annotations

from archindex.convert.drawing.labels import (
    attribute_text,
    kind_of,
    op_text,
    port_marks,
    printable,
    title_of,
)
from archindex.convert.given import graph_of
from archindex.convert.network import Network
from archindex.core.graph import ArchGraph
from archindex.spaces.base import Architecture


def to_dot(drawn: ArchGraph | Architecture | Network) -> str:
    """Return a graph in the DOT language, for ``dot -Tsvg`` and other programs of Graphviz.

    Nodes are numbered as in the graph. Port numbers stand at the edges into nodes whose inputs have an
    order, ``+`` at edges whose values are added.

    Parameters
    ----------
    drawn : ArchGraph, Architecture or Network
        What to draw.

    Raises
    ------
    ArgumentError
        If it is none of these.
    """
    graph = graph_of(drawn)
    name, lines = title_of(drawn)
    text = [
        f"digraph {_quoted(name)} {{",
        f"  graph [label={_quoted(name, *lines)}, labelloc=t, fontname=Helvetica, fontsize=12];",
        '  node [shape=box, style="rounded,filled", fontname=Helvetica, fontsize=11];',
        '  edge [color="#7a828c", fontname=Helvetica, fontsize=9, arrowsize=0.7];',
    ]
    for node, (op, attrs) in enumerate(zip(graph.ops, graph.attrs, strict=True)):
        kind = kind_of(op)
        label = [line for line in (op_text(op, attrs), attribute_text(op, attrs)) if line]
        look = f'fillcolor="{kind.fill}", color="{kind.line}"'
        if kind.dashed:
            look += ', style="rounded,filled,dashed"'
        if kind.name == "input, output":
            look += ', fontcolor="#ffffff"'
        text.append(f"  n{node} [label={_quoted(*label)}, {look}];")
    for (source, target, _), mark in zip(graph.edges, port_marks(graph), strict=True):
        text.append(f"  n{source} -> n{target}" + (f' [headlabel="{mark}"];' if mark else ";"))
    return "\n".join([*text, "}", ""])


def _quoted(*lines: str) -> str:
    """Return a quoted string of DOT; in labels a backslash has a meaning, so it is doubled."""
    escaped = (printable(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'
