"""Does a native string or a filter ever do harm? Random and mutated strings for every search space.

Each string has to name an architecture or to raise `ArchitectureError`, and never anything else: no other
error, no recursion too deep, no crash, no hang. What parses is formatted and parsed again; of some the graph
is built. Of filters (``where``), a tenth as many are asked of an index; see `benchmarks.fuzz_where`.

Run with ``python -m benchmarks.fuzz``; writes ``benchmarks/results/fuzz.json``; exit code 1 if a string did
something else.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from archindex.core.errors import ArchitectureError
from archindex.spaces.base import SearchSpace
from archindex.spaces.registry import NAMED, SPACES, space
from benchmarks.fuzz_strings import LARGE_EVERY, Strings
from benchmarks.fuzz_where import Filtered

WHERE: Final = "where"
NATIVES: Final = 300  # sampled architectures that are mutated
PATIENCE: Final = 10.0  # seconds that one string may take
MEMORY: Final = 4 << 30  # bytes of address space that a process may take
GRAPHS: Final = 50  # of so many valid strings, one has its graph built
KEPT: Final = 20  # failures that are kept of a space
PROTOCOL: Final = (
    f"{NATIVES} architectures of every space are sampled. Four of five strings are mutations of their native "
    "strings: one to four edits, which delete, insert, replace, duplicate or swap spans, take them from "
    "another, make numbers huge, negative, fractional or Unicode, change letters, or put in NUL, blanks and "
    "brackets. The others are random text, random tokens of the format, deep nesting, and strings of a "
    f"million characters (one in {LARGE_EVERY}). Valid: parsed, formatted, parsed again to the same; of one "
    f"in {GRAPHS} the graph is built. Failures: any exception but ArchitectureError, a result that does not "
    f"format back, more than {PATIENCE:.0f} s, or the end of the process. Spaces of named models have no "
    "graphs here. where: the same mutations of 300 random filters of every operator, motifs and values of "
    "the row asked from included, asked of an index of 120 rows. Valid: asked twice, with a random strategy "
    "and without, the answers are the same and hold what the filter lets through. Failures: any exception "
    "but InputError, and answers that differ."
)


@dataclass
class Outcome:
    """What the strings of one space did.

    Attributes
    ----------
    strings, valid, refused, graphs : int
        Strings tried, those that named an architecture, those that were refused, and graphs built.
    failures : int
        Strings that did something else.
    seconds : float
        Time of all of them.
    slowest : float
        Seconds of the slowest.
    kinds : dict
        Number of failures by what happened.
    examples : list
        Some failures: what happened, and the string, shortened.
    """

    strings: int = 0
    valid: int = 0
    refused: int = 0
    graphs: int = 0
    failures: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    kinds: dict[str, int] = field(default_factory=dict)
    examples: list[dict[str, str]] = field(default_factory=list)

    def fail(self, what: str, text: str) -> None:
        """Count a failure, and keep the first of each kind and some others."""
        self.failures += 1
        self.kinds[what] = self.kinds.get(what, 0) + 1
        if self.kinds[what] == 1 or len(self.examples) < KEPT:
            self.examples.append({"what": what, "text": _shortened(text), "length": str(len(text))})


class TooLongError(Exception):
    """A string took too long."""


def fuzz(name: str, n: int, seed: int, outcome: Outcome) -> None:
    """Try `n` strings on a space.

    Parameters
    ----------
    name : str
        Name of the space.
    n : int
        Number of strings.
    seed : int
        Seed of the strings.
    outcome : Outcome
        What happened is written here.
    """
    subject = _Space(name, outcome) if name != WHERE else Filtered(seed)
    strings = Strings(subject.natives, seed)
    started = time.perf_counter()
    for i in range(n):
        text = strings.next(i)
        outcome.strings += 1
        begun = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        try:
            done = subject.attempt(text)
            outcome.valid += done == "valid"
            outcome.refused += done == "refused"
            if done not in ("valid", "refused"):
                outcome.fail(done, text)
        except TooLongError:
            outcome.fail(f"more than {PATIENCE:.0f} s", text)
        except Exception as error:
            outcome.fail(type(error).__name__, text)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        outcome.slowest = max(outcome.slowest, time.perf_counter() - begun)
    outcome.seconds = time.perf_counter() - started


class _Space:
    """A search space to be tried."""

    def __init__(self, name: str, outcome: Outcome) -> None:
        self._tested: SearchSpace[Any] = space(name)
        self._outcome = outcome
        self.natives = _natives(self._tested)

    def attempt(self, text: str) -> str:
        """Parse a string; return ``"valid"``, ``"refused"``, or what went wrong."""
        tested, outcome = self._tested, self._outcome
        try:
            arch = tested.parse(text)
        except ArchitectureError as error:
            return "refused" if "expected" in str(error) else "a message that does not say what was expected"
        same = tested.format(arch) == arch.native and tested.validate(arch.native)
        if not same or tested.parse(arch.native) != arch:
            return "does not parse back to itself"
        if (outcome.valid + 1) % GRAPHS == 0 and tested.name not in NAMED:
            if not arch.graph.n_nodes or len(arch.arch_id) != 24:
                return "no graph"
            outcome.graphs += 1
        return "valid"


def _natives(tested: SearchSpace[Any]) -> list[str]:
    """Return native strings to mutate."""
    if tested.name in NAMED:
        example = getattr(tested, "example", "resnet50")
        return [example, *(f"{example[:-1]}{i}" for i in range(10))]
    return [arch.native for arch in tested.sample(NATIVES, seed=0)]


def _shortened(text: str) -> str:
    shown = ascii(text)
    return shown if len(shown) <= 300 else f"{shown[:200]} ... {shown[-80:]}"


def _too_long(*_: object) -> None:
    raise TooLongError


def _work(name: str, n: int, seed: int, pipe: Connection) -> None:
    """Fuzz one space in a process of its own, and send what happened every now and then."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _too_long)
    outcome = Outcome()
    fuzz(name, n, seed, outcome)
    pipe.send(outcome)


