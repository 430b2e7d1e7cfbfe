"""The size space of NATS-Bench from its official archive: every training run.

See `archindex.datasets.official.nats_bench` for the format and where it is known from.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec, OfficialFile
from archindex.datasets.official.nats_bench import CITATION, HOMEPAGE, LICENCE, convert_archive, promised_of
from archindex.datasets.table import Table

FILE: Final = "NATS-sss-v1_0-50262-simple.tar"
RUNS: Final = {"90": "", "12": "_12ep", "01": "_1ep"}

SPEC: Final = DatasetSpec(
    name="nats_sss",
    space="nats_sss",
    rows=32_768,
    exact=True,
    measures="accuracy and training time of each run at 90, 12 and 1 epochs, latency, params, FLOPs",
    description=(
        "validation and test accuracy and training time of each run of all channel widths on CIFAR-10, "
        "CIFAR-100 and ImageNet16-120 at 90, 12 and 1 epochs, latency, params, FLOPs; the authors publish "
        "the archive in a Google Drive folder that their page names"
    ),
    licence=LICENCE,
    citation=CITATION,
    homepage=HOMEPAGE,
    files=(OfficialFile(FILE, ()),),
)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the official files measured, without reading them."""
    return promised_of(RUNS)


def convert(paths: Mapping[str, Path]) -> Table:
    """Return the table of the official archive, or of the folder it was extracted to.

    Raises
    ------
    UnsafeDataError
        If a pickle names anything but data; nothing of it is run.
    DataUnavailableError
        If the archive or a file in it is damaged or of another format.
    """
    return convert_archive(SPEC, paths[FILE], RUNS)
