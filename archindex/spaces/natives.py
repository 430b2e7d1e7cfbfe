"""Reading native strings: checks that several spaces share, worded once."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from archindex.core.errors import ArchitectureError

MAX_LENGTH: Final = 200_000
"""Longest native string that is read; the longest of any table has a few thousand characters."""


def check_length(text: str) -> str:
    """Return `text` unless it is longer than any native string.

    Raises
    ------
    ArchitectureError
        If it is longer than `MAX_LENGTH`.
    """
    if len(text) > MAX_LENGTH:
        raise ArchitectureError(f"expected at most {MAX_LENGTH} characters", got=f"{len(text)} characters")
    return text


def read_json(text: str, example: str) -> Any:
    """Return the value of a native string in JSON.

    Parameters
    ----------
    text : str
        The native string.
    example : str
        A well-formed one, for the message.

    Raises
    ------
    ArchitectureError
        If it is no JSON, nests too deeply, names a key twice, or holds NaN or infinities.
    """

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no number here")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        read = dict(pairs)
        if len(read) != len(pairs):
            raise ValueError("a key stands twice")
        return read

    try:
        return json.loads(check_length(text), parse_constant=refuse, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        if isinstance(error, ArchitectureError):
            raise
        raise ArchitectureError("expected JSON", got=text, fix=f"a whole one is {example}") from error


def read_number(text: str) -> int:
    """Return a whole number written in ASCII digits without needless zeros.

    Raises
    ------
    ArchitectureError
        If it is written otherwise, or has more than 9 digits.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and (text == "0" or text[0] != "0")):
        raise ArchitectureError("expected a whole number", got=text)
    return int(text)
