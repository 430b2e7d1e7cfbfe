"""Building and opening through the facade: what cannot be used is told in archindex's own words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import archindex as ax
from archindex.core.errors import ArgumentError, UnknownNameError


@pytest.mark.parametrize("data", [5, [5], None, [None]])
def test_data_that_are_neither_names_nor_tables(tmp_path: Path, data: Any) -> None:
    with pytest.raises(ArgumentError, match="name or a Table"):
        ax.build(tmp_path / "index", data)
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("name", ["nasbench210", "", 5, []])
def test_no_such_space(name: Any) -> None:
    with pytest.raises(UnknownNameError, match="search space"):
        ax.space(name)
