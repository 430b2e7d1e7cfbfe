"""Drawings of architectures: Graphviz text and SVG."""

from archindex.convert.dot import to_dot
from archindex.convert.svg import to_svg

__all__ = ["to_dot", "to_svg"]
