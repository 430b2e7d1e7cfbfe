"""Archai's search for facial landmark networks: MobileNetV2-type networks, ONNX latency and error."""

from __future__ import annotations

from typing import Final

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import Column, read_table, specs_of

SOURCE: Final = "Archai, tasks/facial_landmark_detection"
CPU: Final = "CPU that is not named, ONNX Runtime, one thread, batch 1"

SPEC: Final = DatasetSpec(
    name="archai_facial_landmark",
    space="archai_mobilenet",
    rows=224,
    measures="landmark error after partial and full training, ONNX latency",
    description=(
        "mean distance of predicted facial landmarks, in percent of half the side of the face region, on "
        "validation images of FaceSynthetics: after partial training (a tenth of the data, 30 epochs) of "
        "all 224 networks, after full training (100 epochs) of 7; latency in ONNX Runtime on a CPU"
    ),
    licence="MIT",
    citation="Archai, Microsoft Research, https://github.com/microsoft/archai",
    homepage="https://github.com/microsoft/archai",
    tables=("archai_facial_landmark.parquet",),
)

COLUMNS: Final = (
    Column("Partial_training_Validation_Error", "landmarks_partial:valid:error@fraction", epochs=30),
    Column("Full_Training_Validation_Error", "landmarks:valid:error@fraction", epochs=100),
    Column("onnx_latency_ms", "onnxruntime_cpu_b1:latency", aggregate="mean", device=CPU),
)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the table measures, without reading it."""
    return specs_of(COLUMNS, SOURCE)


def load() -> Table:
    """Return the table."""
    return read_table(SPEC, COLUMNS, "config", SOURCE)
