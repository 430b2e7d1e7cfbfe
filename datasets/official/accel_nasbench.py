"""Accel-NASBench from its official JSON files: MnasNet-like networks on accelerators.

Ahmad et al., "Accel-NASBench: Sustainable Benchmarking for Accelerator-Aware NAS", DAC 2024. Known from
afzalxo/Accel-NASBench: README.md (one ``result_x.json`` an architecture, a single seed, the archive's name),
and utils.py, class ConfigLoader: ``architecture`` is a dict of ``block{i}_{e,k,l,se}`` (booleans may be
text), ``metrics`` holds ``val_top1``, ``val_top5`` and ``train_time``, ``platform_perf`` holds
``{metric}_{device}: {"{metric}_mean": ..., "{metric}_std": ...}``. The devices and their metrics are listed
in README.md. Architectures that occur twice were trained and timed twice: their results are seeds 0 and 1.
Params and multiply-adds of the files are not read: where they stand is not documented, and the search space
computes them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec, OfficialFile
from archindex.datasets.official.reading import by_seed, damaged, members, number, read_json, reading
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import canonical, grouped

FILE: Final = "anb_dataset_jsons.tar.gz"
SPACE: Final = "mnasnet"
BLOCKS: Final = 7
SOURCE: Final = "Accel-NASBench (Ahmad et al., DAC 2024), official JSON"
RESULT: Final = re.compile(r"result_(\d+)\.json", re.ASCII)

DEVICES: Final = {
    "a100": "NVIDIA A100",
    "3090": "NVIDIA RTX 3090",
    "tpuv2": "Google Cloud TPU v2",
    "tpuv3": "Google Cloud TPU v3",
    "zcu102": "Xilinx UltraScale+ ZCU102 FPGA",
    "vck190": "Xilinx Versal AI Core VCK190 FPGA",
}
"""Official key of each device, all with throughput; the two FPGAs have latency too."""

TIMED: Final = ("zcu102", "vck190")

SPEC: Final = DatasetSpec(
    name="accel_nasbench",
    space=SPACE,
    rows=5_125,
    measures="ImageNet accuracy (reduced-cost training), throughput on 6 accelerators, latency on 2 FPGAs",
    description=(
        "top-1 and top-5 validation accuracy on ImageNet after training at reduced cost, training time, "
        "inference throughput on A100, RTX 3090, TPU v2 and v3, ZCU102 and VCK190, latency on the last two"
    ),
    licence="Apache-2.0",
    citation='Ahmad et al., "Accel-NASBench: Sustainable Benchmarking for Accelerator-Aware NAS", DAC 2024',
    homepage="https://github.com/afzalxo/Accel-NASBench",
    files=(
        OfficialFile(
            FILE, (f"https://raw.githubusercontent.com/afzalxo/Accel-NASBench/HEAD/anb_dataset/{FILE}",)
        ),
    ),
)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the official files measured, without reading them."""
    return tuple(_specs().values())


def convert(paths: Mapping[str, Path]) -> Table:
    """Return the table of the official archive (or of the folder it was extracted to), by number of result.

    Raises
    ------
    DataUnavailableError
        If the archive or a file in it is damaged or of another format.
    """
    path = paths[FILE]
    specs = _specs()
    found: list[tuple[int, str, list[float]]] = []
    for name, data in members(path, "result_*.json"):
        numbered = RESULT.fullmatch(name)
        if numbered is None:
            continue
        with reading(path, f"an Accel-NASBench result {name}"):
            result: dict[str, Any] = read_json(data)
            [native] = canonical(SPACE, [_native(result["architecture"])])
            found.append((int(numbered[1]), native, [_value(result, key) for key in specs]))
    if not found:
        raise damaged(path, "files result_0.json, result_1.json, ...", "none")
    found.sort(key=lambda one: one[0])
    natives, row = grouped([native for _, native, _ in found])
    columns = np.array([values for _, _, values in found]).T
    return SPEC.table(
        natives,
        [
            one
            for spec, values in zip(specs.values(), columns, strict=True)
            for one in by_seed(path, spec, row, len(natives), values)
        ],
    )


def _specs() -> dict[tuple[str, ...], MeasurementSpec]:
    """Return what is read from a result: where it stands, and what it is."""
    trained = {
        "val_top1": ("acc", "valid"),
        "val_top5": ("top5_acc", "valid"),
        "train_time": ("train_time", ""),
    }
    specs: dict[tuple[str, ...], MeasurementSpec] = {
        ("metrics", key): MeasurementSpec(metric, "imagenet_proxy", split, source=SOURCE)
        for key, (metric, split) in trained.items()
    }
    for metric, devices in (("throughput", tuple(DEVICES)), ("latency", TIMED)):
        for device in devices:
            context = f"rtx{device}" if device.isdigit() else device
            specs["platform_perf", f"{metric}_{device}", f"{metric}_mean"] = MeasurementSpec(
                metric, context, device=DEVICES[device], aggregate="mean", source=SOURCE
            )
    return specs


def _value(result: Mapping[str, Any], key: tuple[str, ...]) -> float:
    value: Any = result
    for part in key:
        value = value[part]
    return number(value)


def _native(architecture: Mapping[str, Any]) -> str:
    """Return the native string of the seven blocks."""
    if len(architecture) != 4 * BLOCKS:
        raise ValueError(f"an architecture of {len(architecture)} choices")
    blocks = []
    for block in range(BLOCKS):
        e, k, layers, se = (architecture[f"block{block}_{part}"] for part in ("e", "k", "l", "se"))
        excited = {"True": True, "False": False}.get(se, se) if isinstance(se, str) else se
        if not isinstance(excited, bool) or not all(type(one) is int for one in (e, k, layers)):
            raise ValueError(f"block {block}: {(e, k, layers, se)}")
        blocks.append(f"e{e}k{k}l{layers}se{int(excited)}")
    return "|".join(blocks)
