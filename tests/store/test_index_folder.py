"""What an index folder keeps, and what it refuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest

import archindex as ax
from archindex.core.errors import (
    ArchitectureError,
    ArgumentError,
    CorruptIndexError,
    EncoderMismatchError,
    IndexExistsError,
    IndexLockedError,
    IndexMissingError,
    IndexVersionError,
    UnknownNameError,
)
from archindex.datasets import Table
from archindex.store import writer
from archindex.store.files import read_json, write_json
from archindex.store.verify import verify
from archindex.store.writer import writing


def test_everything_of_the_table_comes_back(index_path: Path, small_table: Table) -> None:
    index = ax.open(index_path)
    assert len(index) == len(small_table)
    for i in (0, 17, 399):
        record = index.get(small_table.natives[i])
        assert record.architecture.native == small_table.natives[i]
        told = {m.spec: m.value for m in record.measurements}
        expected = {s.spec: s.values[i] for s in small_table.series if not np.isnan(s.values[i])}
        assert told == expected
        for name, one in small_table.columns().items():
            assert record.attributes[name] == pytest.approx(one.values[i], nan_ok=True)


def test_seeds_are_kept_apart_and_averaged_in_the_column(index_path: Path) -> None:
    record = ax.open(index_path).get(0)
    seeds = [m for m in record.measurements if m.spec.column == "cifar10_valid_acc"]
    assert len({m.spec.seed for m in seeds}) == len(seeds) >= 2
    assert record.attributes["cifar10_valid_acc"] == pytest.approx(np.mean([m.value for m in seeds]))


def test_added_rows_are_found_before_and_after_publishing(index_path: Path, nasbench201: Table) -> None:
    index = ax.open(index_path)
    known = set(index.snapshot.all_rows()["native"])
    new = [n for n in nasbench201.natives if n not in known][:20]
    ids = index.add(new, {"pi5_energy_mj": np.arange(20.0), "cifar10_valid_acc": np.full(20, np.nan)})
    assert ids.tolist() == list(range(400, 420))
    for _ in range(2):
        assert len(index) == 420
        hits = index.query(new[7], k=3, where="pi5_energy_mj BETWEEN 6.5 AND 7.5")
        assert hits.ids.tolist() == [407]
        assert hits[0].distance == 0
        assert hits[0].attributes["pi5_energy_mj"] == 7.0
        assert index.get(new[7]).attributes["cifar10_valid_acc"] is None
        assert ax.open(index_path).get(407).architecture.native == new[7]
        assert verify(index_path).ok
        index.publish()


def test_removed_rows_are_gone_and_their_ids_are_not_used_again(index_path: Path) -> None:
    index = ax.open(index_path)
    gone = index.get(5).architecture
    last = index.get(399).architecture
    assert index.remove([gone, 399, gone]) == 2
    assert index.remove([gone]) == 0
    for _ in range(2):
        assert len(index) == 398
        assert 5 not in index.query(gone, k=400).ids
        with pytest.raises(UnknownNameError):
            index.get(gone)
        assert verify(index_path).ok
        index.publish()
    assert index.add([gone, last]).tolist() == [400, 401]


def test_an_id_given_in_the_log_is_not_given_again(index_path: Path, nasbench201: Table) -> None:
    index = ax.open(index_path)
    known = set(index.snapshot.all_rows()["native"])
    new = [n for n in nasbench201.natives if n not in known][:2]
    assert index.add([new[0]]).tolist() == [400]
    assert index.remove([new[0]]) == 1
    assert index.add([new[1]]).tolist() == [401]


def test_a_measurement_of_a_known_architecture_updates_its_column(index_path: Path) -> None:
    index = ax.open(index_path)
    known = index.get(3)
    seeds = [m.value for m in known.measurements if m.spec.column == "cifar10_valid_acc"]
    table = next(m.spec for m in known.measurements if m.spec.column == "cifar10_valid_acc")
    spec = replace(table, seed=777)
    for value in (50.0, 60.0):  # the second replaces the first
        assert index.add([known.architecture], {spec: [value]}).tolist() == [3]
        for _ in range(2):
            column = index.get(3).attributes["cifar10_valid_acc"]
            assert column == pytest.approx(np.mean([*seeds, value]))
            index.publish()
    # Another source is not averaged with the table's seeds: the last one stands.
    index.add([known.architecture], {"cifar10_valid_acc": [70.0]})
    for _ in range(2):
        assert index.get(3).attributes["cifar10_valid_acc"] == 70.0
        assert index.get(4).attributes["cifar10_valid_acc"] != 70.0
        index.publish()
    assert verify(index_path).ok


def test_published_columns_equal_duckdb_over_the_catalogue(index_path: Path) -> None:
    index = ax.open(index_path)
    index.add([index.get(9).architecture], {"pi5_energy_mj": [4.5]})
    info = index.publish()
    index.close()
    con = duckdb.connect(str(index_path / f"versions/{info.number:06d}/catalog.duckdb"), read_only=True)
    rows = con.execute(
        "SELECT row_id, avg(value) FROM measurements JOIN series USING (series_id) "
        "WHERE context = 'cifar10' AND metric = 'acc' AND split = 'valid' GROUP BY row_id"
    ).fetchall()
    con.close()
    reopened = ax.open(index_path)
    column = reopened.snapshot.columns["cifar10_valid_acc"]
    for row_id, value in rows:
        assert column.values[reopened.snapshot.positions(np.array([row_id]))[0]] == pytest.approx(value)


def test_a_reader_keeps_its_view_while_a_writer_publishes(index_path: Path) -> None:
    reader = ax.open(index_path)
    before = reader.query(0, k=5).ids.tolist()
    writer_index = ax.open(index_path)
    writer_index.remove(before[1:3])
    writer_index.publish()
    assert reader.query(0, k=5).ids.tolist() == before
    assert reader.get(before[1]).row_id == before[1]
    reader.refresh()
    assert not set(before[1:3]) & set(reader.query(0, k=5).ids.tolist())


def test_two_writers(index_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "LOCK_SECONDS", 0.1)
    index = ax.open(index_path)
    with writing(index_path), pytest.raises(IndexLockedError, match="only writer"):
        index.remove([0])
    assert len(ax.open(index_path)) == 400


def test_the_log_is_folded_when_it_has_grown(
    index_path: Path, nasbench201: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "FOLD_BYTES", 5000)
    index = ax.open(index_path)
    known = set(index.snapshot.all_rows()["native"])
    new = [n for n in nasbench201.natives if n not in known][:30]
    for start in range(0, 30, 6):
        index.add(new[start : start + 6])
    assert index.info.number > 1
    assert sorted(p.name for p in (index_path / "versions").iterdir())[-1] == f"{index.info.number:06d}"
    assert len(list((index_path / "versions").iterdir())) <= 2
    assert len(index) == 430
    assert verify(index_path).ok


def test_building_over_something_else(tmp_path: Path, index_path: Path, small_table: Table) -> None:
    with pytest.raises(IndexExistsError, match="overwrite"):
        ax.build(index_path, small_table)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("years of work")
    with pytest.raises(IndexExistsError, match="other files"):
        ax.build(tmp_path / "mine", small_table, overwrite=True)
    assert (tmp_path / "mine/thesis.tex").read_text() == "years of work"
    old = ax.open(index_path)
    rebuilt = ax.build(index_path, small_table.take(range(50)), encoder="gin", overwrite=True)
    assert rebuilt.info.number == 2
    assert rebuilt.snapshot.ids.tolist() == list(range(400, 450))  # an id never comes to mean another row
    with pytest.raises(EncoderMismatchError, match="open the index again"):
        old.add([small_table.natives[0]])
    assert old.remove([0]) == 0
    assert len(ax.open(index_path)) == 50


def test_missing_foreign_and_newer_folders(tmp_path: Path, index_path: Path) -> None:
    with pytest.raises(IndexMissingError, match="archindex build"):
        ax.open(tmp_path / "nothing")
    (tmp_path / "foreign").mkdir()
    with pytest.raises(IndexMissingError, match=r"manifest\.json"):
        ax.open(tmp_path / "foreign")
    (tmp_path / "file").write_text("x")
    with pytest.raises(IndexMissingError, match="file"):
        ax.open(tmp_path / "file")
    write_json(index_path / "manifest.json", {"format_version": 999, "current": 1})
    with pytest.raises(IndexVersionError, match="pip install -U"):
        ax.open(index_path)
    (index_path / "manifest.json").write_text('{"hello": "world"}')
    with pytest.raises(CorruptIndexError):
        ax.open(index_path)


def test_a_wrong_encoder_is_refused(index_path: Path) -> None:
    file = index_path / "versions/000001/encoder/encoder.json"
    content = json.loads(file.read_text())
    content["fingerprint"] = "0" * 32
    file.write_text(json.dumps(content))
    with pytest.raises(EncoderMismatchError, match="universal"):
        ax.open(index_path)


def test_every_damaged_file_is_named(index_path: Path, tmp_path: Path) -> None:
    files = [p.relative_to(index_path) for p in (index_path / "versions/000001").rglob("*") if p.is_file()]
    assert len(files) > 15
    for i, name in enumerate(files):
        for damage in ("flip", ("truncate", "remove")[i % 2]):
            copy = Path(shutil.copytree(index_path, tmp_path / f"{i}-{damage}"))
            file = copy / name
            content = bytearray(file.read_bytes())
            if damage == "remove":
                file.unlink()
            elif damage == "truncate":
                file.write_bytes(content[: len(content) // 2])
            else:
                content[len(content) // 2] ^= 0x10
                file.write_bytes(content)
            with pytest.raises((CorruptIndexError, EncoderMismatchError)) as caught:
                ax.open(copy)
            assert name.name in str(caught.value) or "000001" in str(caught.value) or "encoder" in str(caught)
            report = verify(copy)
            assert not report.ok
            derived = name.parts[2] in ("columns", "ann", "motifs", "encoder")  # the encoder learned nothing
            assert verify(copy, repair=True).ok == derived
            if derived:
                assert len(ax.open(copy)) == 400
            shutil.rmtree(copy)


def test_a_damaged_log_is_refused_and_a_torn_end_is_not(index_path: Path) -> None:
    index = ax.open(index_path)
    index.add([index.get(0).architecture], {"pi5_energy_mj": [1.0]})
    index.add([index.get(1).architecture], {"pi5_energy_mj": [2.0]})
    log = index_path / "log/000001.log"
    content = log.read_bytes()
    log.write_bytes(content + b'0badc0de {"op":"ad')
    assert len(ax.open(index_path).query(0, where="pi5_energy_mj > 0")) == 2
    index.refresh()
    index.remove([2])  # the torn end is cut off before the next record
    assert log.read_bytes().startswith(content)
    assert b"0badc0de" not in log.read_bytes()
    flipped = bytearray(content)
    flipped[40] ^= 1
    log.write_bytes(flipped)
    with pytest.raises(CorruptIndexError, match="damaged at byte 0"):
        ax.open(index_path)
    assert not verify(index_path, repair=True).ok


def test_bad_arguments_change_nothing(index_path: Path) -> None:
    index = ax.open(index_path)
    native = index.get(0).architecture.native
    cases: tuple[tuple[dict[str, object], type[Exception]], ...] = (
        ({"nonsense": [1.0]}, ArgumentError),
        ({"cifar10_valid_acc": [1.0, 2.0]}, ArgumentError),
        ({"cifar10_valid_acc": [float("inf")]}, ArgumentError),
        ({"cifar10_valid_acc": ["high"]}, ArgumentError),
    )
    for measurements, error in cases:
        with pytest.raises(error):
            index.add([native], measurements)  # type: ignore[arg-type]
    with pytest.raises(ArchitectureError):
        index.add(["|nor_conv_9x9~0|"])
    assert not (index_path / "log").exists()


def test_mixed_spaces_share_one_index(tmp_path: Path, small_table: Table) -> None:
    other = ax.space("nasbench101")
    cells = tuple(dict.fromkeys(a.native for a in other.sample(60, seed=3)))
    index = ax.build(tmp_path / "mixed", [small_table, Table("cells", "nasbench101", cells, ())])
    assert index.spaces == ("nasbench101", "nasbench201")
    assert len(index) == 400 + len(cells)
    hits = index.query(cells[0], k=10, where="space = 'nasbench201'")
    assert {a.space.name for a in hits.architectures} == {"nasbench201"}
    assert index.get(f"nasbench101:{cells[5]}").attributes["cifar10_valid_acc"] is None
    assert verify(tmp_path / "mixed").ok
    assert read_json(tmp_path / "mixed/manifest.json")["current"] == 1
