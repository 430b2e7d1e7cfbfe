"""Sizes as text."""

from __future__ import annotations

import pytest

from archindex.core.errors import ArgumentError
from archindex.core.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4096", 4096),
        ("1b", 1),
        ("200MB", 200_000_000),
        (" 1.5 GiB ", 3 << 29),
        ("2k", 2000),
        ("3Ti", 3 << 40),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "1 PB", "0", "0.1", "1e3", "12 M B", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ArgumentError, match="200MB"):
        parse_size(text)
