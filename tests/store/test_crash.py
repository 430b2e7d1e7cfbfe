"""Full disks: what was acknowledged stays, and what was not leaves nothing behind."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import archindex as ax
from archindex.core.errors import IndexMissingError, StorageError
from archindex.datasets import Table
from archindex.store import writer
from archindex.store.verify import verify


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes: every write beyond is refused, also those of C++ libraries."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))  # Python ignores the signal
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def full_at_flush(number: int) -> Iterator[list[int]]:
    """Refuse flush number `number` and all that follow; give the list of those that were tried."""
    tried: list[int] = []
    fsync = os.fsync

    def refusing(handle: int) -> None:
        tried.append(handle)
        if len(tried) > number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", refusing)
        yield tried


def contents(path: Path) -> dict[str, bytes]:
    """Return all that is in an index folder but the progress of a build and the lock."""
    files = (p for p in path.rglob("*") if p.is_file() and p.name != "writer.lock")
    found = {p.relative_to(path).as_posix(): p.read_bytes() for p in files}
    return {name: content for name, content in found.items() if not name.startswith("building/")}


def strangers(path: Path, table: Table, n: int) -> list[str]:
    """Return `n` architectures that the index does not hold."""
    with ax.open(path) as index:
        known = set(index.snapshot.all_rows()["native"])
    return [native for native in table.natives if native not in known][:n]


# What each limit stops: the notes of the build, the vectors, the catalogue half-way (1,060,864 bytes).
@pytest.mark.parametrize("limit", [100, 100_000, 300_000, 1_000_000])
def test_a_disk_that_fills_up_during_a_build(tmp_path: Path, small_table: Table, limit: int) -> None:
    path = tmp_path / "index"
    with file_limit(limit), pytest.raises(StorageError, match="free some space"):
        ax.build(path, small_table)
    with pytest.raises(IndexMissingError, match="run the same archindex build again"):
        ax.open(path)
    assert contents(path) == {}
    assert len(ax.build(path, small_table)) == 400
    assert verify(path).ok


@pytest.mark.parametrize("limit", [100, 20_000, 300_000])
def test_a_disk_that_fills_up_during_a_rebuild(index_path: Path, small_table: Table, limit: int) -> None:
    before = contents(index_path)
    other = small_table.take(range(100))
    with file_limit(limit), pytest.raises(StorageError, match="free some space"):
        ax.build(index_path, other, overwrite=True)
    assert contents(index_path) == before
    assert len(ax.open(index_path)) == 400
    assert len(ax.build(index_path, other, overwrite=True)) == 100
    assert verify(index_path).ok


@pytest.mark.parametrize("room", [0, 5, 9_000])
def test_a_disk_that_fills_up_during_an_add(index_path: Path, nasbench201: Table, room: int) -> None:
    first, *others = strangers(index_path, nasbench201, 31)
    index = ax.open(index_path)
    index.add([first])
    before = contents(index_path)
    limit = len(before["log/000001.log"]) + room
    with file_limit(limit), pytest.raises(StorageError, match="free some space"):
        index.add(others, {"pi5_energy_mj": np.arange(30.0)})
    assert contents(index_path) == before
    assert len(index) == len(ax.open(index_path)) == 401
    assert index.add(others, {"pi5_energy_mj": np.arange(30.0)}).tolist() == list(range(401, 431))
    assert verify(index_path).ok


def test_a_disk_that_fills_up_during_a_removal(index_path: Path) -> None:
    index = ax.open(index_path)
    index.remove([0])
    before = contents(index_path)
    with file_limit(100), pytest.raises(StorageError, match="free some space"):
        index.remove(list(range(1, 100)))
    assert contents(index_path) == before
    assert len(ax.open(index_path)) == 399
    assert index.remove(list(range(1, 100))) == 99


# The vectors (NumPy gives no error number), the copy of the catalogue, DuckDB writing into that copy.
@pytest.mark.parametrize("limit", [100_000, 300_000, 1_061_000])
def test_a_disk_that_fills_up_during_a_publish(index_path: Path, nasbench201: Table, limit: int) -> None:
    index = ax.open(index_path)
    index.add(strangers(index_path, nasbench201, 20), {"pi5_energy_mj": np.arange(20.0)})
    before = contents(index_path)
    with file_limit(limit), pytest.raises(StorageError, match="free some space"):
        index.publish()
    assert contents(index_path) == before
    assert index.publish().n_rows == 420
    assert verify(index_path).ok


def test_a_flush_refused_anywhere_in_a_publish(tmp_path: Path, index_path: Path, nasbench201: Table) -> None:
    ax.open(index_path).add(strangers(index_path, nasbench201, 5))
    before = contents(index_path)
    with full_at_flush(1000) as tried:
        ax.open(Path(shutil.copytree(index_path, tmp_path / "undisturbed"))).publish()
    last = len(tried) - 1  # of the folder with the manifest in it, after the switch
    assert last > 30
    for number in [*range(0, last - 4, 5), *range(last - 4, last + 1)]:
        path = Path(shutil.copytree(index_path, tmp_path / str(number)))
        with full_at_flush(number), pytest.raises(StorageError, match="free some space"):
            ax.open(path).publish()
        assert (contents(path) == before) == (number < last)
        index = ax.open(path)
        assert (len(index), index.info.number) == (405, 1 + (number == last))
    assert verify(path).ok


def test_an_add_that_could_not_be_folded_is_acknowledged(
    index_path: Path, nasbench201: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "FOLD_BYTES", 100)
    first, second = strangers(index_path, nasbench201, 2)
    index = ax.open(index_path)
    with file_limit(100_000), pytest.warns(RuntimeWarning, match="not folded.*free some space"):
        assert index.add([first]).tolist() == [400]
    assert ax.open(index_path).get(first).row_id == 400
    assert index.add([second]).tolist() == [401]
    assert index.info.number == 2
    assert verify(index_path).ok
