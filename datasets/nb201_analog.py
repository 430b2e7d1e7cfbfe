"""AnalogNAS-Bench as the PyPI package ``analog-nasbench`` carries it: NAS-Bench-201 on analog hardware.

Benmeziane et al., "AnalogNAS-Bench", 2025. The package's pickle of instances is read as data; its code is not
imported. A key is a tuple of six op numbers, edges 0-1, 0-2, 0-3, 1-2, 1-3, 2-3: not the order of the native
strings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.core.errors import DataUnavailableError
from archindex.core.metrics import MeasurementSpec, Series, check_range
from archindex.datasets.folder import package_files
from archindex.datasets.known import DatasetSpec, PackageFiles
from archindex.datasets.table import Table
from archindex.datasets.tables.reader import canonical
from archindex.datasets.unpickle import read_array_pickle

SOURCE: Final = "AnalogNAS-Bench (Benmeziane et al., 2025), as packaged in analog-nasbench"

OPS: Final = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
"""Op of each number of a key."""

RECORDS: Final = ("analognasbench.data.Architecture", "analognasbench.data.DriftMeasurement")

DIGITAL: Final = {
    "baseline_accuracy": ("cifar10_digital", "digital, full precision"),
    "ptq_accuracy": ("cifar10_ptq", "digital, quantised after training"),
    "qat_accuracy": ("cifar10_qat", "digital, trained for quantisation"),
    "noisy_accuracy": ("cifar10_noisy", "simulated analog in-memory chip"),
    "analog_accuracy": ("cifar10_analog", "simulated analog in-memory chip, trained for it"),
}
"""Context and device of each accuracy."""

DRIFT: Final = {"baseline": "noisy", "analog": "analog"}
SECONDS: Final = (60, 3_600, 86_400, 2_592_000)
"""Time since the weights were written: a minute, an hour, a day, 30 days."""

SPEC: Final = DatasetSpec(
    name="nb201_analog",
    space="nasbench201",
    rows=15_625,
    measures="CIFAR-10 accuracy when quantised and on simulated analog hardware, with drift",
    description=(
        "accuracy on CIFAR-10 of all NAS-Bench-201 cells: digital in full precision and quantised (after "
        "training: ptq, in training: qat); on a simulated analog in-memory chip with noise, of weights "
        "trained digitally (noisy) and for the chip (analog), and after 60 s, 3,600 s, 86,400 s and "
        "2,592,000 s of drift"
    ),
    licence="none stated (analog-nasbench)",
    citation='Benmeziane et al., "AnalogNAS-Bench: A NAS Benchmark for Analog In-Memory Computing", 2025',
    homepage="https://github.com/IBM/analog-nas",
    package=PackageFiles("analog-nasbench", "analognasbench", ("data.anb",)),
)


def promised() -> tuple[MeasurementSpec, ...]:
    """Return what the table measures, without reading it."""
    drifted = [
        _spec(f"cifar10_{context}_drift_{seconds}s", DIGITAL[f"{context}_accuracy"][1])
        for context in DRIFT.values()
        for seconds in SECONDS
    ]
    return (*(_spec(*place) for place in DIGITAL.values()), *drifted)


def _spec(context: str, device: str) -> MeasurementSpec:
    return MeasurementSpec("acc", context, device=device, source=SOURCE)


def load() -> Table:
    """Return the table; rows in the order of the file.

    Raises
    ------
    DataUnavailableError
        If the package is not installed, or its file is damaged.
    UnsafeDataError
        If the file asks for code to be run.
    """
    [path] = package_files(SPEC)
    cells: dict[tuple[int, ...], Any] = read_array_pickle(path, RECORDS)
    try:
        natives = canonical(SPEC.space, map(native, cells))
        records = list(cells.values())
        series = [
            _series(context, device, [getattr(one, name) for one in records])
            for name, (context, device) in DIGITAL.items()
        ]
        for kind, context in DRIFT.items():
            device = DIGITAL[f"{context}_accuracy"][1]
            for seconds in SECONDS:
                drifted = [getattr(one, f"{kind}_drift_{seconds}") for one in records]
                # What the package could not read it keeps as 0 with an uncertainty of 0.
                values = [one.value if one.value or one.uncertainty else np.nan for one in drifted]
                series.append(_series(f"cifar10_{context}_drift_{seconds}s", device, values))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise _damaged(f"{type(error).__name__}: {error}") from error
    if len(set(natives)) != SPEC.rows:
        raise _damaged(f"{len(set(natives))} cells")
    return SPEC.table(natives, series)


def native(key: Sequence[int]) -> str:
    """Return the native string of a key of the package."""
    first, second, third, fourth, fifth, sixth = (OPS[op] for op in key)
    return f"|{first}~0|+|{second}~0|{fourth}~1|+|{third}~0|{fifth}~1|{sixth}~2|"


def _series(context: str, device: str, values: Sequence[float]) -> Series:
    numbers: npt.NDArray[np.float64] = np.array(values, dtype=np.float64)
    made = Series(_spec(context, device), numbers)
    check_range(made)
    return made


def _damaged(got: str) -> DataUnavailableError:
    return DataUnavailableError(
        f"expected the {SPEC.rows} cells of AnalogNAS-Bench",
        got=got,
        fix="the package is damaged: type pip install --force-reinstall analog-nasbench",
    )
