"""ViT-Bench-101, PiT: pooling-based vision transformers trained on three small data sets."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec
from archindex.datasets.table import Table
from archindex.datasets.tables import vit_bench_101
from archindex.datasets.tables.reader import picked, read_table, specs_of

SPEC: Final[DatasetSpec] = replace(
    vit_bench_101.SPEC,
    name="vit_bench_101_pit",
    space="pit",
    rows=100,
    measures="accuracy on CIFAR-100, Flowers and Chaoyang",
    description=(
        "accuracy of 100 PiT networks on three small data sets, trained with distillation (kd) and without"
    ),
)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the table measures, without reading it."""
    return specs_of(vit_bench_101.trained(), vit_bench_101.SOURCE)


def load() -> Table:
    """Return the table."""
    columns = tuple(vit_bench_101.trained())
    return read_table(SPEC, columns, "arch", vit_bench_101.SOURCE, chosen=picked("space", "PiT"))
