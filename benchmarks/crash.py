"""Is anything lost when the writer is killed? SIGKILL at random moments, then everything is read back.

Three modes: a build into a fresh folder, a rebuild over an existing index, and a stream of adds, measurement
updates and removals that is folded into new versions all the time. After every kill the index has to open
and verify, hold every acknowledged operation, hold the one in flight wholly or not at all, and take the
next add.

Run with ``python -m benchmarks.crash``; writes ``benchmarks/results/crash.json``; exit code 1 if a round
failed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import duckdb  # noqa: F401 - imported here, so that a child that is forked from here has it
import hnswlib  # noqa: F401
import numpy as np

import archindex as ax
from archindex.core.metrics import MeasurementSpec, Series, wide_columns
from archindex.datasets import Table, load
from archindex.jobs import build
from archindex.store import writer
from archindex.store.verify import verify

ROWS: Final = 400
CHUNK: Final = 64  # rows a step of encoding, so that a build has several
FOLD_BYTES: Final = 12_000  # a fold about every fourth operation
STREAM_OPERATIONS: Final = 24  # the stream is killed within the time that this many take
SPECS: Final = (
    MeasurementSpec("energy", "pi5", source="crash"),
    MeasurementSpec("acc", "cifar10", "valid", seed=900, source="crash"),  # averaged with the table's seeds
)
PROTOCOL: Final = (
    f"{ROWS} rows of NAS-Bench-201, HNSW engine. A child process, forked from one that has imported "
    "everything, is sent SIGKILL after a delay drawn uniformly over the duration that the same operation "
    f"took undisturbed (stream: {STREAM_OPERATIONS} operations). build: into a fresh folder; run again "
    "after the kill, its vectors, ids and columns equal byte for byte those of a build that was not killed. "
    "rebuild: over an index with records in its log; afterwards all rows, row ids and measurements are "
    "those of the old index or those of the new one. stream: adds of new architectures, new and changed "
    f"measurements, removals, one index over all rounds, log folded from {FOLD_BYTES} bytes on; afterwards "
    "all rows, row ids and measurements equal those of the acknowledged operations, with or without the one "
    "in flight. In all modes the index opens, attribute columns equal the means of the measurements, verify "
    "passes, and the next add works. lost: architectures that differ from what was acknowledged."
)

State = dict[str, tuple[int, dict[MeasurementSpec, float]]]
"""Row id and measurements by native string: all that users gave to an index."""

Operation = dict[str, Any]


@dataclass
class Round:
    """What one kill did.

    Attributes
    ----------
    place : str
        Where it hit.
    lost : int
        Architectures that are not as acknowledged.
    unverified, failed : bool
        Whether verify found something, and whether anything raised or differed.
    acknowledged : int
        Operations acknowledged before the kill.
    problem : str
        What went wrong, or ``""``.
    """

    place: str
    lost: int = 0
    unverified: bool = False
    failed: bool = False
    acknowledged: int = 0
    problem: str = ""


@dataclass
class Campaign:
    """Where everything is, and the processes that do the work."""

    folder: Path
    table: Table
    pool: ProcessPoolExecutor
    rng: np.random.Generator
    rounds: dict[str, list[Round]] = field(default_factory=dict)

    def check(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in the process that checks; it never is the one that was killed."""
        return self.pool.submit(function, *arguments).result()

    def kill(self, seconds: float | None, function: Callable[..., None], *arguments: Any) -> float:
        """Run a function in a child, kill it after `seconds`; None: let it end. Return how long it took."""
        ours, theirs = CONTEXT.Pipe()
        child = CONTEXT.Process(target=_child, args=(theirs, function, arguments))
        child.start()
        ours.recv()
        started = time.perf_counter()
        child.join(seconds)
        child.kill()
        child.join()
        if child.exitcode not in (0, -signal.SIGKILL):
            raise RuntimeError(f"the child ended by itself with {child.exitcode}")
        return time.perf_counter() - started


