"""Versions by number and name: what they show, how long they stay, and what an older format's become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import archindex as ax
from archindex.core.errors import (
    ArgumentError,
    CorruptIndexError,
    IndexVersionError,
    ReadOnlyError,
    UnknownNameError,
)
from archindex.datasets import Table
from archindex.store.files import read_json, write_json
from archindex.store.log import encode_add
from archindex.store.migrations import FORMAT_VERSION, MIGRATIONS
from archindex.store.verify import verify


def versions(path: Path) -> list[int]:
    return sorted(int(entry.name) for entry in (path / "versions").iterdir())


def test_a_version_by_number_shows_what_it_held_when_it_was_published(index_path: Path) -> None:
    with ax.open(index_path) as index:
        index.remove([0, 1])
        index.publish()
        index.remove([2])
        assert [(v.info.number, v.info.made_by, v.current) for v in index.versions] == [
            (1, "build", False),
            (2, "publish", True),
        ]
    for version, rows in ((1, 400), (2, 398), (None, 397)):
        with ax.open(index_path, version=version) as index:
            assert len(index) == rows
            assert len(index.query(5, k=400, where="n_ops >= 0")) == rows
    with pytest.raises(UnknownNameError, match="there are 1, 2"):
        ax.open(index_path, version=3)
    with pytest.raises(ArgumentError):
        ax.open(index_path, version=1.5)  # type: ignore[arg-type]


def test_an_opened_version_refuses_writes_and_stays_as_it_is(index_path: Path) -> None:
    with ax.open(index_path) as index:
        index.take_snapshot("start")
        index.remove([3])
    writes: list[Callable[[ax.Index], object]] = [
        lambda i: i.add([i.get(0).architecture]),
        lambda i: i.update([0], {"cifar10_valid_acc": [1.0]}),
        lambda i: i.remove([0]),
        lambda i: i.publish(),
        lambda i: i.compact(),
        lambda i: i.take_snapshot("again"),
        lambda i: i.drop_snapshot("start"),
    ]
    with ax.open(index_path, version="start") as old:
        for write in writes:
            with pytest.raises(ReadOnlyError, match="without version="):
                write(old)
        old.refresh()
        assert len(old) == 400
        assert old.walk("cifar10_valid_acc", seed=0).ask(2)
    assert len(ax.open(index_path)) == 399


def test_a_named_version_stays_until_its_name_goes(index_path: Path) -> None:
    with ax.open(index_path) as index:
        index.remove([7])
        taken = index.take_snapshot("before-sweep")  # folds the log first
        assert taken.version == 2
        assert index.take_snapshot("same").version == 2  # nothing changed since
        for value in range(4):
            index.update([0], {"pi5_energy_mj": [float(value)]})
            index.publish()
        assert versions(index_path) == [2, 5, 6]
        with ax.open(index_path, version="before-sweep") as old:
            assert len(old) == 399
            assert "pi5_energy_mj" not in old.schema
            assert old.get(0).row_id == 0
        assert [v.names for v in index.versions] == [("before-sweep", "same"), (), ()]
        index.drop_snapshot("same")
        assert versions(index_path) == [2, 5, 6]
        with ax.open(index_path, version="before-sweep") as reader:
            index.drop_snapshot("before-sweep")
            assert versions(index_path) == [2, 5, 6]  # a reader holds it
            assert len(reader.query(0, k=5, where="n_ops > 0")) == 5
        index.publish()
        assert versions(index_path) == [6, 7]
        with pytest.raises(UnknownNameError, match="snapshot"):
            index.drop_snapshot("before-sweep")
        with pytest.raises(UnknownNameError, match="snapshot"):
            ax.open(index_path, version="before-sweep")
    assert verify(index_path).ok


@pytest.mark.parametrize("name", ["", "3", "-x", "a/b", "..", "x" * 65, "Taken", 5])
def test_names_that_cannot_be(index_path: Path, name: str) -> None:
    with ax.open(index_path) as index:
        index.take_snapshot("taken")
        with pytest.raises(ArgumentError, match="name"):
            index.take_snapshot(name)
        assert index.info.number == 1


def test_a_rebuild_keeps_what_has_a_name(index_path: Path, small_table: Table) -> None:
    with ax.open(index_path) as index:
        index.take_snapshot("old")
    ax.build(index_path, small_table.take(range(50)), overwrite=True).publish()
    assert len(ax.open(index_path)) == 50
    assert len(ax.open(index_path, version="old")) == 400


def test_verify_checks_named_versions(index_path: Path) -> None:
    with ax.open(index_path) as index:
        index.take_snapshot("kept")
        index.publish()
        index.publish()
    file = index_path / "versions/000001/columns/n_ops.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    report = verify(index_path)
    assert [(p.snapshot, p.file) for p in report.found] == [("kept", "columns/n_ops.npy")]
    assert "archindex snapshot rm" in report.next
    with pytest.raises(CorruptIndexError):
        ax.open(index_path, version="kept")
    with ax.open(index_path) as index:
        index.drop_snapshot("kept")
    assert verify(index_path).ok


def test_a_damaged_name_lets_no_version_go(index_path: Path) -> None:
    with ax.open(index_path) as index:
        index.take_snapshot("kept")
        (index_path / "snapshots/kept.json").write_text("{}")
        for _ in range(3):
            index.publish()
    assert versions(index_path) == [1, 2, 3, 4]
    report = verify(index_path)
    assert report.problems == ("snapshots/kept.json was altered",)
    with pytest.raises(CorruptIndexError, match=r"kept\.json"):
        ax.open(index_path, version="kept")
    (index_path / "snapshots/kept.json").unlink()
    assert verify(index_path).ok


def test_a_lost_manifest_takes_no_name_with_it(index_path: Path) -> None:
    with ax.open(index_path) as index:
        index.take_snapshot("kept")
        index.remove([0])
        index.publish()
        index.publish()
    (index_path / "manifest.json").unlink()
    assert verify(index_path, repair=True).ok
    with ax.open(index_path) as index:
        assert len(index) == 399
        index.publish()
    assert len(ax.open(index_path, version="kept")) == 400


def test_a_name_of_a_lost_version_never_comes_to_mean_another(index_path: Path) -> None:
    with ax.open(index_path) as index:
        index.remove([0])
        assert index.take_snapshot("kept").version == 2
    (index_path / "manifest.json").unlink()
    (index_path / "versions/000002/vectors.npy").write_bytes(b"")
    report = verify(index_path, repair=True)  # falls back to version 1 and its log
    assert [problem.snapshot for problem in report.found] == ["kept"]
    with ax.open(index_path) as index:
        assert (index.info.number, len(index)) == (1, 399)
        index.remove([1])
        assert index.publish().number == 3
    with pytest.raises(UnknownNameError):
        ax.open(index_path, version="kept")
    assert [problem.snapshot for problem in verify(index_path).found] == ["kept"]
    with ax.open(index_path) as index:
        index.drop_snapshot("kept")
    assert verify(index_path).ok


def as_format_1(path: Path) -> None:
    """Make of an index what format 1 would have written."""
    for file in path.glob("versions/*/version.json"):
        content = read_json(file)
        del content["format_version"], content["made_by"]
        write_json(file, content)
    write_json(path / "manifest.json", {"format_version": 1, "current": ax.open(path).info.number})


def test_an_index_of_format_1_is_read_and_migrated_by_the_next_write(index_path: Path) -> None:
    with ax.open(index_path) as index:
        expected = index.query(0, k=5, where="cifar10_valid_acc > 60").ids.tolist()
        index.remove([expected[1]])
    as_format_1(index_path)
    description = (index_path / "versions/000001/version.json").read_bytes()
    manifest = index_path / "manifest.json"
    assert verify(index_path).ok
    with ax.open(index_path) as index:
        assert index.info.made_by == "unknown"
        del expected[1]
        assert index.query(0, k=4, where="cifar10_valid_acc > 60").ids.tolist() == expected
        assert read_json(manifest)["format_version"] == 1  # reading changes nothing
        index.update([0], drop=["cifar10_valid_acc"])  # what a reader of format 1 would not understand
        assert read_json(manifest) == {"format_version": FORMAT_VERSION, "current": 1}
        assert (index_path / "versions/000001/version.json").read_bytes() == description
        assert index.get(0).attributes["cifar10_valid_acc"] is None
        assert index.publish().made_by == "publish"
    assert read_json(index_path / "versions/000002/version.json")["format_version"] == FORMAT_VERSION
    assert verify(index_path).ok


@pytest.mark.parametrize(
    "write",
    [
        lambda i: i.publish(),
        lambda i: i.compact(),
        lambda i: i.take_snapshot("kept"),
        lambda i: i.remove([0]),
        lambda i: i.add([i.get(0).architecture], {"pi5_energy_mj": [1.0]}),
    ],
)
def test_every_write_migrates(index_path: Path, write: Callable[[ax.Index], object]) -> None:
    as_format_1(index_path)
    with ax.open(index_path) as index:
        write(index)
    assert read_json(index_path / "manifest.json")["format_version"] == FORMAT_VERSION
    assert verify(index_path).ok


def test_every_format_has_its_migration() -> None:
    assert sorted(MIGRATIONS) == list(range(1, FORMAT_VERSION))


def test_a_version_of_a_newer_format_is_refused(index_path: Path) -> None:
    file = index_path / "versions/000001/version.json"
    write_json(file, {**read_json(file), "format_version": FORMAT_VERSION + 1})
    with pytest.raises(IndexVersionError, match="pip install -U"):
        ax.open(index_path)
    write_json(file, {**read_json(file), "format_version": "two"})
    with pytest.raises(CorruptIndexError, match="format"):
        ax.open(index_path)


def test_measurements_are_replaced_and_taken_away(index_path: Path) -> None:
    with ax.open(index_path) as index:
        known = index.get(3)
        others = index.get(4).attributes["cifar10_valid_acc"]
        seeds = [m for m in known.measurements if m.spec.column == "cifar10_valid_acc"]
        assert len(seeds) >= 2
        assert index.update([3], drop=[seeds[0].spec]).tolist() == [3]
        for _ in range(2):
            left = np.mean([m.value for m in seeds[1:]])
            assert index.get(3).attributes["cifar10_valid_acc"] == pytest.approx(left)
            assert seeds[0] not in index.get(3).measurements
            index.publish()
        # The column anew: what there was goes, the new value stands alone.
        index.update([3, 5], {"cifar10_valid_acc": [42.0, np.nan]}, drop="cifar10_valid_acc")
        index.update([known.architecture], {"pi5_energy_mj": [1.5]})
        index.update([3], drop=["pi5_energy_mj"])
        for _ in range(2):
            assert index.get(3).attributes["cifar10_valid_acc"] == 42.0
            assert index.get(5).attributes["cifar10_valid_acc"] is None
            assert index.get(4).attributes["cifar10_valid_acc"] == others
            assert index.get(3).attributes["pi5_energy_mj"] is None
            assert not [m for m in index.get(5).measurements if m.spec.column == "cifar10_valid_acc"]
            assert 5 not in index.query(5, k=400, where="cifar10_valid_acc > 0").ids
            assert verify(index_path).ok
            index.publish()
        assert index.snapshot.ids.tolist() == list(range(400))


def test_updates_that_are_refused_change_nothing(index_path: Path, nasbench201: Table) -> None:
    with ax.open(index_path) as index:
        stranger = next(n for n in nasbench201.natives if index.snapshot.find(n) == [])
        cases: list[tuple[Callable[[], object], type[Exception]]] = [
            (lambda: index.update([stranger], {"cifar10_valid_acc": [1.0]}), UnknownNameError),
            (lambda: index.update([900], {"cifar10_valid_acc": [1.0]}), UnknownNameError),
            (lambda: index.update([0, 1], {"cifar10_valid_acc": [1.0]}), ArgumentError),
            (lambda: index.update([0], {"cifar10_valid_acc": [np.inf]}), ArgumentError),
            (lambda: index.update([0], drop=["cifar10_valid_ac"]), UnknownNameError),
            (lambda: index.update([0], drop=["n_ops"]), ArgumentError),
            (lambda: index.update([0], drop=5), ArgumentError),  # type: ignore[arg-type]
            (lambda: index.update("ab", drop="cifar10_valid_acc"), ArgumentError),
        ]
        for act, error in cases:
            with pytest.raises(error):
                act()
    assert not list((index_path / "log").glob("*")) if (index_path / "log").exists() else True


def test_a_value_taken_away_is_null_in_the_log(index_path: Path) -> None:
    with ax.open(index_path) as index:
        spec = index.snapshot.specs()[0]
    assert b"[3,0,null]" in encode_add([], {3: {spec: float("nan")}})


def test_compacting_frees_what_removed_rows_took(index_path: Path) -> None:
    with ax.open(index_path) as index:
        index.remove(range(1, 200, 2))
        index.publish()
        index.take_snapshot("half")
        index.remove(range(0, 80, 2))
        index.publish()
        before = index.query(300, k=20, where="n_ops > 0")

        def engine_bytes(version: int) -> int:
            return sum(f.stat().st_size for f in (index_path / f"versions/{version:06d}/ann").iterdir())

        with_removed = engine_bytes(3)
        freed = index.compact()
        assert freed > 0
        assert versions(index_path) == [2, 4]
        assert index.info.made_by == "compact"
        assert engine_bytes(4) < with_removed
        assert index.query(300, k=20, where="n_ops > 0").ids.tolist() == before.ids.tolist()
        assert index.query(300, k=20).ids.tolist() == before.ids.tolist()
        assert len(index) == 260
        assert index.info.next_row_id == 400
    assert verify(index_path).ok
    assert len(ax.open(index_path, version="half")) == 300
