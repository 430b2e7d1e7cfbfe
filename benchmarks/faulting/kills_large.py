"""The kills of `benchmarks.faulting.kills`, on an index of 25,000 rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from benchmarks.faulting import kills

KILLS: Final = 6
PROTOCOL: Final = kills.PROTOCOL


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Kill every kind of command at random moments, on a large index; a quick run takes a small one."""
    return kills.measure(data, quick) if quick else kills.campaign(25_000, None, KILLS)
