from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archindex.core.errors import DataUnavailableError
from archindex.datasets import Table
from archindex.datasets.folder import data_folder
from archindex.datasets.kept import keep_table, load_table
from archindex.datasets.official import nasbench101, nasbench101_full
from archindex.datasets.parquet import read_parquet
from archindex.spaces.nasbench101_cells import PackedCells

OPS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
# A few cells, as published tables write them, with an exact number of params each.
KNOWN: dict[str, Any] = {"adj_bits": [1, 0b101, 0b111, 0b100_101], "ops": ["", "0", "0", "21"]}


# The format, written here a second time from its description, without any code under test.


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32)


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def evaluation(epoch: float, seconds: float, train: float, valid: float, test: float) -> bytes:
    doubles = (epoch, seconds, train, valid, test)
    fields = b"".join(
        bytes([n << 3 | 1]) + struct.pack("<d", value) for n, value in enumerate(doubles, start=1)
    )
    return fields + bytes([6 << 3 | 2, 5]) + b"ckpt1"


def model_metrics(evaluations: Sequence[bytes], params: int) -> bytes:
    parts = b"".join(bytes([1 << 3 | 2]) + varint(len(one)) + one for one in evaluations)
    return parts + bytes([2 << 3]) + varint(params) + bytes([3 << 3 | 1]) + struct.pack("<d", 1234.5)


