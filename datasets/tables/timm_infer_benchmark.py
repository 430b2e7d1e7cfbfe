"""timm's inference benchmarks: throughput of 1,400 models on four GPUs, latency on two CPUs."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import Column, Rows, largest_input, read_table, specs_of

SOURCE: Final = "timm benchmark-infer (Wightman)"

SPEC: Final = DatasetSpec(
    name="timm_infer_benchmark",
    space="timm",
    rows=1_415,
    measures="throughput on 4 GPUs, latency on 2 CPUs, params, FLOPs",
    description=(
        "inference of 1,415 models at the largest input size that is listed for the model: throughput on "
        "GPUs with the largest batch that fits, up to a limit (bmax), latency on CPUs with batch 1; one "
        "column for each hardware, precision, memory layout (NHWC where it says so), PyTorch version (pt291 "
        "is 2.9.1), and with torch.compile or without"
    ),
    licence="Apache-2.0",
    citation='Wightman, "PyTorch Image Models", 2019',
    homepage="https://github.com/huggingface/pytorch-image-models",
    tables=("timm_infer_benchmark.parquet",),
)


class Setting(NamedTuple):
    """A machine and a way of running.

    Attributes
    ----------
    hardware, precision, layout, torch : str
        As in the table; the PyTorch version 2.4.0 is ``"2.40"`` there.
    compiled : bool
        Whether torch.compile was used.
    batch : int
        Batch size on a CPU, largest one on a GPU.
    """

    hardware: str
    precision: str
    layout: str
    torch: str
    compiled: bool
    batch: int


DEVICES: Final = {
    "rtx3090": "NVIDIA RTX 3090",
    "rtx4090": "NVIDIA RTX 4090",
    "rtx5090": "NVIDIA RTX 5090",
    "rtx_pro6000_maxq": "NVIDIA RTX PRO 6000 Max-Q",
    "i7_12700h": "Intel Core i7-12700H",
    "i9_10940x": "Intel Core i9-10940X",
}

SETTINGS: Final = (
    Setting("rtx3090", "amp", "nchw", "1.13", False, 1024),
    Setting("rtx3090", "amp", "nhwc", "1.13", False, 1024),
    Setting("rtx3090", "amp", "nchw", "2.10", False, 1024),
    Setting("rtx3090", "amp", "nhwc", "2.10", False, 1024),
    Setting("rtx3090", "amp", "nchw", "2.40", False, 1024),
    Setting("rtx3090", "amp", "nhwc", "2.40", False, 1024),
    Setting("rtx4090", "amp", "nchw", "2.40", False, 1024),
    Setting("rtx4090", "amp", "nchw", "2.40", True, 256),
    Setting("rtx4090", "amp", "nhwc", "2.40", False, 512),
    Setting("rtx4090", "amp", "nchw", "2.91", False, 1024),
    Setting("rtx4090", "amp", "nchw", "2.91", True, 1024),
    Setting("rtx5090", "amp", "nchw", "2.91", False, 1024),
    Setting("rtx5090", "amp", "nchw", "2.91", True, 1024),
    Setting("rtx_pro6000_maxq", "amp", "nchw", "2.91", False, 2048),
    Setting("rtx_pro6000_maxq", "amp", "nchw", "2.91", True, 2048),
    Setting("rtx_pro6000_maxq", "amp_bf16", "nchw", "2.91", True, 2048),
    Setting("rtx_pro6000_maxq", "bf16", "nchw", "2.91", True, 2048),
    Setting("i9_10940x", "fp32", "nchw", "2.21", True, 1),
    Setting("i9_10940x", "fp32", "nchw", "2.40", True, 1),
    Setting("i7_12700h", "fp32", "nchw", "2.40", True, 1),
)


def column(setting: Setting) -> Column:
    """Return what was measured under a setting: latency of one image, or throughput."""
    on_cpu = setting.batch == 1
    context = "_".join(
        (
            setting.hardware,
            setting.precision,
            *(["nhwc"] if setting.layout == "nhwc" else []),
            "pt" + setting.torch.replace(".", ""),
            *(["compiled"] if setting.compiled else []),
            "b1" if on_cpu else f"bmax{setting.batch}",
        )
    )
    return Column(
        "step_time_ms" if on_cpu else "samples_per_s",
        f"{context}:{'latency' if on_cpu else 'throughput'}",
        {
            name: (getattr(setting, name),)
            for name in ("hardware", "precision", "layout", "torch", "compiled")
        },
        device=f"{DEVICES[setting.hardware]}, {'batch 1' if on_cpu else f'batch at most {setting.batch}'}",
    )


# timm changes models now and then: the newest count stands. With PyTorch 2.1 the counter missed attention.
COUNTED: Final = {"torch": ("1.13", "2.40", "2.91")}

COLUMNS: Final = (
    *map(column, SETTINGS),
    Column("params_m", "imagenet:params@m/computed", repeats="last"),
    Column("gmacs", "imagenet:flops@g/computed", COUNTED, "last"),
)


def newest_last(rows: Rows) -> npt.NDArray[np.int64]:
    """Return the rows of each model's largest input size, those of newer PyTorch versions last."""
    at = largest_input(rows, "model")
    return at[np.argsort(rows["torch"][at].astype(str), kind="stable")]


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the table measures, without reading it."""
    return specs_of(COLUMNS, SOURCE)


def load() -> Table:
    """Return the table."""
    return read_table(SPEC, COLUMNS, "model", SOURCE, chosen=newest_last)
