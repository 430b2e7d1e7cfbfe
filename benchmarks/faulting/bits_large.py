"""The flips of `benchmarks.faulting.bits`, on an index of 25,000 rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from benchmarks.faulting import bits

PROTOCOL: Final = bits.PROTOCOL


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Flip a bit in every file of a large index; a quick run takes a small one."""
    return bits.measure(data, quick) if quick else bits.campaign(25_000, None, 1)
