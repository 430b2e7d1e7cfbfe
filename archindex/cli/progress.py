"""Progress of long commands, on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from archindex.cli.output import Format, Sink
from archindex.core.progress import Progress, silent

SPARSE_SECONDS: Final = 10.0
"""How often a line is written where there is no terminal."""


@contextmanager
def progress(sink: Sink) -> Iterator[Progress]:
    """Give what long work reports to; nothing is shown in the format ``quiet``."""
    if sink.format is Format.QUIET:
        yield silent
    elif sys.stderr.isatty():
        with _bars() as report:
            yield report
    else:
        yield _lines()


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield report


def _lines() -> Progress:
    last = time.monotonic()

    def report(stage: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= SPARSE_SECONDS:
            last = time.monotonic()
            sys.stderr.write(f"archindex: {stage} {done} of {total}\n")
            sys.stderr.flush()

    return report
