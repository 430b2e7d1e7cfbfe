"""NAS-Bench-201 with test accuracy and latency on 27 devices, from the folder in ``ARCHINDEX_DATA``.

Accuracies are means over the training seeds of the benchmark (the table keeps no single seed). Test accuracy
on CIFAR-10 is of training on all 50,000 images, validation accuracy of training on half of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArchitectureError, DataUnavailableError, TableError
from archindex.core.metrics import MeasurementSpec, Series
from archindex.datasets.folder import data_files
from archindex.datasets.known import DatasetSpec
from archindex.datasets.nasbench201 import CONTEXTS, EPOCHS, computed_costs, cost_specs
from archindex.datasets.parquet import read_parquet
from archindex.datasets.table import Table
from archindex.datasets.tables import nb201_help_latency
from archindex.spaces.nasbench201 import NASBench201

FILES: Final = ("nb201.parquet", *nb201_help_latency.SPEC.tables)
NATS: Final = "NATS-Bench topology, mean over seeds"
SPEC: Final = DatasetSpec(
    name="nb201",
    space="nasbench201",
    rows=15_625,
    measures="accuracy, training time, params, FLOPs on 3 data sets, latency on 27 devices",
    description=(
        "mean validation and test accuracy, latency, training time, params and FLOPs on three data sets, "
        "and latency on 27 devices, of all NAS-Bench-201 cells"
    ),
    licence="MIT",
    citation=(
        'Dong et al., "NATS-Bench", TPAMI 2021; Lee et al., "HELP", NeurIPS 2021; '
        'Li et al., "HW-NAS-Bench", ICLR 2021'
    ),
    homepage="https://github.com/D-X-Y/NATS-Bench",
    tables=FILES,
)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the table measures, without reading it."""
    recorded = [spec for context in CONTEXTS for spec in _specs(context)]
    return (*recorded, *nb201_help_latency.promised(), *cost_specs())


def load() -> Table:
    """Return the table; rows in the order of the official index.

    Raises
    ------
    DataUnavailableError
        If the files are not there or are damaged.
    """
    path, _ = data_files(SPEC)
    try:
        natives, recorded = _recorded(path)
        timed = nb201_help_latency.load()
        row = {native: i for i, native in enumerate(timed.natives)}
        timed = timed.take([row[native] for native in natives])
    except (ArchitectureError, TableError, DataUnavailableError, KeyError) as error:
        raise DataUnavailableError(
            f"expected the NAS-Bench-201 tables {' and '.join(FILES)}", got=error, fix=SPEC.remedy
        ) from error
    return SPEC.table(natives, (*recorded, *timed.series, *computed_costs(natives)))


def _recorded(path: Path) -> tuple[tuple[str, ...], list[Series]]:
    """Return native strings in official order, and what was recorded when they were trained."""
    specs = [spec for context in CONTEXTS for spec in _specs(context)]
    read = read_parquet(path, ["arch_idx", "arch_str", *(spec.column for spec in specs)])
    order = np.argsort(read["arch_idx"])
    natives = tuple(str(text) for text in read["arch_str"][order])
    # Parsing is the check that every string is an architecture.
    NASBench201().genotypes(natives)
    return natives, [_series(spec, read[spec.column][order]) for spec in specs]


def _specs(context: str) -> Iterator[MeasurementSpec]:
    for split in ("test", "valid"):
        yield MeasurementSpec("acc", context, split, epochs=EPOCHS, aggregate="mean", source=NATS)
    yield MeasurementSpec("latency", context, source=NATS)
    yield MeasurementSpec("train_time", context, epochs=EPOCHS, source=NATS)


def _series(spec: MeasurementSpec, values: npt.NDArray[Any]) -> Series:
    return Series(spec, np.ascontiguousarray(values, dtype=np.float64))
