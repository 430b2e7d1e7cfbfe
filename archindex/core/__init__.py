"""Graphs, canonical form, metrics, errors: what everything else is built on."""
