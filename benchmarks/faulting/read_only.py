"""A disk or a folder that takes no writes: what reads works, what writes says so, and nothing changes."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

import archindex as ax
from archindex.core.errors import StorageError
from archindex.store.verify import verify
from benchmarks.faulting.answers import Asker, Tally
from benchmarks.faulting.disk import Build, Repair, Write
from benchmarks.faulting.indexes import DATA, WRITES, build, carry_out, draw, lists_from
from benchmarks.faulting.ledger import State, Universe, read_state
from benchmarks.faulting.places import LISTED, NOBODY, can_mount, in_a_child, read_only

QUERIES: Final = 24
SIZE: Final = 400
PROTOCOL: Final = (
    f"An index of {SIZE} rows of NAS-Bench-201 and NAS-Bench-Graph, universal encoder, HNSW engine, lists, "
    "records in the log, on a disk that is mounted read-only, and in a folder of another user who may read "
    "all of it. Each command runs in a child. Reading: all rows, vectors, ids and columns are read, "
    f"{QUERIES} random queries are compared with brute force, and verify has to find nothing. Writing: every "
    "command has to raise a StorageError. Afterwards every byte of the folder is as before. Unreadable: the "
    "folder of another user that must not be read; opening has to raise a typed error."
)


def rehearse(universe: Universe) -> None:
    """Do everything once, so that all is imported: another user may not read the installation."""
    with tempfile.TemporaryDirectory() as place, lists_from(LISTED):
        build(Path(place) / "index", universe, np.arange(LISTED))
        state = State.built(universe, np.arange(LISTED))
        with ax.open(Path(place) / "index") as index:
            carry_out(universe, index, draw(np.random.default_rng(0), state, "update", 2))
        Repair()(Path(place))
        for kind in ("publish", "compact", "snapshot"):
            Write(universe, draw(np.random.default_rng(0), state, kind, 2))(Path(place))
        read(universe, read_all(universe, Path(place) / "index"), Path(place) / "index")


def read_all(universe: Universe, path: Path) -> State:
    """Read what an index holds."""
    with ax.open(path) as index:
        return read_state(universe, index)[0]


def read(universe: Universe, state: State, path: Path) -> str:
    """Read and ask everything; return how the plans ran."""
    rng, tally = np.random.default_rng(0), Tally()
    with ax.open(path) as index:
        seen, at = read_state(universe, index)
        assert seen.digest == state.digest, "other rows or measurements than there should be"
        asker = Asker(universe, index, seen, at)
        for _ in range(QUERIES):
            asker.ask(rng, tally)
    found = verify(path)
    assert found.ok, found.problems
    return ", ".join(f"{n} by {way}" for way, n in sorted(tally.queries.items()))


def digest(folder: Path) -> str:
    """Return a checksum of every name and every byte below a folder."""
    found = hashlib.blake2b()
    for file in sorted(folder.rglob("*")):
        found.update(file.relative_to(folder).as_posix().encode())
        if file.is_file():
            found.update(file.read_bytes())
    return found.hexdigest()


@contextmanager
def of_another_user(folder: Path) -> Iterator[Path]:
    """Give a copy of a folder that others may read and not write."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        copy = shutil.copytree(folder, Path(place) / "copy")
        for one in (copy, *copy.rglob("*")):
            one.chmod(0o755 if one.is_dir() else 0o644)
        yield copy


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Read from and write to what takes no writes."""
    if os.geteuid() or not can_mount():
        return [{"where": "none: this process may not mount file systems", "failed": 0}]
    universe, rng = Universe.of(DATA, 2_000), np.random.default_rng(0)
    rows = np.arange(SIZE)
    state = State.built(universe, rows)
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place, lists_from(LISTED):
        folder = Path(place)
        build(folder / "index", universe, rows)
        with ax.open(folder / "index") as index:
            for kind in ("add", "publish", "update", "remove"):
                operation = draw(rng, state, kind, 5)
                carry_out(universe, index, operation)
                state.apply(operation)
        commands: dict[str, Callable[[Path], Any]] = {
            kind: Write(universe, draw(rng, state, kind, 9))
            for kind in (*WRITES, "publish", "compact", "snapshot")
        }
        commands["build over an index"] = Build(universe, rows, "index")
        commands["build"] = Build(universe, rows, "fresh")
        for name, place_of, user in (
            ("read-only disk", read_only, None),
            ("another user's folder", of_another_user, NOBODY),
        ):
            with place_of(folder) as there:
                before = digest(there)
                first = None if user is None else (rehearse, universe)
                answer = in_a_child(read, universe, state, there / "index", user=user, first=first)
                found.append(_row(name, "read", answer.kind, answer.kind == "done", answer.value))
                for command, run in commands.items():
                    answer = in_a_child(run, there, user=user, first=first)
                    right = answer.error == StorageError.__name__
                    found.append(_row(name, command, answer.kind, right, f"{answer.error}: {answer.value}"))
                same = digest(there) == before
                found.append(_row(name, "every byte", "as before" if same else "changed", same, ""))
        (folder / "index/versions/000002/columns/n_ops.npy").unlink()
        with read_only(folder) as there:
            answer = in_a_child(Repair(), there)
            right = answer.error == StorageError.__name__
            found.append(_row("read-only disk", "verify --repair", answer.kind, right, str(answer.value)))
        (folder / "index").chmod(0o700)
        folder.chmod(0o755)
        first = (rehearse, universe)
        answer = in_a_child(read, universe, state, folder / "index", user=NOBODY, first=first)
        found.append(_row("unreadable", "read", answer.kind, answer.kind == "refused", str(answer.value)))
    return found


def _row(where: str, command: str, what: str, right: bool, said: str) -> dict[str, Any]:
    said = said.replace("\n", " ")
    said = said if len(said) < 90 else f"{said[:40]} ... {said[-40:]}"
    return {"where": where, "command": command, "what": what, "failed": int(not right), "said": said}
