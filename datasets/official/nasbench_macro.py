"""NAS-Bench-Macro from its official JSON: test accuracy of three runs of all 6,561 networks on CIFAR-10.

Su et al., "Prioritized Architecture Sampling with Monto-Carlo Tree Search", CVPR 2021. The format is
described in xiusu/NAS-Bench-Macro, README.md, and written by train/collect_benchmark.py: a dict from the
eight digits of an architecture to ``test_acc`` (a list of the three runs), ``mean_acc``, ``std``, ``params``
and ``flops``. By train/train.py an accuracy is the best of any of 50 epochs, in percent, with the seeds 0 to
2. Architectures that differ only in where the identities of a stage stand are one network, trained once:
their values are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec, OfficialFile
from archindex.datasets.official.reading import checked, damaged, number, read_json, reading
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import canonical

FILE: Final = "nas-bench-macro_cifar10.json"
SPACE: Final = "nasbench_macro"
SEEDS: Final = 3
COSTS: Final = ("params", "flops")
"""Keys of the file that are metrics of ours too."""
EPOCHS: Final = 50
SOURCE: Final = "NAS-Bench-Macro (Su et al., CVPR 2021), official JSON"

SPEC: Final = DatasetSpec(
    name="nasbench_macro",
    space=SPACE,
    rows=6_561,
    exact=True,
    measures="test accuracy of each of 3 runs, params, FLOPs",
    description=(
        "test accuracy on CIFAR-10 of all NAS-Bench-Macro networks, the best of 50 epochs in each of three "
        "runs; params and FLOPs as published"
    ),
    licence="Apache-2.0",
    citation='Su et al., "Prioritized Architecture Sampling with Monto-Carlo Tree Search", CVPR 2021',
    homepage="https://github.com/xiusu/NAS-Bench-Macro",
    files=(
        OfficialFile(FILE, (f"https://raw.githubusercontent.com/xiusu/NAS-Bench-Macro/HEAD/data/{FILE}",)),
    ),
)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the official file measured, without reading it."""
    runs = (
        MeasurementSpec("acc", "cifar10", "test", epochs=EPOCHS, seed=seed, source=SOURCE)
        for seed in range(SEEDS)
    )
    computed = (MeasurementSpec(metric, "cifar10", provenance="computed", source=SOURCE) for metric in COSTS)
    return (*runs, *computed)


def convert(paths: Mapping[str, Path]) -> Table:
    """Return the table of the official file; rows in its order.

    Raises
    ------
    DataUnavailableError
        If the file is damaged or of another format.
    """
    path = paths[FILE]
    with reading(path, "the NAS-Bench-Macro results"):
        results: dict[str, dict[str, Any]] = read_json(path.read_bytes())
        natives = canonical(SPACE, results)
        runs = np.array([[number(value) for value in one["test_acc"]] for one in results.values()])
        means = np.array([number(one["mean_acc"]) for one in results.values()])
        costs = [np.array([number(one[key]) for one in results.values()]) / 1e6 for key in COSTS]
        if runs.shape != (len(natives), SEEDS):
            raise ValueError(f"runs of shape {runs.shape}")
    # The file says the mean too: a check that the runs were read as they were meant.
    wrong = ~np.isclose(runs.mean(axis=1), means, rtol=1e-6)
    if wrong.any():
        raise damaged(path, "runs whose mean is mean_acc", natives[int(wrong.argmax())])
    columns = zip(promised(), (*runs.T, *costs), strict=True)
    return SPEC.table(natives, [checked(path, spec, values) for spec, values in columns])
