"""Many writers at once: every acknowledged row is there, under an id of its own."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
import traceback
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np

import archindex as ax
from archindex.core.errors import IndexLockedError
from archindex.store.verify import verify
from benchmarks.faulting.answers import Asker, Tally
from benchmarks.faulting.indexes import DATA, build, carry_out, draw, lists_from
from benchmarks.faulting.ledger import Ledger, State, Universe, read_state

WRITERS: Final = 6
SECONDS: Final = {400: 30.0, 25_000: 45.0}
SHARED: Final = 200  # rows that all of them add
LISTED: Final = 300
QUERIES: Final = 50
LEAST: Final = 6  # operations of each writer, however long they take
PROTOCOL: Final = (
    f"{WRITERS} processes write to one index at once for 30 s (400 rows) and 45 s (25,000 rows), "
    "NAS-Bench-201 and NAS-Bench-Graph, universal encoder, HNSW engine, lists: adds, measurements, updates, "
    "removals, and now and then publish, compact. Each writer has rows of its own, so that what it was told "
    "has to be there at the end whatever the others did; a third of its adds bring, beside its own, rows "
    "that all writers add and nobody removes: these have to get one and the same id from everybody. At the "
    "end, row ids, vectors, columns and measurements of all rows equal those of all acknowledged operations, "
    f"no id was given twice, {QUERIES} random queries equal brute force, and verify finds nothing. locked: "
    "operations that were refused because others held the lock for more than 30 s; they have changed "
    "nothing. Seed 0."
)


def write(path: Path, universe: Universe, own: State, number: int, told: Path, end: float) -> Counter[str]:
    """Write operations on a writer's own rows, telling each after it was acknowledged."""
    rng, ledger, counts = np.random.default_rng(number), Ledger(told), Counter[str]()
    numbers = np.arange(len(universe))
    shared = numbers[-SHARED:]
    mine = (numbers % WRITERS == number) & (numbers < shared[0])
    kinds = ["add"] * 8 + ["measure", "update", "drop", "remove", "remove", "publish"]
    while time.time() < end or counts.total() < LEAST:
        kind = "compact" if rng.random() < 0.02 else str(rng.choice(kinds))
        operation = dict(draw(rng, own, kind, int(rng.integers(2, 1000)), 16, mine))
        common: list[int] = []
        if operation["op"] == "add" and rng.random() < 0.3:
            common = sorted(rng.choice(shared, size=4, replace=False).tolist())
            operation["rows"] += common
            operation["generations"] += [0] * len(common)
        with ax.open(path) as index:
            try:
                answer = carry_out(universe, index, operation)
            except IndexLockedError:
                counts["locked"] += 1
                continue
        counts[kind] += 1
        ledger.tell({**operation, "answer": answer, "common": len(common)})
        if "rows" in operation:
            n = len(operation["rows"]) - len(common)
            own.apply({key: v[:n] if isinstance(v, list) else v for key, v in operation.items()})
    return counts


def _child(pipe: Connection, arguments: tuple[Any, ...]) -> None:
    try:
        with lists_from(LISTED):
            pipe.send(write(*arguments))
    except Exception:
        pipe.send(traceback.format_exc())


def replay(state: State, ledgers: list[Ledger]) -> list[str]:
    """Apply what all writers were told to a state, and return what cannot be.

    Writers have rows of their own, so that only the order within a ledger counts.
    """
    problems: list[str] = []
    given: dict[int, int] = {}
    for ledger in ledgers:
        ledger.look()
        for operation in ledger.issued:
            if "rows" not in operation:
                continue
            rows, answer = operation["rows"], operation["answer"]
            if operation["op"] == "remove":
                state.ids[rows] = -1
                state.generations[rows] = 0
                problems += [] if answer == len(rows) else [f"{answer} of {len(rows)} rows removed"]
                continue
            for row, generation, row_id in zip(rows, operation["generations"], answer, strict=True):
                if state.ids[row] >= 0 and state.ids[row] != row_id:
                    problems.append(f"row {row} has the ids {state.ids[row]} and {row_id}")
                if given.setdefault(row_id, row) != row:
                    problems.append(f"id {row_id} was given to two rows")
                state.ids[row] = row_id
                dropped = operation["op"] == "drop"
                state.generations[row] = 0 if dropped else generation or state.generations[row]
    state.digest = state.digest_of(state.rows)
    return problems


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Let many processes write to one index at once."""
    return [_campaign(size, 1.0 if quick else SECONDS[size]) for size in ((400,) if quick else SECONDS)]


def _campaign(size: int, seconds: float) -> dict[str, Any]:
    universe = Universe.of(DATA, 4_000 if size == 400 else None)
    rows = np.arange(size)
    state = State.built(universe, rows)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.faulting.writers"])
    running, ledgers, counts, problems = [], [], Counter[str](), list[str]()
    with tempfile.TemporaryDirectory() as place, lists_from(LISTED):
        path = Path(place) / "index"
        build(path, universe, rows)
        end = time.time() + seconds
        for number in range(WRITERS):
            told = Path(place) / f"told-{number}"
            ledgers.append(Ledger(told))
            ours, theirs = context.Pipe(duplex=False)
            arguments = (path, universe, state, number, told, end)
            process = context.Process(target=_child, args=(theirs, arguments))
            process.start()
            theirs.close()
            running.append((process, ours))
        for process, pipe in running:
            try:
                answer = pipe.recv()
            except EOFError:
                answer = "a writer died"
            process.join()
            if isinstance(answer, str):
                problems.append(answer)
            else:
                counts += answer
        problems += replay(state, ledgers)
        problems += _final(universe, path, state)
    return {
        "rows": size,
        "writers": WRITERS,
        "seconds": seconds,
        "operations": sum(counts.values()) - counts["locked"],
        "published": counts["publish"] + counts["compact"],
        "locked": counts["locked"],
        "rows_at_the_end": len(state.rows),
        "failed": len(problems),
        "problem": problems[0] if problems else "",
    }


def _final(universe: Universe, path: Path, state: State) -> list[str]:
    """Compare an index with what it has to hold."""
    rng = np.random.default_rng(0)
    try:
        with ax.open(path) as index:
            seen, at = read_state(universe, index)
            different = np.count_nonzero((seen.ids != state.ids) | (seen.generations != state.generations))
            if different:
                return [f"{different} rows are not as acknowledged"]
            asker = Asker(universe, index, seen, at)
            for _ in range(QUERIES):
                asker.ask(rng, Tally())
    except AssertionError as error:
        return [str(error)]
    return list(verify(path).problems)
