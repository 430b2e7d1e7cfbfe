"""Every engine through the conformance suite."""

from __future__ import annotations

from archindex.indexes import Metric, VectorIndex, make_index
from archindex.testing.index_case import IndexCase


class TestExact(IndexCase):
    def make(self, dim: int, metric: Metric) -> VectorIndex:
        return make_index("exact", dim, metric)


class TestHnsw(IndexCase):
    recall = 0.98

    def make(self, dim: int, metric: Metric) -> VectorIndex:
        return make_index("hnsw", dim, metric)


class TestIvf(IndexCase):
    recall = 0.98

    def make(self, dim: int, metric: Metric) -> VectorIndex:
        return make_index("ivf", dim, metric)


class TestIvfOfManyLists(TestIvf):
    """As a large index is: many more lists than are searched."""

    def make(self, dim: int, metric: Metric) -> VectorIndex:
        return make_index("ivf", dim, metric, lists=40, probes=14)


class TestIvfSq8(IndexCase):
    recall = 0.98

    def make(self, dim: int, metric: Metric) -> VectorIndex:
        return make_index("ivf_sq8", dim, metric)


class TestIvfPq(IndexCase):
    recall = 0.98

    def make(self, dim: int, metric: Metric) -> VectorIndex:
        return make_index("ivf_pq", dim, metric)


class TestIvfOpq(IndexCase):
    recall = 0.98

    def make(self, dim: int, metric: Metric) -> VectorIndex:
        return make_index("ivf_opq", dim, metric)


class TestIvfRabitq(IndexCase):
    recall = 0.98

    def make(self, dim: int, metric: Metric) -> VectorIndex:
        return make_index("ivf_rabitq", dim, metric)


class TestCodesThatDecide(IndexCase):
    """As in a large index: few of the rows are compared in full, and few of the lists searched."""

    recall = 0.96

    def make(self, dim: int, metric: Metric) -> VectorIndex:
        return make_index("ivf_opq", dim, metric, lists=40, probes=14, rerank=20)
