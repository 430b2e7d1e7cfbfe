"""timm's inference benchmarks, from the official CSV files.

Wightman, "PyTorch Image Models", 2019. Known from huggingface/pytorch-image-models, folder results: a file
``benchmark-infer-{precision}-{layout}-pt{version}-{cu...|cpu}-{hardware}[-dynamo].csv`` has a row for each
model and input size, with ``infer_samples_per_sec``, ``infer_step_time`` (milliseconds of a batch),
``infer_batch_size``, ``infer_img_size``, ``param_count`` (millions), ``infer_gmacs`` and ``infer_macts``.
Columns are named, and rows chosen, as in `archindex.datasets.tables.timm_infer_benchmark`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.core.metrics import MeasurementSpec, Series
from archindex.datasets.known import DatasetSpec, OfficialFile
from archindex.datasets.official.reading import checked, reading
from archindex.datasets.official.timm_results import FOLDER, numbers, read_csv
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import canonical, largest_input
from archindex.datasets.tables.timm_infer_benchmark import COUNTED, SETTINGS, Setting, column

SPACE: Final = "timm"
SOURCE: Final = "timm benchmark-infer (Wightman), official CSV"
NAMES: Final = (
    "amp-nchw-pt113-cu117-rtx3090",
    "amp-nhwc-pt113-cu117-rtx3090",
    "amp-nchw-pt210-cu121-rtx3090",
    "amp-nhwc-pt210-cu121-rtx3090",
    "amp-nchw-pt240-cu124-rtx3090",
    "amp-nhwc-pt240-cu124-rtx3090",
    "amp-nchw-pt240-cu124-rtx4090",
    "amp-nchw-pt240-cu124-rtx4090-dynamo",
    "amp-nhwc-pt240-cu124-rtx4090",
    "amp-nchw-pt291-cu128-4090",
    "amp-nchw-pt291-cu128-4090-dynamo",
    "amp-nchw-pt291-cu130-5090",
    "amp-nchw-pt291-cu130-5090-dynamo",
    "amp-nchw-pt291-cu130-pro6000maxq",
    "amp-nchw-pt291-cu130-pro6000maxq-dynamo",
    "amp_bf16-nchw-pt291-cu130-pro6000maxq-dynamo",
    "bf16-nchw-pt291-cu130-pro6000maxq-dynamo",
    "fp32-nchw-pt221-cpu-i9_10940x-dynamo",
    "fp32-nchw-pt240-cpu-i9_10940x-dynamo",
    "fp32-nchw-pt240-cpu-i7_12700h-dynamo",
)
FILES: Final = {f"benchmark-infer-{name}.csv": name for name in NAMES}
HARDWARE: Final = {"4090": "rtx4090", "5090": "rtx5090", "pro6000maxq": "rtx_pro6000_maxq"}
"""Names of hardware in the files that are not those of the tables."""

SPEC: Final = DatasetSpec(
    name="timm_benchmark_infer",
    space=SPACE,
    rows=1_415,
    measures="throughput on 4 GPUs, latency on 2 CPUs, params, FLOPs",
    description=(
        "inference of timm's models at the largest input size that is listed for the model: throughput on "
        "GPUs with the largest batch that fits, up to a limit (bmax), latency on CPUs with batch 1; one "
        "column for each hardware, precision, memory layout, PyTorch version, and with torch.compile or not"
    ),
    licence="Apache-2.0",
    citation='Wightman, "PyTorch Image Models", 2019',
    homepage="https://github.com/huggingface/pytorch-image-models",
    files=tuple(OfficialFile(name, (f"{FOLDER}/{name}",)) for name in FILES),
)

_FORM: Final = re.compile(
    r"([a-z0-9_]+)-(nchw|nhwc)-pt(\d)(\d+)-(?:cu\d+|cpu)-([a-z0-9_]+?)(-dynamo)?", re.ASCII
)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the official files measured, without reading them."""
    timed = (column(setting_of(file)).spec(SOURCE) for file in FILES)
    return (*timed, *(_counted(metric) for metric in ("params", "flops")))


def _counted(metric: str) -> MeasurementSpec:
    return MeasurementSpec(metric, "imagenet", provenance="computed", source=SOURCE)


def convert(paths: Mapping[str, Path]) -> Table:
    """Return the table of the official files; rows in the order in which models first appear.

    Raises
    ------
    DataUnavailableError
        If a file is damaged or of another format.
    """
    parts = [_read(paths[file], setting_of(file), place) for place, file in enumerate(FILES)]
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    at = largest_input(rows, "model")
    rows = {name: values[at] for name, values in rows.items()}
    texts = list(dict.fromkeys(rows["model"].tolist()))
    with reading(next(iter(paths.values())), "names of timm's models"):
        natives = canonical(SPACE, texts)
    row_of = {text: i for i, text in enumerate(texts)}
    row = np.array([row_of[text] for text in rows["model"].tolist()])
    series: list[Series] = []
    for number, file in enumerate(FILES):
        measured = column(setting_of(file))
        mine = rows["file"] == number
        values = np.full(len(natives), np.nan)
        values[row[mine]] = rows[measured.name][mine]
        series.append(checked(paths[file], measured.spec(SOURCE), values))
    # Counts change with versions now and then: the newest stands.
    newest = np.argsort(rows["torch"].astype(str), kind="stable")
    trusted = newest[np.isin(rows["torch"][newest].astype(str), COUNTED["torch"])]
    for metric, name, order, scale in (("params", "params_m", newest, 1.0), ("flops", "gmacs", trusted, 1e3)):
        values = np.full(len(natives), np.nan)
        known = order[~np.isnan(rows[name][order])]
        values[row[known]] = rows[name][known] * scale
        series.append(checked(next(iter(paths.values())), _counted(metric), values))
    return SPEC.table(natives, series)


def setting_of(file: str) -> Setting:
    """Return the setting that the name of a file tells; its batch size is that of the tables."""
    form = _FORM.fullmatch(FILES[file])
    assert form is not None, file
    precision, layout, major, minor, hardware, compiled = form.groups()
    key = (HARDWARE.get(hardware, hardware), precision, layout, f"{major}.{minor}", compiled is not None)
    [setting] = [one for one in SETTINGS if one[:-1] == key]
    return setting


def _read(path: Path, setting: Setting, place: int) -> dict[str, npt.NDArray[Any]]:
    """Return the rows of one file, in the columns of the tables, with the place of the file among all."""
    names = {
        "samples_per_s": "infer_samples_per_sec",
        "step_time_ms": "infer_step_time",
        "gmacs": "infer_gmacs",
        "params_m": "param_count",
    }
    read = read_csv(path, ["model", "infer_img_size", *names.values()])
    with reading(path, "results of timm's inference benchmark"):
        rows: dict[str, npt.NDArray[Any]] = {name: numbers(read[column]) for name, column in names.items()}
        rows["model"] = np.array(read["model"], dtype=object)
        rows["img_size"] = np.array([int(float(size)) for size in read["infer_img_size"]])
    n = len(rows["model"])
    rows["torch"] = np.full(n, setting.torch)
    rows["file"] = np.full(n, place)
    return rows
