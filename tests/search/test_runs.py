"""A run folder: whatever stops a run, it goes on and ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import archindex as ax
from archindex.core.errors import ArgumentError, CorruptIndexError
from archindex.search.oracle import Objective, Oracle
from archindex.search.pool import Pool
from archindex.search.registry import STRATEGIES, make_strategy
from archindex.search.run import SearchResult, best_so_far, run_search
from archindex.spaces.base import Architecture
from archindex.testing.strategy_case import small_table, toy_score

BUDGET, BATCH = 22, 4  # the last batch is a short one


class StopError(Exception):
    """What stops a run."""


class Flaky(Oracle):
    """Toy scores with a failure now and then; raises once it was called too often."""

    def __init__(self, calls: int = 10**9) -> None:
        self.calls = calls

    @property
    def objective(self) -> Objective:
        return Objective("toy_score", True)

    def evaluate(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.float64]:
        if self.calls == 0:
            raise StopError
        self.calls -= 1
        scores = np.array([toy_score(a) for a in architectures])
        return np.where(scores % 5 == 0, np.nan, scores)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> ax.Index:
    """160 cells; shared, not to be written to."""
    return ax.build(tmp_path_factory.mktemp("runs") / "index", small_table(), engine="exact")


def run(
    index: ax.Index, name: str, folder: Path | None, oracle: Oracle | None = None, **config: Any
) -> SearchResult:
    strategy = make_strategy(name, Pool(index.snapshot), "toy_score", seed=3)
    stated = {"strategy": name, **config}
    return run_search(strategy, oracle or Flaky(), BUDGET, batch=BATCH, folder=folder, config=stated)


def same(one: SearchResult, two: SearchResult) -> None:
    assert (one.best, one.asked) == (two.best, two.asked)
    for a, b in ((one.values, two.values), (one.curve, two.curve), (one.value, two.value)):
        np.testing.assert_array_equal(a, b)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_a_run_stopped_again_and_again_ends_as_one_that_was_not(
    name: str, index: ax.Index, tmp_path: Path
) -> None:
    """At once, and in the middle; what was evaluated is not evaluated again."""
    whole = run(index, name, tmp_path / "whole")
    same(run(index, name, None), whole)
    for calls in (0, 3, 2):
        with pytest.raises(StopError):
            run(index, name, tmp_path / "parts", Flaky(calls))
        assert not (tmp_path / "parts" / "result.json").exists()
    same(run(index, name, tmp_path / "parts", Flaky(1)), whole)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    # A finished run is read, not repeated.
    same(run(index, name, tmp_path / "parts", Flaky(0)), whole)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_a_torn_line_is_cut_off(index: ax.Index, tmp_path: Path) -> None:
    """At any byte of the last event; only that batch is evaluated again."""
    whole = run(index, "local", tmp_path / "whole")
    lines = (tmp_path / "whole" / "events.jsonl").read_bytes().splitlines(keepends=True)
    for cut in (1, 20, len(lines[3]) // 2, len(lines[3]) - 1):
        folder = tmp_path / f"cut{cut}"
        with pytest.raises(StopError):
            run(index, "local", folder, Flaky(4))
        assert (folder / "events.jsonl").read_bytes() == b"".join(lines[:4])
        (folder / "events.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:cut])
        same(run(index, "local", folder, Flaky(len(lines) - 3)), whole)
        assert contents(folder) == contents(tmp_path / "whole")


CHILD = """
import sys, time
from pathlib import Path
import archindex as ax
sys.path.insert(0, sys.argv[1])
import test_runs

class Slow(test_runs.Flaky):
    def evaluate(self, architectures):
        time.sleep(0.02)
        return super().evaluate(architectures)

test_runs.run(ax.open(sys.argv[2]), sys.argv[3], Path(sys.argv[4]), Slow())
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_a_killed_process_loses_nothing_that_was_evaluated(index: ax.Index, tmp_path: Path) -> None:
    """Killed at random moments after it has begun, twice over."""
    name = "walk"
    rng = np.random.default_rng(0)
    folder = tmp_path / "run"
    kept = b""
    for _ in range(2):
        here = str(Path(__file__).parent)
        command = [sys.executable, "-c", CHILD, here, str(index.path), name, str(folder)]
        with subprocess.Popen(command) as child:
            while child.poll() is None and lines_of(folder) <= kept.count(b"\n"):
                time.sleep(0.005)
            try:
                child.wait(timeout=float(rng.uniform(0, 0.06)))
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
            assert child.wait() in (0, -signal.SIGKILL)
        now = (folder / "events.jsonl").read_bytes()
        assert now.startswith(kept)
        kept = now[: now.rfind(b"\n") + 1]
    same(run(index, name, folder), run(index, name, None))
    assert (folder / "events.jsonl").read_bytes().startswith(kept)


def lines_of(folder: Path) -> int:
    file = folder / "events.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def test_another_configuration_is_refused(index: ax.Index, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(index, "random", folder, seed=3, shape=(1, 2))
    before = contents(folder)
    run(index, "random", folder, seed=3, shape=(1, 2))
    with pytest.raises(ArgumentError, match=r"the same seed, got .*4") as refused:
        run(index, "random", folder, seed=4, shape=(1, 2))
    assert "\n" not in str(refused.value)
    assert "--out" in str(refused.value)
    strategy = make_strategy("random", Pool(index.snapshot), "toy_score", seed=3)
    for budget, batch, wrong in ((BUDGET + 1, BATCH, "budget"), (BUDGET, BATCH + 1, "batch")):
        with pytest.raises(ArgumentError, match=f"the same {wrong}, got"):
            run_search(
                strategy, Flaky(0), budget, batch=batch, folder=folder,
                config={"strategy": "random", "seed": 3, "shape": (1, 2)},
            )  # fmt: skip
    assert contents(folder) == before


