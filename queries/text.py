"""Strings of a VARCHAR column: LIKE patterns, and comparing the categories of two columns."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from archindex.core.errors import FilterError


def like_pattern(pattern: str, escape: str = "") -> re.Pattern[str]:
    """Translate a LIKE pattern: ``%`` stands for any text, ``_`` for one character.

    Raises
    ------
    FilterError
        If `escape` is more than one character or `pattern` ends with it.
    """
    if len(escape) > 1:
        raise FilterError("expected one character after ESCAPE", got=escape)
    pieces = [""]
    characters = iter(pattern)
    for character in characters:
        if character == escape:
            follows = next(characters, None)
            if follows is None:
                raise FilterError("expected a character after the last escape of LIKE", got=pattern)
            pieces[-1] += re.escape(follows)
        elif character == "%":
            pieces.append("")
        else:
            pieces[-1] += "." if character == "_" else re.escape(character)
    if len(pieces) == 1:
        return re.compile(pieces[0] + r"\Z", re.DOTALL)
    # The first place where an inner piece fits is always good enough, so the groups are atomic: without
    # that, a pattern of many % makes the regular expression try every combination of places.
    inner = "".join(f"(?>.*?{piece})" for piece in pieces[1:-1] if piece)
    return re.compile(f"{pieces[0]}{inner}.*{pieces[-1]}\\Z", re.DOTALL)


def table_of(values: Sequence[int] | Sequence[bool]) -> npt.NDArray[np.int64]:
    """Return `values` as a lookup table for codes; the code -1 (NULL) finds the 0 added at its end."""
    return np.array([*values, 0], dtype=np.int64)


def places(names: Sequence[str], among: Sequence[str]) -> list[int]:
    """Return where each of `names` stands in the sorted `among`.

    Twice its position where it occurs, and the odd number before the next larger one where it does not, so
    that places compare with doubled codes of `among` as the strings do.
    """
    found = []
    for name in names:
        at = bisect_left(among, name)
        occurs = at < len(among) and among[at] == name
        found.append(2 * at if occurs else 2 * at - 1)
    return found
