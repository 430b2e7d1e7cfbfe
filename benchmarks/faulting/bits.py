"""A flipped bit in every file of an index: is it noticed, named and mended, and is no wrong answer served?"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

import archindex as ax
from archindex.core.errors import ArchindexError
from archindex.store.verify import Report, verify
from benchmarks.faulting.answers import Asker, Tally
from benchmarks.faulting.indexes import DATA, build, carry_out, draw, lists_from
from benchmarks.faulting.ledger import State, Universe, read_state

SIZE: Final = 400
UNIVERSE: Final = 2_000
FLIPS: Final = 4  # in each file
QUERIES: Final = 6
LISTED: Final = 300
NAME: Final = "kept"
PROTOCOL: Final = (
    f"Indexes of {SIZE} rows of NAS-Bench-201 and NAS-Bench-Graph ({FLIPS} flips in each file) and, "
    "bits_large, of 25,000 (1 flip), universal encoder, HNSW engine, lists, published twice, with a "
    "snapshot of the second version and records in the log. In every file, one bit is flipped: in the first "
    "byte, in the last, and at "
    "random. Then the index is opened (and its snapshot), all rows, vectors, ids and columns are read, an "
    f"architecture is encoded and {QUERIES} random queries are asked; `verify`, `verify --repair` are run, "
    "and the index is read and asked again. refused: opening or asking raised a typed error. right: "
    "everything was read and answered as before the flip. wrong: anything else, an untyped error included. "
    "named: `verify` named the file, or raised an error that does. harmless: it found nothing, and all "
    "was right. mended: after the repair `verify` finds nothing and everything is right. not mendable: the "
    "repair changed nothing, and said what to do instead. failed: any flip with a wrong answer, one that was "
    "neither named nor harmless, or one whose repair did not do what it said. Seed 0."
)


@dataclass
class Counts:
    """What the flips in one file did."""

    flips: int = 0
    refused: int = 0
    right: int = 0
    wrong: int = 0
    named: int = 0
    harmless: int = 0
    mended: int = 0
    not_mendable: int = 0
    problems: list[str] = field(default_factory=list)


class Subject:
    """An index to be harmed, and what it has to hold.

    Parameters
    ----------
    folder : Path
        Where it is made.
    universe : Universe
        Rows to take.
    size : int
        How many of them are built in.
    rng : Generator
        Of everything random.
    """

    def __init__(self, folder: Path, universe: Universe, size: int, rng: np.random.Generator) -> None:
        self.path, self._sound = folder / "index", folder / "sound"
        self._universe, self._rng = universe, rng
        rows = np.arange(size)
        build(self.path, universe, rows)
        self._state = State.built(universe, rows)
        with ax.open(self.path) as index:
            self._write(index, "add", "update", "publish")
            index.take_snapshot(NAME)
            self._kept = self._state.copy()
            self._write(index, "add", "publish", "update", "remove", "drop", "add")
        self.files = sorted(p for p in self.path.rglob("*") if p.is_file() and p.stat().st_size)
        shutil.copytree(self.path, self._sound)

    def _write(self, index: ax.Index, *kinds: str) -> None:
        for kind in kinds:
            operation = draw(self._rng, self._state, kind, 5)
            self._state.apply(operation)
            carry_out(self._universe, index, operation)

    def restore(self) -> None:
        """Undo all harm."""
        shutil.rmtree(self.path)
        shutil.copytree(self._sound, self.path)

    def ask(self) -> str:
        """Read and ask everything; return ``""`` if all is right, what is wrong, or the typed error.

        Raises
        ------
        ArchindexError
            If the index refuses.
        """
        for version, state in ((None, self._state), (NAME, self._kept)):
            with ax.open(self.path, version=version) as index:
                try:
                    seen, at = read_state(self._universe, index)
                    assert seen.digest == state.digest, "other rows or measurements than before"
                    known = self._universe.addresses([0])
                    away = np.abs(index.encode(known) - self._universe.vectors[:1]).max()
                    assert away < 1e-4, f"an encoding is off by {away}"
                    asker = Asker(self._universe, index, seen, at)
                    for _ in range(QUERIES):
                        asker.ask(self._rng, Tally())
                except ArchindexError:
                    raise
                except Exception as error:
                    return f"{version or 'current'}: {type(error).__name__}: {error}"
        return ""

    def flip(self, file: Path, position: int, bit: int, counts: Counts) -> None:
        """Flip one bit, count what follows, and undo it."""
        content = bytearray(file.read_bytes())
        content[position] ^= 1 << bit
        file.write_bytes(content)
        counts.flips += 1
        name = file.relative_to(self.path).as_posix()
        for problem in self._examine(name, counts):
            counts.problems.append(f"{name}, bit {bit} of byte {position}: {problem}")
        self.restore()

    def _examine(self, name: str, counts: Counts) -> Iterator[str]:
        try:
            wrong = self.ask()
            counts.wrong += bool(wrong)
            counts.right += not wrong
            if wrong:
                yield wrong
            answered = not wrong
        except ArchindexError:
            counts.refused += 1
            answered = False
        try:
            report = verify(self.path)
        except ArchindexError as error:
            counts.named += 1
            if Path(name).name not in str(error):
                yield f"an error that does not name it: {error}"
            return
        if report.ok:
            counts.harmless += answered
            if not answered:
                yield "verify finds nothing"
            return
        counts.named += 1
        if not any(_names(name, problem.file, problem.text) for problem in report.found):
            yield f"verify names something else: {report.problems}"
        yield from self._repaired(report, counts)

    def _repaired(self, before: Report, counts: Counts) -> Iterator[str]:
        report = verify(self.path, repair=True)
        if not all(problem.repairable for problem in before.found):
            counts.not_mendable += 1
            if report.ok or not any(word in report.next for word in ("copy", "build", "remove")):
                yield f"it cannot be mended, and the advice is {report.next!r}"
            return
        try:
            wrong = self.ask() if report.ok else "; ".join(report.problems)
        except ArchindexError as error:
            wrong = str(error)
        counts.mended += not wrong
        if wrong:
            yield f"after the repair: {wrong}"


def _names(name: str, file: str, text: str) -> bool:
    """Return whether a problem of `verify` is about a file."""
    last = Path(name).name
    return last in text or last in file or file.rstrip("/") in name


def flips(rng: np.random.Generator, size: int, n: int) -> Iterator[tuple[int, int]]:
    """Yield `n` places of a file: first byte, last byte, anywhere; one alone is anywhere."""
    for number in range(n):
        position = (0, size - 1)[number] if number < 2 < n else int(rng.integers(size))
        yield position, int(rng.integers(8))


def measure(data: Path, quick: bool) -> list[dict[str, Any]]:
    """Flip bits in every file of a small index."""
    return campaign(SIZE, UNIVERSE, 1 if quick else FLIPS)


def campaign(size: int, of: int | None, n: int, part: slice = slice(None)) -> list[dict[str, Any]]:
    """Flip `n` bits in every file of an index of `size` rows, of so many of the universe.

    Parameters
    ----------
    size : int
        Rows of the index.
    of : int or None
        Rows of the universe; None: all.
    n : int
        Flips in each file.
    part : slice
        Of the list of files: those to harm.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder, lists_from(LISTED):
        subject = Subject(Path(folder), Universe.of(DATA, of), size, np.random.default_rng(size))
        for number, file in list(enumerate(subject.files))[part]:
            counts = Counts()
            for position, bit in flips(np.random.default_rng([size, number]), file.stat().st_size, n):
                subject.flip(file, position, bit, counts)
            name = _kind(file.relative_to(subject.path))
            print(f"{size} rows, {name}", *counts.problems, file=sys.stderr)
            row = {key: value for key, value in vars(counts).items() if key != "problems"}
            first = counts.problems[0] if counts.problems else ""
            rows.append({"rows": size, "file": name, **row, "failed": len(counts.problems), "problem": first})
    return rows


def _kind(name: Path) -> str:
    """Return the name of a file without the number of its version: named (snapshot), current or older."""
    parts = name.parts
    return "/".join(parts[2:]) + f" (version {int(parts[1])})" if parts[0] == "versions" else name.as_posix()
