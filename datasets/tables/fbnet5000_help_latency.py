"""Latency of 5,000 FBNet networks on 27 devices and batch sizes, with params and FLOPs."""

from __future__ import annotations

from typing import Final

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec
from archindex.datasets.table import Table
from archindex.datasets.tables.devices import HELP, latency_columns
from archindex.datasets.tables.reader import Column, read_table, specs_of

SPEC: Final = DatasetSpec(
    name="fbnet5000_help_latency",
    space="fbnet",
    rows=5_000,
    measures="latency on 27 devices, params, FLOPs",
    description=(
        "latency of 5,000 FBNet networks on 27 devices and batch sizes, params and FLOPs of the network for "
        "CIFAR-100; Raspberry Pi 4, Pixel 3, Eyeriss and FPGA are sums over blocks, from the look-up tables "
        "of HW-NAS-Bench"
    ),
    licence="MIT",
    citation='Lee et al., "HELP", NeurIPS 2021; Li et al., "HW-NAS-Bench", ICLR 2021',
    homepage="https://github.com/HayeonLee/HELP",
    tables=("fbnet5000_help_latency.parquet",),
)

COLUMNS: Final = (
    Column("params_m", "cifar100:params@m/computed"),
    Column("flops_m", "cifar100:flops@m/computed"),
    # All four follow from the 22 choices by addition, with a residual of 0 over the 5,000 rows.
    *latency_columns((1, 32, 64), summed=("pixel3", "raspi4", "eyeriss", "fpga")),
)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the table measures, without reading it."""
    return specs_of(COLUMNS, HELP)


def load() -> Table:
    """Return the table."""
    return read_table(SPEC, COLUMNS, "arch", HELP)
