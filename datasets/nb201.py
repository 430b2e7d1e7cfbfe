"""NAS-Bench-201 with test accuracy and latency on 27 devices, from the folder in ``ARCHINDEX_DATA``.

Accuracies are means over the training seeds of the benchmark (the table keeps no single seed). Test accuracy
on CIFAR-10 is of training on all 50,000 images, validation accuracy of training on half of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArchitectureError, DataUnavailableError, TableError
from archindex.core.metrics import MeasurementSpec, Provenance, Series
from archindex.datasets.folder import data_files
from archindex.datasets.known import DatasetSpec
from archindex.datasets.nasbench201 import CONTEXTS, EPOCHS, computed_costs
from archindex.datasets.parquet import read_parquet
from archindex.datasets.table import Table
from archindex.spaces.nasbench201 import NASBench201

FILES: Final = ("nb201.parquet", "nb201_help_latency.parquet")
NATS: Final = "NATS-Bench topology, mean over seeds"
HELP: Final = "HELP (Lee et al., NeurIPS 2021)"
HW: Final = "HW-NAS-Bench (Li et al., ICLR 2021), CIFAR-10, through HELP"

DEVICES: Final[dict[str, tuple[str, str, Provenance, str]]] = {
    "1080ti_1": ("gpu_1080ti_b1", "NVIDIA GTX 1080 Ti, batch 1", "measured", HELP),
    "1080ti_32": ("gpu_1080ti_b32", "NVIDIA GTX 1080 Ti, batch 32", "measured", HELP),
    "1080ti_256": ("gpu_1080ti_b256", "NVIDIA GTX 1080 Ti, batch 256", "measured", HELP),
    "2080ti_1": ("gpu_2080ti_b1", "NVIDIA RTX 2080 Ti, batch 1", "measured", HELP),
    "2080ti_32": ("gpu_2080ti_b32", "NVIDIA RTX 2080 Ti, batch 32", "measured", HELP),
    "2080ti_256": ("gpu_2080ti_b256", "NVIDIA RTX 2080 Ti, batch 256", "measured", HELP),
    "titan_rtx_1": ("titan_rtx_b1", "NVIDIA Titan RTX, batch 1", "measured", HELP),
    "titan_rtx_32": ("titan_rtx_b32", "NVIDIA Titan RTX, batch 32", "measured", HELP),
    "titan_rtx_256": ("titan_rtx_b256", "NVIDIA Titan RTX, batch 256", "measured", HELP),
    "titanx_1": ("titanx_b1", "NVIDIA Titan X, batch 1", "measured", HELP),
    "titanx_32": ("titanx_b32", "NVIDIA Titan X, batch 32", "measured", HELP),
    "titanx_256": ("titanx_b256", "NVIDIA Titan X, batch 256", "measured", HELP),
    "titanxp_1": ("titanxp_b1", "NVIDIA Titan Xp, batch 1", "measured", HELP),
    "titanxp_32": ("titanxp_b32", "NVIDIA Titan Xp, batch 32", "measured", HELP),
    "titanxp_256": ("titanxp_b256", "NVIDIA Titan Xp, batch 256", "measured", HELP),
    "gold_6226": ("gold_6226", "Intel Xeon Gold 6226", "measured", HELP),
    "gold_6240": ("gold_6240", "Intel Xeon Gold 6240", "measured", HELP),
    "silver_4114": ("silver_4114", "Intel Xeon Silver 4114", "measured", HELP),
    "silver_4210r": ("silver_4210r", "Intel Xeon Silver 4210R", "measured", HELP),
    "essential_ph_1": ("essential_ph1", "Essential PH-1 phone", "measured", HELP),
    "pixel2": ("pixel2", "Google Pixel 2 phone", "measured", HELP),
    "samsung_a50": ("samsung_a50", "Samsung Galaxy A50 phone", "measured", HELP),
    "samsung_s7": ("samsung_s7", "Samsung Galaxy S7 phone", "measured", HELP),
    "pixel3": ("pixel3", "Google Pixel 3 phone", "measured", HW),
    "raspi4": ("raspi4", "Raspberry Pi 4", "measured", HW),
    # Both are sums over the ops of a cell, to the last digit: models of a chip, not timings.
    "eyeriss": ("eyeriss", "Eyeriss accelerator, modelled", "summed", HW),
    "fpga": ("fpga", "Xilinx FPGA, modelled", "summed", HW),
}
"""Context, device, provenance and source of each ``{key}_latency_ms`` of the latency file."""


SPEC: Final = DatasetSpec(
    name="nb201",
    space="nasbench201",
    rows=15_625,
    measures="accuracy, training time, params, FLOPs on 3 data sets, latency on 27 devices",
    description=(
        "mean validation and test accuracy, latency, training time, params and FLOPs on three data sets, "
        "and latency on 27 devices, of all NAS-Bench-201 cells"
    ),
    licence="MIT (NATS-Bench, HELP, HW-NAS-Bench)",
    citation=(
        'Dong et al., "NATS-Bench", TPAMI 2021; Lee et al., "HELP", NeurIPS 2021; '
        'Li et al., "HW-NAS-Bench", ICLR 2021'
    ),
    homepage="https://github.com/D-X-Y/NATS-Bench",
    tables=FILES,
)


def load() -> Table:
    """Return the table; rows in the order of the official index.

    Raises
    ------
    DataUnavailableError
        If the files are not there or are damaged.
    """
    accuracies, latencies = data_files(SPEC)
    try:
        natives, recorded = _recorded(accuracies)
        timed = _timed(latencies, natives)
    except (ArchitectureError, TableError, KeyError) as error:
        raise DataUnavailableError(
            f"expected the NAS-Bench-201 tables {' and '.join(FILES)}", got=error, fix=SPEC.remedy
        ) from error
    return SPEC.table(natives, (*recorded, *timed, *computed_costs(natives)))


def _recorded(path: Path) -> tuple[tuple[str, ...], list[Series]]:
    """Return native strings in official order, and what was recorded when they were trained."""
    specs = [spec for context in CONTEXTS for spec in _specs(context)]
    read = read_parquet(path, ["arch_idx", "arch_str", *(spec.column for spec in specs)])
    order = np.argsort(read["arch_idx"])
    natives = tuple(str(text) for text in read["arch_str"][order])
    # Parsing is the check that every string is an architecture.
    NASBench201().genotypes(natives)
    return natives, [_series(spec, read[spec.column][order]) for spec in specs]


def _timed(path: Path, natives: tuple[str, ...]) -> list[Series]:
    """Return latencies on all devices, aligned with `natives`."""
    read = read_parquet(path, ["arch_str", *(f"{key}_latency_ms" for key in DEVICES)])
    row = {str(text): i for i, text in enumerate(read["arch_str"])}
    order = np.array([row[native] for native in natives], dtype=np.int64)
    return [
        _series(
            MeasurementSpec("latency", context, device=device, provenance=provenance, source=source),
            read[f"{key}_latency_ms"][order],
        )
        for key, (context, device, provenance, source) in DEVICES.items()
    ]


def _specs(context: str) -> Iterator[MeasurementSpec]:
    for split in ("test", "valid"):
        yield MeasurementSpec("acc", context, split, epochs=EPOCHS, aggregate="mean", source=NATS)
    yield MeasurementSpec("latency", context, source=NATS)
    yield MeasurementSpec("train_time", context, epochs=EPOCHS, source=NATS)


def _series(spec: MeasurementSpec, values: npt.NDArray[Any]) -> Series:
    return Series(spec, np.ascontiguousarray(values, dtype=np.float64))
