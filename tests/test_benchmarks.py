"""Every benchmark runs, in a short version, and writes what it should."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
needs_tables = pytest.mark.skipif(
    not os.environ.get("ARCHINDEX_DATA"),
    reason="reads the tables of the folder ARCHINDEX_DATA, unset here",
)


def run(name: str, out: Path, *arguments: str) -> Any:
    command = [sys.executable, "-m", f"benchmarks.{name}", "--out", str(out), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    return json.loads(out.read_text())


def test_search(tmp_path: Path) -> None:
    arguments = ("--seeds", "2", "--budget", "32", "--workers", "1", "--objectives", "cifar10_valid_acc")
    report = run("search", tmp_path / "out.json", *arguments)
    strategies = report["objectives"]["cifar10_valid_acc"]["strategies"]
    assert set(strategies) == {"walk", "random", "evolution", "local", "plain_gp"}
    assert strategies["walk"]["points"][0]["mean"] > strategies["random"]["points"][0]["mean"]


def test_startup(tmp_path: Path) -> None:
    report = run("startup", tmp_path / "out.json", "--rounds", "1")
    assert set(report["commands"]) == {"import numpy, duckdb", "query", "query --where"}


@needs_tables
def test_tune_baselines(tmp_path: Path) -> None:
    arguments = ("--rows", "2000", "--seeds", "1", "--index", str(tmp_path / "index"))
    report = run("tune_baselines", tmp_path / "out.json", *arguments)
    assert set(report["best"]) == {"evolution", "local"}


@needs_tables
def test_locality(tmp_path: Path) -> None:
    report = run("locality", tmp_path / "out.json", "--most", "1500", "--gin-seeds", "0")
    tau = {(r["data"], r["accuracy"], r["encoding"]): r["tau"] for r in report["results"]}
    assert tau["nb201", "cifar10", "structural"] > tau["nb201", "cifar10", "one-hot"]
