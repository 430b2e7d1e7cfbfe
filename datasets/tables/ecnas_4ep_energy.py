"""EC-NAS-Bench: energy and time of training NAS-Bench-101 cells of up to five vertices for four epochs."""

from __future__ import annotations

from typing import Final

from archindex.core.metrics import MeasurementSpec
from archindex.datasets.known import DatasetSpec
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import Column, Rows, read_table, specs_of
from archindex.spaces.nasbench101_cells import PackedCells

SOURCE: Final = "EC-NAS-Bench (Bakhtiarifard et al., ICASSP 2024)"
NB101: Final = "NAS-Bench-101, mean over seeds, through FreeREA"
GPU: Final = "NVIDIA Quadro RTX 6000"
EPOCHS: Final = 4

SPEC: Final = DatasetSpec(
    name="ecnas_4ep_energy",
    space="nasbench101",
    rows=2_532,
    measures="training energy, power, time and accuracy of 4 epochs, by run",
    description=(
        "energy, power and time of training NAS-Bench-101 cells of up to five vertices on CIFAR-10 for 4 "
        "epochs, with accuracies; the 91 cells of up to four vertices have four runs, the others one. "
        "train_energy and total_train_time are of a whole run with its evaluations as carbontracker reports "
        "them, gpu_train_energy of the GPU alone; the 108-epoch test accuracy is that of NAS-Bench-101"
    ),
    licence="MIT",
    citation='Bakhtiarifard et al., "EC-NAS", ICASSP 2024; Ying et al., "NAS-Bench-101", ICML 2019',
    homepage="https://github.com/PedramBakh/EC-NAS-Bench",
    tables=("ecnas_4ep_energy.parquet",),
)


def _run(name: str, measure: str, device: str = "") -> Column:
    """Return a column that was recorded anew in every run."""
    return Column(name, measure, repeats="seeds", epochs=EPOCHS, device=device)


COLUMNS: Final = (
    _run("total_energy_kwh", "cifar10_4ep:train_energy@kwh", GPU),
    _run("gpu_energy_j", "cifar10_4ep_gpu:train_energy@j", GPU),
    _run("gpu_avg_power_w", "cifar10_4ep_gpu:power", GPU),
    _run("train_time_s", "cifar10_4ep:train_time", GPU),
    _run("total_time_s", "cifar10_4ep_total:train_time", GPU),
    _run("train_acc", "cifar10_4ep:train:acc"),
    _run("valid_acc", "cifar10_4ep:valid:acc"),
    _run("test_acc", "cifar10_4ep:test:acc"),
    Column("params_m", "cifar10:params@m/computed", repeats="same"),
    Column(
        "cifar10_test_acc_108ep",
        "cifar10:test:acc",
        repeats="same",
        epochs=108,
        aggregate="mean",
        source=NB101,
    ),
)


def native(rows: Rows) -> list[str]:
    """Return the native strings of the packed cells."""
    return PackedCells.from_table(rows["adj_bits"], rows["ops"]).natives()


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the table measures, without reading it."""
    return specs_of(COLUMNS, SOURCE)


def load() -> Table:
    """Return the table; what `repeat` and the two tables of the source are become seeds, in file order."""
    return read_table(SPEC, COLUMNS, native, SOURCE)
