"""``kill -9`` at random moments of every command that writes: is anything that was acknowledged lost?"""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import duckdb  # noqa: F401 - imported here, so that a child that is forked from here has it
import hnswlib  # noqa: F401
import numpy as np

import archindex as ax
from archindex.core.errors import ArchindexError, CorruptIndexError, IndexMissingError
from archindex.store.verify import verify
from benchmarks.faulting.answers import Tally
from benchmarks.faulting.indexes import DATA, build, carry_out, check, draw, is_right, lists_from
from benchmarks.faulting.ledger import Ints, Ledger, State, Universe, read_state

SIZE: Final = 400
UNIVERSE: Final = 2_000
KILLS: Final = 26  # of each kind of command
LISTED: Final = 300  # the small index has lists, too
STREAMS: Final[dict[str, tuple[str, ...]]] = {
    "add, update, remove": ("add", "measure", "update", "drop", "remove"),
    "publish": ("add", "remove", "publish"),
    "compact": ("add", "remove", "compact"),
    "snapshot": ("add", "snapshot", "publish"),
}
PROTOCOL: Final = (
    f"NAS-Bench-201 and NAS-Bench-Graph, universal encoder, HNSW engine, lists; an index of {SIZE} rows (of "
    f"{UNIVERSE:,}), kills_large: of 25,000 (of 41,831); {KILLS} kills of each kind (large: 6). A child "
    "forked from a process that has imported everything is sent SIGKILL after a delay drawn uniformly over "
    "the time that the same commands took undisturbed. Streams of commands run on one index over all rounds; "
    "a build replaces an index with a log, or goes into an empty folder and is run again; a merge writes two "
    "indexes into a third. Each command is told to a ledger before it starts and after it was acknowledged. "
    "After every kill the index has to hold the rows of all acknowledged commands, with those of the one in "
    "flight or without: row ids, vectors, columns, measurements, snapshots; twelve random queries (eight "
    "filters, all strategies) have to answer as brute force over these rows does; verify has to find "
    "nothing; and the next random write has to be there when the index is opened again. in flight: kills "
    "that hit a command "
    "that was not acknowledged; effect: those whose command was wholly there nevertheless. Seed 0."
)


@dataclass
class Campaign:
    """Where everything is, and what was counted."""

    folder: Path
    universe: Universe
    rows: Ints
    rng: np.random.Generator
    context: Any = field(default_factory=lambda: multiprocessing.get_context("forkserver"))

    def kill(self, seconds: float | None, function: Callable[..., None], *arguments: Any) -> float:
        """Run a function in a child, kill it after `seconds`; None: let it end. Return how long it took."""
        ours, theirs = self.context.Pipe()
        child = self.context.Process(target=_child, args=(theirs, function, arguments))
        child.start()
        ours.recv()
        started = time.perf_counter()
        child.join(seconds)
        child.kill()
        child.join()
        if child.exitcode not in (0, -signal.SIGKILL):
            raise RuntimeError(f"the child ended by itself with {child.exitcode}")
        return time.perf_counter() - started