def matrix(bits: int, n: int) -> str:
    rows = np.zeros((n, n), dtype=int)
    for y in range(n):
        for x in range(y):
            rows[x, y] = bits >> (x + y * (y - 1) // 2) & 1
    return "".join(map(str, rows.ravel()))


def run_of(
    bits: int, ops: str, epochs: int, params: int, metrics: bytes | None = None, **values: Any
) -> bytes:
    """One training run as a line of the benchmark."""
    half, final = values["half"], values["final"]
    if metrics is None:
        evaluations = [
            evaluation(0.0, 0.0, 0.1, 0.1, 0.1),
            evaluation(epochs / 2, *half),
            evaluation(epochs, *final),
        ]
        metrics = model_metrics(evaluations, params)
    names = ",".join(["input", *(OPS[int(op)] for op in ops), "output"])
    text = matrix(bits, len(ops) + 2)
    module = hashlib.md5((text + names).encode()).hexdigest()
    return json.dumps([module, epochs, text, names, base64.b64encode(metrics).decode()]).encode()


@pytest.fixture(scope="module")
def cells() -> tuple[list[int], list[str], list[int]]:
    """Edge bits, ops and params of some cells: real rows where the tables are there."""
    folder = data_folder()
    if folder is None:
        packed = PackedCells.from_table(KNOWN["adj_bits"], KNOWN["ops"])
        return KNOWN["adj_bits"], KNOWN["ops"], packed.costs().params.tolist()
    read = read_parquet(folder / "nb101.parquet", ["adj_bits", "ops", "params_m"])
    rows = np.random.default_rng(0).permutation(len(read["ops"]))[:150]
    params = np.rint(read["params_m"][rows] * 1e6).astype(int)
    return [int(b) for b in read["adj_bits"][rows]], [str(o) for o in read["ops"][rows]], params.tolist()


def runs(cells: tuple[list[int], list[str], list[int]], epochs: Sequence[int]) -> tuple[list[bytes], Any]:
    """All runs in an order that mixes cells, and the values by (epochs, seed, stage), fractions."""
    rng = np.random.default_rng(1)
    bits, ops, params = cells
    values = {
        (e, seed, stage): np.column_stack(
            [rng.uniform(1, 9000, len(bits)), rng.integers(0, 10001, (len(bits), 3)) / 10000]
        )
        for e in epochs
        for seed in range(3)
        for stage in ("half", "final")
    }
    lines = [
        run_of(
            bits[i],
            ops[i],
            e,
            params[i],
            half=values[e, seed, "half"][i],
            final=values[e, seed, "final"][i],
        )
        for seed in range(3)
        for e in epochs
        for i in range(len(bits))
    ]
    return lines, values


def write(path: Path, lines: Sequence[bytes]) -> Path:
    path.write_bytes(b"".join(map(record, lines)))
    return path


def convert(path: Path) -> Table:
    return nasbench101.convert({nasbench101.FILE: path})


def column_of(table: Table, name: str, seed: int | None = None) -> Any:
    [one] = [s for s in table.series if s.spec.column == name and s.spec.seed == seed]
    return one


def test_the_official_file_is_read_value_by_value(
    tmp_path: Path, cells: Any, as_promised: Callable[..., Any]
) -> None:
    lines, values = runs(cells, [108])
    table = convert(write(tmp_path / "some.tfrecord", lines))
    as_promised(table.name, table.series)
    bits, ops, params = cells
    assert table.natives == tuple(PackedCells.from_table(bits, ops).natives())
    np.testing.assert_array_equal(column_of(table, "cifar10_params_m").values, np.array(params) / 1e6)
    for seed in range(3):
        for stage, suffix, epochs in (("half", "_half", 54), ("final", "", 108)):
            expected = values[108, seed, stage]
            for k, name in enumerate(("train_time_s", "train_acc", "valid_acc", "test_acc")):
                one = column_of(table, f"cifar10{suffix}_{name}", seed)
                np.testing.assert_array_equal(one.values, expected[:, k] * (1 if k == 0 else 100.0))
                assert (one.spec.epochs, one.spec.provenance) == (epochs, "measured")
    computed = PackedCells.from_table(bits, ops).costs()
    np.testing.assert_array_equal(column_of(table, "cifar10_flops_m").values, computed.flops / 1e6)
    # Params as counted by the authors are those that the space computes.
    np.testing.assert_array_equal(computed.params, params)


def test_other_epochs_have_columns_of_their_own(
    tmp_path: Path, cells: Any, as_promised: Callable[..., Any]
) -> None:
    lines, values = runs(cells, [4, 12, 36, 108])
    path = write(tmp_path / "some.tfrecord", lines)
    table = nasbench101_full.convert({nasbench101_full.FILE: path})
    assert table.name == "nasbench101_full"
    as_promised(table.name, table.series)
    for epochs, context in ((4, "cifar10_4ep"), (36, "cifar10_36ep"), (108, "cifar10")):
        one = column_of(table, f"{context}_valid_acc", 2)
        np.testing.assert_array_equal(one.values, values[epochs, 2, "final"][:, 2] * 100.0)
        assert one.spec.epochs == epochs
    assert column_of(table, "cifar10_4ep_half_test_acc", 0).spec.epochs == 2


def test_what_was_converted_is_kept_and_comes_back(
    tmp_path: Path, cells: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHINDEX_HOME", str(tmp_path / "home"))
    table = convert(write(tmp_path / "some.tfrecord", runs(cells, [108])[0]))
    keep_table(table)
    back = load_table("nasbench101")
    assert back.natives == table.natives
    assert [one.spec for one in back.series] == [one.spec for one in table.series]
    for one, other in zip(back.series, table.series, strict=True):
        np.testing.assert_array_equal(one.values, other.values)


def test_a_run_that_is_not_there_is_missing(tmp_path: Path, cells: Any) -> None:
    lines, _ = runs(cells, [108])
    table = convert(write(tmp_path / "some.tfrecord", lines[:-1]))
    last = column_of(table, "cifar10_valid_acc", 2).values
    assert np.isnan(last[-1])
    assert not np.isnan(last[:-1]).any()


@pytest.mark.parametrize("cut", [1, 5, 11, 12, 13, 100, -1, -4, -5])
def test_a_truncated_file_is_told(tmp_path: Path, cells: Any, cut: int) -> None:
    path = write(tmp_path / "some.tfrecord", runs(cells, [108])[0])
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataUnavailableError, match=r"an end within|no header"):
        convert(path)


def test_no_flipped_bit_goes_unseen(tmp_path: Path, cells: Any) -> None:
    whole = write(tmp_path / "some.tfrecord", runs(cells, [108])[0][:2]).read_bytes()
    path = tmp_path / "flipped.tfrecord"
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        with pytest.raises(DataUnavailableError):
            convert(path)


def test_an_empty_file_a_folder_and_no_file_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for path in (tmp_path / "empty", tmp_path, tmp_path / "none"):
        with pytest.raises(DataUnavailableError, match=str(path)):
            convert(path)


GOOD: Any = {"half": (1.0, 0.5, 0.5, 0.5), "final": (2.0, 0.6, 0.6, 0.6)}
START, END = evaluation(0, 0, 0.1, 0.1, 0.1), evaluation(108, 2, 0.6, 0.6, 0.6)


def with_fields(change: Callable[[list[Any]], None]) -> bytes:
    fields = json.loads(run_of(1, "", 108, 7, **GOOD))
    change(fields)
    return json.dumps(fields).encode()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff",
        b"{}",
        b"[1, 2, 3]",
        b"[" * 100_000,
        with_fields(lambda f: f.__setitem__(0, "abcd")),
        with_fields(lambda f: f.__setitem__(0, 7)),
        with_fields(lambda f: f.__setitem__(1, "108")),
        with_fields(lambda f: f.__setitem__(2, "01")),
        with_fields(lambda f: f.__setitem__(2, "0210")),
        with_fields(lambda f: f.__setitem__(2, "0010")),  # an edge backwards
        with_fields(lambda f: f.__setitem__(2, "0000")),  # no edge
        with_fields(lambda f: f.__setitem__(3, "input,conv5x5,output")),
        with_fields(lambda f: f.__setitem__(4, "!!!")),
        with_fields(lambda f: f.__setitem__(4, "////")),
        run_of(1, "", 108, 7, **GOOD, metrics=b""),
        run_of(1, "", 108, 7, **GOOD, metrics=model_metrics([START, END], 7)),
        run_of(1, "", 108, 7, **GOOD, metrics=model_metrics([START, END[:9], END], 7)),
        run_of(1, "", 108, 7, half=GOOD["half"], final=(2.0, 0.6, 1.6, 0.6)),
        run_of(1, "", 108, 7, half=GOOD["half"], final=(2.0, 0.6, -0.6, 0.6)),
    ],
)
def test_a_record_that_is_not_official_is_told(tmp_path: Path, line: bytes) -> None:
    path = write(tmp_path / "some.tfrecord", [run_of(0b101, "0", 108, 9, **GOOD), line])
    with pytest.raises(DataUnavailableError, match=str(path)):
        convert(path)


def test_a_cell_that_is_not_the_same_twice_or_runs_too_often_is_told(tmp_path: Path) -> None:
    one = run_of(1, "", 108, 7, **GOOD)
    other = json.loads(run_of(0b101, "0", 108, 7, **GOOD))
    other[0] = json.loads(one)[0]
    for lines in ([one, json.dumps(other).encode()], [one] * 4, [one, run_of(1, "", 108, 8, **GOOD)]):
        with pytest.raises(DataUnavailableError):
            convert(write(tmp_path / "some.tfrecord", lines))
