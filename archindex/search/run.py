"""Runs: a strategy against an oracle under a query budget, in a folder from which it can be resumed.

::

    RUN/
        config.json     what is searched, how, with which seed
        events.jsonl    one line a batch: what was asked and what came back, flushed to the disk
        result.json     the best found and the curve; written at the end
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archindex.core.checks import check_int
from archindex.core.disk import disk_errors
from archindex.core.errors import ArgumentError, CorruptIndexError
from archindex.core.progress import Progress, silent
from archindex.search.base import Strategy
from archindex.search.oracle import Oracle
from archindex.spaces.base import Architecture
from archindex.spaces.registry import parse_address
from archindex.store.files import read_json, write_json


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes
    ----------
    best : Architecture
        The best architecture asked.
    value : float
        Its value.
    curve : ndarray of float64, shape (queries,)
        Best value so far after each query; NaN before the first that did not fail.
    asked : tuple of Architecture
        Every architecture in the order asked.
    values : ndarray of float64, shape (queries,)
        Its value; NaN where the evaluation failed.
    """

    best: Architecture | None
    value: float
    curve: npt.NDArray[np.float64]
    asked: tuple[Architecture, ...]
    values: npt.NDArray[np.float64]


def run_search(
    strategy: Strategy,
    oracle: Oracle,
    budget: int,
    *,
    batch: int = 1,
    folder: Path | None = None,
    config: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> SearchResult:
    """Ask and tell until the query budget is spent or no candidate is left.

    Parameters
    ----------
    strategy : Strategy
        A fresh strategy.
    oracle : Oracle
        Gives the values.
    budget : int
        Architectures to evaluate.
    batch : int
        Architectures asked at once.
    folder : Path, optional
        Run folder. If it holds an unfinished run of the same `config`, what was evaluated there is told
        again instead of evaluated, and the run goes on.
    config : mapping, optional
        What identifies the run, for JSON; kept in the run folder.
    progress : Progress
        Told after each batch.

    Returns
    -------
    SearchResult

    Raises
    ------
    ArgumentError
        If `folder` holds a run with another configuration.
    StorageError
        If the disk refuses.
    """
    check_int("budget", budget, low=1)
    check_int("batch", batch, low=1)
    events = None if folder is None else _Events(folder, {**(config or {}), "budget": budget, "batch": batch})
    asked: list[Architecture] = []
    values: list[float] = []
    while len(asked) < budget:
        architectures = strategy.ask(min(batch, budget - len(asked)))
        if not architectures:
            break
        known = None if events is None else events.replay(architectures)
        got = oracle.evaluate(architectures) if known is None else known
        strategy.tell(architectures, got)  # first, so that values which it refuses are not kept
        if events is not None and known is None:
            events.append(architectures, got)
        asked.extend(architectures)
        values.extend(got.tolist())
        progress("search", len(asked), budget)
    result = _result(strategy, asked, np.array(values))
    if events is not None:
        events.finish(result)
    return result


def best_so_far(values: npt.NDArray[np.float64], *, maximize: bool) -> npt.NDArray[np.float64]:
    """Return the best of the first 1, 2, ... values; NaN entries are passed over."""
    return np.asarray(np.fmax.accumulate(values) if maximize else np.fmin.accumulate(values))


def _result(strategy: Strategy, asked: list[Architecture], values: npt.NDArray[np.float64]) -> SearchResult:
    curve = best_so_far(values, maximize=strategy.objective.maximize)
    best = None
    if len(curve) and not np.isnan(curve[-1]):
        best = asked[int(np.flatnonzero(values == curve[-1])[0])]
    return SearchResult(best, float(curve[-1]) if len(curve) else float("nan"), curve, tuple(asked), values)


class _Events:
    """The run folder: writes what happens, and gives back what happened before."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self._folder = folder
        self._file = folder / "events.jsonl"
        self._past: list[dict[str, Any]] = []
        with disk_errors("the run folder"):
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / "config.json").exists():
                stated = read_json(folder / "config.json")
                config = json.loads(json.dumps(config))  # as it is read back: tuples are lists
                if stated != config:
                    changed = sorted(k for k in {*stated, *config} if stated.get(k) != config.get(k))
                    raise ArgumentError(
                        f"expected the run in {folder} to have the same {', '.join(changed)}",
                        got={k: config.get(k) for k in changed},
                        fix="give another --out, or the same arguments to go on with that run",
                    )
                self._past = self._read()
            elif any(file.name != "config.json.new" for file in folder.iterdir()):  # left by a crash
                raise ArgumentError(
                    "expected an empty folder or one of a run", got=str(folder), fix="give another --out"
                )
            else:
                write_json(folder / "config.json", config)

    def replay(self, architectures: list[Architecture]) -> npt.NDArray[np.float64] | None:
        """Return the values of this batch if the run evaluated it before."""
        if not self._past:
            return None
        event = self._past.pop(0)
        if event["asked"] != [str(a) for a in architectures]:
            raise CorruptIndexError(
                "expected the run to ask what it asked before",
                got=f"{architectures[0]} instead of {event['asked'][0]}",
                fix="the index or archindex has changed since: start again with another --out",
            )
        return np.array([np.nan if v is None else v for v in event["values"]], dtype=np.float64)

    def append(self, architectures: list[Architecture], values: npt.NDArray[np.float64]) -> None:
        event = {
            "asked": [str(a) for a in architectures],
            "values": [None if np.isnan(v) else v for v in values.tolist()],
        }
        with disk_errors("the run's events"), self._file.open("ab") as out:
            out.write(json.dumps(event).encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())

    def finish(self, result: SearchResult) -> None:
        with disk_errors("the run's result"):
            write_json(
                self._folder / "result.json",
                {
                    "best": None if result.best is None else str(result.best),
                    "value": None if np.isnan(result.value) else result.value,
                    "queries": len(result.asked),
                    "curve": [None if np.isnan(v) else v for v in result.curve.tolist()],
                },
            )

    def _read(self) -> list[dict[str, Any]]:
        """Read all whole events; cut off a torn last line."""
        data = self._file.read_bytes() if self._file.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            with self._file.open("r+b") as events:
                events.truncate(len(whole))
        try:
            events_read = [json.loads(line) for line in whole.splitlines()]
            for event in events_read:
                for address in event["asked"]:
                    parse_address(address)
        except (ValueError, TypeError, LookupError, AttributeError):
            raise CorruptIndexError("expected the events of a run", got=str(self._file)) from None
        return events_read
