"""HAT: latency of encoder-decoder transformers on eight pairs of task and device.

The table gives layers only as averages, so no row names an architecture: there are measurements and features
of 16,000 networks, but no data set to build an index from.
"""

from __future__ import annotations

from typing import Final, NoReturn

import numpy as np

from archindex.core.errors import TableError
from archindex.core.metrics import MeasurementSpec, Series
from archindex.datasets.known import DatasetSpec
from archindex.datasets.tables.reader import raw_rows

SOURCE: Final = "HAT (Wang et al., ACL 2020)"

SPEC: Final = DatasetSpec(
    name="hat_transformer_latency",
    space="hat",
    rows=16_000,
    measures="latency of encoder and decoder on 8 task and device pairs",
    description=(
        "latency of the encoder and the decoder of 16,000 translation transformers, 2,000 for each pair of "
        "task and device; choices within layers are given as averages, so rows name no architecture and "
        "cannot be indexed: read them with archindex.datasets.raw_columns"
    ),
    licence="MIT",
    citation='Wang et al., "HAT: Hardware-Aware Transformers", ACL 2020',
    homepage="https://github.com/mit-han-lab/hardware-aware-transformers",
    tables=("hat_transformer_latency.parquet",),
)

PARTS: Final = ("encoder", "decoder")
DEVICES: Final = {
    "cpu_raspberrypi": ("raspi4", "Raspberry Pi 4"),
    "cpu_xeon": ("xeon_e5_2640", "Intel Xeon E5-2640"),
    "gpu_titanxp": ("titanxp", "NVIDIA Titan Xp"),
}
"""Context and name of each device."""

PAIRS: Final = (
    ("iwslt14deen", "gpu_titanxp"),
    *(("wmt14ende", device) for device in DEVICES),
    *(("wmt14enfr", device) for device in DEVICES),
    ("wmt19ende", "gpu_titanxp"),
)
"""Task and device of all rows."""


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the table measures, without reading it."""
    return tuple(_spec(task, device, part) for task, device in PAIRS for part in PARTS)


def _spec(task: str, device: str, part: str) -> MeasurementSpec:
    context, name = DEVICES[device]
    return MeasurementSpec(
        "latency", f"{context}_{task}_{part}", aggregate="mean", device=name, source=SOURCE
    )


def load() -> NoReturn:
    """Raise `TableError`: the rows name no architectures."""
    raise TableError(
        "expected a data set whose rows name architectures",
        got=f"{SPEC.name}, which gives layers only as averages",
        fix=f"archindex.datasets.raw_columns({SPEC.name!r}) returns its columns",
    )


def measurements() -> tuple[Series, ...]:
    """Return the latencies, each of shape (rows,): NaN in the rows of other tasks and devices."""
    rows = raw_rows(SPEC)
    made = []
    for task, device in sorted({*zip(rows["task"].tolist(), rows["device"].tolist(), strict=True)}):
        there = (rows["task"] == task) & (rows["device"] == device)
        for part in PARTS:
            made.append(
                Series(_spec(task, device, part), np.where(there, rows[f"{part}_latency_ms"], np.nan))
            )
    return tuple(made)
