"""Drawings of architectures: Graphviz text (`dot`), and SVG with a layered layout (`svg`)."""
