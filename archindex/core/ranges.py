"""Many ranges of whole numbers at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def ranges(start: npt.NDArray[np.int64], length: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Concatenate ``arange(start[i], start[i] + length[i])`` for all i."""
    joined: npt.NDArray[np.int64] = np.arange(length.sum()) + np.repeat(
        start - np.cumsum(length) + length, length
    )
    return joined
