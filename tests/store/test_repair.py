"""A damaged index: what repair makes good, and what people are told of the rest."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import archindex as ax
from archindex.cli.errors import describe
from archindex.core.errors import ArchindexError, CorruptIndexError
from archindex.datasets import Table
from archindex.store import verify as verify_module
from archindex.store import version
from archindex.store.verify import verify
from archindex.store.writer import writing


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(content)


@pytest.fixture
def written(index_path: Path) -> Path:
    """An index at version 2 with a record in its log."""
    with ax.open(index_path) as index:
        index.remove([5])
        index.publish()
        index.remove([6])
    return index_path


@pytest.mark.parametrize("damage", ["lost", "damaged"])
def test_a_manifest_is_written_again(written: Path, small_table: Table, damage: str) -> None:
    manifest = written / "manifest.json"
    before = manifest.read_bytes()
    if damage == "lost":
        manifest.unlink()
    else:
        manifest.write_text("{\n")
    advice = rf"manifest\.json.*archindex verify {written} --repair"
    with pytest.raises(CorruptIndexError, match=advice):
        ax.open(written)
    with pytest.raises(CorruptIndexError, match=advice):
        ax.build(written, small_table)
    report = verify(written)
    assert [(p.file, p.repairable) for p in report.found] == [("manifest.json", True)]
    assert report.next == f"archindex verify {written} --repair"
    assert verify(written, repair=True).ok
    assert manifest.read_bytes() == before
    with ax.open(written) as index:
        assert (len(index), index.info.number) == (398, 2)


@pytest.mark.parametrize("damage", ["lost", "damaged"])
def test_an_index_without_its_manifest_can_be_replaced(
    written: Path, small_table: Table, damage: str
) -> None:
    (written / "manifest.json").unlink()
    if damage == "damaged":
        (written / "manifest.json").write_text("{\n")
    rebuilt = ax.build(written, small_table.take(range(50)), overwrite=True)
    assert (rebuilt.info.number, len(rebuilt)) == (3, 50)
    assert rebuilt.snapshot.ids.min() == 400
    assert verify(written).ok


def test_manifest_and_columns_are_repaired_at_once(written: Path) -> None:
    (written / "manifest.json").unlink()
    flip(written / "versions/000002/columns/n_ops.npy")
    report = verify(written, repair=True)
    assert report.ok
    assert len(report.repaired) == 2
    assert len(ax.open(written)) == 398


def test_without_a_manifest_the_newest_sound_version_counts(written: Path) -> None:
    (written / "manifest.json").unlink()
    shutil.copytree(written / "versions/000002", written / "versions/000003")  # its description says 2
    shutil.copytree(written / "versions/000002", written / "versions/000004")
    (written / "versions/000004/version.json").write_text("{}")
    report = verify(written, repair=True)
    assert report.ok
    assert "version 2; newer ones are damaged" in report.repaired[0]
    assert ax.open(written).info.number == 2


def test_without_a_manifest_and_a_sound_version(written: Path) -> None:
    (written / "manifest.json").unlink()
    for number in (1, 2):
        flip(written / f"versions/{number:06d}/version.json")
    report = verify(written, repair=True)
    assert not report.ok
    assert "--repair" not in report.next
    assert "--overwrite" in report.next
    assert not (written / "manifest.json").exists()


def test_an_unpublished_version_is_not_taken_for_the_newest(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, number: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(version, "write_manifest", killed)
        with pytest.raises(KeyboardInterrupt), ax.open(written) as index:
            index.publish()
    assert (written / "versions/000003/version.json").exists()
    with ax.open(written) as index:
        index.remove([7])  # acknowledged in the log of version 2
    (written / "manifest.json").unlink()
    assert verify(written, repair=True).ok
    assert len(ax.open(written)) == 397


def test_repair_looks_again_once_it_may_write(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the first look and the lock another process adds, repairs and publishes."""
    flip(written / "versions/000002/columns/n_ops.npy")

    @contextmanager
    def late(path: Path) -> Iterator[None]:
        monkeypatch.setattr(verify_module, "writing", writing)
        assert verify(path, repair=True).ok
        with ax.open(path) as other:
            other.remove([8])
            other.publish()
        with writing(path):
            yield

    monkeypatch.setattr(verify_module, "writing", late)
    report = verify(written, repair=True)
    assert (report.ok, report.repaired) == (True, ())
    index = ax.open(written)
    assert (len(index), index.info.number) == (397, 4)


@pytest.mark.parametrize("name", ["catalog.duckdb", "vectors.npy", "ids.npy", "version.json", "log"])
def test_damage_that_cannot_be_repaired(written: Path, name: str) -> None:
    flip(written / "log/000002.log" if name == "log" else written / "versions/000002" / name)
    with pytest.raises(CorruptIndexError) as caught:
        ax.open(written)
    said = describe(caught.value, ["query", str(written), "--like", "x"])[1]
    assert "--repair" not in said
    assert "PATH" not in said
    assert f"archindex verify {written}" in said or "from a copy" in said
    for report in (verify(written), verify(written, repair=True)):
        assert not any(p.repairable for p in report.found)
        assert "copy" in report.next
        assert f"archindex build {written}" in report.next
        assert "--repair" not in report.next


def test_damage_that_can_be_repaired_names_the_path(written: Path, tmp_path: Path) -> None:
    path = written.rename(tmp_path / "my index")
    flip(path / "versions/000002/columns/n_ops.npy")
    with pytest.raises(CorruptIndexError) as caught:
        ax.open(path)
    assert f"archindex verify '{path}' --repair" in describe(caught.value, ["info", str(path)])[1]
    assert verify(path).next == f"archindex verify '{path}' --repair"


def test_advice_names_the_index_of_the_command_line(written: Path) -> None:
    error = CorruptIndexError("expected something else")
    assert describe(error, ["query", "--format", "json", str(written)])[1].endswith(
        f"archindex verify {written}"
    )
    assert isinstance(error, ArchindexError)


def test_an_untrained_encoder_is_made_again(written: Path) -> None:
    flip(written / "versions/000002/columns/n_ops.npy")
    (written / "versions/000002/encoder/encoder.json").write_text("{")
    report = verify(written, repair=True)
    assert report.ok
    assert len(report.repaired) == 2
    index = ax.open(written)
    assert len(index.encode([index.get(0).architecture])) == 1


def test_a_learned_encoder_is_not(tmp_path: Path, small_table: Table) -> None:
    path = tmp_path / "index"
    ax.build(path, small_table.take(range(40)), encoder="gin").close()
    assert verify(path).ok
    (path / "versions/000001/encoder/encoder.json").write_text(json.dumps({}))
    report = verify(path, repair=True)
    assert not report.ok
    assert "copy" in report.next


def test_a_new_index_is_flushed_by_name(
    tmp_path: Path, small_table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: set[int] = set()
    fsync = os.fsync

    def noting(handle: int) -> None:
        flushed.add(os.fstat(handle).st_ino)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noting)
    path = tmp_path / "above" / "index"
    table = small_table.take(range(30))
    index = ax.build(path, table)
    assert {one.stat().st_ino for one in (tmp_path, path.parent, path, path / "versions")} <= flushed
    index.remove([0])
    stale = path / "log/000002.log"  # of a repair that was stopped
    shutil.copy(path / "log/000001.log", stale)
    flushed.clear()
    index.publish()
    assert not stale.exists()
    assert (path / "log").stat().st_ino in flushed
    assert len(index) == 29
