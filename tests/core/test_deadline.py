"""The time limit of a block."""

from __future__ import annotations

import time

import pytest

from archindex.core.deadline import check_time, time_is_limited, time_limit
from archindex.core.errors import ArchindexError, ArgumentError, QueryTimeoutError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_it_raises_once_the_time_has_passed(clock: list[float]) -> None:
    check_time()
    with time_limit(2.5):
        assert time_is_limited()
        clock[0] = 102.4
        check_time()
        clock[0] = 102.6
        with pytest.raises(QueryTimeoutError, match=r"within 2\.5 s") as caught:
            check_time()
    assert isinstance(caught.value, (ArchindexError, TimeoutError))
    assert not time_is_limited()
    check_time()


def test_of_several_the_one_that_ends_first_counts(clock: list[float]) -> None:
    with time_limit(5):
        with time_limit(50), time_limit(None):
            clock[0] = 106
            with pytest.raises(QueryTimeoutError, match="within 5 s"):
                check_time()
        clock[0] = 104
        with time_limit(0.5):
            clock[0] = 104.6
            with pytest.raises(QueryTimeoutError, match=r"within 0\.5 s"):
                check_time()
        check_time()


def test_it_ends_with_its_block_also_by_an_error(clock: list[float]) -> None:
    with pytest.raises(KeyError), time_limit(1):
        raise KeyError
    assert not time_is_limited()


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "1", True])
def test_what_is_no_time(seconds: float) -> None:
    with pytest.raises(ArgumentError, match="timeout"), time_limit(seconds):
        pass
