"""StructuralEncoder: a vector computed from the graph, nothing learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from archindex.encoders import features
from archindex.encoders.computed import ComputedEncoder
from archindex.encoders.features import Dags, Floats

_SKETCH: Final = 24  # columns of each hashed group

# Group, what computes it, and the weight of its columns. The weights make Euclidean nearness mean alike in
# behaviour: they were chosen for 10-nearest-neighbour regression of accuracy on NAS-Bench-201 (CIFAR-100)
# and a part of NAS-Bench-101 together (benchmarks/encoding/locality.py measures it).
_Group = tuple[str, Callable[[Dags], Floats], tuple[float, ...]]
_GROUPS: Final[tuple[_Group, ...]] = (
    ("ops", lambda dags: np.log1p(features.op_counts(dags)), (0.15,) * features.OP_SLOTS),
    ("sizes", features.sizes, (0.6, 1.6, 0.6, 0.6, 0.15, 0.15, 0.08, 1.2, 0.3)),
    ("walk_histogram", features.walk_histogram, (0.5,) * features.WALK_BINS),
    ("walk_means", lambda dags: np.log1p(features.walk_means(dags)), (3.0, 0.8, 0.3, 1.5, 0.6)),
    ("path_histogram", lambda dags: np.log1p(features.path_histogram(dags)), (0.4,) * features.WALK_BINS),
    (
        "path_extremes",
        lambda dags: np.log1p(features.path_extremes(dags)),
        (0.1, 0.1, 0.3, 0.6, 0.6, 0.6, 0.6, 0.15),
    ),
    ("path_sketch", lambda dags: features.path_sketch(dags, _SKETCH), (0.6,) * _SKETCH),
    ("neighbourhoods", lambda dags: _neighbourhoods(dags), (1.0,) * _SKETCH),
    ("attributes", features.attribute_means, (0.3,) * len(features.MEASURED)),
)
_WL_WEIGHTS: Final = (0.2, 0.05, 0.04)  # of radius 1, 2, 3: the larger, the more often all are different


class StructuralEncoder(ComputedEncoder):
    """Encode the functional DAG by computed features of its ops, paths and neighbourhoods.

    References
    ----------
    White et al., "BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture Search",
    AAAI 2021 (path encoding). Shervashidze et al., "Weisfeiler-Lehman Graph Kernels", JMLR 2011.
    """

    @property
    def name(self) -> str:
        """``"structural"``."""
        return "structural"

    @property
    def dim(self) -> int:
        """128."""
        return sum(len(weights) for _, _, weights in _GROUPS)

    @property
    def constants(self) -> Mapping[str, Floats]:
        """The weights of the columns."""
        return {"weights": np.concatenate([weights for _, _, weights in _GROUPS] + [_WL_WEIGHTS])}

    @property
    def feature_groups(self) -> dict[str, slice]:
        """Columns of each group of features, so that a surrogate can scale or pick them."""
        groups, start = {}, 0
        for name, _, weights in _GROUPS:
            groups[name] = slice(start, start + len(weights))
            start += len(weights)
        return groups

    def compute(self, dags: Dags) -> Floats:
        """Return the weighted features side by side; shape (len(dags), 128)."""
        return np.hstack([compute(dags) * weights for _, compute, weights in _GROUPS])


def _neighbourhoods(dags: Dags) -> Floats:
    """Add up the sketches of radius 1 to 3, which share columns."""
    total = np.zeros((len(dags), _SKETCH))
    for rounds, weight in enumerate(_WL_WEIGHTS, start=1):
        total += weight * features.wl_sketch(dags, rounds, _SKETCH)
    return total
