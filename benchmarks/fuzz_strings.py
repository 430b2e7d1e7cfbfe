"""Strings to fuzz parsers with: mutations of valid ones, random text, and what is deep, large or odd."""

from __future__ import annotations

import random
import string
from collections import Counter
from collections.abc import Callable
from typing import Final

LARGE_EVERY: Final = 2_000  # one in so many strings has about a million characters
NUMBERS: Final = (
    *(
        "0",
        "-1",
        "+1",
        "1.0",
        "1e5",
        "1e999",
        "-0",
        "007",
        "1_0",
        "0x1",
        "0b1",
        "1j",
        "NaN",
        "Infinity",
        "None",
    ),
    *(
        "true",
        "1" * 30,
        "9" * 4_400,
        "18446744073709551616",
        "٣",
        "²",
        "½",
        "\uff11",
        "①",
        "3\u0301",
        "1\u200b",
    ),
)
PIECES: Final = (
    *("\0", " ", "\n", "\t", "\r\n", "\u2028", "\ufeff", "\ud800", "\U0001f4a9", "ﬀ", "İ", "é", "\x1b[31m"),
    *(
        "[]",
        "{}",
        "()",
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
        '"',
        "'",
        "\\",
        "\\u0000",
        ",",
        ":",
        ";",
        "|",
        "_",
        "~",
    ),
    *("null", "lambda", "__import__('os')", "range(9)", "%s", "../", "{0}", "=", "#", "/*", "@", "+", "-"),
)


class Strings:
    """An endless source of strings for one space.

    Parameters
    ----------
    natives : list of str
        Valid native strings.
    seed : int
        Seed of everything random.
    """

    def __init__(self, natives: list[str], seed: int) -> None:
        self._rng = random.Random(seed)
        self._natives = natives
        self._alphabet = sorted(set("".join(natives)))
        self._tokens = _tokens(natives)
        self._edits: tuple[Callable[[str], str], ...] = (
            self._delete,
            self._insert,
            self._replace,
            self._duplicate,
            self._swap,
            self._splice,
            self._number,
            self._number,
            self._token,
            self._letter,
            self._wrap,
        )

    def next(self, i: int) -> str:
        """Return the i-th string."""
        if i % LARGE_EVERY == LARGE_EVERY - 1:
            return self._large()
        kind = self._rng.random()
        if kind < 0.8:
            text = self._rng.choice(self._natives)
            for _ in range(self._rng.choice((1, 1, 1, 2, 3, 4))):
                text = self._rng.choice(self._edits)(text)
            return text
        if kind < 0.86:
            return "".join(self._rng.choices(self._alphabet, k=self._rng.randrange(60)))
        if kind < 0.93:
            return "".join(self._rng.choices(self._tokens, k=self._rng.randrange(40)))
        if kind < 0.98:
            letters = [*string.printable, *PIECES, *NUMBERS[-6:]]
            return "".join(self._rng.choices(letters, k=self._rng.randrange(80)))
        return self._deep(self._rng.choice((50, 500, 5_000)))

    def _span(self, text: str) -> tuple[int, int]:
        start = self._rng.randint(0, len(text))
        longest = self._rng.choice((1, 3, 10, 40, len(text)))
        return start, min(len(text), start + self._rng.randint(0, longest))

    def _piece(self) -> str:
        source = self._rng.randrange(3)
        if source == 0:
            return self._rng.choice(PIECES)
        return self._rng.choice(self._tokens) if source == 1 else self._rng.choice(self._alphabet)

    def _delete(self, text: str) -> str:
        start, stop = self._span(text)
        return text[:start] + text[stop:]

    def _insert(self, text: str) -> str:
        at = self._rng.randint(0, len(text))
        return text[:at] + self._piece() + text[at:]

    def _replace(self, text: str) -> str:
        start, stop = self._span(text)
        return text[:start] + self._piece() + text[stop:]

    def _duplicate(self, text: str) -> str:
        start, stop = self._span(text)
        return text[:stop] + text[start:stop] * self._rng.choice((1, 1, 2, 30)) + text[stop:]

    def _swap(self, text: str) -> str:
        a, b = sorted((self._rng.randint(0, len(text)), self._rng.randint(0, len(text))))
        n = min(b - a, len(text) - b, self._rng.choice((1, 5, 20)))
        return text[:a] + text[b : b + n] + text[a + n : b] + text[a : a + n] + text[b + n :]

    def _splice(self, text: str) -> str:
        start, stop = self._span(text)
        other = self._rng.choice(self._natives)
        return text[:start] + other[start:stop] + text[stop:]

    def _number(self, text: str) -> str:
        digits = [i for i, c in enumerate(text) if c.isdigit() and c.isascii()]
        if not digits:
            return self._insert(text)
        start = self._rng.choice(digits)
        stop = start + 1
        while stop < len(text) and text[stop].isdigit() and self._rng.random() < 0.8:
            stop += 1
        new = str(self._rng.randrange(12)) if self._rng.random() < 0.6 else self._rng.choice(NUMBERS)
        return text[:start] + new + text[stop:]

    def _token(self, text: str) -> str:
        """Put another token of the format in the place of one: most often this stays valid."""
        old = self._rng.choice(self._tokens)
        at = text.find(old, self._rng.randrange(len(text) + 1))
        return text if at < 0 else text[:at] + self._rng.choice(self._tokens) + text[at + len(old) :]

    def _letter(self, text: str) -> str:
        at = self._rng.randrange(len(text) + 1)
        return text[:at] + text[at : at + 1].swapcase() + text[at + 1 :]

    def _wrap(self, text: str) -> str:
        left, right = self._rng.choice(
            (("[", "]"), ("(", ")"), ("{", "}"), ('"', '"'), (" ", "\n"), ("'", "'"))
        )
        n = self._rng.choice((1, 1, 2, 50))
        return left * n + text + right * n

    def _deep(self, n: int) -> str:
        """Return something nested `n` deep, closed or not."""
        left, right = self._rng.choice(
            (("[", "]"), ("(", ")"), ('{"a":', "}"), ("-", ""), ("f(", ")"), ("((),", ")"))
        )
        if self._rng.random() < 0.4:
            # A piece of a native string up to an opening bracket, again and again.
            native = self._rng.choice(self._natives)
            opening = [i for i, c in enumerate(native) if c in "([{"]
            if opening:
                left, right = native[: self._rng.choice(opening) + 1], ")"
        return left * n + (right * n if self._rng.random() < 0.5 else "")

    def _large(self) -> str:
        """Return about a million characters."""
        kind = self._rng.randrange(5)
        if kind == 0:
            return self._rng.choice([*self._alphabet, "0", "(", "[", " ", "\0"]) * 1_000_000
        if kind == 1:
            return self._deep(200_000)
        if kind == 2:
            native = self._rng.choice(self._natives)
            return native * (1_000_000 // max(1, len(native)))
        if kind == 3:
            native = self._rng.choice(self._natives)
            at = self._rng.randint(0, len(native))
            return native[:at] + self._rng.choice((" ", "0", "9", "\n")) * 1_000_000 + native[at:]
        return "".join(self._rng.choices(self._tokens, k=100_000))


def _tokens(natives: list[str]) -> list[str]:
    """Return runs of letters, runs of digits and single signs, the frequent ones first."""
    counts: Counter[str] = Counter()
    for native in natives:
        token = ""
        for c in native:
            if token and not (
                ((c.isalpha() or c == "_") and token[-1].isalpha()) or (c.isdigit() and token[-1].isdigit())
            ):
                counts[token] += 1
                token = ""
            token += c
        counts[token] += 1
    return [token for token, _ in counts.most_common(400)]
