"""A limit on the time of a call, which the loops far below it look at.

It is kept for the running thread or task (a context variable): no function in between has to pass it on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from archindex.core.checks import check_float
from archindex.core.errors import ArgumentError, QueryTimeoutError

_LIMIT: ContextVar[tuple[float, float] | None] = ContextVar("archindex_time_limit", default=None)
"""When it ends (on the clock of `time.monotonic`), and how many seconds were given."""


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Let `check_time` raise in this block once `seconds` have passed; None: no limit of its own.

    Of several blocks around one another, the one that ends first counts.

    Raises
    ------
    ArgumentError
        If `seconds` is not a number above 0.
    QueryTimeoutError
        By `check_time`, in the block.
    """
    if seconds is None:
        yield
        return
    if check_float("timeout", seconds, low=0.0) == 0:
        raise ArgumentError("expected a timeout above 0 seconds", got=seconds)
    ends, around = time.monotonic() + seconds, _LIMIT.get()
    token = _LIMIT.set((ends, seconds) if around is None or ends < around[0] else around)
    try:
        yield
    finally:
        _LIMIT.reset(token)


def time_is_limited() -> bool:
    """Return whether this runs inside a `time_limit`."""
    return _LIMIT.get() is not None


def check_time() -> None:
    """Raise if the time limit around this call has passed; costs some 50 nanoseconds.

    Raises
    ------
    QueryTimeoutError
        If it has.
    """
    limit = _LIMIT.get()
    if limit is not None and time.monotonic() > limit[0]:
        raise QueryTimeoutError(
            f"expected an answer within {limit[1]:g} s",
            fix="give it longer, a lower recall, a narrower filter, or fewer queries at once",
        )
