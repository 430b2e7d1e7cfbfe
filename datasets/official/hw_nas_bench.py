"""What the two data sets of HW-NAS-Bench share: the file, and the devices.

Li et al., "HW-NAS-Bench: Hardware-Aware Neural Architecture Search Benchmark", ICLR 2021. Known from
GATECH-EIC/HW-NAS-Bench: README.md (the file is part of the repository; latencies in ms, energies in mJ) and
hw_nas_bench_api/hw_nas_bench_api.py, class HWNASBenchAPI (the keys). Its arithmetic intensities are not
taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from archindex.core.metrics import MeasurementSpec, Provenance
from archindex.datasets.known import OfficialFile
from archindex.datasets.unpickle import read_array_pickle

FILE: Final = OfficialFile(
    "HW-NAS-Bench-v1_0.pickle",
    ("https://raw.githubusercontent.com/GATECH-EIC/HW-NAS-Bench/HEAD/HW-NAS-Bench-v1_0.pickle",),
)
SOURCE: Final = "HW-NAS-Bench (Li et al., ICLR 2021), official pickle"
LICENCE: Final = "MIT"
CITATION: Final = 'Li et al., "HW-NAS-Bench", ICLR 2021'
HOMEPAGE: Final = "https://github.com/GATECH-EIC/HW-NAS-Bench"

DEVICES: Final = {
    "edgegpu": "edge GPU, NVIDIA Jetson TX2",
    "raspi4": "Raspberry Pi 4",
    "edgetpu": "Google Edge TPU",
    "pixel3": "Google Pixel 3 phone",
    "eyeriss": "Eyeriss accelerator, modelled",
    "fpga": "Xilinx FPGA, modelled",
}
"""Name of each device, by its key in the file."""

METRICS: Final = {
    "edgegpu_latency": "latency",
    "edgegpu_energy": "energy",
    "raspi4_latency": "latency",
    "edgetpu_latency": "latency",
    "pixel3_latency": "latency",
    "eyeriss_latency": "latency",
    "eyeriss_energy": "energy",
    "fpga_latency": "latency",
    "fpga_energy": "energy",
}
"""Metric of each key of the NAS-Bench-201 part; the FBNet part has the same without the Edge TPU."""


def read_part(path: Path, part: str) -> Mapping[str, Any]:
    """Return a part of the file: ``"nasbench201"`` or ``"fbnet"``.

    Raises
    ------
    UnsafeDataError
        If the pickle names anything but data; nothing of it is run.
    DataUnavailableError
        If it is damaged or has no such part.
    """
    found: Mapping[str, Any] = read_array_pickle(path)[part]
    return found


def spec_of(key: str, suffix: str, provenance: Provenance) -> MeasurementSpec:
    """Return what the values of a key measure.

    Parameters
    ----------
    key : str
        A key of `METRICS`.
    suffix : str
        What tells the data set whose images are taken in, or ``""`` for the first of the space.
    provenance : {"measured", "summed"}
        Whether whole networks were timed, or values of layers were added.
    """
    device = key.split("_", 1)[0]
    context = f"{device}_{suffix}" if suffix else device
    return MeasurementSpec(
        METRICS[key], context, device=DEVICES[device], provenance=provenance, source=SOURCE
    )
