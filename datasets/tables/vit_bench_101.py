"""ViT-Bench-101, AutoFormer: vision transformers trained on three small data sets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import Column, picked, read_table, specs_of

SOURCE: Final = "ViT-Bench-101 (Wei et al., Auto-Prox, AAAI 2024)"

SPEC: Final = DatasetSpec(
    name="vit_bench_101",
    space="autoformer",
    rows=200,
    measures="accuracy on CIFAR-100, Flowers and Chaoyang, supernet estimate on ImageNet",
    description=(
        "accuracy of 200 AutoFormer networks on three small data sets, trained with distillation (kd) and, "
        "100 of them, without; imagenet_supernet is an estimate with the weights of a supernet and no "
        "training of the network itself"
    ),
    licence="Apache-2.0",
    citation='Wei et al., "Auto-Prox", AAAI 2024',
    homepage="https://github.com/lliai/Auto-Prox-AAAI24",
    tables=("vit_bench_101.parquet",),
)

DATA_SETS: Final = {"c100": "cifar100", "flower": "flowers", "chaoyang": "chaoyang"}


def trained() -> Iterator[Column]:
    """Yield the accuracies of trained networks, which both spaces of the file have."""
    for key, context in DATA_SETS.items():
        yield Column(f"{key}_base_acc", f"{context}:acc")
        yield Column(f"{key}_kd_acc", f"{context}_kd:acc")


def columns() -> Iterator[Column]:
    """Yield the columns."""
    yield from trained()
    yield Column("imagenet_super_acc", "imagenet_supernet:acc/predicted")


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the table measures, without reading it."""
    return specs_of(columns(), SOURCE)


def load() -> Table:
    """Return the table."""
    return read_table(SPEC, columns(), "arch", SOURCE, chosen=picked("space", "AutoFormer"))
