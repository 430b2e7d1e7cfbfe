"""TransNAS-Bench-101 from its official file: networks of two spaces on seven tasks.

Duan et al., "TransNAS-Bench-101: Improving Transferability and Generalizability of Cross-Task Neural
Architecture Search", CVPR 2021. Known from yawen-d/TransNASBench: README.md and api/api.py, class
TransNASBenchAPI. The file is a dict that torch saved: ``data[space][arch][task]`` has ``total_epochs``,
``model_info`` (with ``inference_time``) and ``metrics``, a list by epoch for each name of
``metrics_dict[task]``; spaces are ``micro`` and ``macro``. As ``get_best_epoch_status`` there does, a network
counts with the epoch of its best validation value. By lib/models/model_info.py the inference time is in
seconds, the mean of 800 passes of one image of 720 x 1080 pixels on a GPU. The units of params and FLOPs are
not documented: they are not taken, and the spaces compute them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec, OfficialFile
from archindex.datasets.official.reading import checked, damaged, number, reading
from archindex.datasets.official.torch_file import read_torch_file
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import canonical

FILE: Final = "transnas-bench_v10141024.pth"
SOURCE: Final = "TransNAS-Bench-101 (Duan et al., CVPR 2021), official file"


SPLITS: Final = ("valid", "test")


class Task(NamedTuple):
    """What is taken of a task.

    Attributes
    ----------
    best : str
        Metric whose highest validation value tells the epoch, without ``valid_``.
    taken : mapping from str to tuple of str
        Metrics that are taken, with what contexts add and our name of the metric.
    """

    best: str
    taken: Mapping[str, tuple[str, str]]


_CLASSES: Final = Task("top1", {"top1": ("", "acc"), "top5": ("", "top5_acc"), "loss": ("", "loss")})
_PICTURES: Final = Task("ssim", {"ssim": ("_ssim", "score"), "l1_loss": ("", "loss")})
TASKS: Final[Mapping[str, Task]] = {
    "class_scene": _CLASSES,
    "class_object": _CLASSES,
    "jigsaw": _CLASSES,
    "room_layout": Task("neg_loss", {"loss": ("", "loss")}),
    "segmentsemantic": Task("mIoU", {"mIoU": ("", "miou"), "acc": ("", "acc"), "loss": ("", "loss")}),
    "normal": _PICTURES,
    "autoencoder": _PICTURES,
}
"""The seven tasks; the structural similarity has no metric of its own and is a score, as published."""


def spec_of(part: str, rows: int) -> DatasetSpec:
    """Return the spec of one of the two spaces."""
    return DatasetSpec(
        name=f"transnas101_{part}",
        space=f"transnas101_{part}",
        rows=rows,
        exact=True,
        measures="validation and test metrics of 7 tasks, latency",
        description=(
            f"validation and test metrics of all TransNAS-Bench-101 {part} networks on seven tasks (top-1, "
            "mean intersection over union, structural similarity, losses), each at the epoch of the best "
            "validation value, and latency; the authors publish the file in a folder that their page names"
        ),
        licence="MIT",
        citation='Duan et al., "TransNAS-Bench-101", CVPR 2021',
        homepage="https://github.com/yawen-d/TransNASBench",
        files=(OfficialFile(FILE, ()),),
    )


def promised_specs() -> tuple[MeasurementSpec, ...]:
    """Return what was measured of both spaces; the epochs stand in the file."""
    return tuple(
        spec
        for name, task in TASKS.items()
        for spec in (
            *(_spec(name, ours, suffix, split) for suffix, ours in task.taken.values() for split in SPLITS),
            _timed(name),
        )
    )


def _spec(task: str, metric: str, suffix: str, split: str, epochs: int | None = None) -> MeasurementSpec:
    return MeasurementSpec(metric, task + suffix, split, epochs=epochs, aggregate="best epoch", source=SOURCE)


def _timed(task: str) -> MeasurementSpec:
    return MeasurementSpec("latency", task, device="GPU, 720 x 1080 pixels, batch 1", source=SOURCE)


def convert_part(spec: DatasetSpec, path: Path, part: str) -> Table:
    """Return the networks of one space, in the order of the file.

    Raises
    ------
    UnsafeDataError
        If the file names anything but data; nothing of it is run.
    DataUnavailableError
        If it is damaged or of another format.
    """
    with reading(path, f"the {part} part of TransNAS-Bench-101"):
        content = read_torch_file(path, "TransNAS-Bench-101")
        networks: Mapping[str, Mapping[str, Any]] = content["data"][part]
        if not networks:
            raise damaged(path, "networks", "none")
        natives = canonical(spec.space, networks)
        series = []
        for name, task in TASKS.items():
            results = [network[name] for network in networks.values()]
            epochs = {int(one["total_epochs"]) for one in results}
            best = [_best(one["metrics"][f"valid_{task.best}"]) for one in results]
            for metric, (suffix, ours) in task.taken.items():
                for split in SPLITS:
                    key = f"{split}_{metric}"
                    if key not in content["metrics_dict"][name]:
                        raise ValueError(f"no metric {key} of {name}")
                    values = [number(one["metrics"][key][at]) for one, at in zip(results, best, strict=True)]
                    same = max(epochs) if len(epochs) == 1 else None
                    measured = _spec(name, ours, suffix, split, same)
                    series.append(checked(path, measured, np.array(values)))
            seconds = [number(one["model_info"]["inference_time"]) for one in results]
            series.append(checked(path, _timed(name), 1e3 * np.array(seconds)))
    return spec.table(natives, series)


def _best(values: Any) -> int:
    return int(np.argmax([number(value) for value in values]))
