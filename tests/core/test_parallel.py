"""Work in parts: all parts are done, on as many threads as are allowed, and errors come through."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import archindex as ax
from archindex.core import parallel
from archindex.core.parallel import cores, for_each
from archindex.encoders import learned, make_encoder


def test_all_parts_are_done_on_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for allowed in (1, 3):
        monkeypatch.setattr(parallel, "cores", lambda allowed=allowed: allowed)
        done: list[int] = []
        used: set[int] = set()

        def work(part: int, done: list[int] = done, used: set[int] = used) -> None:
            time.sleep(0.01)
            done.append(part)
            used.add(threading.get_ident())

        for_each(work, range(12))
        assert sorted(done) == list(range(12))
        assert len(used) == allowed
    for_each(work, [])


def test_errors_come_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(part: int) -> None:
        raise KeyError(part)

    for allowed in (1, 2):
        monkeypatch.setattr(parallel, "cores", lambda allowed=allowed: allowed)
        with pytest.raises(KeyError):
            for_each(work, range(4))


def test_the_number_of_threads_can_be_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert cores() == 1
    for ignored in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", ignored)
        assert cores() >= 1


def test_vectors_do_not_depend_on_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    space = ax.space("nasbench201")
    batch = space.graphs([a.native for a in space.sample(300, seed=0)])
    monkeypatch.setattr(learned, "_CHUNK", 64)
    found = []
    for allowed in (1, 3):
        monkeypatch.setattr(parallel, "cores", lambda allowed=allowed: allowed)
        found.append(make_encoder("universal").encode(batch))
    assert np.array_equal(found[0], found[1])
