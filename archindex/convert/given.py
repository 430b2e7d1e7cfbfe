"""What conversions take: a graph, an architecture or a network."""

from __future__ import annotations

from archindex.convert.network import Network
from archindex.core.errors import ArgumentError
from archindex.core.graph import ArchGraph
from archindex.spaces.base import Architecture


def graph_of(given: object) -> ArchGraph:
    """Return the graph of what a conversion was given.

    Raises
    ------
    ArgumentError
        If it is none of these.
    """
    if isinstance(given, ArchGraph):
        return given
    if isinstance(given, (Architecture, Network)):
        return given.graph
    raise ArgumentError(
        "expected an ArchGraph, an Architecture or a Network",
        got=given,
        fix="read a native string with archindex.space(NAME).parse, a model with from_torch or from_onnx",
    )