def in_a_process(name: str, n: int, seed: int) -> Outcome:
    """Fuzz one space where a crash ends nothing else."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(name, n, seed, there))
    process.start()
    there.close()
    try:
        outcome: Outcome = here.recv()
    except EOFError:
        outcome = Outcome()
        process.join()
        outcome.fail(f"the process ended with {process.exitcode}", "")
    process.join()
    return outcome


def main() -> int:
    """Fuzz all spaces, print the table, write JSON; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--strings", type=int, default=100_000, help="strings for each space")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--spaces", nargs="+", choices=[*SPACES, WHERE], default=[*SPACES, WHERE])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/fuzz.json")
    arguments = parser.parse_args()
    print(
        f"{'space':20}{'strings':>9}{'valid':>9}{'refused':>9}{'graphs':>8}{'failures':>10}{'seconds':>9}{'slowest':>9}"
    )
    outcomes: dict[str, Outcome] = {}
    for name in arguments.spaces:
        outcomes[name] = o = in_a_process(
            name, arguments.strings // (10 if name == WHERE else 1), arguments.seed
        )
        counts = f"{o.strings:9}{o.valid:9}{o.refused:9}{o.graphs:8}{o.failures:10}"
        print(f"{name:20}{counts}{o.seconds:9.1f}{o.slowest:9.3f}", flush=True)
        for what, times in o.kinds.items():
            first = next(e for e in o.examples if e["what"] == what)
            print(f"    {times} x {what}: {first['text'][:160]}", flush=True)
    content = {
        "protocol": PROTOCOL,
        "seed": arguments.seed,
        "spaces": {name: asdict(outcome) for name, outcome in outcomes.items()},
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")
    return 1 if any(outcome.failures for outcome in outcomes.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
