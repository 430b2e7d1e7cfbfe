"""NAS-Bench-NLP from its official training logs: recurrent cells as language models.

Klyuchnikov et al., "NAS-Bench-NLP: Neural Architecture Search Benchmark for Natural Language Processing",
IEEE Access 2022. Known from fmsnew/nas-bench-nlp-release: the archives are named in README.md; a log is
written by main_one_model_train.py as one JSON object with, among others, ``recepie`` (the cell, as JSON
text), ``num_params``, ``wall_times``, ``train_losses``, ``val_losses``, ``test_losses`` (one value an epoch)
and ``status``; a run whose loss became NaN ends early. As in nas_environment.py there, a run counts with its
epoch of the lowest validation loss. Losses are mean negative log-likelihoods of a word, in nats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from archindex.core.metrics import MeasurementSpec, Series
from archindex.datasets.known import DatasetSpec, OfficialFile
from archindex.datasets.official.reading import by_seed, checked, damaged, members, number, read_json, reading
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import canonical, grouped

SPACE: Final = "nasbench_nlp"
EPOCHS: Final = 50
SOURCE: Final = "NAS-Bench-NLP (Klyuchnikov et al., 2022), official logs"
LOGS: Final = "log_stats_model_*.json"

ARCHIVES: Final = {
    "nas-bench-nlp-single-run.zip": ("train_logs_single_run", "ptb"),
    "nas-bench-nlp-multi-runs.zip": ("train_logs_multi_runs", "ptb"),
    "nas-bench-nlp-wikitext-2.zip": ("train_logs_wikitext-2", "wikitext2"),
}
"""Folder in the repository and data set of each archive: Penn Treebank, WikiText-2."""

SPEC: Final = DatasetSpec(
    name="nasbench_nlp",
    space=SPACE,
    rows=14_322,
    measures="losses on Penn Treebank and WikiText-2 of each run, training time, params",
    description=(
        "training, validation and test loss (nats a word) of recurrent cells at the epoch of the lowest "
        "validation loss, each run; Penn Treebank, and WikiText-2 for some; runs that broke off have none; "
        "the files are the logs.zip of three folders of the repository, under names of their own"
    ),
    licence="Apache-2.0",
    citation='Klyuchnikov et al., "NAS-Bench-NLP", IEEE Access 10, 2022',
    homepage="https://github.com/fmsnew/nas-bench-nlp-release",
    files=tuple(
        OfficialFile(
            name, (f"https://raw.githubusercontent.com/fmsnew/nas-bench-nlp-release/HEAD/{folder}/logs.zip",)
        )
        for name, (folder, _) in ARCHIVES.items()
    ),
)

SPLITS: Final = ("train", "valid", "test")
TRAINED: Final = (*(("loss", split) for split in SPLITS), ("train_time", ""))
"""Metric and split of what is told of each run."""

FINISHED: Final = "OK"
"""``status`` of a run that came to its end."""


class _Run(NamedTuple):
    native: str
    params: float
    finished: bool
    seconds: float
    losses: tuple[float, ...]


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the official files measured, without reading them."""
    contexts = dict.fromkeys(context for _, context in ARCHIVES.values())
    return tuple(
        spec
        for context in contexts
        for spec in (*(_trained(context, *one) for one in TRAINED), _counted(context))
    )


def _trained(context: str, metric: str, split: str) -> MeasurementSpec:
    return MeasurementSpec(metric, context, split, epochs=EPOCHS, source=SOURCE)


def _counted(context: str) -> MeasurementSpec:
    return MeasurementSpec("params", context, provenance="computed", source=SOURCE)


def convert(paths: Mapping[str, Path]) -> Table:
    """Return the table of the official logs; rows in the order in which cells first appear.

    Runs of one cell are its seeds, in the order of the archives and of the names of the logs; a run that
    broke off counts for the params only.

    Raises
    ------
    DataUnavailableError
        If an archive or a log is damaged or of another format.
    """
    runs: dict[str, dict[str, _Run]] = {context: {} for _, context in ARCHIVES.values()}
    for name, (_, context) in ARCHIVES.items():
        for log, run in _runs(paths[name]):
            # The same log may lie in two archives.
            runs[context].setdefault(log, run)
    natives, row_of = grouped([run.native for of in runs.values() for run in of.values()])
    if not natives:
        raise damaged(paths[next(iter(ARCHIVES))], f"logs {LOGS}", "none")
    series: list[Series] = []
    for context, of in runs.items():
        row, row_of = np.split(row_of, [len(of)])
        if not of:
            continue
        path = paths[next(name for name, (_, at) in ARCHIVES.items() if at == context)]
        values = np.array([(*run.losses, run.seconds) for run in of.values()])
        finished = np.array([run.finished for run in of.values()])
        for column, (metric, split) in enumerate(TRAINED):
            spec = _trained(context, metric, split)
            series += by_seed(path, spec, row[finished], len(natives), values[finished, column])
        of_run, params = np.array([run.params for run in of.values()]), np.full(len(natives), np.nan)
        params[row] = of_run
        if (params[row] != of_run).any():
            raise damaged(path, "the same params in all runs of a cell", "others")
        series.append(checked(path, _counted(context), params / 1e6))
    return SPEC.table(natives, series)


def _runs(path: Path) -> Iterator[tuple[str, _Run]]:
    """Yield the logs of an archive, by name."""
    known: dict[str, str] = {}
    for log, data in members(path, LOGS):
        with reading(path, f"a NAS-Bench-NLP log {log}"):
            content: dict[str, Any] = read_json(data)
            recipe = content["recepie"]
            if recipe not in known:
                [known[recipe]] = canonical(SPACE, [recipe])
            by_epoch = [[number(v) for v in content[f"{part}_losses"]] for part in ("train", "val", "test")]
            losses, times = np.array(by_epoch), [number(v) for v in content["wall_times"]]
            finished = content["status"] == FINISHED
            best = losses[:, np.nanargmin(losses[1])].tolist() if finished else [np.nan] * len(SPLITS)
            params = number(content["num_params"])
            yield log, _Run(known[recipe], params, finished, sum(times), tuple(best))