def test_a_folder_of_something_else_is_refused(index: ax.Index, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(ArgumentError, match="empty folder"):
        run(index, "random", tmp_path)
    assert contents(tmp_path) == {"thesis.tex": b"all of it"}
    # What a crash before the first event leaves is no obstacle.
    (tmp_path / "crashed").mkdir()
    (tmp_path / "crashed" / "config.json.new").write_text('{"str')
    run(index, "random", tmp_path / "crashed")


def test_damaged_files_are_refused(index: ax.Index, tmp_path: Path) -> None:
    """A line in the middle that is none, and events that this search would not have had."""
    run(index, "random", tmp_path / "run")
    file = tmp_path / "run" / "events.jsonl"
    good = file.read_text().splitlines()
    for bad in ("", "7", "[]", "{}", '{"asked": 5}', '{"asked": ["nasbench201:?"]}', good[0][:-2]):
        file.write_text("\n".join([good[0], bad, *good[2:]]) + "\n")
        with pytest.raises(CorruptIndexError, match=r"events\.jsonl|as it was|of a run"):
            run(index, "random", tmp_path / "run")
    file.write_text("\n".join([good[1], good[0], *good[2:]]) + "\n")
    with pytest.raises(CorruptIndexError, match="start again"):
        run(index, "random", tmp_path / "run")
    config = tmp_path / "run" / "config.json"
    config.write_text(config.read_text().replace("random", "walked"))
    with pytest.raises(CorruptIndexError, match="altered"):
        run(index, "random", tmp_path / "run")


def test_values_that_the_search_refuses_are_not_kept(index: ax.Index, tmp_path: Path) -> None:
    """An oracle that is mended lets the run go on."""

    class Broken(Flaky):
        def evaluate(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.float64]:
            values = super().evaluate(architectures)
            return np.full_like(values, np.inf) if self.calls < 2 else values

    with pytest.raises(ArgumentError, match="finite"):
        run(index, "random", tmp_path, Broken(4))
    assert lines_of(tmp_path) == 2
    same(run(index, "random", tmp_path), run(index, "random", None))


@pytest.mark.parametrize("maximize", [True, False])
def test_what_is_written_is_what_was_found(index: ax.Index, tmp_path: Path, maximize: bool) -> None:
    strategy = make_strategy("random", Pool(index.snapshot), "toy_score", seed=3, maximize=maximize)
    seen: list[tuple[str, int, int | None]] = []
    result = run_search(
        strategy, Flaky(), BUDGET, batch=BATCH, folder=tmp_path,
        progress=lambda *at: seen.append(at),
    )  # fmt: skip
    valid = result.values[~np.isnan(result.values)]
    assert 0 < len(valid) < BUDGET
    assert result.value == (valid.max() if maximize else valid.min())
    assert result.best is not None
    assert toy_score(result.best) == result.value
    assert strategy.best == (result.best, result.value)
    written = json.loads((tmp_path / "result.json").read_text())
    assert (written["best"], written["value"], written["queries"]) == (str(result.best), result.value, BUDGET)
    assert [np.nan if v is None else v for v in written["curve"]] == pytest.approx(
        result.curve.tolist(), nan_ok=True
    )
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [len(event["asked"]) for event in events] == [4, 4, 4, 4, 4, 2]
    assert [a for event in events for a in event["asked"]] == [str(a) for a in result.asked]
    assert seen == [("search", done, BUDGET) for done in (4, 8, 12, 16, 20, 22)]


def test_a_search_of_failures_has_no_best(index: ax.Index, tmp_path: Path) -> None:
    class Failing(Flaky):
        def evaluate(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.float64]:
            return np.full(len(architectures), np.nan)

    result = run(index, "random", tmp_path, Failing())
    assert result.best is None
    assert np.isnan(result.value)
    assert np.isnan(result.curve).all()
    assert len(result.curve) == BUDGET
    written = json.loads((tmp_path / "result.json").read_text())
    assert (written["best"], written["value"], written["curve"]) == (None, None, [None] * BUDGET)
    same(run(index, "random", tmp_path, Flaky(0)), result)


def test_a_search_ends_with_its_candidates(index: ax.Index, tmp_path: Path) -> None:
    pool = Pool(index.snapshot, "toy_score < 60")
    few = run_search(make_strategy("local", pool, "toy_score"), Flaky(), 1000, batch=3, folder=tmp_path)
    assert len(few.asked) == len(few.curve) == len(pool)
    nothing = Pool(index.snapshot, "toy_score < 0")
    none = run_search(make_strategy("walk", nothing, "toy_score"), Flaky(), 10)
    assert (none.best, none.asked, none.curve.tolist()) == (None, (), [])
    assert np.isnan(none.value)


@pytest.mark.parametrize(("budget", "batch"), [(0, 1), (-1, 1), (2.5, 1), (3, 0), (3, True)])
def test_a_budget_and_a_batch_are_whole_numbers(
    index: ax.Index, tmp_path: Path, budget: int, batch: int
) -> None:
    strategy = make_strategy("random", Pool(index.snapshot), "toy_score")
    with pytest.raises(ArgumentError, match=r"budget|batch"):
        run_search(strategy, Flaky(), budget, batch=batch, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_best_so_far_passes_over_failures() -> None:
    nan = np.nan
    values = np.array([nan, 2.0, nan, 1.0, 3.0, nan])
    np.testing.assert_array_equal(best_so_far(values, maximize=True), [nan, 2, 2, 2, 3, 3])
    np.testing.assert_array_equal(best_so_far(values, maximize=False), [nan, 2, 2, 1, 1, 1])
    assert best_so_far(np.array([]), maximize=True).shape == (0,)
