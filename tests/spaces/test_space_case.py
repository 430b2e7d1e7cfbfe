"""Both spaces through the conformance suite that is shipped to others."""

from __future__ import annotations

from archindex.spaces.nasbench101 import NASBench101
from archindex.spaces.nasbench201 import NASBench201
from archindex.testing.space_case import SpaceCase


class TestNASBench101(SpaceCase):
    space = NASBench101()
    biases_count = True


class TestNASBench201(SpaceCase):
    space = NASBench201()
    biases_count = True
