from __future__ import annotations

import numpy as np
import pytest

from archindex.core.errors import ArgumentError, TableError
from archindex.core.metrics import MeasurementSpec, Series
from archindex.datasets import Table


def table(name: str, natives: str, **columns: list[float]) -> Table:
    series = [
        Series(MeasurementSpec("latency", context), np.array(values, dtype=np.float64))
        for context, values in columns.items()
    ]
    return Table(
        name, "nasbench201", tuple(natives), tuple(series), licence=f"licence {name}", citation="same"
    )


def values(of: Table, column: str) -> dict[str, float]:
    return dict(zip(of.natives, of.columns()[column].values.tolist(), strict=True))


def test_merge_is_an_outer_join_in_which_the_first_keeps_its_columns() -> None:
    first = table("first", "abc", pi=[1, 2, np.nan], gpu=[7, 8, 9])
    second = table("second", "dca", pi=[40, 30, 10], fpga=[4, 3, 1])
    both = first.merge(second)
    assert both.natives == ("a", "b", "c", "d")
    np.testing.assert_equal(values(both, "pi_latency_ms"), {"a": 1.0, "b": 2.0, "c": np.nan, "d": np.nan})
    np.testing.assert_equal(values(both, "gpu_latency_ms"), {"a": 7.0, "b": 8.0, "c": 9.0, "d": np.nan})
    np.testing.assert_equal(values(both, "fpga_latency_ms"), {"a": 1.0, "b": np.nan, "c": 3.0, "d": 4.0})
    assert (both.name, both.licence, both.citation) == (
        "first+second",
        "licence first; licence second",
        "same",
    )


def test_merge_refuses_another_space() -> None:
    other = Table("other", "nasbench101", ("a",), ())
    with pytest.raises(ArgumentError, match="search space nasbench201, got 'nasbench101'"):
        table("first", "a", pi=[1]).merge(other)


def test_take_keeps_values_with_their_rows() -> None:
    taken = table("first", "abc", pi=[1, 2, 3]).take([2, 0])
    assert values(taken, "pi_latency_ms") == {"c": 3.0, "a": 1.0}
    assert list(taken.natives) == ["c", "a"]


def test_columns_average_the_seeds_that_are_there() -> None:
    series = [
        Series(MeasurementSpec("acc", "cifar10", "valid", seed=seed), np.array(accuracies))
        for seed, accuracies in enumerate([[90.0, 80.0], [92.0, np.nan]])
    ]
    columns = Table("seeds", "nasbench201", ("a", "b"), tuple(series)).columns()
    assert columns["cifar10_valid_acc"].values.tolist() == [91.0, 80.0]
    assert columns["cifar10_valid_acc"].spec.aggregate == "mean"
    assert columns["cifar10_valid_acc"].spec.seed is None


def test_an_architecture_twice_is_refused() -> None:
    with pytest.raises(TableError, match="every architecture once, got 'b'; it stands in 2 rows"):
        table("twice", "abcb", pi=[1, 2, 3, 4])


def test_a_measurement_twice_is_refused() -> None:
    one = Series(MeasurementSpec("latency", "pi"), np.zeros(1))
    with pytest.raises(ArgumentError, match="every measurement once, got 'pi_latency_ms'"):
        Table("twice", "nasbench201", ("a",), (one, one))


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((2, 1)), np.zeros(2, dtype=np.float32)])
def test_values_of_another_shape_or_type_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ArgumentError, match=r"float64 values of shape \(2,\)"):
        Table("bad", "nasbench201", ("a", "b"), (Series(MeasurementSpec("latency", "pi"), bad),))