def _child(ready: Connection, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    with lists_from(LISTED):
        ready.send(None)
        function(*arguments)


def stream(
    path: Path, universe: Universe, state: State, kinds: tuple[str, ...], seed: int, told: Path, rounds: int
) -> None:
    """Write to an index, telling each operation before it starts and after it was acknowledged."""
    rng, ledger = np.random.default_rng(seed), Ledger(told)
    index = ax.open(path)
    for _ in range(rounds):
        for kind in kinds:
            operation = draw(rng, state, kind, int(rng.integers(2, 1000)))
            ledger.tell(operation)
            state.apply(operation)
            ledger.tell(carry_out(universe, index, operation))


def after(state: State, told: Path) -> tuple[list[State], int]:
    """Return the states that an index may be in after a stream, and how many operations were acknowledged.

    The first is that of the acknowledged operations, the second, if there is one, has that in flight too.
    """
    ledger = Ledger(told)
    ledger.look()
    legal = [state.copy()]
    for number, operation in enumerate(ledger.issued):
        new = legal[-1].copy()
        expected = new.apply(operation)
        if number < len(ledger.answers):
            assert is_right(operation, ledger.answers[number], expected), "a wrong answer"
        legal = [new] if number < len(ledger.answers) else [legal[-1], new]
    return legal, len(ledger.answers)


@dataclass
class Outcome:
    """What the kills of one kind of command did."""

    kills: int = 0
    in_flight: int = 0
    effect: int = 0
    acknowledged: int = 0
    problems: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    def settle(self, campaign: Campaign, path: Path, legal: list[State]) -> State | None:
        """Count one kill, and check what it left; return the state of the index, None if it is wrong."""
        self.kills += 1
        self.in_flight += len(legal) > 1
        try:
            with ax.open(path) as index:
                seen, _ = read_state(campaign.universe, index)
            self.effect += len(legal) > 1 and seen.digest == legal[1].digest != legal[0].digest
            return check(campaign.universe, path, legal, campaign.rng, self.tally)
        except (AssertionError, ArchindexError) as error:
            self.problems.append(f"{type(error).__name__}: {error}")
            return None


def kill_streams(kinds: tuple[str, ...], campaign: Campaign, kills: int) -> Outcome:
    """Kill streams of operations on one index, round after round."""
    path, universe, outcome = campaign.folder / "stream", campaign.universe, Outcome()
    told = campaign.folder / "told"
    rounds = 1 if len(kinds) == 3 else 2
    state, seconds = None, 0.0
    for _ in range(kills):
        told.unlink(missing_ok=True)
        if state is None:
            shutil.rmtree(path, ignore_errors=True)
            with lists_from(LISTED):
                build(path, universe, campaign.rows)
            state = State.built(universe, campaign.rows)
            seconds = campaign.kill(None, stream, path, universe, state, kinds, 0, told, rounds)
            (state,), _ = after(state, told)
            told.unlink()
        seed = int(campaign.rng.integers(1 << 32))
        # Twice as many operations as there is time for.
        arguments = (path, universe, state, kinds, seed, told, 2 * rounds)
        campaign.kill(campaign.rng.uniform(0, seconds), stream, *arguments)
        legal, acknowledged = after(state, told)
        outcome.acknowledged += acknowledged
        state = outcome.settle(campaign, path, legal)
    return outcome


def kill_rebuilds(campaign: Campaign, kills: int) -> Outcome:
    """Kill builds that replace an index with records in its log."""
    path, before, universe = campaign.folder / "rebuilt", campaign.folder / "before", campaign.universe
    others = np.setdiff1d(np.arange(len(universe)), campaign.rows)[: len(campaign.rows) // 2]
    others = np.concatenate([others, campaign.rows[len(campaign.rows) // 2 :]])
    with lists_from(LISTED):
        build(before, universe, campaign.rows)
    old = State.built(universe, campaign.rows)
    operation = draw(campaign.rng, old, "measure", 7)
    with ax.open(before) as index:
        carry_out(universe, index, operation)
    old.apply(operation)
    new = State.built(universe, others, old.next_row_id)
    outcome, seconds = Outcome(), 0.0
    for number in range(1 + kills):
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(before, path)
        delay = campaign.rng.uniform(0, seconds) if number else None
        took = campaign.kill(delay, _build, path, universe, others, True)
        if number:
            outcome.settle(campaign, path, [old, new])
        seconds = seconds or took
    return outcome


def kill_builds(campaign: Campaign, kills: int) -> Outcome:
    """Kill builds into an empty folder, and run them again."""
    path, universe, outcome, seconds = campaign.folder / "fresh", campaign.universe, Outcome(), 0.0
    state = State.built(universe, campaign.rows)
    for number in range(1 + kills):
        shutil.rmtree(path, ignore_errors=True)
        delay = campaign.rng.uniform(0, seconds) if number else None
        took = campaign.kill(delay, _build, path, universe, campaign.rows, False)
        seconds = seconds or took
        if not number:
            continue
        try:
            ax.open(path).close()
        except IndexMissingError:  # says that the same build finishes it
            outcome.in_flight += 1
            campaign.kill(None, _build, path, universe, campaign.rows, False)
        except ArchindexError as error:
            outcome.problems.append(f"{type(error).__name__}: {error}")
        outcome.settle(campaign, path, [state])
    return outcome


def kill_merges(campaign: Campaign, kills: int) -> Outcome:
    """Kill merges of two indexes that share rows, and run them again."""
    path, universe, rows = campaign.folder / "merged", campaign.universe, campaign.rows
    sources, states = [campaign.folder / "first", campaign.folder / "second"], []
    for source, part in zip(sources, (rows[: 2 * len(rows) // 3], rows[len(rows) // 3 :]), strict=True):
        with lists_from(LISTED):
            build(source, universe, part)
        states.append(State.built(universe, part))
        with ax.open(source) as index:
            for kind in ("update", "drop", "remove"):
                operation = draw(campaign.rng, states[-1], kind, len(states) + 1)
                carry_out(universe, index, operation)
                states[-1].apply(operation)
    outcome, seconds, legal = Outcome(), 0.0, merged(states)
    for number in range(1 + kills):
        shutil.rmtree(path, ignore_errors=True)
        delay = campaign.rng.uniform(0, seconds) if number else None
        took = campaign.kill(delay, _merge, path, sources)
        seconds = seconds or took
        if not number:
            continue
        try:
            ax.open(path).close()
        except IndexMissingError:
            outcome.in_flight += 1
            campaign.kill(None, _merge, path, sources)
        except CorruptIndexError:  # killed before the manifest of a whole version was written
            verify(path, repair=True)
        outcome.settle(campaign, path, [legal])
    for source, state in zip(sources, states, strict=True):
        outcome.settle(campaign, source, [state])
        outcome.kills -= 1
    return outcome


def merged(states: list[State]) -> State:
    """Return what a merge of two indexes has to hold: the ids of the first, the measurements of the later."""
    first, second = states
    new = np.flatnonzero((first.ids < 0) & (second.ids >= 0))
    state = first.copy()
    state.ids[new[np.argsort(second.ids[new])]] = first.next_row_id + np.arange(len(new))
    state.generations = np.where(second.generations > 0, second.generations, first.generations)
    state.next_row_id = first.next_row_id + len(new)
    state.digest = state.digest_of(state.rows)
    return state


def _merge(path: Path, sources: list[Path]) -> None:
    ax.merge(path, *sources).close()


def _build(path: Path, universe: Universe, rows: Ints, overwrite: bool) -> None:
    build(path, universe, rows, overwrite=overwrite)


MODES: Final[dict[str, Callable[[Campaign, int], Outcome]]] = {
    **{name: partial(kill_streams, kinds) for name, kinds in STREAMS.items()},
    "build over an index": kill_rebuilds,
    "build": kill_builds,
    "merge": kill_merges,
}
"""What is killed."""


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Kill every kind of command at random moments, on a small index."""
    return campaign(SIZE, UNIVERSE, 2 if quick else KILLS)


def campaign(size: int, of: int | None, kills: int) -> list[dict[str, Any]]:
    """Kill every kind of command on an index of `size` rows, of so many of the universe."""
    universe = Universe.of(DATA, of)
    return [killed(name, universe, size, kills) for name in MODES]


def killed(name: str, universe: Universe, size: int, kills: int) -> dict[str, Any]:
    """Kill one kind of command, one of `MODES`; return its row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng([size, list(MODES).index(name)])
        made = Campaign(Path(folder), universe, np.arange(size), rng)
        made.context.set_forkserver_preload(["benchmarks.faulting.kills"])
        one = MODES[name](made, kills)
    print(f"{size} rows, {name}: {one.kills} kills", *one.problems, sep="\n", file=sys.stderr)
    return {
        "rows": size,
        "killed": name,
        "kills": one.kills,
        "in_flight": one.in_flight,
        "effect": one.effect,
        "acknowledged": one.acknowledged,
        "queries": sum(one.tally.queries.values()),
        "failed": len(one.problems),
        "problem": one.problems[0] if one.problems else "",
    }
