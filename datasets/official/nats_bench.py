"""What the two data sets of NATS-Bench share: the archives of one file an architecture.

Dong et al., "NATS-Bench: Benchmarking NAS Algorithms for Architecture Topology and Size", TPAMI 2021. Known
from D-X-Y/NATS-Bench: README.md (names of the archives, one file an architecture, MIT licence) and
nats_bench/api_utils.py. A file ``000000.pickle.pbz2`` is a bzip2 pickle of a dict from the training epochs
(``"12"``, ``"200"``; ``"01"``, ``"12"``, ``"90"``) to the state of an ``ArchResults``: ``arch_index``,
``arch_str``, ``dataset_seed`` (seeds of each data set) and ``all_results``, by data set and seed the state of
a ``ResultsCount``: ``epochs``, ``params`` and ``flop`` (millions), ``latency`` (a list of seconds, or None),
``train_times`` (seconds by epoch, or None) and ``eval_acc1es`` (percent by ``"{set}@{epoch}"``, epochs from
0). ``cifar10-valid`` is trained on half of the training set and evaluated on the other (``x-valid``),
``cifar10`` on all of it (``ori-test``); CIFAR-100 and ImageNet16-120 have ``x-valid`` and ``x-test``. The
file ``meta.pickle.pbz2`` is not needed.
"""

from __future__ import annotations

import bz2
import io
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec
from archindex.datasets.official.reading import MEMBER_BYTES, checked, damaged, members, number, reading
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import canonical
from archindex.datasets.unpickle import read_array_pickle

LICENCE: Final = "MIT"
CITATION: Final = 'Dong et al., "NATS-Bench", TPAMI 2021'
HOMEPAGE: Final = "https://github.com/D-X-Y/NATS-Bench"
SOURCE: Final = "NATS-Bench (Dong et al., TPAMI 2021), official archive"
FILES: Final = "[0-9]*.pickle.pbz2"

ACCURACIES: Final = (
    ("cifar10-valid", "x-valid", "cifar10", "valid"),
    ("cifar10", "ori-test", "cifar10", "test"),
    ("cifar100", "x-valid", "cifar100", "valid"),
    ("cifar100", "x-test", "cifar100", "test"),
    ("ImageNet16-120", "x-valid", "in16_120", "valid"),
    ("ImageNet16-120", "x-test", "in16_120", "test"),
)
"""Data set and set of the file, context and split of the column."""

COSTS: Final = {"cifar10": "cifar10", "cifar100": "cifar100", "ImageNet16-120": "in16_120"}
"""Context of each data set whose costs are taken."""


def promised_of(runs: Mapping[str, str]) -> tuple[MeasurementSpec, ...]:
    """Return what every archive has; which seeds, and whether times and latencies, the files tell.

    Parameters
    ----------
    runs : mapping from str to str
        As for `convert_archive`.
    """
    trained = [
        MeasurementSpec("acc", context + suffix, split, epochs=int(epochs), source=SOURCE)
        for epochs, suffix in runs.items()
        for _, _, context, split in ACCURACIES
    ]
    computed = [
        MeasurementSpec(metric, context, provenance="computed", source=SOURCE)
        for context in COSTS.values()
        for metric in ("params", "flops")
    ]
    return (*trained, *computed)


def convert_archive(spec: DatasetSpec, path: Path, runs: Mapping[str, str]) -> Table:
    """Return the table of an archive, or of the folder it was extracted to, in the order of its index.

    Parameters
    ----------
    spec : DatasetSpec
        The data set.
    path : Path
        The archive.
    runs : mapping from str to str
        The training epochs that are taken, with what contexts add for them: ``{"200": "", "12": "_12ep"}``.

    Raises
    ------
    UnsafeDataError
        If a pickle names anything but data; nothing of it is run.
    DataUnavailableError
        If the archive or a file in it is damaged or of another format.
    """
    strings: dict[int, str] = {}
    values: dict[MeasurementSpec, dict[int, float]] = defaultdict(dict)
    for name, data in members(path, FILES):
        with reading(path, f"NATS-Bench results {name}"):
            by_run = read_array_pickle(path, stream=io.BytesIO(_expanded(path, name, data)))
            for run, suffix in runs.items():
                results = by_run[run]
                index = results["arch_index"]
                if (
                    type(index) is not int
                    or strings.setdefault(index, results["arch_str"]) != results["arch_str"]
                ):
                    raise ValueError(f"the index {index} for {results['arch_str']}")
                for measured, value in _measured(results, suffix):
                    values[measured][index] = value
    if not strings:
        raise damaged(path, f"files {FILES}", "none")
    order = sorted(strings)
    with reading(path, f"architectures of {spec.space}"):
        natives = canonical(spec.space, [strings[index] for index in order])
    return spec.table(
        natives,
        [
            checked(path, measured, np.array([of.get(index, math.nan) for index in order]))
            for measured, of in values.items()
        ],
    )


def _expanded(path: Path, name: str, data: bytes) -> bytes:
    expander = bz2.BZ2Decompressor()
    content = expander.decompress(data, MEMBER_BYTES)
    if not expander.eof:
        raise damaged(path, f"{name} of at most {MEMBER_BYTES} bytes, with an end")
    return content


def _measured(results: Mapping[str, Any], suffix: str) -> Iterator[tuple[MeasurementSpec, float]]:
    """Yield what was measured on one architecture after one number of epochs."""
    trials: Mapping[tuple[str, int], Mapping[str, Any]] = results["all_results"]
    for dataset, subset, context, split in ACCURACIES:
        for seed in results["dataset_seed"].get(dataset, ()):
            trial = trials[dataset, seed]
            epochs = int(trial["epochs"])
            spec = MeasurementSpec(
                "acc", context + suffix, split, epochs=epochs, seed=int(seed), source=SOURCE
            )
            yield spec, number(trial["eval_acc1es"][f"{subset}@{epochs - 1}"])
    for dataset, context in COSTS.items():
        for seed in results["dataset_seed"].get(dataset, ()):
            trial = trials[dataset, seed]
            epochs, times = int(trial["epochs"]), trial["train_times"]
            if times:
                spec = MeasurementSpec(
                    "train_time", context + suffix, epochs=epochs, seed=int(seed), source=SOURCE
                )
                yield spec, math.fsum(number(times[epoch]) for epoch in range(epochs))
        # What does not depend on training is told once, by the runs that count.
        if not suffix:
            yield from _costs([trials[dataset, s] for s in results["dataset_seed"].get(dataset, ())], context)


def _costs(trials: list[Mapping[str, Any]], context: str) -> Iterator[tuple[MeasurementSpec, float]]:
    if not trials:
        return
    for metric, key in (("params", "params"), ("flops", "flop")):
        spec = MeasurementSpec(metric, context, provenance="computed", source=SOURCE)
        yield spec, number(trials[0][key])
    seconds = [number(one) for trial in trials for one in trial["latency"] or ()]
    # The authors write a latency of -1 where there is none.
    timed = [one for one in seconds if one > 0]
    if timed:
        spec = MeasurementSpec("latency", context, aggregate="mean", source=SOURCE)
        yield spec, 1e3 * math.fsum(timed) / len(timed)
