"""The write-ahead log: what replays, what is cut off, what is refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archindex.core.errors import CorruptIndexError, StorageError
from archindex.core.metrics import MeasurementSpec
from archindex.store.log import AddedRow, append, cut_torn_record, encode_add, encode_remove, replay
from archindex.store.rows import RowInfo

DIM = 4
ENERGY = MeasurementSpec("energy", "pi5", source="mine")
SEEDED = MeasurementSpec("acc", "cifar10", "valid", epochs=12, seed=777)


def row(row_id: int) -> AddedRow:
    vector = np.linspace(row_id, row_id + 1, DIM, dtype=np.float32)
    return AddedRow(RowInfo(row_id, "nasbench201", f'|é "{row_id}"\n|', "ab" * 12), vector, {"n_ops": 3})


LINES = (
    encode_add([row(7), row(8)], {7: {ENERGY: 0.1, SEEDED: 90.0}, 2: {ENERGY: -1e-300}}),
    encode_remove([7, 3]),
    encode_add([], {2: {ENERGY: 5.0}}),
)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_records_replay_in_order(tmp_path: Path) -> None:
    log = tmp_path / "log" / "000001.log"
    for line in LINES:
        append(log, line)
    delta, whole = replay(log, DIM)
    assert whole == log.stat().st_size == sum(map(len, LINES))
    assert list(delta.added) == [8]
    assert delta.added[8].info == row(8).info
    assert delta.added[8].sizes == {"n_ops": 3}
    np.testing.assert_array_equal(delta.added[8].vector, row(8).vector)
    assert delta.values == {2: {ENERGY: 5.0}}
    assert delta.removed == {3}
    assert delta.next_row_id == 9


@pytest.mark.parametrize("exists", [False, True])
def test_an_empty_log_changes_nothing(tmp_path: Path, exists: bool) -> None:
    path = tmp_path / "log"
    if exists:
        path.touch()
    delta, whole = replay(path, DIM)
    assert (len(delta), delta.next_row_id, whole) == (0, 0, 0)


@given(st.integers(0, sum(map(len, LINES)) - 1))
def test_a_log_cut_anywhere_holds_its_whole_records(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = written(tmp_path_factory.getbasetemp() / "cut.log", b"".join(LINES)[:cut])
    ends = np.cumsum([0, *map(len, LINES)])
    delta, whole = replay(path, DIM)
    assert whole == max(end for end in ends if end <= cut)
    cut_torn_record(path, whole)
    append(path, LINES[2])
    assert path.read_bytes() == b"".join(LINES)[:whole] + LINES[2]
    assert replay(path, DIM)[1] == whole + len(LINES[2])
    assert (7 in delta.added) == (ends[1] <= cut < ends[2])


@given(st.data())
def test_a_flipped_bit_in_a_whole_record_is_never_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(b"".join(LINES))
    at = data.draw(st.integers(0, len(content) - 1) | st.just(len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CorruptIndexError, match="damaged at byte"):
        replay(written(tmp_path_factory.getbasetemp() / "flipped.log", bytes(content)), DIM)


@pytest.mark.parametrize("value", [float("-inf"), float("inf")])
def test_what_json_cannot_say_is_not_logged(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode_add([], {1: {ENERGY: value}})


def test_missing_fields_of_a_spec_come_back_as_none(tmp_path: Path) -> None:
    path = written(tmp_path / "log", LINES[0])
    assert replay(path, DIM)[0].values[7] == {ENERGY: 0.1, SEEDED: 90.0}
    assert [spec.seed for spec in replay(path, DIM)[0].values[7]] == [None, 777]


def test_vectors_of_another_dimension_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptIndexError, match=f"{DIM + 1} dimensions"):
        replay(written(tmp_path / "log", LINES[0]), DIM + 1)


@pytest.mark.parametrize("taken", [0, 10])
def test_a_refused_record_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    path = tmp_path / "log" / "000001.log"
    append(path, LINES[0])

    def refuse(handle: int) -> None:
        os.ftruncate(handle, len(LINES[0]) + taken)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(StorageError, match="free some space"):
            append(path, LINES[1])
    assert path.read_bytes() == LINES[0]
    append(path, LINES[2])
    assert path.read_bytes() == LINES[0] + LINES[2]
