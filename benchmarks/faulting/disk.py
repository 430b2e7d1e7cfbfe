"""A disk that fills up under every command that writes, at every amount of room that is left."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

import archindex as ax
from archindex.core.errors import ArchindexError, IndexMissingError, StorageError
from archindex.store.verify import verify
from benchmarks.faulting.answers import Tally
from benchmarks.faulting.indexes import DATA, build, carry_out, check, draw, lists_from
from benchmarks.faulting.kills import merged
from benchmarks.faulting.ledger import Operation, State, Universe, read_state
from benchmarks.faulting.places import LISTED, can_mount, in_a_child, only_left, small_disk

SIZE: Final = 400
UNIVERSE: Final = 2_000
DISK: Final = 64 << 20
ROOMS: Final = [0, *(4096 << i for i in range(16)), *(6144 << i for i in range(1, 15))]
PROTOCOL: Final = (
    f"Indexes of {SIZE} rows of NAS-Bench-201 and NAS-Bench-Graph, universal encoder, HNSW engine, lists, "
    "records in the log, on a file system in memory that is filled up but for 0, 4, 6, 8, 12, "
    "16 KiB and so on up to what the command needs. Each command "
    "runs in a child. refused: it raised a StorageError; while the disk was still full, the index was read "
    "and held what it had held before, row ids, vectors, columns and measurements (a folder to be built in: "
    "nothing that opens). done: the answer was right, and the index holds it. Once there is room again, a "
    "refused command is run again and has to succeed; then random queries are compared with brute force, "
    "verify has to find nothing, and the next write has to be there. failed: anything else, an untyped error "
    "or a dead process included. enough: bytes of room with which the command was done. Seed 0."
)


@dataclass
class Command:
    """A command that writes, and what is to be after it.

    Attributes
    ----------
    name : str
        What is tried.
    run : callable
        Runs it on the folder of a disk.
    before, after : State or None
        What the index holds before and after; None: there is none.
    where : str
        Folder of the index on the disk.
    prepare : callable
        Makes the disk ready.
    """

    name: str
    run: Callable[[Path], Any]
    before: State | None
    after: State
    where: str = "index"
    prepare: Callable[[Path], None] = field(default=lambda disk: None)


class Bench:
    """Indexes to start from, and the commands on them."""

    def __init__(self, folder: Path, universe: Universe, size: int, rng: np.random.Generator) -> None:
        self.universe, self.rng, self.folder, self.size = universe, rng, folder, size
        rows = np.arange(size)
        self.state = State.built(universe, rows)
        self.other = State.built(universe, rows[size // 2 :])
        build(folder / "index", universe, rows)
        build(folder / "other", universe, rows[size // 2 :])
        with ax.open(folder / "index") as index:
            for kind in ("add", "update", "remove"):
                operation = draw(rng, self.state, kind, 5)
                carry_out(universe, index, operation)
                self.state.apply(operation)

    def commands(self) -> Iterator[Command]:
        """Yield all commands."""
        for kind in ("add", "update", "drop", "remove"):
            operation = draw(self.rng, self.state, kind, 9, most=200)
            after = self.state.copy()
            after.apply(operation)
            yield Command(kind, Write(self.universe, operation), self.state, after)
        for kind in ("publish", "compact", "snapshot"):
            operation = draw(self.rng, self.state, kind, 9)
            after = self.state.copy()
            after.apply(operation)
            yield Command(kind, Write(self.universe, operation), self.state, after)
        rows = np.arange(self.size // 3, self.size)
        first = self.state.next_row_id
        new = State.built(self.universe, rows, first)
        yield Command("build over an index", Build(self.universe, rows, "index"), self.state, new)
        fresh = State.built(self.universe, rows)
        yield Command("build", Build(self.universe, rows, "fresh"), None, fresh, "fresh")
        yield Command("merge", Merge(), None, merged([self.state, self.other]), "merged")
        yield Command("verify --repair", Repair(), self.state, self.state, prepare=_damage)


@dataclass(frozen=True)
class Write:
    """An operation on an opened index."""

    universe: Universe
    operation: Operation

    def __call__(self, disk: Path) -> Any:
        """Carry it out."""
        with ax.open(disk / "index") as index:
            return carry_out(self.universe, index, self.operation)


@dataclass(frozen=True)
class Build:
    """A build, over an index or into an empty folder."""

    universe: Universe
    rows: Any
    where: str

    def __call__(self, disk: Path) -> None:
        """Carry it out."""
        build(disk / self.where, self.universe, self.rows, overwrite=self.where == "index")


class Merge:
    """A merge of two indexes into a third."""

    def __call__(self, disk: Path) -> None:
        """Carry it out."""
        ax.merge(disk / "merged", disk / "index", disk / "other").close()


class Repair:
    """A repair of the damage that was done before."""

    def __call__(self, disk: Path) -> None:
        """Carry it out."""
        report = verify(disk / "index", repair=True)
        assert report.ok, report.problems


def _damage(disk: Path) -> None:
    (disk / "index/versions/000001/columns/n_ops.npy").unlink()


def attempt(bench: Bench, command: Command, disk: Path, room: int) -> tuple[str, str]:
    """Run a command with so much room left; return what it did, and what is wrong."""
    for one in ("index", "other", "fresh", "merged"):
        shutil.rmtree(disk / one, ignore_errors=True)
        if (bench.folder / one).exists():
            shutil.copytree(bench.folder / one, disk / one)
    command.prepare(disk)
    path = disk / command.where
    with only_left(disk, room):
        answer = in_a_child(command.run, disk)
        if answer.kind not in ("done", "refused") or answer.error not in ("", StorageError.__name__):
            return answer.kind, f"{answer.error} {answer.value}"
        try:
            held = None if command.name == "verify --repair" and answer.error else _held(bench, path)
        except (AssertionError, ArchindexError) as error:
            return answer.kind, f"while the disk is full: {type(error).__name__}: {error}"
        expected = command.after if answer.kind == "done" else command.before
        if held is not None and (expected is None or held.digest != expected.digest):
            return answer.kind, "other rows or measurements than there should be while the disk is full"
    if answer.kind == "refused":
        again = in_a_child(command.run, disk)
        if again.kind != "done":
            return answer.kind, f"once there was room: {again.error} {again.value}"
    try:
        check(bench.universe, path, [command.after], bench.rng, Tally())
    except (AssertionError, ArchindexError) as error:
        return answer.kind, f"afterwards: {type(error).__name__}: {error}"
    return answer.kind, ""


def _held(bench: Bench, path: Path) -> State | None:
    """Read what an index holds; None if there is none."""
    try:
        with ax.open(path) as index:
            return read_state(bench.universe, index)[0]
    except IndexMissingError:
        return None


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Run all commands with less and less room."""
    if not can_mount():
        return [{"command": "none: this process may not mount file systems", "failed": 0}]
    rng, universe = np.random.default_rng(0), Universe.of(DATA, UNIVERSE)
    with small_disk(DISK) as folder, small_disk(DISK) as disk, lists_from(LISTED):
        bench = Bench(folder, universe, SIZE, rng)
        return [
            _row(bench, command, disk, [0, 65536] if quick else sorted(ROOMS))
            for command in bench.commands()
            if not quick or command.name in ("add", "publish")
        ]


def _row(bench: Bench, command: Command, disk: Path, rooms: list[int]) -> dict[str, Any]:
    done = refused = 0
    problems: list[str] = []
    enough = -1
    for room in rooms:
        what, problem = attempt(bench, command, disk, room)
        done += what == "done"
        refused += what == "refused"
        print(f"{command.name}, {room} bytes left: {what} {problem}", file=sys.stderr)
        if problem:
            problems.append(f"{room} bytes left: {problem}")
        if what == "done":
            enough = room
            break
    return {
        "command": command.name,
        "tries": done + refused,
        "refused": refused,
        "done": done,
        "enough": enough,
        "failed": len(problems),
        "problem": problems[0] if problems else "",
    }
