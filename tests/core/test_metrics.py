"""Metrics, column names, and the wide view of measurements."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from archindex.core.errors import ArgumentError, UnknownNameError
from archindex.core.metrics import (
    METRICS,
    Measurement,
    MeasurementSpec,
    Series,
    check_range,
    metric,
    spec_of_column,
    wide_columns,
)
from archindex.core.ops import ATTRIBUTES, OP_ID, OPS, PARAMETRIC

ACC = MeasurementSpec("acc", "cifar10", "valid", epochs=200, seed=777, source="table")


@pytest.mark.parametrize(
    ("spec", "column"),
    [
        (ACC, "cifar10_valid_acc"),
        (MeasurementSpec("latency", "gpu_1080ti_b1", device="GTX 1080 Ti"), "gpu_1080ti_b1_latency_ms"),
        (MeasurementSpec("energy", "pi5"), "pi5_energy_mj"),
        (MeasurementSpec("params", "cifar10", provenance="computed"), "cifar10_params_m"),
        (replace(ACC, provenance="predicted"), "cifar10_valid_acc_predicted"),
    ],
)
def test_column_names(spec: MeasurementSpec, column: str) -> None:
    assert spec.column == column


@pytest.mark.parametrize("name", sorted(METRICS))
@pytest.mark.parametrize("split", ["", "valid", "test", "train"])
def test_columns_are_read_back(name: str, split: str) -> None:
    spec = MeasurementSpec(name, "in16_120", split, source="s")
    assert spec_of_column(spec.column, source="s") == spec


@pytest.mark.parametrize(
    "column", ["", "acc", "_acc", "cifar10", "Cifar10_acc", "a b_acc", "pi5_energy", "x_acc; --"]
)
def test_other_columns_are_refused(column: str) -> None:
    with pytest.raises(ArgumentError, match="expected a column"):
        spec_of_column(column)


def test_units_and_directions_come_from_the_metric() -> None:
    assert (ACC.unit, ACC.direction) == ("", "maximize")
    latency = MeasurementSpec("latency", "pixel3")
    assert (latency.unit, latency.direction) == ("ms", "minimize")
    assert Measurement(latency, 3.5).spec.unit == "ms"
    assert all(known.name == name and known.meaning for name, known in METRICS.items())


def test_unknown_metrics_and_provenances_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'latency'"):
        metric("latncy")
    with pytest.raises(UnknownNameError):
        MeasurementSpec("speed", "cifar10")
    with pytest.raises(UnknownNameError, match="did you mean 'measured'"):
        MeasurementSpec("acc", "cifar10", provenance="mesured")  # type: ignore[arg-type]


@pytest.mark.parametrize("context", ["CIFAR", "1080ti", "a-b", "a b", "ä"])
def test_contexts_must_form_a_column(context: str) -> None:
    with pytest.raises(ArgumentError, match="column name"):
        MeasurementSpec("acc", context)


def test_seeds_are_averaged_over_what_is_there() -> None:
    one = Series(ACC, np.array([90.0, np.nan, np.nan]))
    two = Series(replace(ACC, seed=888), np.array([92.0, 80.0, np.nan]))
    other = Series(MeasurementSpec("acc", "cifar10", "test"), np.array([1.0, 2.0, np.nan]))
    wide = wide_columns([one, other, two])
    assert list(wide) == ["cifar10_valid_acc", "cifar10_test_acc"]
    mean = wide["cifar10_valid_acc"]
    np.testing.assert_array_equal(mean.values, [91.0, 80.0, np.nan])
    assert (mean.spec.aggregate, mean.spec.seed) == ("mean", None)
    assert wide["cifar10_test_acc"] is other


def test_only_training_seeds_are_averaged() -> None:
    """Other epochs, another device or another source: the last that has a value stands."""
    short, first, second = (replace(ACC, epochs=e, seed=s) for e, s in ((12, 0), (200, 0), (200, 1)))
    values = ([40.0, 40.0, np.nan], [90.0, np.nan, np.nan], [92.0, np.nan, 80.0])
    series = [Series(spec, np.array(v)) for spec, v in zip((short, first, second), values, strict=True)]
    assert wide_columns(series)["cifar10_valid_acc"].values.tolist() == [91.0, 40.0, 80.0]


def test_predicted_values_never_join_measured_ones() -> None:
    guess = Series(replace(ACC, provenance="predicted"), np.array([50.0]))
    wide = wide_columns([Series(ACC, np.array([90.0])), guess])
    assert wide["cifar10_valid_acc"].values.tolist() == [90.0]
    assert wide["cifar10_valid_acc_predicted"].values.tolist() == [50.0]


def test_the_vocabulary_has_no_doubles() -> None:
    assert len(set(OPS)) == len(OPS) == len(OP_ID)
    assert len(set(ATTRIBUTES)) == len(ATTRIBUTES)
    assert set(OPS) >= PARAMETRIC
    assert [OPS[i] for i in OP_ID.values()] == list(OP_ID)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_predicted_columns_are_read_back(name: str) -> None:
    spec = MeasurementSpec(name, "pi5", "valid", provenance="predicted")
    assert spec_of_column(spec.column) == spec


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_no_value_is_infinite_and_nan_is_missing(value: float) -> None:
    loss = MeasurementSpec("loss", "cifar10", "valid")
    check_range(Series(loss, np.array([1.0, np.nan])))
    with pytest.raises(ArgumentError, match="expected finite values of cifar10_valid_loss"):
        check_range(Series(loss, np.array([1.0, value])))
