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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec, OfficialFile
from archindex.datasets.official.reading import checked, damaged, members, number, read_json, reading
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import canonical

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
        "validation loss, each run; Penn Treebank, and WikiText-2 for some; runs that diverged have no loss"
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

_COLUMNS: Final = (("loss", "train"), ("loss", "valid"), ("loss", "test"), ("train_time", ""))


@dataclass(frozen=True)
class _Run:
    native: str
    params: float
    # In the order of _COLUMNS.
    values: tuple[float, ...]


def convert(paths: Mapping[str, Path]) -> Table:
    """Return the table of the official logs; rows in the order in which cells first appear.

    Runs of one cell are its seeds, in the order of the archives and of the names of the logs.

    Raises
    ------
    DataUnavailableError
        If an archive or a log is damaged or of another format.
    """
    row: dict[str, int] = {}
    params: list[float] = []
    runs: dict[str, list[list[tuple[float, ...]]]] = {"ptb": [], "wikitext2": []}
    seen: set[tuple[str, str]] = set()
    for name, (_, context) in ARCHIVES.items():
        path = paths[name]
        for log, run in _runs(path):
            # The same log may lie in two archives.
            if (context, log) in seen:
                continue
            seen.add((context, log))
            at = row.setdefault(run.native, len(row))
            if at == len(params):
                params.append(run.params)
                for lists in runs.values():
                    lists.append([])
            runs[context][at].append(run.values)
    if not row:
        raise damaged(next(iter(paths.values())), f"logs {LOGS}", "none")
    series = []
    for context, lists in runs.items():
        for seed in range(max(map(len, lists))):
            missing = (np.nan,) * len(_COLUMNS)
            table = np.array([one[seed] if seed < len(one) else missing for one in lists])
            for (metric, split), values in zip(_COLUMNS, table.T, strict=True):
                spec = MeasurementSpec(metric, context, split, epochs=EPOCHS, seed=seed, source=SOURCE)
                series.append(checked(next(iter(paths.values())), spec, values))
    counted = MeasurementSpec("params", "ptb", provenance="computed", source=SOURCE)
    series.append(checked(next(iter(paths.values())), counted, np.array(params) / 1e6))
    return SPEC.table(row, series)


def _runs(path: Path) -> Iterator[tuple[str, _Run]]:
    """Yield the logs of an archive, by name."""
    known: dict[str, str] = {}
    for log, data in members(path, LOGS):
        with reading(path, f"a NAS-Bench-NLP log {log}"):
            content: dict[str, Any] = read_json(data)
            recipe = content["recepie"]
            if recipe not in known:
                [known[recipe]] = canonical(SPACE, [recipe])
            losses = np.array(
                [[number(value) for value in content[f"{part}_losses"]] for part in ("train", "val", "test")]
            )
            times = [number(value) for value in content["wall_times"]]
            valid = losses[1]
            best = losses[:, np.nanargmin(valid)] if (~np.isnan(valid)).any() else np.full(3, np.nan)
            values = (*best.tolist(), sum(times) if times else np.nan)
            yield log, _Run(known[recipe], number(content["num_params"]), values)
