"""Accel-NASBench: MnasNet-type networks trained on ImageNet at reduced cost, timed on six accelerators."""

from __future__ import annotations

from typing import Final

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import Column, Rows, read_table, specs_of

BLOCKS: Final = 7
SOURCE: Final = "Accel-NASBench (Ahmad et al., DAC 2024)"

SPEC: Final = DatasetSpec(
    name="accel_nasbench_mnasnet",
    space="mnasnet",
    rows=5_125,
    measures="ImageNet accuracy (reduced-cost training), throughput on 6 accelerators, latency on 2 FPGAs",
    description=(
        "top-1 and top-5 validation accuracy on ImageNet after training at reduced cost, one seed; training "
        "time, params, FLOPs; mean throughput on A100, RTX 3090, TPU v2 and v3, ZCU102 and VCK190, latency "
        "on the last two"
    ),
    licence="Apache-2.0",
    citation='Ahmad et al., "Accel-NASBench: Sustainable Benchmarking for Accelerator-Aware NAS", DAC 2024',
    homepage="https://github.com/afzalxo/Accel-NASBench",
    tables=("accel_nasbench_mnasnet.parquet",),
)

DEVICES: Final = {
    "a100": ("a100", "NVIDIA A100"),
    "3090": ("rtx3090", "NVIDIA RTX 3090"),
    "tpuv2": ("tpuv2", "Google Cloud TPU v2"),
    "tpuv3": ("tpuv3", "Google Cloud TPU v3"),
    "zcu102": ("zcu102", "Xilinx UltraScale+ ZCU102 FPGA"),
    "vck190": ("vck190", "Xilinx Versal AI Core VCK190 FPGA"),
}
"""Context and name of each device; the table does not tell their batch sizes."""

# 13 networks were trained and timed twice: two repetitions.
COLUMNS: Final = (
    Column("imagenet_val_top1_proxy", "imagenet_proxy:valid:acc", repeats="seeds"),
    Column("imagenet_val_top5_proxy", "imagenet_proxy:valid:top5_acc", repeats="seeds"),
    Column("train_time_s", "imagenet_proxy:train_time", repeats="seeds"),
    Column("params_m", "imagenet:params@m/computed", repeats="same"),
    Column("macs_m", "imagenet:flops@m/computed", repeats="same"),
    *(
        Column(f"throughput_{key}_img_s", f"{context}:throughput", repeats="seeds", device=device)
        for key, (context, device) in DEVICES.items()
    ),
    *(
        Column(f"latency_{key}_ms", f"{context}:latency", repeats="seeds", device=device)
        for key, (context, device) in DEVICES.items()
        if key in ("zcu102", "vck190")
    ),
)


def native(rows: Rows) -> list[str]:
    """Return the native strings: expansion, kernel, layers and squeeze-excite of each block."""
    parts = [
        [rows[f"block{block}_{part}"].tolist() for part in ("e", "k", "l", "se")] for block in range(BLOCKS)
    ]
    return [
        "|".join(f"e{e[row]}k{k[row]}l{layers[row]}se{int(se[row])}" for e, k, layers, se in parts)
        for row in range(len(rows["block0_e"]))
    ]


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the table measures, without reading it."""
    return specs_of(COLUMNS, SOURCE)


def load() -> Table:
    """Return the table."""
    return read_table(SPEC, COLUMNS, native, SOURCE)
