"""Strings of a VARCHAR column: LIKE patterns, and comparing the categories of two columns."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archindex.core.errors import FilterError


@dataclass(frozen=True, slots=True)
class LikePattern:
    """A pattern of LIKE. Made by `like_pattern`.

    Attributes
    ----------
    regex : re.Pattern
        Matches the same strings.
    pieces : tuple of str, or None
        What stands between the ``%`` signs; None where the pattern has a ``_``.
    """

    regex: re.Pattern[str]
    pieces: tuple[str, ...] | None

    def match(self, names: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Return which of `names` match, shape (len(names),)."""
        if self.pieces is None:
            match = self.regex.match
            found = [match(name) is not None for name in names]
        elif len(self.pieces) == 1:
            found = [name == self.pieces[0] for name in names]
        else:
            found = self._by_pieces(names)
        return np.array(found, dtype=np.bool_)

    def _by_pieces(self, names: Sequence[str]) -> list[bool]:
        first, *inner, last = self.pieces or ("",)
        inner = [piece for piece in inner if piece]
        if not first and not last and len(inner) == 1:
            # Ten times as fast as the regular expression.
            word = inner[0]
            return [word in name for name in names]

        def holds(name: str) -> bool:
            at = len(first)
            for piece in inner:
                at = name.find(piece, at)
                if at < 0:
                    return False
                at += len(piece)
            return len(name) - at >= len(last)

        # startswith and endswith take the whole, empty pieces at once; most names go no further.
        return [name.startswith(first) and name.endswith(last) and holds(name) for name in names]


def like_pattern(pattern: str, escape: str = "") -> LikePattern:
    """Translate a LIKE pattern: ``%`` stands for any text, ``_`` for one character.

    Raises
    ------
    FilterError
        If `escape` is more than one character or `pattern` ends with it.
    """
    if len(escape) > 1:
        raise FilterError("expected one character after ESCAPE", got=escape)
    pieces = [""]
    plain: list[str] | None = [""]
    characters = iter(pattern)
    for character in characters:
        literal = character
        if character == escape:
            follows = next(characters, None)
            if follows is None:
                raise FilterError("expected a character after the last escape of LIKE", got=pattern)
            literal = follows
        elif character == "%":
            pieces.append("")
            if plain is not None:
                plain.append("")
            continue
        elif character == "_":
            pieces[-1] += "."
            plain = None
            continue
        pieces[-1] += re.escape(literal)
        if plain is not None:
            plain[-1] += literal
    return LikePattern(_regex(pieces), None if plain is None else tuple(plain))


def _regex(pieces: list[str]) -> re.Pattern[str]:
    if len(pieces) == 1:
        return re.compile(pieces[0] + r"\Z", re.DOTALL)
    # The first place where an inner piece fits is always good enough, so the groups are atomic: without
    # that, a pattern of many % makes the regular expression try every combination of places.
    inner = "".join(f"(?>.*?{piece})" for piece in pieces[1:-1] if piece)
    return re.compile(f"{pieces[0]}{inner}.*{pieces[-1]}\\Z", re.DOTALL)


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


def among(words: Sequence[str], names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which of the sorted `names` are one of `words`, shape (len(names),)."""
    found = np.zeros(len(names), dtype=np.bool_)
    found[[place // 2 for place in places(words, names) if place % 2 == 0]] = True
    return found
