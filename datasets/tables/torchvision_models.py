"""torchvision's own table of its pretrained models: published metrics of each set of weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import Column, read_table, specs_of

SOURCE: Final = "torchvision, metadata of its weights"

SPEC: Final = DatasetSpec(
    name="torchvision_models",
    space="torchvision",
    rows=121,
    measures="published metrics of each set of weights, params, FLOPs",
    description=(
        "metrics that the authors report for 121 models: accuracy on ImageNet and Kinetics-400, mean "
        "average precision on COCO, intersection over union with VOC labels, errors of optical flow on "
        "Sintel and KITTI; the name of the weights stands in the column, for weights of one model differ in "
        "recipe, data and input size; params and FLOPs are of the model at its usual input size"
    ),
    licence="BSD-3-Clause",
    citation='"TorchVision: PyTorch\'s Computer Vision library", 2016',
    homepage="https://github.com/pytorch/vision",
    tables=("torchvision_models.parquet",),
)

IMAGENET: Final = (
    "IMAGENET1K_V1",
    "IMAGENET1K_V2",
    "IMAGENET1K_SWAG_E2E_V1",
    "IMAGENET1K_SWAG_LINEAR_V1",
    "IMAGENET1K_FBGEMM_V1",
    "IMAGENET1K_FBGEMM_V2",
    "IMAGENET1K_QNNPACK_V1",
)
KINETICS: Final = ("KINETICS400_V1", "KINETICS400_IMAGENET22K_V1")
# Trained on FlyingChairs (C), FlyingThings (T), Sintel (S), KITTI (K) and HD1K (H).
FLOW: Final = ("C_T_V1", "C_T_V2")
FLOW_SINTEL: Final = ("C_T_SKHT_V1", "C_T_SKHT_V2")
FLOW_KITTI: Final = ("C_T_SKHT_K_V1", "C_T_SKHT_K_V2")

MEASURED: Final = (
    *((weights, "ImageNet-1K", "acc@1", ":valid:acc") for weights in IMAGENET),
    *((weights, "ImageNet-1K", "acc@5", ":valid:top5_acc") for weights in IMAGENET),
    *((weights, "Kinetics-400", "acc@1", ":valid:acc") for weights in KINETICS),
    *((weights, "Kinetics-400", "acc@5", ":valid:top5_acc") for weights in KINETICS),
    *((weights, "COCO-val2017", "box_map", "_box:map") for weights in ("COCO_V1", "COCO_LEGACY")),
    *((weights, "COCO-val2017", "kp_map", "_keypoint:map") for weights in ("COCO_V1", "COCO_LEGACY")),
    ("COCO_V1", "COCO-val2017", "mask_map", "_mask:map"),
    ("COCO_WITH_VOC_LABELS_V1", "COCO-val2017-VOC-labels", "miou", ":miou"),
    ("COCO_WITH_VOC_LABELS_V1", "COCO-val2017-VOC-labels", "pixel_acc", "_pixel:acc"),
    *((weights, "Sintel-Train-Cleanpass", "epe", "_sintel_clean:train:epe") for weights in FLOW),
    *((weights, "Sintel-Train-Finalpass", "epe", "_sintel_final:train:epe") for weights in FLOW),
    *((weights, "Kitti-Train", "per_image_epe", "_kitti:train:epe") for weights in FLOW),
    *((weights, "Kitti-Train", "fl_all", "_kitti_fl_all:train:error") for weights in FLOW),
    *((weights, "Sintel-Test-Cleanpass", "epe", "_sintel_clean:test:epe") for weights in FLOW_SINTEL),
    *((weights, "Sintel-Test-Finalpass", "epe", "_sintel_final:test:epe") for weights in FLOW_SINTEL),
    *((weights, "Kitti-Test", "fl_all", "_kitti_fl_all:test:error") for weights in FLOW_KITTI),
)
"""Weights, data set and metric of the table, and what follows the weights in the measurement."""

# Fine-tuning at a larger input size (SWAG E2E) changes params and FLOPs, a legacy detector its FLOPs.
USUAL: Final = {
    "weights": (
        *(weights for weights in IMAGENET if "E2E" not in weights),
        "IMAGENET1K_FEATURES",
        *KINETICS,
        "COCO_V1",
        "COCO_WITH_VOC_LABELS_V1",
        *FLOW,
    )
}


def columns() -> Iterator[Column]:
    """Yield the columns."""
    for weights, data, metric, rest in MEASURED:
        where = {"weights": (weights,), "dataset": (data,), "metric": (metric,)}
        yield Column("value", weights.lower() + rest, where)
    yield Column("params_m", "torchvision:params@m/computed", USUAL, "same")
    yield Column("gflops", "torchvision:flops@g/computed", USUAL, "same")


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the table measures, without reading it."""
    return specs_of(columns(), SOURCE)


def load() -> Table:
    """Return the table."""
    return read_table(SPEC, columns(), "model", SOURCE)
