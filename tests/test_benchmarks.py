"""Every benchmark runs, in a short version, and writes what it should."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archindex.core.errors import ArchitectureError
from archindex.core.graph import ArchGraph
from archindex.spaces.base import SearchSpace
from archindex.spaces.registry import SPACES

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


@pytest.mark.slow
def test_fuzz(tmp_path: Path) -> None:
    report = run("fuzz", tmp_path / "out.json", "--strings", "600")
    assert set(report["spaces"]) == {*SPACES, "where"}
    filters = report["spaces"].pop("where")
    assert (filters["strings"], filters["failures"]) == (60, 0), filters["examples"]
    assert filters["valid"] > 0
    assert filters["refused"] > 0
    for name, outcome in report["spaces"].items():
        assert (outcome["strings"], outcome["failures"]) == (600, 0), outcome["examples"]
        assert outcome["valid"] + outcome["refused"] == 600
        assert outcome["valid"] >= 10, name
        assert outcome["refused"] >= 100, name


class Careless(SearchSpace[str]):
    """A space whose parser does everything that it must not do."""

    name = "careless"
    size = 3

    def _parse(self, text: str) -> str:
        if text.startswith("a1"):
            return {"a1": "a1"}[text]
        if "(" in text:
            return self._parse(text.replace("(", "((", 1))
        if not text.isascii():
            return text[:-1] + "?"
        if text.isdigit():
            raise ArchitectureError("no")
        raise ArchitectureError("expected a1", got=text)

    def _format(self, genotype: str) -> str:
        return genotype

    def _graph(self, genotype: str) -> ArchGraph:
        raise MemoryError

    def _genotype(self, graph: ArchGraph) -> str:
        raise NotImplementedError

    def _draw(self, rng: Any) -> str:
        return "a1"

    def _neighbors(self, genotype: str) -> Iterator[str]:
        return iter(())


def test_fuzz_notices_what_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    fuzz = importlib.import_module("benchmarks.fuzz")
    monkeypatch.setattr(fuzz, "space", lambda _: Careless())
    outcome = fuzz.Outcome()
    fuzz.fuzz("careless", 3000, 0, outcome)
    assert outcome.strings == 3000
    assert {
        "KeyError",
        "RecursionError",
        "MemoryError",
        "does not parse back to itself",
        "a message that does not say what was expected",
    } <= set(outcome.kinds)
    assert outcome.failures == sum(outcome.kinds.values())


@needs_tables
def test_nb101_flat(tmp_path: Path) -> None:
    report = run("nb101_flat", tmp_path / "out.json", "--rows", "2000", "20000", "--rounds", "1")
    small, large = report["results"]
    assert [small["distinct_ids"], large["distinct_ids"]] == [small["rows"], large["rows"]] == [2000, 20000]
    # No Python object for each architecture.
    assert abs(large["objects"] - small["objects"]) < 200


def test_spaces(tmp_path: Path) -> None:
    arguments = ("--spaces", "nasbench201", "einspace", "--drawn", "20", "--read-back", "5", "--built", "2")
    rows = run("spaces", tmp_path / "out.json", *arguments)["spaces"]
    assert [row["space"] for row in rows] == ["nasbench201", "einspace"]
    for row in rows:
        assert {key: row[key] for key in row["asked"]} == row["asked"]
        assert row["run"] == 1
        assert row["relabelled"] == row["read_back"]
