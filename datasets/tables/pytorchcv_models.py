"""pytorchcv's table of its pretrained models on five data sets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import Column, read_table, specs_of

SOURCE: Final = "pytorchcv (imgclsmob)"

SPEC: Final = DatasetSpec(
    name="pytorchcv_models",
    space="pytorchcv",
    rows=414,
    measures="error on ImageNet, CIFAR-10, CIFAR-100, SVHN and CUB-200, params, FLOPs",
    description=(
        "error that the author reports for pretrained models on five data sets, with params and FLOPs of "
        "the network for each; names as in the author's table"
    ),
    licence="MIT",
    citation="Semery, imgclsmob (pytorchcv)",
    homepage="https://github.com/osmr/imgclsmob",
    tables=("pytorchcv_models.parquet",),
)

DATA_SETS: Final = {
    "CIFAR-10": "cifar10",
    "CIFAR-100": "cifar100",
    "SVHN": "svhn",
    "CUB-200-2011": "cub200",
}
"""Context of each data set with one error; ImageNet has two."""


def columns() -> Iterator[Column]:
    """Yield the columns; one ImageNet row of the table stands there twice."""
    for data, context in {"ImageNet-1K": "imagenet", **DATA_SETS}.items():
        where = {"dataset": (data,)}
        if data in DATA_SETS:
            yield Column("err", f"{context}:test:error", where)
        else:
            yield Column("top1_err", f"{context}:valid:error", where, "same")
            yield Column("top5_err", f"{context}_top5:valid:error", where, "same")
        yield Column("params_m", f"{context}:params@m/computed", where, "same")
        yield Column("macs_m", f"{context}:flops@m/computed", where, "same")


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the table measures, without reading it."""
    return specs_of(columns(), SOURCE)


def load() -> Table:
    """Return the table."""
    return read_table(SPEC, columns(), "model", SOURCE)
