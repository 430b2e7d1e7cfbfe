"""From groups of features to one matrix: scaled, without columns that never vary, wide groups compressed."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArgumentError
from archindex.predict.base import Groups
from archindex.predict.features import UNITS

Singles = npt.NDArray[np.float32]

_WIDEST: Final = 200
_PRINCIPAL: Final = 48  # columns that a wider group is compressed to
_VARIES: Final = 1e-9


class Columns:
    """Scaling learned from labelled architectures: in each group the mean squared distance of two is 1.

    Columns keep their relative scale, for a group is counts of one kind of thing; those of the groups in
    `UNITS` are scaled each by itself. Hashed groups, which are wide, are turned to their principal axes.

    Parameters
    ----------
    groups : mapping from str to ndarray of float32, each of shape (n, d)
        Features of the labelled architectures.

    Attributes
    ----------
    group : ndarray of int64, shape (dim,)
        Number of the group that each column belongs to.
    """

    def __init__(self, groups: Groups) -> None:
        if not groups:
            raise ArgumentError("expected at least one group of features", got=dict(groups))
        self._widths = {name: np.shape(values)[1] for name, values in groups.items()}
        self._maps = {name: _map(np.asarray(values), name in UNITS) for name, values in groups.items()}
        kept = [scale.shape[-1] for _, scale in self._maps.values()]
        self.group = np.repeat(np.arange(len(kept)), kept)

    def of(self, groups: Groups) -> Singles:
        """Return the matrix of other architectures; float32, shape (n, dim).

        Raises
        ------
        ArgumentError
            If the groups or their widths are others, or one has more rows than another.
        """
        widths = {
            name: np.shape(values)[1] if np.ndim(values) == 2 else -1 for name, values in groups.items()
        }
        if widths != self._widths:
            raise ArgumentError(
                f"expected groups of these widths: {self._widths}", got=widths, fix="give those that fit had"
            )
        if len({len(values) for values in groups.values()}) > 1:
            raise ArgumentError(
                "expected as many rows in every group", got={name: len(v) for name, v in groups.items()}
            )
        parts = []
        for name, (centre, scale) in self._maps.items():
            off = np.asarray(groups[name], dtype=np.float32) - centre
            parts.append(off @ scale)
        return np.hstack(parts)


def _map(values: npt.NDArray[np.float32], alone: bool) -> tuple[Singles, Singles]:
    """Return centre and the matrix that scales, chooses and compresses the columns of a group."""
    centre, variance = values.mean(axis=0, dtype=np.float64), values.var(axis=0, dtype=np.float64)
    varies = variance > _VARIES
    if alone:
        spread = np.where(varies, variance, 1.0) * max(int(varies.sum()), 1)
    else:
        spread = np.full_like(variance, max(variance.sum(), _VARIES))
    scale = np.diag(1.0 / np.sqrt(2 * spread))[:, varies]
    if scale.shape[1] > _WIDEST:
        off = (values - centre) @ scale
        # Of the smaller of the two Gram matrices; signs do not matter to distances, trees get them fixed.
        axes = np.linalg.svd(off, full_matrices=False)[2][:_PRINCIPAL]
        axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
        scale = scale @ axes.T
    return centre.astype(np.float32), scale.astype(np.float32)
