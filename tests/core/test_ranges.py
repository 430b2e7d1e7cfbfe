"""Many ranges at once are those of Python, one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from archindex.core.ranges import ranges


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=20))
def test_ranges(given: list[tuple[int, int]]) -> None:
    starts: Any = np.array([start for start, _ in given], dtype=np.int64)
    sizes: Any = np.array([size for _, size in given], dtype=np.int64)
    expected = [i for start, size in given for i in range(start, start + size)]
    assert ranges(starts, sizes).tolist() == expected
