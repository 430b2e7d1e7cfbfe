"""Short versions of the faults that `benchmarks.faults` and `benchmarks.soak` make on purpose."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archindex as ax
from archindex.core.errors import CorruptIndexError, StorageError
from archindex.store import version
from benchmarks import soak
from benchmarks.faulting import bits, disk, kills, read_only, writers
from benchmarks.faulting.answers import Asker, Tally
from benchmarks.faulting.indexes import build, carry_out, draw, is_right, lists_from
from benchmarks.faulting.ledger import Ledger, State, Universe, read_state
from benchmarks.faulting.places import can_mount

mounts = pytest.mark.skipif(not can_mount(), reason="this process may not mount file systems")


def nothing_failed(rows: list[dict[str, Any]]) -> None:
    assert rows
    assert [row for row in rows if row["failed"]] == []


@pytest.fixture(scope="module")
def universe() -> Universe:
    return Universe.of(("nasbench201", "nasbench_graph"), 900)


def test_the_ledger_finds_what_is_wrong(tmp_path: Path, universe: Universe) -> None:
    rows = np.arange(400)
    build(tmp_path / "index", universe, rows)
    state, rng = State.built(universe, rows), np.random.default_rng(0)
    with ax.open(tmp_path / "index") as index:
        for kind in ("add", "measure", "update", "drop", "remove", "snapshot", "compact"):
            operation = draw(rng, state, kind, 7)
            told = state.apply(operation)
            assert is_right(operation, carry_out(universe, index, operation), told)
        seen, at = read_state(universe, index)
        assert seen.digest == state.digest
        assert np.array_equal(seen.ids, state.ids)
        lost = state.copy()
        lost.apply({"op": "remove", "rows": [int(state.rows[0])]})
        assert lost.digest != state.digest
        Asker(universe, index, state, at).ask(rng, Tally())
        index.update([universe.natives[state.rows[1]]], {"pi5_energy_mj": [1.0]})
        with pytest.raises(AssertionError, match=r"half of a write|not one of its row"):
            read_state(universe, index)


def test_a_ledger_is_read_as_far_as_it_was_told(tmp_path: Path) -> None:
    ledger, reader = Ledger(tmp_path / "told"), Ledger(tmp_path / "told")
    reader.look()
    ledger.tell({"op": "remove", "rows": [1]})
    reader.look()
    assert (len(reader.issued), len(reader.answers)) == (1, 0)
    ledger.tell(1)
    reader.look()
    assert (len(reader.issued), reader.answers) == (1, [1])


@pytest.mark.parametrize("kinds", [("add", "update", "remove"), ("update", "compact", "publish")])
def test_a_killed_stream(tmp_path: Path, universe: Universe, kinds: tuple[str, ...]) -> None:
    campaign = kills.Campaign(tmp_path, universe, np.arange(400), np.random.default_rng(1))
    outcome = kills.kill_streams(kinds, campaign, 2)
    assert (outcome.kills, outcome.problems) == (2, [])


@pytest.mark.slow
def test_killed_builds_and_merges(tmp_path: Path, universe: Universe) -> None:
    campaign = kills.Campaign(tmp_path, universe, np.arange(400), np.random.default_rng(1))
    for kill in (kills.kill_builds, kills.kill_rebuilds, kills.kill_merges):
        outcome = kill(campaign, 2)
        assert (outcome.kills, outcome.problems) == (2, [])


@pytest.mark.slow
def test_a_flipped_bit_in_every_file(tmp_path: Path) -> None:
    rows = bits.measure(tmp_path, quick=True)
    nothing_failed(rows)
    assert sum(row["wrong"] for row in rows) == 0
    assert {row["file"] for row in rows if not row["named"] and not row["harmless"]} == set()
    assert sum(row["mended"] for row in rows) >= 10


def test_a_flipped_bit_in_a_few_files(tmp_path: Path, universe: Universe) -> None:
    with lists_from(bits.LISTED):
        subject = bits.Subject(tmp_path, universe, 400, np.random.default_rng(0))
        counts = bits.Counts()
        for name in ("manifest.json", "log/000003.log", "versions/000003/lists/lists.npz"):
            file = subject.path / name
            subject.flip(file, file.stat().st_size - 2, 3, counts)
    assert counts.problems == []
    assert (counts.flips, counts.refused, counts.named, counts.mended) == (3, 3, 3, 2)


@pytest.mark.parametrize("name", ["catalog.duckdb", "ann/graph.hnswlib", "lists/lists.npz"])
def test_files_that_opening_does_not_check_have_sums_of_their_own(
    tmp_path: Path, universe: Universe, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a bit flips after the index was opened, and before the file is read."""
    monkeypatch.setattr(version, "check_files", lambda *_, **__: {})
    rng, refused = np.random.default_rng(0), 0
    with lists_from(bits.LISTED):
        subject = bits.Subject(tmp_path, universe, 400, rng)
        file = subject.path / "versions/000003" / name
        sound = file.read_bytes()
        for _ in range(5):
            content = bytearray(sound)
            content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
            file.write_bytes(content)
            try:
                assert subject.ask() == ""  # it was not needed
            except CorruptIndexError:
                refused += 1
    assert refused > 0


@mounts
def test_a_disk_that_fills_up(tmp_path: Path) -> None:
    rows = disk.measure(tmp_path, quick=True)
    nothing_failed(rows)
    assert {row["command"] for row in rows if row["refused"]} == {"add", "publish"}


@mounts
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_disk_that_takes_no_writes(tmp_path: Path) -> None:
    rows = read_only.measure(tmp_path, quick=True)
    nothing_failed(rows)
    assert {row["what"] for row in rows} == {"done", "refused", "as before"}


@pytest.mark.slow
def test_six_writers_at_once(tmp_path: Path) -> None:
    (row,) = writers.measure(tmp_path, quick=True)
    nothing_failed([row])
    assert row["operations"] >= writers.WRITERS * writers.LEAST - row["locked"]


@pytest.mark.slow
def test_readers_while_somebody_writes(tmp_path: Path) -> None:
    found = soak.soak(tmp_path, minutes=0.15, seed=0, rows=1200, built=0.6)
    assert found["problems"] == []
    assert sum(found["writer"]["operations"].values()) > 0
    assert any(reader["queries"] for reader in found["readers"])


def test_a_closed_view_lets_go_of_its_files(index_path: Path) -> None:
    handles = Path("/proc/self/fd")
    if not handles.exists():
        pytest.skip("the system does not list open files")
    index = ax.open(index_path)

    def look() -> int:
        index.refresh()
        index.query(0, 3, "cifar10_valid_acc > 50 AND n_ops < 5 AND cifar10_latency_ms > 1")
        return len(list(handles.iterdir()))

    first = look()
    assert max(look() for _ in range(5)) <= first + 1


def test_a_disk_that_gives_nothing(index_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Path(os.devnull).open() as last:  # the next file's number would be too high
        resource.setrlimit(resource.RLIMIT_NOFILE, (last.fileno() + 1, before[1]))
        try:
            with pytest.raises(StorageError, match="Too many open files"):
                ax.open(index_path)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert len(ax.open(index_path)) == 400
