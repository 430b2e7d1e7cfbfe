"""Encoders that compute what the field compares with: path encoding, Weisfeiler-Lehman, graph statistics.

Their columns have no weights that were chosen on measurements: they are what a learned encoder has to beat,
and what there is without one. `archindex.encoders.adjacency` has the fourth.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from archindex.encoders import features
from archindex.encoders.computed import ComputedEncoder
from archindex.encoders.features import Dags, Floats

# Enough that distances on NAS-Bench-101 (364 op sequences) and NAS-Bench-201 (40) have a rank correlation of
# .98 and .999 with those of the encoding that is not hashed.
_PATH_COLUMNS: Final = 512
_MAX_RADIUS: Final = 3
_WL_COLUMNS: Final = 64  # of each radius
_DEGREES: Final = 8
_PLACES: Final = 4
_WALK_MEANS: Final = 5
_EXTREMES: Final = 8
_SIZES: Final = 9


class PathEncoder(ComputedEncoder):
    """Encode the op sequences between input and output: the path encoding, hashed to 512 columns.

    The original has an entry for each possible sequence, which many spaces have without end, and marks those
    that occur. Here sequences share columns by a count sketch, and an entry is the logarithm of how many
    paths there are, so that graphs of any size and op have a vector. Work is that of the edges, not of the
    paths.

    References
    ----------
    White et al., "BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture Search",
    AAAI 2021. Charikar et al., "Finding Frequent Items in Data Streams", ICALP 2002 (count sketch).
    """

    @property
    def name(self) -> str:
        """``"paths"``."""
        return "paths"

    @property
    def dim(self) -> int:
        """512."""
        return _PATH_COLUMNS

    def compute(self, dags: Dags) -> Floats:
        """Return the sketch of the paths; shape (len(dags), 512)."""
        return features.path_count_sketch(dags, self.dim)


class WLEncoder(ComputedEncoder):
    """Encode the neighbourhoods of radius 0 to 3: Weisfeiler-Lehman subtree features, 64 columns a radius.

    Neighbourhoods are told apart along and against the edges and with ports; how often each occurs is hashed
    with a sign. Vectors have length 1, so that their inner product is the normalised kernel of two graphs:
    without that, small graphs would be near to everything.

    References
    ----------
    Shervashidze et al., "Weisfeiler-Lehman Graph Kernels", JMLR 2011. Ru et al., "Interpretable Neural
    Architecture Search via Bayesian Optimisation with Weisfeiler-Lehman Kernels", ICLR 2021.
    """

    @property
    def name(self) -> str:
        """``"wl"``."""
        return "wl"

    @property
    def dim(self) -> int:
        """256."""
        return (_MAX_RADIUS + 1) * _WL_COLUMNS

    def compute(self, dags: Dags) -> Floats:
        """Return the sketches of every radius side by side, scaled to length 1; shape (len(dags), 256)."""
        radii = range(_MAX_RADIUS + 1)
        counts = np.hstack([features.wl_sketch(dags, radius, _WL_COLUMNS) for radius in radii])
        length: Floats = np.linalg.norm(counts, axis=1, keepdims=True)
        return counts / np.maximum(length, 1.0)


class StatisticsEncoder(ComputedEncoder):
    """Encode by statistics that cost nothing: what one writes down of a graph without looking for motifs.

    Sizes (nodes, edges, parameters, paths, depth, width), degrees, op counts, where along the depth ops are,
    means of the attributes, and what a random walk from the output and the longest and shortest paths meet.
    All counts are on logarithmic scales.
    """

    @property
    def name(self) -> str:
        """``"statistics"``."""
        return "statistics"

    @property
    def dim(self) -> int:
        """76."""
        counted = _SIZES + _DEGREES + features.OP_SLOTS + _PLACES
        return counted + len(features.MEASURED) + _WALK_MEANS + _EXTREMES

    def compute(self, dags: Dags) -> Floats:
        """Return the statistics side by side; shape (len(dags), 76)."""
        return np.hstack(
            [
                features.sizes(dags),
                np.log1p(degrees(dags)),
                np.log1p(features.op_counts(dags)),
                places(dags),
                features.attribute_means(dags),
                np.log1p(features.walk_means(dags)),
                np.log1p(features.path_extremes(dags)),
            ]
        )


def degrees(dags: Dags) -> Floats:
    """Return statistics of the degrees of the nodes; shape (n, 8).

    In-degrees, then out-degrees: mean, standard deviation, the largest, and the share of nodes with more than
    one, which is how much the graph joins and branches. Zeros for a graph without nodes.
    """
    n_nodes = np.maximum(np.diff(dags.batch.node_ptr), 1)[:, None]
    columns = []
    for end in (1, 0):
        degree = np.bincount(dags.batch.edges[end], minlength=dags.batch.n_nodes).astype(np.float64)
        moments: Floats = np.stack([degree, degree**2, degree > 1], axis=1)
        mean, square, several = np.hsplit(dags.per_graph(moments) / n_nodes, 3)
        largest = np.zeros(len(dags))
        np.maximum.at(largest, dags.graph, degree)
        columns += [mean, np.sqrt(np.maximum(square - mean**2, 0.0)), largest[:, None], several]
    return np.hstack(columns)


def places(dags: Dags) -> Floats:
    """Return the mean place of the ops of each family along the depth; shape (n, 4).

    Inputs are at 0, the deepest node at 1. Families: weighted with a kernel above 1, weighted with a kernel
    of 1, pooling, others; 0 where there is none.
    """
    deepest = np.zeros(len(dags))
    np.maximum.at(deepest, dags.graph, dags.depth.astype(np.float64))
    place: Floats = (dags.depth / np.maximum(deepest, 1.0)[dags.graph])[:, None]
    wide = dags.weighted & (dags.kernel > 1)
    families = [wide, dags.weighted & ~wide, dags.pool, dags.inner & ~dags.weighted & ~dags.pool]
    of_family = np.stack(families, axis=1).astype(np.float64)
    return dags.per_graph(of_family * place) / np.maximum(dags.per_graph(of_family), 1.0)
