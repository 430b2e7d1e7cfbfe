"""The table of errors: what goes wrong becomes one line on stderr and an exit code."""

from __future__ import annotations

import shlex
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import typer

from archindex.core.errors import ArchindexError, CorruptIndexError, IndexFolderError, InputError

BAD_INPUT: Final = 2
FAILURE: Final = 1
INTERRUPTED: Final = 130

# What typer raises for wrong usage has no public name of its own.
UsageError: Final[type[Exception]] = typer.BadParameter.__mro__[1]


def report(error: BaseException, arguments: Sequence[str]) -> int:
    """Tell people what went wrong, and return the exit code.

    Parameters
    ----------
    error : BaseException
        What was raised.
    arguments : sequence of str
        The command line, without the program.
    """
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return INTERRUPTED
    code, message = describe(error, arguments)
    debug = "--debug" in arguments
    if debug:
        sys.stderr.write("".join(traceback.format_exception(error)))
    sys.stderr.write(f"archindex: error: {message}\n")
    return code


def describe(error: BaseException, arguments: Sequence[str]) -> tuple[int, str]:
    """Return the exit code and the line for an error: expected what, got what; the next command."""
    command = command_of(arguments)
    if isinstance(error, UsageError):
        # Where the command itself is unknown, typer's context is that of the group.
        place = getattr(getattr(error, "ctx", None), "command_path", command)
        return BAD_INPUT, f"{_usage(error)}; {place} --help"
    if isinstance(error, ArchindexError):
        code = BAD_INPUT if isinstance(error, InputError) else FAILURE
        message = str(error) if error.fix else f"{error}; {_next(error, command, arguments)}"
        return code, " ".join(message.split())
    if isinstance(error, MemoryError):
        return FAILURE, "expected enough memory, got none; end other programs and run it again"
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return FAILURE, f"expected {command} to work, got {text}; run it again with --debug"


def command_of(arguments: Sequence[str]) -> str:
    """Return the command as the user would type it for help: ``archindex data import``."""
    words = ["archindex"]
    for word in arguments[:2]:
        if word.startswith("-") or (len(words) == 2 and words[1] not in ("data", "space", "encoder")):
            break
        words.append(word)
    return " ".join(words)


def _next(error: ArchindexError, command: str, arguments: Sequence[str]) -> str:
    """Say what to type where the error itself does not."""
    if isinstance(error, CorruptIndexError):
        return f"archindex verify {_index_path(arguments)}"
    if isinstance(error, IndexFolderError):
        return f"archindex info {_index_path(arguments)}"
    return f"{command} --help" if isinstance(error, InputError) else "run it again with --debug"


def _index_path(arguments: Sequence[str]) -> str:
    """Return the index that a command line names, as it is to be typed again."""
    found = (word for word in arguments if (Path(word) / "versions").is_dir())
    return shlex.quote(next(found, "PATH"))


def _usage(error: Exception) -> str:
    """Word typer's complaint as archindex words its own."""
    said = " ".join(str(getattr(error, "format_message", error.__str__)()).split()).rstrip(".")
    name = _name(getattr(error, "param", None))
    if said.startswith("Missing ") and name:
        return f"expected {name}, got nothing"
    if said.startswith("Invalid value") and name:
        why = said.partition(": ")[2].removeprefix("Value error, ")
        return f"expected a value of {name} that can be used, got another: {_lower(why)}"
    if getattr(error, "option_name", None) and said.startswith("No such option"):
        near = getattr(error, "possibilities", None)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        return f"expected an option of this command, got {getattr(error, 'option_name', '')}{hint}"
    if said.startswith("No such command"):
        return f"expected a command of archindex, got {said.removeprefix('No such command ')}"
    return f"expected another command line, got: {_lower(said)}"


def _name(param: object) -> str:
    """Return how a user writes a parameter: ``--where``, ``PATH``."""
    options = getattr(param, "opts", ())
    if options and options[0].startswith("-"):
        return str(options[0])
    return str(getattr(param, "metavar", None) or getattr(param, "name", None) or "")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
