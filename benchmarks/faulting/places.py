"""Disks that are small, full or read-only, and children that work on them."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, Literal

from archindex.core.errors import ArchindexError
from benchmarks.faulting.indexes import lists_from

LISTED: Final = 300
"""Rows from which an index has lists here."""

NOBODY: Final = 65534
"""A user that owns nothing."""


@dataclass(frozen=True)
class Answer:
    """What a command did in a child.

    Attributes
    ----------
    kind : {"done", "refused", "untyped", "died"}
        Refused: with a typed error.
    value : object
        What it returned; of an error, its text.
    error : str
        Name of the error's type.
    """

    kind: Literal["done", "refused", "untyped", "died"]
    value: Any = None
    error: str = ""


def in_a_child(
    function: Callable[..., Any],
    *arguments: Any,
    user: int | None = None,
    first: tuple[Any, ...] | None = None,
) -> Answer:
    """Run a command in a process of its own, as another user if need be.

    Parameters
    ----------
    function : callable
        The command.
    *arguments : object
        Its arguments.
    user : int, optional
        Number of the user.
    first : tuple, optional
        A function, with its arguments, to run before that, as the user who runs this.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.faulting.places"])
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(theirs, function, arguments, user, first))
    child.start()
    theirs.close()
    try:
        answer: Answer = ours.recv()
    except EOFError:
        child.join()
        answer = Answer("died", f"exit code {child.exitcode}")
    child.join()
    return answer


def _child(
    pipe: Connection,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    user: int | None,
    first: tuple[Any, ...] | None,
) -> None:
    if first is not None:
        first[0](*first[1:])
    if user is not None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    try:
        with lists_from(LISTED):
            pipe.send(Answer("done", function(*arguments)))
    except ArchindexError as error:
        pipe.send(Answer("refused", str(error), type(error).__name__))
    except Exception as error:
        pipe.send(Answer("untyped", traceback.format_exc(), type(error).__name__))


def can_mount() -> bool:
    """Return whether this process may mount file systems."""
    try:
        with small_disk(1 << 20):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@contextmanager
def small_disk(size: int) -> Iterator[Path]:
    """Give a disk of `size` bytes, in memory."""
    with tempfile.TemporaryDirectory() as folder:
        _run("mount", "-t", "tmpfs", "-o", f"size={size}", "archindex", folder)
        try:
            yield Path(folder)
        finally:
            _run("umount", "--lazy", folder)


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """Give a folder on a disk that takes no writes, with what is in `folder`."""
    with tempfile.TemporaryDirectory() as place:
        _run("mount", "--bind", str(folder), place)
        try:
            _run("mount", "-o", "remount,bind,ro", place)
            yield Path(place)
        finally:
            _run("umount", "--lazy", place)


@contextmanager
def only_left(disk: Path, room: int) -> Iterator[None]:
    """Fill a disk up, but for `room` bytes."""
    filler = disk / "filler"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with filler.open("wb") as out:
        if free > room:
            os.posix_fallocate(out.fileno(), 0, free - room)
    try:
        yield
    finally:
        filler.unlink()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
