"""Merging: rows, ids, measurements and removals of several indexes in one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import archindex as ax
from archindex.core.errors import (
    ArgumentError,
    CorruptIndexError,
    EncoderMismatchError,
    IndexExistsError,
    IndexMissingError,
)
from archindex.core.metrics import MeasurementSpec
from archindex.datasets import Table
from archindex.store import version
from archindex.store.verify import verify

ENERGY = MeasurementSpec("energy", "pi5", source="mine")


@pytest.fixture
def other_path(nasbench201: Table, small_table: Table, tmp_path: Path) -> Path:
    """An index of the last 50 rows of `small_table` and 30 others, and 10 cells of another space."""
    known = set(small_table.natives)
    more = [i for i, native in enumerate(nasbench201.natives) if native not in known][:30]
    both = [nasbench201.natives.index(native) for native in small_table.natives[350:]] + more
    cells = tuple(dict.fromkeys(a.native for a in ax.space("nasbench101").sample(10, seed=3)))
    tables = [nasbench201.take(np.array(both)), Table("cells", "nasbench101", cells, ())]
    ax.build(tmp_path / "other", tables, engine="exact").close()
    return tmp_path / "other"


def test_everything_of_both_comes_together(
    index_path: Path, other_path: Path, small_table: Table, tmp_path: Path
) -> None:
    shared, own = small_table.natives[380], small_table.natives[7]
    with ax.open(index_path) as a, ax.open(other_path) as b:
        a.remove([5, small_table.natives[399]])  # the second index still has the latter
        a.update([shared], {ENERGY: [1.0]})
        a.update([own], {ENERGY: [4.0]})
        a.update([small_table.natives[381]], drop="cifar10_valid_acc")
        b.update([shared], {ENERGY: [2.0]})
        extra = b.snapshot.all_rows()
        strangers = b.snapshot.ids[50:].tolist()
        vector = b.get(strangers[3]).vector
    before = {path: sorted(f for f in path.rglob("*")) for path in (index_path, other_path)}
    with ax.merge(tmp_path / "all", index_path, other_path) as merged:
        assert {path: sorted(f for f in path.rglob("*")) for path in before} == before
        assert merged.info.made_by == "merge"
        assert merged.info.engine == "hnsw"
        rows = merged.snapshot.all_rows()
        ids = dict(zip(zip(rows["space"], rows["native"], strict=True), rows["row_id"].tolist(), strict=True))
        assert len(ids) == len(merged) == 398 + 1 + 30 + len(strangers[30:])
        for i, native in enumerate(small_table.natives[:399]):
            assert i == 5 or ids["nasbench201", native] == i
        assert ids["nasbench201", small_table.natives[399]] >= 400
        assert sorted(ids.values()) == [i for i in range(399) if i != 5] + list(range(400, 400 + 1 + 40))
        assert merged.get(shared).attributes["pi5_energy_mj"] == 2.0  # the later one stands
        assert merged.get(own).attributes["pi5_energy_mj"] == 4.0
        stranger = extra["native"][extra["row_id"] == strangers[3]][0]
        assert np.array_equal(merged.get(str(stranger)).vector, vector)
        with ax.open(other_path) as b:
            for native in (small_table.natives[360], small_table.natives[381], str(stranger)):
                # What the first index took away, the second still has.
                assert merged.get(native).measurements == b.get(native).measurements
        assert len(merged.query(own, k=500, where="space = 'nasbench101'")) == len(strangers[30:])
        assert merged.add([small_table.natives[5]]).tolist() == [441]
    assert verify(tmp_path / "all").ok


def test_what_cannot_be_merged(
    index_path: Path, other_path: Path, small_table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = small_table.take(range(20))
    ax.build(tmp_path / "structural", few, encoder="structural").close()
    ax.build(tmp_path / "cosine", few, metric="cosine").close()
    target = tmp_path / "all"
    with pytest.raises(EncoderMismatchError, match="structural"):
        ax.merge(target, index_path, tmp_path / "structural")
    with pytest.raises(ArgumentError, match="metric"):
        ax.merge(target, index_path, tmp_path / "cosine")
    for sources in ((), (index_path,), (index_path, index_path)):
        with pytest.raises(ArgumentError, match="two or more"):
            ax.merge(target, *sources)
    with pytest.raises(IndexMissingError):
        ax.merge(target, index_path, tmp_path / "none")
    with pytest.raises(IndexExistsError):
        ax.merge(other_path, index_path, other_path)
    assert not target.exists()
    shutil.copytree(other_path, tmp_path / "damaged")
    (tmp_path / "damaged/versions/000001/ids.npy").write_bytes(b"")
    with pytest.raises(CorruptIndexError):
        ax.merge(target, index_path, tmp_path / "damaged")
    assert not target.exists()


def test_a_merge_that_was_stopped_is_done_again(
    index_path: Path, other_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, number: int) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(version, "write_manifest", killed)
        with pytest.raises(OSError, match="no space left"):
            ax.merge(tmp_path / "all", index_path, other_path)
    with pytest.raises(IndexMissingError):
        ax.open(tmp_path / "all")
    assert len(ax.merge(tmp_path / "all", index_path, other_path)) == 440
