"""OnceNAS-Bench: 545 DARTS genotypes trained on CIFAR-10 for 10 and for 50 epochs."""

from __future__ import annotations

from typing import Final

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import Column, read_table, specs_of

SOURCE: Final = "OnceNAS-Bench, data-545.csv"

SPEC: Final = DatasetSpec(
    name="darts_oncenas545",
    space="darts",
    rows=545,
    measures="accuracy after 10 and 50 epochs, GPU latency, training time, params, FLOPs",
    description=(
        "training and validation accuracy of 545 DARTS networks on CIFAR-10 after 10 and 50 epochs, "
        "training time, latency on a GPU that is not named, params and FLOPs (36 channels, 20 layers); what "
        "the source calls test accuracy equals its validation accuracy, so there is no independent test and "
        "it is left out"
    ),
    licence="none stated (OnceNAS-Bench)",
    citation='"OnceNAS: Discovering Efficient On-device Inference Neural Networks for Edge Devices"',
    homepage="https://github.com/OnceNAS-Bench/OnceNAS-Bench",
    tables=("darts_oncenas545.parquet",),
)

COLUMNS: Final = (
    *(
        column
        for epochs in (10, 50)
        for column in (
            Column(f"train_acc{epochs}", f"cifar10_{epochs}ep:train:acc", epochs=epochs),
            Column(f"valid_acc{epochs}", f"cifar10_{epochs}ep:valid:acc", epochs=epochs),
            Column(f"train_time{epochs}_s", f"cifar10_{epochs}ep:train_time", epochs=epochs),
        )
    ),
    Column("gpu_latency_ms", "gpu:latency", device="a GPU, not named"),
    Column("params_m", "cifar10:params@m/computed"),
    Column("flops_m", "cifar10:flops@m/computed"),
)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the table measures, without reading it."""
    return specs_of(COLUMNS, SOURCE)


def load() -> Table:
    """Return the table."""
    return read_table(SPEC, COLUMNS, "genotype", SOURCE)
