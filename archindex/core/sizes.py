"""Sizes in bytes as people write them."""

from __future__ import annotations

import re

from archindex.core.errors import ArgumentError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]I?)?B?\s*", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Return the bytes that a text such as ``200MB``, ``1.5 GiB`` or ``4096`` states.

    Raises
    ------
    ArgumentError
        If it states no size, or less than a byte.
    """
    found = _SIZE.fullmatch(text)
    if found is not None:
        unit = (found[2] or "").upper()
        size = round(float(found[1]) * (_BINARY[unit] if unit in _BINARY else _UNITS[unit]))
        if size >= 1:
            return size
    raise ArgumentError("expected a size such as 200MB or 1.5GiB", got=text)
