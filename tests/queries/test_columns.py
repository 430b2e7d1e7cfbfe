"""Columns: what becomes NULL, what is copied, what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from archindex.core.errors import ArgumentError, UnknownNameError
from archindex.queries import Column, Kind, schema_of
from archindex.queries.columns import Value


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("DOUBLE", [1, 2.5, None, math.nan, -math.inf], [1.0, 2.5, None, None, -math.inf]),
        ("BIGINT", [1, None, 3.0, math.nan, -(2**63)], [1, None, 3, None, -(2**63)]),
        ("BOOLEAN", [True, None, False], [True, None, False]),
        ("VARCHAR", ["b", None, "a", "b", ""], ["b", None, "a", "b", ""]),
        ("VARCHAR", [None], [None]),
        ("BIGINT", [], []),
    ],
)
def test_python_values_come_back(kind: Kind, values: list[Value], expected: list[Value]) -> None:
    column = Column.of(kind, values)
    assert column.to_list() == expected
    assert [type(x) for x in column.to_list()] == [type(x) for x in expected]
    assert len(column) == len(expected)
    assert column.take(np.arange(len(values))[::-1]).to_list() == expected[::-1]


def test_arrays_come_back() -> None:
    assert Column.of("BIGINT", np.array([3, 1])).to_list() == [3, 1]
    assert Column.of("DOUBLE", np.array([np.nan, 1], dtype=np.float32)).to_list() == [None, 1.0]
    assert Column.of("VARCHAR", np.array(["b", "a"])).categories == ("a", "b")
    assert Column.bigint([1, 2], np.array([False, True])).to_list() == [None, 2]
    assert Column.boolean([True, False]).to_list() == [True, False]
    assert Column.varchar([1, -1, 0], ["x", "y"]).to_list() == ["y", None, "x"]


def test_a_memory_map_is_not_copied(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([1.0, np.nan]))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    column = Column.double(mapped)
    assert isinstance(column.values, np.memmap)
    assert np.shares_memory(column.values, mapped)
    assert column.to_list() == [1.0, None]
    assert schema_of({"x": column}) == {"x": "DOUBLE"}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("DOUBLE", "1"),
        ("DOUBLE", True),
        ("BIGINT", 1.5),
        ("BIGINT", 2**63),
        ("BIGINT", math.inf),
        ("BIGINT", False),
        ("BOOLEAN", 1),
        ("VARCHAR", 1),
    ],
)
def test_refuses_values_of_another_kind(kind: Kind, value: Value) -> None:
    with pytest.raises(ArgumentError, match="look at row 1"):
        Column.of(kind, [None, value])


def test_refuses_arrays_that_do_not_fit() -> None:
    with pytest.raises(UnknownNameError):
        Column.of("DECIMAL", [1])  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="one-dimensional"):
        Column.double(np.zeros((2, 2)))
    with pytest.raises(ArgumentError, match="one-dimensional"):
        Column.bigint(np.array([1.0]))
    with pytest.raises(ArgumentError, match="64 bits"):
        Column.bigint(np.array([2**63], dtype=np.uint64))
    with pytest.raises(ArgumentError, match="2 truth values"):
        Column.bigint([1, 2], np.array([True]))
    with pytest.raises(ArgumentError, match="ascending"):
        Column.varchar([0], ["b", "a"])
    with pytest.raises(ArgumentError, match="from -1 to 0"):
        Column.varchar([1], ["a"])
    with pytest.raises(ArgumentError, match="from -1 to 0"):
        Column.varchar([-2], ["a"])
