"""Levels of recall that a search may be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LEVELS: Final[Mapping[str, float]] = {"fast": 0.9, "balanced": 0.95, "high": 0.99}
"""Mean recall that a search at each level is to reach, whatever the filter."""
