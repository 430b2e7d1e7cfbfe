"""StructuralEncoder: a vector computed from the graph, nothing learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.errors import CorruptIndexError
from archindex.core.progress import Progress, silent
from archindex.encoders import features
from archindex.encoders.base import Encoder
from archindex.encoders.features import Dags, Floats
from archindex.encoders.files import (
    check_description,
    check_fingerprint,
    content_hash,
    read_description,
    write_description,
)

_VERSION: Final = 1  # goes up with every change of a vector

_SKETCH: Final = 24  # columns of each hashed group

# Group, what computes it, and the weight of its columns. The weights make Euclidean nearness mean alike in
# behaviour: they were chosen for 10-nearest-neighbour regression of accuracy on NAS-Bench-201 (CIFAR-100)
# and a part of NAS-Bench-101 together (benchmarks/locality.py measures it).
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

_CHUNK: Final = 16_384  # graphs at a time; keeps the working memory small


class StructuralEncoder(Encoder):
    """Encode the functional DAG by computed features of its ops, paths and neighbourhoods.

    Nothing is learned and nothing is scaled by data: the vector of an architecture never changes when others
    are added, and search spaces share one vector space. Needs NumPy only.

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
    def fingerprint(self) -> str:
        """Hash of the code version and the weights of the columns."""
        weights = np.concatenate([weights for _, _, weights in _GROUPS] + [_WL_WEIGHTS])
        return content_hash(self.name, _VERSION, {"dim": self.dim}, {"weights": weights})

    @property
    def feature_groups(self) -> dict[str, slice]:
        """Columns of each group of features, so that a surrogate can scale or pick them."""
        groups, start = {}, 0
        for name, _, weights in _GROUPS:
            groups[name] = slice(start, start + len(weights))
            start += len(weights)
        return groups

    def fit(self, batch: GraphBatch, *, seed: int = 0, progress: Progress = silent) -> None:
        """Return at once: there is nothing to learn."""

    def encode(self, batch: GraphBatch) -> npt.NDArray[np.float32]:
        """Return the vector of every graph.

        Parameters
        ----------
        batch : GraphBatch
            The graphs, reduced or not.

        Returns
        -------
        ndarray of float32, shape (len(batch), 128)
        """
        vectors = np.empty((len(batch), self.dim), dtype=np.float32)
        for start in range(0, len(batch), _CHUNK):
            stop = min(start + _CHUNK, len(batch))
            dags = Dags(batch.take(start, stop))
            vectors[start:stop] = np.hstack([compute(dags) * weights for _, compute, weights in _GROUPS])
        return vectors

    def save(self, folder: Path) -> None:
        """Write ``encoder.json`` into `folder`."""
        write_description(
            Path(folder),
            name=self.name,
            version=_VERSION,
            config={"dim": self.dim},
            fingerprint=self.fingerprint,
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the encoder that `save` wrote; see `Encoder.load` for what it raises."""
        encoder, folder = cls(), Path(folder)
        content = read_description(folder)
        check_description(content, folder, name=encoder.name, version=_VERSION)
        if content["config"] != {"dim": encoder.dim}:
            raise CorruptIndexError(
                f"expected a vector length of {encoder.dim} in {folder}", got=content["config"]
            )
        check_fingerprint(content, folder, encoder.fingerprint)
        return encoder


def _neighbourhoods(dags: Dags) -> Floats:
    """Add up the sketches of radius 1 to 3, which share columns."""
    total = np.zeros((len(dags), _SKETCH))
    for rounds, weight in enumerate(_WL_WEIGHTS, start=1):
        total += weight * features.wl_sketch(dags, rounds, _SKETCH)
    return total
