"""The 27 devices of HELP's latency tables (Lee et al., NeurIPS 2021)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from archindex.core.metrics import Provenance
from archindex.datasets.tables.reader import Column

HELP: Final = "HELP (Lee et al., NeurIPS 2021)"
HW: Final = "HW-NAS-Bench (Li et al., ICLR 2021), through HELP"

GPUS: Final = {
    "1080ti": ("gpu_1080ti", "NVIDIA GTX 1080 Ti"),
    "2080ti": ("gpu_2080ti", "NVIDIA RTX 2080 Ti"),
    "titan_rtx": ("titan_rtx", "NVIDIA Titan RTX"),
    "titanx": ("titanx", "NVIDIA Titan X"),
    "titanxp": ("titanxp", "NVIDIA Titan Xp"),
}
"""Context, without the batch size, and name of each GPU of the tables."""

OTHERS: Final = {
    "gold_6226": ("gold_6226", "Intel Xeon Gold 6226", HELP),
    "gold_6240": ("gold_6240", "Intel Xeon Gold 6240", HELP),
    "silver_4114": ("silver_4114", "Intel Xeon Silver 4114", HELP),
    "silver_4210r": ("silver_4210r", "Intel Xeon Silver 4210R", HELP),
    "essential_ph_1": ("essential_ph1", "Essential PH-1 phone", HELP),
    "pixel2": ("pixel2", "Google Pixel 2 phone", HELP),
    "samsung_a50": ("samsung_a50", "Samsung Galaxy A50 phone", HELP),
    "samsung_s7": ("samsung_s7", "Samsung Galaxy S7 phone", HELP),
    "pixel3": ("pixel3", "Google Pixel 3 phone", HW),
    "raspi4": ("raspi4", "Raspberry Pi 4", HW),
    "eyeriss": ("eyeriss", "Eyeriss accelerator, modelled", HW),
    "fpga": ("fpga", "Xilinx FPGA, modelled", HW),
}
"""Context, name and source of the devices that were timed at one batch size."""


def latency_columns(batches: tuple[int, ...], summed: tuple[str, ...]) -> Iterator[Column]:
    """Yield the latency columns of a HELP table.

    Parameters
    ----------
    batches : tuple of int
        Batch sizes on the GPUs.
    summed : tuple of str
        Devices whose values are sums over ops, to the last digit: models, not timings of whole networks.
    """
    for gpu, (context, device) in GPUS.items():
        for batch in batches:
            yield Column(
                f"{gpu}_{batch}_latency_ms",
                f"{context}_b{batch}:latency",
                device=f"{device}, batch {batch}",
                source=HELP,
            )
    for key, (context, device, source) in OTHERS.items():
        provenance: Provenance = "summed" if key in summed else "measured"
        yield Column(f"{key}_latency_ms", f"{context}:latency/{provenance}", device=device, source=source)
