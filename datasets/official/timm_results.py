"""timm's results on ImageNet and its variants, from the official CSV files.

Wightman, "PyTorch Image Models", 2019. Known from huggingface/pytorch-image-models, folder results: the
columns that are read are ``model``, ``top1``, ``top5``, ``param_count`` (millions, with a comma for
thousands) and ``img_size`` of results-imagenet.csv and its like; newer files have more. What each file is of
is said in results/README.md. A model may have several rows, for several weights (the tag after the dot) and
input sizes: one row counts, chosen as in `archindex.datasets.tables.timm_imagenet`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec, OfficialFile
from archindex.datasets.official.reading import checked, damaged, reading
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import canonical
from archindex.datasets.tables.timm_imagenet import best_weights

SPACE: Final = "timm"
SOURCE: Final = "timm results (Wightman), official CSV"
FOLDER: Final = "https://raw.githubusercontent.com/huggingface/pytorch-image-models/HEAD/results"

BASE: Final = "results-imagenet.csv"
"""The file whose models and weights count."""

TESTS: Final = {
    BASE: ("imagenet", "valid"),
    "results-imagenet-real.csv": ("imagenet_real", ""),
    "results-imagenetv2-matched-frequency.csv": ("imagenet_v2", ""),
    "results-imagenet-a.csv": ("imagenet_a", ""),
    "results-imagenet-r.csv": ("imagenet_r", ""),
    "results-sketch.csv": ("imagenet_sketch", ""),
}
"""Context and split of each file."""

PARAMS: Final = MeasurementSpec("params", "imagenet", provenance="computed", source=SOURCE)
ACCURACIES: Final = {"acc": "top1", "top5_acc": "top5"}
"""Column of each metric."""

SPEC: Final = DatasetSpec(
    name="timm_results",
    space=SPACE,
    rows=900,
    measures="accuracy on ImageNet and five variants, params",
    description=(
        "top-1 and top-5 accuracy of timm's models on ImageNet, ImageNet-ReaL, V2, A, R and Sketch, at the "
        "largest input size that is listed for the model, and of the published weights with the highest "
        "ImageNet accuracy"
    ),
    licence="Apache-2.0",
    citation='Wightman, "PyTorch Image Models", 2019',
    homepage="https://github.com/huggingface/pytorch-image-models",
    files=tuple(OfficialFile(name, (f"{FOLDER}/{name}",)) for name in TESTS),
)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the official files measured, without reading them."""
    return (
        PARAMS,
        *(_spec(*place, metric) for place in TESTS.values() for metric in ACCURACIES),
    )


def _spec(context: str, split: str, metric: str) -> MeasurementSpec:
    return MeasurementSpec(metric, context, split, aggregate="best weights", source=SOURCE)


def convert(paths: Mapping[str, Path]) -> Table:
    """Return the table of the official files; rows in the order of the ImageNet results.

    Raises
    ------
    DataUnavailableError
        If a file is damaged or of another format.
    """
    base = paths[BASE]
    with reading(base, "timm results"):
        listed = read_csv(base, ["model", "img_size", "top1", "param_count"])
        models = [model.split(".", 1)[0] for model in listed["model"]]
        rows: dict[str, npt.NDArray[Any]] = {
            "arch": np.array(models, dtype=object),
            "img_size": np.array([int(size) for size in listed["img_size"]]),
            "in1k_top1": numbers(listed["top1"]),
        }
        at = best_weights(rows)
        natives = canonical(SPACE, [models[i] for i in at])
        params = numbers(listed["param_count"])[at]
    keys = [(listed["model"][i], listed["img_size"][i]) for i in at]
    series = [checked(base, PARAMS, params)]
    for name, (context, split) in TESTS.items():
        path = paths[name]
        with reading(path, "timm results"):
            found = read_csv(path, ["model", "img_size", "top1", "top5"])
            row = {key: i for i, key in enumerate(zip(found["model"], found["img_size"], strict=True))}
            order = np.array([row.get(key, len(row)) for key in keys])
            for metric, column in ACCURACIES.items():
                spec = _spec(context, split, metric)
                # What is not in the file is missing.
                series.append(checked(path, spec, np.append(numbers(found[column]), np.nan)[order]))
    return SPEC.table(natives, series)


def read_csv(path: Path, names: list[str]) -> dict[str, list[str]]:
    """Return columns of a CSV file with a header, as text.

    Raises
    ------
    DataUnavailableError
        If the file cannot be read, or lacks a column or a value.
    """
    with reading(path, f"a CSV file with the columns {', '.join(names)}"):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        if not rows:
            raise damaged(path, "rows", "none")
        columns = {name: [row[name] for row in rows] for name in names}
        if any(value is None for column in columns.values() for value in column):
            raise damaged(path, "a value for each column in each row", "a row that is cut off")
        return columns


def numbers(texts: list[str]) -> npt.NDArray[np.float64]:
    """Return numbers as timm writes them (``"1,014.45"``); an empty text is missing."""
    return np.array([float(text.replace(",", "")) if text else np.nan for text in texts])
