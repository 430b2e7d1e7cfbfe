"""Seeds: one integer from the user, an independent stream for every purpose."""

from __future__ import annotations

import zlib

import numpy as np

from archindex.core.checks import check_int


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return the random generator of `seed` for one purpose.

    Streams of different purposes are independent, so that drawing more in one place does not change
    what another place draws.

    Parameters
    ----------
    seed : int
        The user's seed, at least 0.
    *purpose : str or int
        Names of the stream, e.g. ``("walk", "initial")``.

    Returns
    -------
    numpy.random.Generator
    """
    key = tuple(zlib.crc32(p.encode()) if isinstance(p, str) else p for p in purpose)
    return np.random.default_rng(np.random.SeedSequence(check_int("seed", seed, low=0), spawn_key=key))


def below(rng: np.random.Generator, n: int) -> int:
    """Return a whole number drawn uniformly from 0 to ``n - 1``; `n` may be larger than 64 bits hold.

    Raises
    ------
    ArgumentError
        If `n` is not at least 1.
    """
    if check_int("n", n, low=1) <= 2**63:
        return int(rng.integers(n))
    bits = (n - 1).bit_length()
    while True:  # fewer than two tries on average
        drawn = int.from_bytes(rng.bytes((bits + 7) // 8), "little") & ((1 << bits) - 1)
        if drawn < n:
            return drawn
