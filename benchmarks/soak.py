"""Does a reader ever see something wrong while somebody writes? One writer and four readers, for an hour.

The writer adds, measures again, removes, publishes and compacts without a pause, and tells every operation
to a ledger before it starts and after it was acknowledged. Each reader opens or refreshes the index again
and again, reads everything, and asks it. What it sees has to be the state after some operation that was not
yet overtaken when it began to open: everything acknowledged by then is there, nothing that was not begun is,
and no operation by half. Every answer is compared with brute force over that state. Some views are kept open
while the index moves on, and read and asked only then.

Run with ``python -m benchmarks.soak --minutes 60``; writes ``benchmarks/results/faults/soak.json``; exit
code 1 if something was wrong.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

import numpy as np

import archindex as ax
from archindex.store.verify import verify
from benchmarks.faulting.answers import Asker, Tally
from benchmarks.faulting.indexes import DATA, build, carry_out, draw, is_right
from benchmarks.faulting.ledger import Ledger, State, Universe, read_state
from benchmarks.sections import table

READERS: Final = 4
KEPT_SECONDS: Final = 20.0  # for which a reader keeps a view before it asks it again
QUERIES: Final = 12  # asked of each view
PROTOCOL: Final = (
    "All architectures of NAS-Bench-201 and NAS-Bench-Graph; an index of 60% of them, universal encoder, "
    "HNSW engine, lists. The writer draws: 45% adds of 1 to 64 new architectures, 15% new measurements of 1 "
    "to 64 (some of new architectures), 10% updates of 1 to 64, 5% measurements taken away, 20% removals of "
    "1 to 64, 4% publish, 1% compact. A quarter of the adds bring no measurement. Readers open anew or "
    f"refresh, read all rows, vectors, ids and columns, and ask {QUERIES} queries of all strategies, eight "
    "filters, k of 1, 10, 40, recall balanced, high, exact. "
    "A view is one of the states between the last operation acknowledged before it was opened and the last "
    f"one begun before it had been opened; a fifth of the views is kept for {KEPT_SECONDS:.0f} s and asked "
    "again. Proved answers equal brute force; in all others each hit is a row of that state that satisfies "
    "the filter, at its own distance, under its own id, with its own attributes, and as many came back as "
    "there are. recall: share of the true nearest found, mean. At the end verify compares everything."
)


KINDS: Final = {
    "add": 0.45, "measure": 0.15, "update": 0.1, "drop": 0.05, "remove": 0.2, "publish": 0.04, "compact": 0.01
}  # fmt: skip


def write(folder: Path, universe: Universe, state: State, end: float, seed: int) -> dict[str, Any]:
    """Write until the end."""
    rng = np.random.default_rng(seed)
    ledger, counts = Ledger(folder / "ledger"), Counter[str]()
    index = ax.open(folder / "index")
    serial = 0
    while time.time() < end:
        kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
        operation = draw(rng, state, kind, 2 + serial)
        ledger.tell(operation)
        expected = state.apply(operation)
        answer = carry_out(universe, index, operation)
        assert is_right(operation, answer, expected), f"{answer} instead of {expected}"
        ledger.tell(serial)
        serial += 1
        counts[operation["op"]] += 1
    read, _ = read_state(universe, index)
    assert read.digest == state.digest, "the writer does not see what it wrote"
    index.close()
    return {"operations": dict(counts), "rows": len(state.rows), "versions": index.info.number, **_process()}


class Follower:
    """Knows, from the ledger, what an index may hold at the moment."""

    def __init__(self, ledger: Ledger, state: State) -> None:
        self._ledger, self._state, self._done = ledger, state, 0

    def catch_up(self) -> None:
        """Apply all that was acknowledged."""
        self._ledger.look()
        while self._done < len(self._ledger.answers):
            self._apply()

    def may_be_seen(self) -> set[int]:
        """Return the digests of all states from the last that was caught up with to the last one begun."""
        self._ledger.look()
        state, found = self._state.copy(), {self._state.digest}
        for operation in self._ledger.issued[self._done :]:
            state.apply(operation)
            found.add(state.digest)
        return found

    def see(self, seen: State) -> None:
        """Go on to the state that was seen: no later one may be older.

        Raises
        ------
        AssertionError
            If it is none that may be seen.
        """
        self._ledger.look()
        first = self._done
        while self._state.digest != seen.digest:
            if self._done == len(self._ledger.issued):
                raise AssertionError(
                    f"{len(seen.rows)} rows that are no state from operation {first} to {self._done}"
                )
            self._apply()

    def _apply(self) -> None:
        self._state.apply(self._ledger.issued[self._done])
        self._done += 1


def read(folder: Path, universe: Universe, state: State, end: float, seed: int) -> dict[str, Any]:
    """Read until the end."""
    rng, tally, path = np.random.default_rng(seed), Tally(), folder / "index"
    follower = Follower(Ledger(folder / "ledger"), state.copy())
    views: Counter[str] = Counter()
    versions: set[int] = set()
    kept: list[tuple[float, ax.Index, set[int]]] = []
    index, descriptors = ax.open(path), 0
    while time.time() < end:
        follower.catch_up()
        if rng.random() < 0.5:
            index.close()
            index = ax.open(path)
            views["opened"] += 1
        else:
            index.refresh()
            views["refreshed"] += 1
        seen, at = read_state(universe, index)
        follower.see(seen)
        versions.add(index.info.number)
        _ask(Asker(universe, index, seen, at), rng, tally)
        if rng.random() < 0.2:
            follower.catch_up()
            view = ax.open(path)  # nothing of it is read before it is old
            kept.append((time.time() + KEPT_SECONDS, view, follower.may_be_seen()))
        while kept and kept[0][0] < time.time():
            _, old, digests = kept.pop(0)
            seen, at = read_state(universe, old)
            assert seen.digest in digests, "a view changed while it was kept"
            _ask(Asker(universe, old, seen, at), rng, tally)
            views["kept"] += 1
            old.close()
        descriptors = max(descriptors, _process()["descriptors"])
        time.sleep(rng.uniform(0, 1))
    for _, old, _ in kept:
        old.close()
    index.close()
    return {
        "views": dict(views),
        "versions": len(versions),
        "queries": dict(tally.queries),
        "recalls": {asked: (len(found), float(np.sum(found))) for asked, found in tally.recalls.items()},
        **_process(),
        "descriptors": descriptors,
    }


def _ask(asker: Asker, rng: np.random.Generator, tally: Tally) -> None:
    for _ in range(QUERIES):
        asker.ask(rng, tally)


def _process() -> dict[str, int]:
    """Return what this process holds: memory (MB, its peak) and open files."""
    files = Path("/proc/self/fd")
    return {
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "descriptors": len(list(files.iterdir())) if files.exists() else -1,
    }


def _child(pipe: Connection, function: Callable[..., dict[str, Any]], arguments: tuple[Any, ...]) -> None:
    """Run a writer or a reader, and send what it counted, or what went wrong."""
    try:
        pipe.send(function(*arguments))
    except Exception:
        pipe.send({"problem": traceback.format_exc()})


def soak(folder: Path, minutes: float, seed: int, rows: int | None, built: float) -> dict[str, Any]:
    """Run the writer and the readers, and return what they counted.

    Parameters
    ----------
    folder : Path
        Where to work.
    minutes : float
        How long.
    seed : int
        Of everything random.
    rows : int or None
        Architectures in the universe; None: all.
    built : float
        Share of them in the index at the start.
    """
    universe = Universe.of(DATA, rows)
    start = np.arange(int(built * len(universe)))
    build(folder / "index", universe, start)
    state = State.built(universe, start)
    end = time.time() + 60 * minutes
    context = multiprocessing.get_context("spawn")
    running = []
    for number in range(1 + READERS):
        ours, theirs = context.Pipe(duplex=False)
        arguments = (folder, universe, state, end, seed + number)
        process = context.Process(target=_child, args=(theirs, read if number else write, arguments))
        process.start()
        theirs.close()
        running.append((process, ours))
    writer, *readers = [_received(process, pipe) for process, pipe in running]
    problems = [one["problem"] for one in (writer, *readers) if "problem" in one]
    problems += verify(folder / "index").problems
    left = sorted(entry.name for entry in (folder / "index" / "versions").iterdir())
    return {"problems": problems, "writer": writer, "readers": readers, "versions_left": left}


def _received(process: BaseProcess, pipe: Connection) -> dict[str, Any]:
    try:
        found: dict[str, Any] = pipe.recv()
    except EOFError:
        process.join()
        found = {"problem": f"the process ended with {process.exitcode}"}
    process.join()
    return found


def summary(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Lay out what was counted: rows of the writer, of each reader, and recall by what was asked."""
    rows: list[dict[str, Any]] = [
        {"writer": k, "n": v} for k, v in found["writer"].get("operations", {}).items()
    ]
    for number, one in enumerate(found["readers"]):
        views = one.get("views", {})
        rows.append(
            {
                "reader": number,
                "opened": views.get("opened", 0),
                "refreshed": views.get("refreshed", 0),
                "kept": views.get("kept", 0),
                "versions": one.get("versions", 0),
                "queries": sum(one.get("queries", {}).values()),
                "peak_mb": one.get("peak_mb", 0),
                "files_open": one.get("descriptors", 0),
            }
        )
    for asked in dict.fromkeys(asked for one in found["readers"] for asked in one.get("recalls", {})):
        counted = [one["recalls"][asked] for one in found["readers"] if asked in one.get("recalls", {})]
        queries = sum(n for n, _ in counted)
        rows.append(
            {"asked": asked, "queries": queries, "recall": round(sum(s for _, s in counted) / queries, 4)}
        )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak, print tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rows", type=int, default=None, help="architectures in the universe (default: all)")
    parser.add_argument("--built", type=float, default=0.6, help="share of them in the index at the start")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "faults" / "soak.json"
    )
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = soak(Path(folder), given.minutes, given.seed, given.rows, given.built)
    rows = summary(found)
    print(table(rows), flush=True)
    for problem in found["problems"]:
        print(problem, file=sys.stderr)
    content = {
        "protocol": PROTOCOL,
        "minutes": given.minutes,
        "seed": given.seed,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "problems": found["problems"],
        "versions_left": found["versions_left"],
        "rows": rows,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(content, indent=1) + "\n")
    return 1 if found["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
