"""HW-NAS-Bench on NAS-Bench-201: latency and energy of all cells on six devices, from the official pickle.

The part ``nasbench201`` holds, for each of three data sets, a list for each metric in the order of the
benchmark's index, and ``config``, whose ``arch_str`` names the architectures in the same order; see
`archindex.datasets.official.hw_nas_bench` for where that is known from.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from archindex.core.metrics import MeasurementSpec, Series
from archindex.datasets.known import DatasetSpec
from archindex.datasets.official.hw_nas_bench import (
    CITATION,
    FILE,
    HOMEPAGE,
    LICENCE,
    METRICS,
    read_part,
    spec_of,
)
from archindex.datasets.official.reading import checked, damaged, number, reading
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import canonical

SPACE: Final = "nasbench201"
DATASETS: Final = {"cifar10": "", "cifar100": "cifar100", "ImageNet16-120": "in16_120"}
"""Official name of each data set, with what the columns call it; CIFAR-10 has the short names."""

# Sums over the ops of a cell, to the last digit: models of a chip, not timings.
SUMMED: Final = ("eyeriss", "fpga")

SPEC: Final = DatasetSpec(
    name="hw_nas_bench_nasbench201",
    space=SPACE,
    rows=15_625,
    exact=True,
    measures="latency on 6 devices and energy on 3, each with 3 input sizes",
    description=(
        "latency of all NAS-Bench-201 networks on an edge GPU, Raspberry Pi 4, Edge TPU, Pixel 3, Eyeriss "
        "and an FPGA, and energy on three of them; for the networks of CIFAR-10 (columns without a data "
        "set), CIFAR-100 and ImageNet16-120"
    ),
    licence=LICENCE,
    citation=CITATION,
    homepage=HOMEPAGE,
    files=(FILE,),
)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the official file measured, without reading it."""
    return tuple(_spec(key, suffix) for suffix in DATASETS.values() for key in METRICS)


def _spec(key: str, suffix: str) -> MeasurementSpec:
    summed = key.split("_", 1)[0] in SUMMED
    return spec_of(key, suffix, "summed" if summed else "measured")


def convert(paths: Mapping[str, Path]) -> Table:
    """Return the table of the official file; rows in the order of the benchmark's index.

    Raises
    ------
    UnsafeDataError
        If the pickle names anything but data; nothing of it is run.
    DataUnavailableError
        If it is damaged or of another format.
    """
    path = paths[FILE.name]
    natives: list[str] = []
    series: list[Series] = []
    with reading(path, "the NAS-Bench-201 part of HW-NAS-Bench"):
        part = read_part(path, "nasbench201")
        for dataset, suffix in DATASETS.items():
            of = part[dataset]
            named = canonical(SPACE, [config["arch_str"] for config in of["config"]])
            natives = natives or named
            if named != natives:
                raise damaged(path, "the same architectures for each data set", f"others for {dataset}")
            for key in METRICS:
                values = np.array([number(value) for value in of[key]])
                if values.shape != (len(natives),):
                    raise damaged(path, f"{len(natives)} values of {key}", values.shape)
                series.append(checked(path, _spec(key, suffix), values))
    return SPEC.table(natives, series)
