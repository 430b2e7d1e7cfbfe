"""timm's results on ImageNet and its variants: published weights of 900 models."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import Column, Rows, largest_input, read_table, specs_of

SOURCE: Final = "timm results (Wightman)"

SPEC: Final = DatasetSpec(
    name="timm_imagenet",
    space="timm",
    rows=900,
    measures="accuracy on ImageNet and five variants, params",
    description=(
        "top-1 accuracy of 900 models on ImageNet (top-5 too), ImageNet-ReaL, V2, A, R and Sketch, at the "
        "largest input size that is listed for the model, and of the published weights with the highest "
        "ImageNet accuracy there, whatever data they were pretrained on: one set of weights for all columns "
        "of a model"
    ),
    licence="Apache-2.0",
    citation='Wightman, "PyTorch Image Models", 2019',
    homepage="https://github.com/huggingface/pytorch-image-models",
    tables=("timm_imagenet.parquet",),
)

TESTS: Final = {
    "in1k_top1": "imagenet:valid:acc",
    "in1k_top5": "imagenet:valid:top5_acc",
    "real_top1": "imagenet_real:acc",
    "in_v2_top1": "imagenet_v2:acc",
    "in_a_top1": "imagenet_a:acc",
    "in_r_top1": "imagenet_r:acc",
    "in_sketch_top1": "imagenet_sketch:acc",
}

COLUMNS: Final = (
    *(Column(name, measure, aggregate="best weights") for name, measure in TESTS.items()),
    Column("params_m", "imagenet:params@m/computed"),
)


def best_weights(rows: Rows) -> npt.NDArray[np.int64]:
    """Return one row for each model: its best weights at its largest input size."""
    at = largest_input(rows, "arch")
    # Stable: of equal ones the first in the file.
    at = at[np.argsort(-rows["in1k_top1"][at], kind="stable")]
    _, first = np.unique(rows["arch"][at].astype(str), return_index=True)
    return np.sort(at[first])


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the table measures, without reading it."""
    return specs_of(COLUMNS, SOURCE)


def load() -> Table:
    """Return the table; natives are the models without the tag of their weights."""
    return read_table(SPEC, COLUMNS, "arch", SOURCE, chosen=best_weights)
