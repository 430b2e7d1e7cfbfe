from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archindex.core.errors import ArchitectureError, ArgumentError, InputError, TableError, UnknownNameError
from archindex.datasets import Table, import_table
from archindex.datasets.parquet import read_parquet, write_parquet
from archindex.spaces.nasbench201 import NASBench201

A, B, C = (architecture.native for architecture in NASBench201().sample(3, seed=1))
MAPPING = {"acc": "cifar10:valid:acc", "lat": "jetson:latency@s"}


def imported(path: Path, text: str | bytes, mapping: dict[str, str] = MAPPING) -> Table:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return import_table(path, "nasbench201", mapping, arch_column="arch")


def refused(path: Path, text: str | bytes, error: type[Exception] = TableError) -> str:
    with pytest.raises(error) as caught:
        imported(path, text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", f"arch,acc,note,lat\n{A},90.5,x,0.002\n{B},,y,\n{C},80,,1e-3\n"),
        ("a.tsv", f"arch\tacc\tnote\tlat\n{A}\t90.5\tx\t0.002\n{B}\t\ty\t\n{C}\t80\t\t1e-3\n"),
        ("A.CSV", f'\ufeff"arch","acc","lat"\r\n{A},90.5,0.002\r\n"{B}",nan,\r\n\r\n{C}, 80 ,1e-3\r\n'),
    ],
)
def test_text_is_read(tmp_path: Path, name: str, text: str) -> None:
    table = imported(tmp_path / name, text)
    assert (table.name, table.space, table.natives) == (name[0], "nasbench201", (A, B, C))
    columns = table.columns()
    np.testing.assert_equal(columns["cifar10_valid_acc"].values, [90.5, np.nan, 80.0])
    np.testing.assert_allclose(columns["jetson_latency_ms"].values, [2.0, np.nan, 1.0])
    assert columns["jetson_latency_ms"].spec.source == name


def test_parquet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    columns = {
        "arch": np.array([A, B, C], dtype=object),
        "acc": np.array([90, 80, 70]),
        "lat": np.array([0.002, np.nan, 0.001]),
        "text": np.array(["1", "", "2.5"], dtype=object),
    }
    write_parquet(path, columns)
    assert np.isnan(read_parquet(path, ["lat"])["lat"][1])
    mapping = MAPPING | {"text": "mine:score"}
    table = import_table(path, "nasbench201", mapping, arch_column="arch", name="other", licence="mine")
    np.testing.assert_equal(table.columns()["cifar10_valid_acc"].values, [90.0, 80.0, 70.0])
    np.testing.assert_allclose(table.columns()["jetson_latency_ms"].values, [2.0, np.nan, 1.0])
    np.testing.assert_equal(table.columns()["mine_score"].values, [1.0, np.nan, 2.5])
    assert (table.name, table.licence) == ("other", "mine")


def test_parquet_of_other_types_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    write_parquet(path, {"arch": np.array([A, B], dtype=object), "acc": np.array([True, False])})
    with pytest.raises(TableError, match="row 1, column acc: expected a number"):
        import_table(path, "nasbench201", {"acc": "cifar10:valid:acc"}, arch_column="arch")


def test_a_path_with_quotes_is_read(tmp_path: Path) -> None:
    path = tmp_path / 'it\'s a "table"; DROP.parquet'
    write_parquet(path, {"arch": np.array([A], dtype=object), 'a"cc': np.array([90.0])})
    table = import_table(path, "nasbench201", {'a"cc': "cifar10:valid:acc"}, arch_column="arch")
    assert table.columns()["cifar10_valid_acc"].values.tolist() == [90.0]


