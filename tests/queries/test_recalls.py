"""Recall as a name or a number."""

from __future__ import annotations

import pytest

from archindex.core.errors import ArgumentError, UnknownNameError
from archindex.queries import RECALLS, check_recall


def test_recalls_have_names() -> None:
    assert [check_recall(name) for name in RECALLS] == [0.9, 0.95, 0.99, 1.0]
    assert check_recall(0.97) == 0.97
    with pytest.raises(UnknownNameError, match="did you mean 'high'"):
        check_recall("hihg")
    for wrong in (0, -1, 1.2, float("nan")):
        with pytest.raises(ArgumentError, match="recall"):
            check_recall(wrong)
