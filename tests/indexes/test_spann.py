"""SPANN through the conformance suite, and what is particular to it."""

from __future__ import annotations

from archindex.indexes import Metric, VectorIndex
from archindex.indexes.spann import SpannIndex
from archindex.testing.index_case import IndexCase


class TestSpann(IndexCase):
    recall = 0.98

    def make(self, dim: int, metric: Metric) -> VectorIndex:
        return SpannIndex(dim, metric)


class TestSpannOfManyLists(TestSpann):
    """As a large index is: many more lists than are read."""

    def make(self, dim: int, metric: Metric) -> VectorIndex:
        return SpannIndex(dim, metric, list_rows=12, probes=20)