def test_seeds_are_kept_apart(tmp_path: Path) -> None:
    mapping = {"s0": "cifar10:valid:acc#0", "s1": "cifar10:valid:acc#1"}
    table = imported(tmp_path / "s.csv", f"arch,s0,s1\n{A},90,92\n", mapping)
    assert [(one.spec.seed, one.values[0]) for one in table.series] == [(0, 90.0), (1, 92.0)]
    assert table.columns()["cifar10_valid_acc"].values.tolist() == [91.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the name of a column of a.csv, got 'arch'"),
        ("arch;acc;lat\n", "did you mean 'arch;acc;lat'"),
        ("arch,accc,lat\n", "got 'acc'; did you mean 'accc'"),
    ],
)
def test_a_column_that_is_not_there_is_named(tmp_path: Path, text: str, message: str) -> None:
    assert message in refused(tmp_path / "a.csv", text, UnknownNameError)


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("arch,acc,lat\n", ["at least one row"]),
        (f"arch,acc,lat\n{A},90\n", ["row 1 (line 2): expected 3 values, got 2"]),
        (f"arch,acc,lat\n{A},90,1\n\n{B},1,2,3\n", ["row 2 (line 4): expected 3 values, got 4"]),
        (f"arch,acc,lat\n{A},90,1\n{B},high,1\n", ["row 2, column acc: expected a number", "got 'high'"]),
        (f"arch,acc,lat\n{A},90,1\n{B},90,1_000\n", ["row 2, column lat", "got '1_000'"]),
        (f'arch,acc,lat\n{A},"90,5",1\n', ["row 1, column acc", "got '90,5'"]),
        (f"arch,acc,lat\n{A},90,inf\n", ["row 1, column lat", "got 'inf'", "leave it empty"]),
        (f"arch,acc,lat\n{A},101,1\n", ["row 1, column acc: expected a number from 0 to 100 (acc)"]),
        (f"arch,acc,lat\n{A},-1,1\n", ["row 1, column acc", "got '-1'"]),
        (f"arch,acc,lat\n{A},90,-0.1\n", ["row 1, column lat: expected a number from 0 to inf (latency)"]),
        (
            "arch,acc,lat\n|conv~0|,90,1\n",
            ["row 1, column arch: expected a NAS-Bench-201 cell", "got '|conv~0|'"],
        ),
        (f"arch,acc,lat\n{A},90,1\n,90,1\n", ["row 2, column arch: expected a NAS-Bench-201 cell", "got ''"]),
        (
            f"arch,acc,lat\n{A},90,1\n{B},80,1\n {A} ,90,1\n",
            ["row 3, column arch: expected every architecture once", "row 1 has it already"],
        ),
        (f"arch,acc,acc,lat\n{A},1,2,3\n", ["expected one column acc in a.csv, got '2 of them'"]),
        (f'arch,acc,lat\n{A},90,"1\n', ["comma- or tab-separated text", "unexpected end of data"]),
        (f"arch,acc,lat\n{A},9\xff,1\n".encode("latin-1"), ["in UTF-8", "near line"]),
        (b"\xff\xfe\x00a", ["in UTF-8", "near line 1"]),
        (f"arch,acc,lat\n{A},90,\x00\n", ["row 1, column lat"]),
    ],
)
def test_a_bad_row_is_told_where_and_why(tmp_path: Path, text: str | bytes, messages: list[str]) -> None:
    got = refused(tmp_path / "a.csv", text)
    for message in messages:
        assert message in got


@pytest.mark.parametrize("name", ["a.xlsx", "a", "missing.csv"])
def test_what_is_no_table_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if "missing" not in name:
        path.write_text("arch,acc,lat\n")
    with pytest.raises(TableError, match=r"expected a \.csv, \.tsv or \.parquet file"):
        import_table(path, "nasbench201", MAPPING, arch_column="arch")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"arch,acc\n", bytes(range(256))])
def test_a_damaged_parquet_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "readable Parquet" in refused(tmp_path / "a.parquet", content)


def test_a_pattern_reads_no_other_file(tmp_path: Path) -> None:
    for name in ("1.parquet", "[0-9].parquet"):
        write_parquet(
            tmp_path / name, {"arch": np.array([A], dtype=object), "acc": np.array([float(len(name))])}
        )
    with pytest.raises(TableError, match="readable Parquet"):
        read_parquet(tmp_path / "[0-9].parquet", ["acc"])


@pytest.mark.parametrize(
    "mapping",
    [
        {},
        {"acc": "cifar10:valid:acc", "lat": "cifar10:valid:acc"},
        {"acc": "cifar10:valid:acc#1", "lat": "cifar10:valid:acc#1"},
        {"acc": "cifar10:valid:acc#1", "lat": "cifar10:valid:acc"},
        {"acc": "cifar10:valid:acc", "lat": "cifar10:valid:acc#1"},
    ],
)
def test_a_mapping_that_says_too_little_or_too_much_is_refused(
    tmp_path: Path, mapping: dict[str, str]
) -> None:
    with pytest.raises(ArgumentError, match="one column"):
        imported(tmp_path / "a.csv", f"arch,acc,lat\n{A},90,1\n", mapping)


def test_an_unknown_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'nasbench201'"):
        import_table(tmp_path / "a.csv", "nasbench20", MAPPING, arch_column="arch")


@settings(max_examples=60)
@given(
    damage=st.lists(st.tuples(st.integers(0, 400), st.sampled_from(list(b'\x00\xff,"\n|~0x'))), max_size=4),
    cut=st.integers(1, 400),
)
def test_a_damaged_file_is_read_right_or_refused(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int]], cut: int
) -> None:
    text = bytearray(f"arch,acc,lat\n{A},90.5,1\n{B},80.25,2\n{C},,3\n".encode())
    for at, byte in damage:
        text[at % len(text)] = byte
    try:
        table = imported(tmp_path_factory.mktemp("fuzz") / "a.csv", bytes(text[:cut]))
    except InputError as error:
        assert not isinstance(error, ArchitectureError)
        return
    assert all(NASBench201().validate(native) for native in table.natives)
    for one in table.series:
        assert len(one.values) == len(table.natives)
        assert not any(math.isinf(value) for value in one.values)
