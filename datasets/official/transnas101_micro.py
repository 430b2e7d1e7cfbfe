"""The micro space of TransNAS-Bench-101; see `archindex.datasets.official.transnas101`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.official.transnas101 import FILE, convert_part, promised_specs, spec_of
from archindex.datasets.table import Table

SPEC: Final = spec_of("micro", 4_096)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the official file measured, without reading it."""
    return promised_specs()


def convert(paths: Mapping[str, Path]) -> Table:
    """Return the micro networks of the official file, in its order.

    Raises
    ------
    UnsafeDataError
        If the file names anything but data; nothing of it is run.
    DataUnavailableError
        If it is damaged or of another format.
    """
    return convert_part(SPEC, paths[FILE], "micro")
