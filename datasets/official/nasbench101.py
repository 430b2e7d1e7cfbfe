"""NAS-Bench-101 from its official file: every training run of every cell, at 108 epochs.

Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019. Addresses, sizes and
checksums: google-research/nasbench, README.md. The format is described in
`archindex.datasets.official.nasbench101_records`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.core.metrics import MeasurementSpec, Series
from archindex.datasets.known import DatasetSpec, OfficialFile
from archindex.datasets.official.nasbench101_records import STAGES, Records, read_records
from archindex.datasets.official.reading import by_seed, checked, damaged, reading
from archindex.datasets.table import Table
from archindex.spaces.nasbench101_cells import PackedCells

FILE: Final = "nasbench_only108.tfrecord"
FULL_EPOCHS: Final = 108
"""Epochs of the runs that count; the others have columns of their own."""

REPEATS: Final = 3
METRICS: Final = (("train_time", ""), ("acc", "train"), ("acc", "valid"), ("acc", "test"))
"""Metric and split of each of `archindex.datasets.official.nasbench101_records.VALUES`."""

SOURCE: Final = "NAS-Bench-101 (Ying et al., ICML 2019), official tfrecord"
COST_SOURCE: Final = "archindex nasbench101 space"

COSTS: Final = (
    MeasurementSpec("params", "cifar10", provenance="computed", source=SOURCE),
    MeasurementSpec("flops", "cifar10", provenance="computed", source=COST_SOURCE),
)

SPEC: Final = DatasetSpec(
    name="nasbench101",
    space="nasbench101",
    rows=423_624,
    exact=True,
    measures="accuracy and training time of each of 3 runs, halfway and final, params, FLOPs",
    description=(
        "training, validation and test accuracy and training time on CIFAR-10 of all NAS-Bench-101 cells at "
        "108 epochs, each of the three runs, halfway through training and after it; about 499 MB to fetch"
    ),
    licence="Apache-2.0",
    citation='Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019',
    homepage="https://github.com/google-research/nasbench",
    files=(
        OfficialFile(
            FILE,
            ("https://storage.googleapis.com/nasbench/nasbench_only108.tfrecord",),
            sha256="4c39c3936e36a85269881d659e44e61a245babcb72cb374eacacf75d0e5f4fd1",
        ),
    ),
)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the official file measured, without reading it."""
    return promised_of((FULL_EPOCHS,))


def promised_of(epochs: Iterable[int]) -> tuple[MeasurementSpec, ...]:
    """Return what files with runs of these numbers of epochs hold."""
    trained = [
        spec
        for of in epochs
        for name in reversed(STAGES)
        for spec in (_spec(of, name, metric, split) for metric, split in METRICS)
    ]
    return (*trained, *COSTS)


def _spec(epochs: int, stage: str, metric: str, split: str) -> MeasurementSpec:
    context = "cifar10" if epochs == FULL_EPOCHS else f"cifar10_{epochs}ep"
    context, trained = (context, epochs) if stage == "final" else (f"{context}_half", epochs // 2)
    return MeasurementSpec(metric, context, split, epochs=trained, source=SOURCE)


def convert(paths: Mapping[str, Path]) -> Table:
    """Return the table of the official file; rows in the order in which cells first appear.

    Raises
    ------
    DataUnavailableError
        If the file is truncated, damaged or of another format.
    """
    return table_of(SPEC, paths[FILE])


def table_of(spec: DatasetSpec, path: Path) -> Table:
    """Return the runs of a tfrecord as a table of the data set `spec`."""
    runs = read_records(path)
    _, first, row = np.unique(runs.module, return_index=True, return_inverse=True)
    # Rows in the order of first appearance, and not of the hashes.
    place = np.empty(len(first), dtype=np.int64)
    order = np.argsort(first)
    place[order] = np.arange(len(order))
    first, row = first[order], place[row]
    for name in ("bits", "ops", "params"):
        values: npt.NDArray[Any] = getattr(runs, name)
        if (values[first][row] != values).any():
            raise damaged(path, "one cell for each hash", f"two of different {name}")
    with reading(path, "NAS-Bench-101 cells"):
        cells = PackedCells.from_table(runs.bits[first], runs.ops[first])
    params, flops = COSTS
    return spec.table(
        cells.natives(),
        (
            *_series(path, runs, row, len(first)),
            checked(path, params, runs.params[first] / 1e6),
            Series(flops, cells.costs().flops / 1e6),
        ),
    )


def _series(path: Path, runs: Records, row: npt.NDArray[np.int64], n: int) -> Iterator[Series]:
    """Yield the measurements: for each number of epochs and stage, the runs as seeds 0 to 2."""
    for epochs in sorted(set(runs.epochs.tolist()), reverse=True):
        at = np.flatnonzero(runs.epochs == epochs)
        most = int(np.bincount(row[at]).max())
        if most > REPEATS:
            raise damaged(path, f"{REPEATS} runs of each cell at {epochs} epochs", most)
        for stage, name in reversed(list(enumerate(STAGES))):
            for value, (metric, split) in enumerate(METRICS):
                spec = _spec(epochs, name, metric, split)
                scale = 100.0 if metric == "acc" else 1.0
                yield from by_seed(path, spec, row[at], n, runs.values[at, stage, value] * scale)
