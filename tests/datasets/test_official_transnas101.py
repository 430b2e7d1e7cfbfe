"""TransNAS-Bench-101 files that the tests write in the official form: a nested dict, saved by torch."""

from __future__ import annotations

import pickle
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from archindex.core.errors import DataUnavailableError, UnsafeDataError
from archindex.datasets import Table
from archindex.datasets.official import transnas101_macro, transnas101_micro
from archindex.datasets.official.transnas101 import FILE

NATIVES = {
    "micro": ["64-41414-1_02_333", "64-41414-0_00_000", "64-41414-3_33_333"],
    "macro": ["64-1234-basic", "64-4111-basic"],
}
MODULES: dict[str, Any] = {"micro": transnas101_micro, "macro": transnas101_macro}
EPOCHS = 25
CLASSES = ("top1", "top5", "loss")
METRICS = {
    "class_scene": CLASSES,
    "class_object": CLASSES,
    "room_layout": ("loss", "neg_loss"),
    "jigsaw": CLASSES,
    "segmentsemantic": ("acc", "mIoU", "loss"),
    "normal": ("ssim", "l1_loss"),
    "autoencoder": ("ssim", "l1_loss"),
}
INFO = ["inference_time", "encoder_params", "model_params", "model_FLOPs", "encoder_FLOPs"]


def value(*key: object) -> float:
    return 1 + zlib.crc32(repr(key).encode()) / 2**32 * 98


def network(native: str) -> dict[str, Any]:
    return {
        task: {
            "encoder_str": native,
            "total_epochs": EPOCHS,
            "model_info": {name: value(native, task, name) / 1000 for name in INFO},
            "metrics": {
                **{
                    f"{split}_{metric}": [
                        (-1 if metric == "neg_loss" else 1) * value(native, task, split, metric, epoch)
                        for epoch in range(EPOCHS)
                    ]
                    for split in ("train", "valid", "test")
                    for metric in metrics
                },
                "time_elapsed": [60.0] * EPOCHS,
            },
        }
        for task, metrics in METRICS.items()
    }


def database() -> dict[str, Any]:
    return {
        "metrics_dict": {
            task: [*(f"{s}_{m}" for s in ("train", "valid", "test") for m in metrics), "time_elapsed"]
            for task, metrics in METRICS.items()
        },
        "info_names": INFO,
        "task_list": list(METRICS),
        "data": {part: {native: network(native) for native in natives} for part, natives in NATIVES.items()},
    }


def write(path: Path, content: Any, *, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def convert(part: str, path: Path) -> Table:
    table: Table = MODULES[part].convert({FILE: path})
    return table


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before PyTorch 1.6"])
@pytest.mark.parametrize("part", NATIVES)
def test_the_official_file_is_read_value_by_value(
    part: str, zipped: bool, tmp_path: Path, as_promised: Callable[..., Any]
) -> None:
    table = convert(part, write(tmp_path / FILE, database(), zipped=zipped))
    as_promised(table.name, table.series)
    assert table.natives == tuple(NATIVES[part])
    columns = table.columns()
    for task, best, taken in (
        ("class_scene", "top1", {"top1": "class_scene_{}_acc", "top5": "class_scene_{}_top5_acc"}),
        ("jigsaw", "top1", {"loss": "jigsaw_{}_loss"}),
        ("room_layout", "neg_loss", {"loss": "room_layout_{}_loss"}),
        ("segmentsemantic", "mIoU", {"mIoU": "segmentsemantic_{}_miou", "acc": "segmentsemantic_{}_acc"}),
        ("normal", "ssim", {"ssim": "normal_ssim_{}_score", "l1_loss": "normal_{}_loss"}),
        ("autoencoder", "ssim", {"ssim": "autoencoder_ssim_{}_score"}),
    ):
        for row, native in enumerate(NATIVES[part]):
            sign = -1 if best == "neg_loss" else 1
            valid = [sign * value(native, task, "valid", best, epoch) for epoch in range(EPOCHS)]
            at = max(range(EPOCHS), key=lambda epoch: valid[epoch])
            for metric, column in taken.items():
                for split in ("valid", "test"):
                    one = columns[column.format(split)]
                    assert one.values[row] == value(native, task, split, metric, at)
                    assert (one.spec.epochs, one.spec.aggregate) == (EPOCHS, "best epoch")
            latency = columns[f"{task}_latency_ms"].values[row]
            assert latency == pytest.approx(value(native, task, "inference_time"), rel=1e-12)


def test_what_was_converted_is_kept_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comes_back: Callable[[Table], None]
) -> None:
    monkeypatch.setenv("ARCHINDEX_HOME", str(tmp_path / "home"))
    for part in NATIVES:
        table = convert(part, write(tmp_path / FILE, database()))
        comes_back(table)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_file_is_refused_and_nothing_ran(
    tmp_path: Path, zipped: bool, touch: Callable[[Path], object]
) -> None:
    witness = tmp_path / "witness"
    path = write(tmp_path / FILE, {**database(), "more": touch(witness)}, zipped=zipped)
    with pytest.raises(UnsafeDataError):
        convert("micro", path)
    assert not witness.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_with_tensors_is_refused(tmp_path: Path, zipped: bool) -> None:
    path = write(tmp_path / FILE, {**database(), "more": torch.zeros(3)}, zipped=zipped)
    with pytest.raises((UnsafeDataError, DataUnavailableError), match="pickle"):
        convert("micro", path)


def changed(*path: Any, to: Any) -> dict[str, Any]:
    content = database()
    inner: Any = content
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return content


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {"data": {"micro": {}}},
        changed("data", "micro", to={"64-41414-9_99_999": network("x")}),
        changed("data", "micro", NATIVES["micro"][0], "normal", to={}),
        changed("data", "micro", NATIVES["micro"][0], "normal", "metrics", "valid_ssim", to=[]),
        changed("data", "micro", NATIVES["micro"][0], "normal", "metrics", "test_ssim", to=[0.5]),
        changed("data", "micro", NATIVES["micro"][0], "normal", "metrics", "test_ssim", to=["1"] * EPOCHS),
        changed("data", "micro", NATIVES["micro"][0], "jigsaw", "metrics", "test_top1", to=[100.5] * EPOCHS),
        changed("data", "micro", NATIVES["micro"][0], "jigsaw", "model_info", to={"inference_time": ""}),
        changed("metrics_dict", "jigsaw", to=[]),
    ],
)
def test_a_file_of_another_form_is_told(tmp_path: Path, content: Any) -> None:
    with pytest.raises(DataUnavailableError, match="transnas-bench"):
        convert("micro", write(tmp_path / FILE, content))


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / FILE
    for zipped in (True, False):
        whole = write(path, database(), zipped=zipped).read_bytes()
        for cut in (0, 10, len(whole) // 2, len(whole) - 10):
            path.write_bytes(whole[:cut])
            with pytest.raises(DataUnavailableError, match="transnas-bench"):
                convert("micro", path)
    path.write_bytes(pickle.dumps(database()))
    with pytest.raises(DataUnavailableError, match="a file that torch saved"):
        convert("micro", path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other/data.txt", b"")
    with pytest.raises(DataUnavailableError, match="transnas-bench"):
        convert("micro", path)
