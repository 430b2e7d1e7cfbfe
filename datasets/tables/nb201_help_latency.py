"""Latency of all NAS-Bench-201 cells on 27 devices and batch sizes."""

from __future__ import annotations

from typing import Final

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec
from archindex.datasets.table import Table
from archindex.datasets.tables.devices import HELP, latency_columns
from archindex.datasets.tables.reader import read_table, specs_of

SPEC: Final = DatasetSpec(
    name="nb201_help_latency",
    space="nasbench201",
    rows=15_625,
    measures="latency on 27 devices",
    description=(
        "latency of all NAS-Bench-201 cells on 27 devices and batch sizes; Raspberry Pi 4, Pixel 3, Eyeriss "
        "and FPGA are the values of HW-NAS-Bench for CIFAR-10, the last two sums over ops"
    ),
    licence="MIT",
    citation='Lee et al., "HELP", NeurIPS 2021; Li et al., "HW-NAS-Bench", ICLR 2021',
    homepage="https://github.com/HayeonLee/HELP",
    tables=("nb201_help_latency.parquet",),
)

COLUMNS: Final = tuple(latency_columns((1, 32, 256), summed=("eyeriss", "fpga")))


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the table measures, without reading it."""
    return specs_of(COLUMNS, HELP)


def load() -> Table:
    """Return the table."""
    return read_table(SPEC, COLUMNS, "arch_str", HELP)
