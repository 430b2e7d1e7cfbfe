"""Opening again and again, as a process that adds rows one by one does: little is read, nothing is missed."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import archindex as ax
from archindex.core.errors import CorruptIndexError
from archindex.datasets import Table
from archindex.store import files, version
from archindex.store.files import file_crc, lasting
from archindex.store.verify import verify


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose content was read for a checksum."""
    names: list[str] = []

    def noting(path: Path) -> str:
        names.append(path.name)
        return file_crc(path)

    monkeypatch.setattr(version, "file_crc", noting)
    return names


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_SETTLED", -1)
    files._read_as.cache_clear()


def test_files_that_do_not_change_are_read_once(index_path: Path, settled: None, read: list[str]) -> None:
    with ax.open(index_path) as index:
        assert "catalog.duckdb" in read
        read.clear()
        index.remove([0])
        index.add([index.get(1).architecture], {"pi5_energy_mj": [1.0]})
        assert len(ax.open(index_path)) == 399
        assert read == []
        index.publish()
        assert "catalog.duckdb" in read  # of the new version


def test_a_file_that_was_written_to_is_read_again(index_path: Path, settled: None) -> None:
    ax.open(index_path).close()
    file = index_path / "versions/000001/columns/n_ops.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    before = file.stat()
    time.sleep(0.02)  # longer than the clock of a file system ticks
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # a copy that keeps its times
    with pytest.raises(CorruptIndexError, match=r"n_ops\.npy was altered"):
        ax.open(index_path)
    assert not verify(index_path).ok


def test_a_file_that_was_just_written_is_always_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    first = lasting(file, file_crc)
    file.write_bytes(b"two")
    assert lasting(file, file_crc) != first


def test_versions_without_crc_are_compared_by_digest(index_path: Path) -> None:
    info = version.parse_version(index_path / "versions/000001")
    older = replace(
        info, files={n: {k: v for k, v in f.items() if k != "crc32c"} for n, f in info.files.items()}
    )
    folder = index_path / "versions/000001"
    assert version.check_files(folder, older, quick=True) == {}
    file = folder / "vectors.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    for one in (info, older):
        assert list(version.check_files(folder, one, quick=True)) == ["vectors.npy"]


def test_vectors_by_row_id_and_spaces_follow_the_log(
    index_path: Path, small_table: Table, nasbench201: Table
) -> None:
    cell = ax.space("nasbench101").sample(1, seed=3)[0]
    with ax.open(index_path) as index:
        every = np.array(index.snapshot.vectors)
        index.remove([0, 7, 399])
        new = index.add([cell, next(n for n in nasbench201.natives if index.snapshot.find(n) == [])])
        assert list(index.spaces) == ["nasbench101", "nasbench201"]
        for _ in range(2):
            snapshot = index.snapshot
            asked = np.array([new[0], 398, 1, new[1], 398])
            found = snapshot.vectors_of(asked)
            assert "vectors" not in vars(snapshot)  # they were not copied out for that
            assert np.array_equal(found, snapshot.vectors[snapshot.positions(asked)])
            assert np.array_equal(found[[1, 2]], every[[398, 1]])
            assert np.allclose(found[0], index.encode([cell])[0], rtol=1e-3, atol=1e-4)
            assert snapshot.vectors.shape == (399, every.shape[1])
            spaces = dict(zip(snapshot.ids.tolist(), snapshot.columns["space"].to_list(), strict=True))
            assert spaces == {i: "nasbench101" if i == new[0] else "nasbench201" for i in spaces}
            index.publish()
        index.remove([i for i in index.snapshot.ids.tolist() if i != new[0]])
        assert list(index.spaces) == ["nasbench101"]
        index.remove([new[0]])
        assert list(index.spaces) == []
        assert len(index) == 0
