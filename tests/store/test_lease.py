"""Readers keep their version for as long as they are open, and no longer."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import archindex as ax
from archindex.store import opening
from archindex.store.lease import Lease, unless_leased
from archindex.store.log import Delta, replay


def versions(path: Path) -> list[str]:
    return sorted(entry.name for entry in (path / "versions").iterdir())


def publish(path: Path, times: int, value: float = 1.0) -> None:
    with ax.open(path) as writer:
        for _ in range(times):
            value += 1
            writer.add([writer.get(3).architecture], {"pi5_energy_mj": [value]})
            writer.publish()


def test_an_open_index_outlives_publishes(index_path: Path) -> None:
    with ax.open(index_path) as other:
        expected = other.query(0, k=5, where="cifar10_valid_acc > 60").ids.tolist()
        native = other.get(expected[1]).architecture
        vector = other.encode([native])
        energy = "pi5_energy_mj" in other.schema
    reader = ax.open(index_path)
    publish(index_path, 3)
    assert versions(index_path) == ["000001", "000003", "000004"]
    assert reader.query(0, k=5, where="cifar10_valid_acc > 60").ids.tolist() == expected
    assert reader.walk("cifar10_valid_acc", where="cifar10_valid_acc > 60").ask(2)
    assert np.array_equal(reader.encode([native]), vector)
    assert reader.get(expected[1]).architecture == native
    assert ("pi5_energy_mj" in reader.schema) == energy
    reader.close()
    publish(index_path, 1)
    assert versions(index_path) == ["000004", "000005"]
    assert not [log for log in (index_path / "log").iterdir() if int(log.stem) < 4]


def test_a_reader_with_a_log_keeps_it(index_path: Path) -> None:
    index = ax.open(index_path)
    index.remove([7])
    publish(index_path, 3)
    assert (index_path / "log/000001.log").exists()
    assert len(index) == 399
    assert 7 not in index.query(7 - 1, k=399, where="n_ops >= 0").ids
    index.close()
    publish(index_path, 1)
    assert not (index_path / "log/000001.log").exists()


def test_a_reader_that_is_forgotten_lets_go(index_path: Path) -> None:
    reader = ax.open(index_path)
    del reader
    gc.collect()
    publish(index_path, 3)
    assert versions(index_path) == ["000003", "000004"]


def test_writing_leaves_no_lease(index_path: Path) -> None:
    descriptors = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0  # noqa: PTH208
    publish(index_path, 4)
    assert versions(index_path) == ["000004", "000005"]
    if descriptors:
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) <= descriptors  # noqa: PTH208


def test_a_child_that_closes_leaves_its_parents_lease(index_path: Path) -> None:
    reader = ax.open(index_path)
    if hasattr(os, "fork"):
        child = multiprocessing.get_context("fork").Process(target=reader.close)
        child.start()
        child.join()
    with unless_leased(index_path / "versions/000001") as free:
        assert not free
    reader.close()
    with unless_leased(index_path / "versions/000001") as free:
        assert free


def test_a_version_published_before_the_lease_is_taken(
    index_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader has read the manifest; the version that it names goes before there is a lease."""
    taken: list[Path] = []

    class Late(Lease):
        def __init__(self, folder: Path) -> None:
            taken.append(folder)
            if len(taken) == 1:
                publish(index_path, 3)
            super().__init__(folder)

    monkeypatch.setattr(opening, "Lease", Late)
    reader = ax.open(index_path)
    assert reader.info.number == 4
    assert len(reader) == 400


def test_a_version_published_while_it_is_read(index_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader holds its lease, and finds another version current afterwards: it takes that one."""
    count = 0

    def late(path: Path, dim: int) -> tuple[Delta, int]:
        nonlocal count
        count += 1
        if count == 1:
            publish(index_path, 1)
        return replay(path, dim)

    monkeypatch.setattr(opening, "replay", late)
    assert ax.open(index_path).info.number == 2


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir()])
def test_nothing_to_lease(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "gone")
    Lease(tmp_path / "gone").close()
    with unless_leased(tmp_path / "gone") as free:
        assert free


def test_a_walk_keeps_its_view_while_its_index_is_written_to(index_path: Path) -> None:
    index = ax.open(index_path)
    walk = index.walk("cifar10_valid_acc", seed=0)
    for value in range(4):
        batch = walk.ask(3)
        walk.tell(batch, [float(value)] * 3)
        index.add(batch, {"cifar10_valid_acc": [float(value)] * 3})
        index.publish()
    assert len(walk.told) == 12
