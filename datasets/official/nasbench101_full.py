"""NAS-Bench-101 from its full official file: every training run at 4, 12, 36 and 108 epochs.

Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019. Columns of 108
epochs have the names of the data set ``nasbench101``; the others say their epochs: ``cifar10_4ep_valid_acc``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import OfficialFile
from archindex.datasets.official import nasbench101
from archindex.datasets.table import Table

FILE: Final = "nasbench_full.tfrecord"
EPOCHS: Final = (108, 36, 12, 4)

SPEC: Final = replace(
    nasbench101.SPEC,
    name="nasbench101_full",
    measures="accuracy and training time of each of 3 runs at 4, 12, 36 and 108 epochs, params, FLOPs",
    description=(
        "training, validation and test accuracy and training time on CIFAR-10 of all NAS-Bench-101 cells at "
        "4, 12, 36 and 108 epochs, each of the three runs, halfway through training and after it; "
        "about 1.95 GB to fetch"
    ),
    files=(
        OfficialFile(
            FILE,
            ("https://storage.googleapis.com/nasbench/nasbench_full.tfrecord",),
            sha256="3d64db8180fb1b0207212f9032205064312b6907a3bbc81eabea10db2f5c7e9c",
        ),
    ),
)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the official file measured, without reading it."""
    return nasbench101.promised_of(EPOCHS)


def convert(paths: Mapping[str, Path]) -> Table:
    """Return the table of the official file; rows in the order in which cells first appear.

    Raises
    ------
    DataUnavailableError
        If the file is truncated, damaged or of another format.
    """
    return nasbench101.table_of(SPEC, paths[FILE])
