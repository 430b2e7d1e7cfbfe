"""The section on new devices runs, and ten measurements are worth more than none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.encoding import devices

pytestmark = pytest.mark.skipif(
    not os.environ.get("ARCHINDEX_DATA"), reason="reads the tables of the folder ARCHINDEX_DATA, unset here"
)


@pytest.mark.slow
def test_ten_measurements_beat_flops() -> None:
    rows = devices.measure(Path(os.environ["ARCHINDEX_DATA"]), quick=True)
    tested = {row["device"] for row in rows}
    assert tested == {*devices.TESTED["nb201"], "mean of 6"}
    mean = {row["method"]: row["others"] for row in rows if row["device"] == "mean of 6"}
    for peer in ("FLOPs", "ridge", "nearest known device"):
        assert mean["FewShotLatency"] > mean[peer]
    own = [
        row["others"] for row in rows if row["method"] == "FewShotLatency" and row["device"] != "mean of 6"
    ]
    assert mean["FewShotLatency"] == pytest.approx(np.mean(own), abs=1e-3)


def test_families() -> None:
    names = [f"{gpu}_{batch}" for gpu in devices.GPUS for batch in (1, 32, 256)] + list(devices.OTHERS)
    families = {name: devices.family(name) for name in names}
    assert len(names) == 27
    assert set(families.values()) == {"gpu", "xeon", "phone", "raspi4", "eyeriss", "fpga"}
    assert sum(family == "phone" for family in families.values()) == 5
    assert sum(family == "gpu" for family in families.values()) == 15
