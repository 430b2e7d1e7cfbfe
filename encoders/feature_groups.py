"""Structural features by group, unweighted and wide: the input of a surrogate that learns what counts.

`StructuralEncoder` folds the same features into one short vector with fixed weights; here each group stands
by itself and its hashed parts are wide enough to be all but exact.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.encoders import features
from archindex.encoders.features import Dags

FLOW: Final = "flow"
"""Group of statistics in different units: sizes of the graph, lengths and extremes of its paths."""

PATH_COLUMNS: Final = 256
NEIGHBOURHOOD_COLUMNS: Final = 192
MAX_RADIUS: Final = 3


def feature_groups(batch: GraphBatch) -> dict[str, npt.NDArray[np.float32]]:
    """Return the features of every graph by group; aliases have equal features.

    Parameters
    ----------
    batch : GraphBatch
        The graphs, reduced or not.

    Returns
    -------
    dict from str to ndarray of float32, shape (len(batch), d)
        ``d`` depends on the group alone.
    """
    dags = Dags(batch)
    flow = (features.sizes(dags), features.walk_means(dags), features.path_extremes(dags))
    radii = (features.wl_sketch(dags, radius, NEIGHBOURHOOD_COLUMNS) for radius in range(1, MAX_RADIUS + 1))
    groups = {
        "ops": features.op_counts(dags),
        FLOW: np.hstack(flow),
        "paths": features.path_count_sketch(dags, PATH_COLUMNS),
        "neighbourhoods": np.hstack(list(radii)),
    }
    return {name: values.astype(np.float32) for name, values in groups.items()}
