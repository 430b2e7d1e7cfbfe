"""The locality section runs for every encoder, and says what must be so."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest

from archindex.encoders import ENCODERS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("ARCHINDEX_DATA"),
    reason="reads the tables of the folder ARCHINDEX_DATA, unset here",
)
def test_locality(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    locality = importlib.import_module("benchmarks.encoding.locality")
    rows = locality.measure(Path(os.environ["ARCHINDEX_DATA"]), quick=True)
    encoders = [locality.ONE_HOT, *ENCODERS]
    near = {(r["data"], r["accuracy"], r["encoder"]): r for r in rows if "tau" in r}
    far = {(r["data"], r["encoder"]): r for r in rows if "spearman" in r}
    assert len(near) + len(far) == len(rows)
    for data, accuracy in (
        ("nb201", "cifar10"),
        ("nb201", "in16_120"),
        ("nb201 distinct", "cifar10"),
        ("nb201 distinct", "in16_120"),
        ("nb101", "cifar10"),
    ):
        peers = [near[data, accuracy, name] for name in encoders]
        assert all(-1 < row["tau"] < 1 and row["ratio"] > 0 and row["between"] > 0 for row in peers)
        computed = [row for row in peers if row["encoder"] not in locality.HARDLY_TRAINED]
        assert all(row["tau"] > 0.3 and row["ratio"] < 0.95 and row["between"] < 0.9 for row in computed)
        assert max(row["tau_of_best"] for row in peers) == max(row["ratio_of_best"] for row in peers) == 1
    for data in ("nb201 distinct", "nb101"):
        assert all(-1 < far[data, name]["spearman"] < 1 for name in encoders)
        assert all(far[data, n]["spearman"] > 0.1 for n in encoders if n not in locality.HARDLY_TRAINED)
        assert len({far[data, name]["edits_mean"] for name in encoders}) == 1
    structural, one_hot = (near["nb201", "cifar10", name] for name in ("structural", locality.ONE_HOT))
    assert structural["tau"] > one_hot["tau"]
    assert structural["ratio"] < one_hot["ratio"]
