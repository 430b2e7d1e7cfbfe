"""What predictors learn from: features of architectures by group, computed and never measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArchitectureError
from archindex.encoders.base import Encoder
from archindex.encoders.feature_groups import FLOW, feature_groups
from archindex.encoders.physical import ENDS, MIXTURE, REACH, physical_groups
from archindex.spaces.base import Costed, SearchSpace

COSTS: Final = "costs"
"""Group of the logarithms of computed params and FLOPs."""

EMBEDDING: Final = "embedding"
"""Group of the vectors of an encoder."""

UNITS: Final = frozenset({FLOW, COSTS, MIXTURE, REACH, ENDS})
"""Groups whose columns have units of their own, so that each is scaled by itself."""

_OUTPUT_SHARES: Final = frozenset({"nasbench101"})  # spaces whose output concatenates what feeds it
_CHUNK: Final = 16_384


def architecture_features(
    space: SearchSpace[Any],
    natives: Sequence[str],
    *,
    dataset: str | None = None,
    encoder: Encoder | None = None,
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the features of architectures by group.

    Aliases have equal features: costs are those of the string given with the fewest dead ops.

    Parameters
    ----------
    space : SearchSpace
        Their search space.
    natives : sequence of str
        Their native strings.
    dataset : str, optional
        What the networks are for, where the space is `Costed`; by default the first of its data sets.
    encoder : Encoder, optional
        Whose vectors stand as a group of their own beside the others.

    Returns
    -------
    dict from str to ndarray of float32, shape (len(natives), d)
        Structural groups (`feature_groups`, `physical_groups`), "costs" of a costed space, "embedding".

    Raises
    ------
    ArchitectureError
        If a string names no architecture of the space, or there is none.
    """
    if not len(natives):
        raise ArchitectureError(f"expected native strings of {space.name}", got=natives)
    parts = []
    for start in range(0, len(natives), _CHUNK):
        batch = space.graphs(natives[start : start + _CHUNK])
        groups = feature_groups(batch) | physical_groups(batch, output_shares=space.name in _OUTPUT_SHARES)
        if encoder is not None:
            groups[EMBEDDING] = encoder.encode(batch)
        parts.append(groups)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if isinstance(space, Costed):
        joined[COSTS] = _costs(space, natives, dataset or space.datasets[0])
    return joined


def _costs(space: Any, natives: Sequence[str], dataset: str) -> npt.NDArray[np.float32]:
    costs = space.costs(natives, dataset)
    values = np.log1p(np.stack([costs.params, costs.flops], axis=1).astype(np.float64))
    _, alias = np.unique(space.arch_ids(natives), return_inverse=True)
    least = np.full((int(alias.max()) + 1, 2), np.inf)
    np.minimum.at(least, alias, values)
    return least[alias].astype(np.float32)