CONTEXT: Final = multiprocessing.get_context("forkserver")


def _child(ready: Connection, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    ready.send(None)
    function(*arguments)


def build_index(path: Path, table: Table, overwrite: bool) -> None:
    """Build, in steps small enough to be interrupted between two."""
    with patch.object(build, "CHUNK", CHUNK):
        build.build_index(path, [table], engine="hnsw", overwrite=overwrite)


def read_state(path: Path) -> State:
    """Open an index and read everything; raise if its columns are not the means of its measurements."""
    with ax.open(path) as index:
        snapshot = index.snapshot
        values = snapshot.catalog.values(snapshot.ids)
        for row_id, by_spec in snapshot.delta.values.items():
            values[row_id].update(by_spec)
        series = [
            Series(spec, np.array([values[int(i)].get(spec, np.nan) for i in snapshot.ids]))
            for spec in snapshot.specs()
        ]
        for name, one in wide_columns(series).items():
            shown = np.asarray(snapshot.columns[name].values, dtype=np.float64)
            if not np.allclose(shown, one.values, rtol=1e-12, atol=0, equal_nan=True):
                raise AssertionError(f"column {name} is not the mean of its measurements")
        rows = snapshot.all_rows()
        return {
            str(native): (int(row_id), values[int(row_id)])
            for native, row_id in zip(rows["native"], rows["row_id"], strict=True)
        }


def problems(path: Path) -> tuple[str, ...]:
    """Return what verify finds."""
    return verify(path).problems


def write_on(path: Path, native: str) -> State:
    """Add one architecture and return the state that holds it; raise if it does not."""
    with ax.open(path) as index:
        index.add([native], {SPECS[0]: [1.25]})
    state = read_state(path)
    if state[native][1].get(SPECS[0]) != 1.25:
        raise AssertionError("the add after the kill is not there")
    return state


def derived_files(path: Path) -> dict[str, bytes]:
    """Return vectors, row ids and columns of the current version."""
    number = json.loads((path / "manifest.json").read_bytes())["current"]
    folder = path / "versions" / f"{number:06d}"
    files = [folder / "vectors.npy", folder / "ids.npy", *sorted((folder / "columns").iterdir())]
    return {file.name: file.read_bytes() for file in files}


def place_of_kill(path: Path, before: int) -> str:
    """Tell from the files how far the publishing of version ``before + 1`` had come."""
    manifest = path / "manifest.json"
    current = json.loads(manifest.read_bytes())["current"] if manifest.exists() else 0
    if current > before:
        return "after publish"
    if (path / "versions" / f"{current + 1:06d}").exists() or (path / "versions/new").exists():
        return "while publishing"
    return "before publish"


def draw(rng: np.random.Generator, known: list[str], strange: list[str]) -> Operation:
    """Draw the next operation of the stream."""
    kind = rng.choice(["add", "update", "remove"], p=[0.5, 0.25, 0.25])
    pool = strange if kind == "add" else known
    natives = [pool[i] for i in rng.choice(len(pool), size=int(rng.integers(1, 6)), replace=False)]
    if kind == "remove":
        return {"remove": natives}
    return {"add": natives, "values": rng.uniform(1, 99, size=(len(SPECS), len(natives))).tolist()}


def stream(path: Path, natives: tuple[str, ...], seed: int, told: Path, count: int | None) -> None:
    """Write to an index, telling each operation before it starts and after it was acknowledged."""
    rng = np.random.default_rng(seed)
    index = ax.open(path)
    with patch.object(writer, "FOLD_BYTES", FOLD_BYTES), told.open("ab", buffering=0) as out:
        while count is None or count > 0:
            count = None if count is None else count - 1
            known = [str(native) for native in index.snapshot.all_rows()["native"]]
            operation = draw(rng, known, sorted(set(natives) - set(known)))
            out.write(json.dumps(operation).encode() + b"\n")
            if "remove" in operation:
                answer = index.remove(operation["remove"])
            else:
                answer = index.add(
                    operation["add"], dict(zip(SPECS, operation["values"], strict=True))
                ).tolist()
            out.write(json.dumps(answer).encode() + b"\n")


def replay(state: State, told: Path) -> Iterator[tuple[State, bool]]:
    """Yield the state after each operation that was told, and whether it was acknowledged."""
    lines = told.read_bytes().split(b"\n")[:-1] if told.exists() else []
    for start in range(0, len(lines), 2):
        operation: Operation = json.loads(lines[start])
        answer = json.loads(lines[start + 1]) if start + 1 < len(lines) else None
        state = {native: (row_id, dict(values)) for native, (row_id, values) in state.items()}
        for native in operation.get("remove", ()):
            state.pop(native, None)  # there, unless a loss before went unseen
        for i, native in enumerate(operation.get("add", ())):
            row_id, values = state.get(native, (answer[i] if answer else -1, {}))
            values.update({spec: operation["values"][s][i] for s, spec in enumerate(SPECS)})
            state[native] = (row_id, values)
        yield state, answer is not None


def with_new_ids(state: State, found: State, unused: int) -> State:
    """Fill in the row ids of an add that nobody was told of: any that was never used will do."""
    return {
        native: (found[native][0] if i < 0 and native in found and found[native][0] >= unused else i, values)
        for native, (i, values) in state.items()
    }


def kill_builds(campaign: Campaign, kills: int) -> Iterator[Round]:
    """Kill builds into a fresh folder, and finish them."""
    reference = campaign.folder / "reference"
    table = campaign.table.take(range(ROWS))
    seconds = campaign.kill(None, build_index, reference, table, False)
    expected, state = derived_files(reference), campaign.check(read_state, reference)
    for i in range(kills):
        path = campaign.folder / f"build-{i}"
        campaign.kill(campaign.rng.uniform(0, seconds), build_index, path, table, False)
        one = Round(place_of_kill(path, 0))
        if one.place != "after publish":
            campaign.check(build_index, path, table, False)
        one.failed = derived_files(path) != expected
        yield _settled(campaign, one, path, [state], campaign.table.natives[-1])
        shutil.rmtree(path)


def kill_rebuilds(campaign: Campaign, kills: int) -> Iterator[Round]:
    """Kill rebuilds of an index that has records in its log."""
    path, old_index = campaign.folder / "rebuilt", campaign.folder / "old"
    table = campaign.table.take(range(ROWS // 2, ROWS // 2 + ROWS))
    build_arguments = (campaign.table.take(range(ROWS)), False)
    campaign.check(build_index, old_index, *build_arguments)
    logged, spare = campaign.table.natives[-2:]
    old = campaign.check(write_on, old_index, logged)
    shutil.copytree(old_index, path)
    seconds = campaign.kill(None, build_index, path, table, True)
    new = campaign.check(read_state, path)
    for _ in range(kills):
        shutil.rmtree(path)
        shutil.copytree(old_index, path)
        campaign.kill(campaign.rng.uniform(0, seconds), build_index, path, table, True)
        one = Round(place_of_kill(path, 1))
        yield _settled(campaign, one, path, [new if one.place == "after publish" else old], spare)


def kill_streams(campaign: Campaign, kills: int) -> Iterator[Round]:
    """Kill streams of operations on one index, round after round."""
    path, natives = campaign.folder / "stream", campaign.table.natives[: 4 * ROWS]
    campaign.check(build_index, path, campaign.table.take(range(ROWS)), False)
    told = campaign.folder / "undisturbed"
    seconds = campaign.kill(None, stream, path, natives, 0, told, STREAM_OPERATIONS)
    state = campaign.check(read_state, path)
    unused = 1 + max(row_id for row_id, _ in state.values())
    for i in range(kills):
        told = campaign.folder / f"told-{i}"
        seed = int(campaign.rng.integers(1 << 32))
        campaign.kill(campaign.rng.uniform(0, seconds), stream, path, natives, seed, told, None)
        one = Round(place_of_kill(path, json.loads((path / "manifest.json").read_bytes())["current"]))
        found = campaign.check(read_state, path)
        legal = [state]
        for after, is_acknowledged in replay(state, told):
            legal = [after] if is_acknowledged else [*legal, with_new_ids(after, found, unused)]
            one.acknowledged += is_acknowledged
            unused = max(unused, 1 + max(row_id for row_id, _ in after.values()))
        if one.place == "before publish":
            one.place = "in an operation" if len(legal) > 1 else "between operations"
        yield _settled(campaign, one, path, legal, campaign.table.natives[-1 - i])
        state = campaign.check(read_state, path)
        unused = max(unused, 1 + max(row_id for row_id, _ in state.values()))


def _settled(campaign: Campaign, one: Round, path: Path, legal: list[State], native: str) -> Round:
    """Compare what is on disk after a kill with the states that it may have, and add one more."""
    try:
        found = campaign.check(read_state, path)
        if found not in legal:
            one.lost = min(
                sum(found.get(native) != state.get(native) for native in {**found, **state})
                for state in legal
            )
        wrong = campaign.check(problems, path)
        one.unverified, one.problem = bool(wrong), "; ".join(wrong)
        campaign.check(write_on, path, native)
    except Exception as error:  # whatever it is, the round has failed, and the next ones tell more
        one.failed, one.problem = True, f"{type(error).__name__}: {error}"
    return one


MODES: Final = {"build": kill_builds, "rebuild": kill_rebuilds, "stream": kill_streams}


def run(kills: int, seed: int, folder: Path) -> dict[str, list[Round]]:
    """Run all modes; about half of the kills hit the stream."""
    shares = {"build": kills // 4, "rebuild": kills // 4, "stream": kills - 2 * (kills // 4)}
    rng = np.random.default_rng(seed)
    with ProcessPoolExecutor(1, mp_context=CONTEXT) as pool:
        table: Table = pool.submit(load, "nasbench201").result()
        table = table.take(rng.permutation(len(table)))
        campaign = Campaign(folder, table, pool, rng)
        for mode, kill in MODES.items():
            campaign.rounds[mode] = []
            for one in kill(campaign, shares[mode]):
                campaign.rounds[mode].append(one)
                if one.problem:
                    print(f"{mode}, {one.place}: {one.problem}", file=sys.stderr)
    return campaign.rounds


def summary(rounds: list[Round]) -> dict[str, Any]:
    """Count the rounds of a mode."""
    return {
        "kills": len(rounds),
        "places": dict(sorted(Counter(one.place for one in rounds).items())),
        "acknowledged": sum(one.acknowledged for one in rounds),
        "lost": sum(one.lost for one in rounds),
        "failed_verifications": sum(one.unverified for one in rounds),
        "failed_rounds": sum(one.failed for one in rounds),
    }


def main() -> int:
    """Run the campaign, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "crash.json")
    arguments = parser.parse_args()
    CONTEXT.set_forkserver_preload(["__main__"])
    with tempfile.TemporaryDirectory() as folder:
        rounds = run(arguments.kills, arguments.seed, Path(folder))
    results = {mode: summary(of_mode) for mode, of_mode in rounds.items()}
    for mode, counts in results.items():
        print(f"{mode:8}", *(f"{name} {value}" for name, value in counts.items()), sep="  ")
    content = {
        "protocol": PROTOCOL,
        "seed": arguments.seed,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("archindex", "duckdb", "hnswlib", "numpy")},
        },
        "results": results,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")
    bad = sum(c["lost"] + c["failed_verifications"] + c["failed_rounds"] for c in results.values())
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
