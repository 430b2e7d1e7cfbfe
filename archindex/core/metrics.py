"""Metrics, units, measurements, and the attribute columns that filters see."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArgumentError, UnknownNameError

Direction = Literal["maximize", "minimize"]
Provenance = Literal["measured", "summed", "computed", "predicted"]

SPLITS: Final = ("train", "valid", "test")
"""Parts of a data set that a measurement can be of."""

COLUMN_PATTERN: Final = re.compile(r"[a-z][a-z0-9_]*")
"""What the name of an attribute column looks like."""


@dataclass(frozen=True)
class Metric:
    """A kind of measurement.

    Attributes
    ----------
    name : str
        The field's name for it, e.g. ``"acc"``.
    unit : str
        The unit that values are kept in, e.g. ``"ms"``; ``""`` for a metric that needs none said.
    direction : {"maximize", "minimize"}
        Which way is better.
    meaning : str
        One phrase for people.
    low, high : float
        The least and the greatest value that there can be.
    """

    name: str
    unit: str
    direction: Direction
    meaning: str
    low: float = -math.inf
    high: float = math.inf


METRICS: Final[Mapping[str, Metric]] = {
    m.name: m
    for m in (
        Metric("acc", "", "maximize", "accuracy, percent", 0, 100),
        Metric("top5_acc", "", "maximize", "top-5 accuracy, percent", 0, 100),
        Metric("auc", "", "maximize", "area under the ROC curve, percent", 0, 100),
        Metric("map", "", "maximize", "mean average precision, percent", 0, 100),
        Metric("miou", "", "maximize", "mean intersection over union, percent", 0, 100),
        Metric("loss", "", "minimize", "loss"),
        Metric("perplexity", "", "minimize", "perplexity"),
        Metric("error", "", "minimize", "error, percent", 0, 100),
        Metric("epe", "px", "minimize", "end-point error of optical flow, pixels", 0),
        Metric("latency", "ms", "minimize", "time of one inference, milliseconds", 0),
        Metric("throughput", "ips", "maximize", "inferences per second", 0),
        Metric("energy", "mj", "minimize", "energy of one inference, millijoules", 0),
        Metric("power", "w", "minimize", "power, watts", 0),
        Metric("params", "m", "minimize", "parameters, millions", 0),
        Metric(
            "flops", "m", "minimize", "floating point operations, millions (a multiply-add counts once)", 0
        ),
        Metric("memory", "mb", "minimize", "memory, megabytes", 0),
        Metric("train_time", "s", "minimize", "training time, seconds", 0),
        Metric("train_energy", "kj", "minimize", "energy of training, kilojoules", 0),
        Metric("score", "", "maximize", "a figure of merit of the user's own"),
        Metric("cost", "", "minimize", "a cost of the user's own"),
    )
}
"""All metrics by name."""


def metric(name: str) -> Metric:
    """Return the metric called `name`.

    Raises
    ------
    UnknownNameError
        If there is none; the message names the nearest.
    """
    if name not in METRICS:
        raise UnknownNameError.of("metric", name, METRICS)
    return METRICS[name]


@dataclass(frozen=True)
class MeasurementSpec:
    """Everything there is to say about a measurement but its value.

    Attributes
    ----------
    metric : str
        A name of `METRICS`; it fixes unit and direction.
    context : str
        Data set, or device with its batch size: ``"cifar10"``, ``"gpu_1080ti_b1"``.
    split : str
        ``"valid"``, ``"test"``, ``"train"``, or ``""`` where there is none (latency, params).
    epochs : int or None
        Training epochs behind the value, where it comes from training.
    seed : int or None
        Training seed or repetition; None for a single value or an aggregate.
    aggregate : str
        How several values became one (``"mean"``), or ``""``.
    device : str
        Hardware, or ``""``.
    provenance : {"measured", "summed", "computed", "predicted"}
        Where the value comes from. Predicted is never stored as measured.
    source : str
        Table or paper that published it.
    """

    metric: str
    context: str
    split: str = ""
    epochs: int | None = None
    seed: int | None = None
    aggregate: str = ""
    device: str = ""
    provenance: Provenance = "measured"
    source: str = ""

    def __post_init__(self) -> None:
        metric(self.metric)
        # A spec is written to disk as it is, and must come back as it was.
        texts = (self.context, self.split, self.aggregate, self.device, self.source)
        if not all(isinstance(text, str) for text in texts):
            raise ArgumentError("expected text for all of a measurement but epochs and seed", got=texts)
        if not all(number is None or type(number) is int for number in (self.epochs, self.seed)):
            raise ArgumentError("expected whole numbers for epochs and seed", got=(self.epochs, self.seed))
        if self.provenance not in get_args(Provenance):
            raise UnknownNameError.of("provenance", self.provenance, get_args(Provenance))
        if not COLUMN_PATTERN.fullmatch(self.column):
            raise ArgumentError(
                "expected a context and split that form a column name [a-z][a-z0-9_]*", got=self.column
            )

    @property
    def unit(self) -> str:
        """Unit of the values."""
        return METRICS[self.metric].unit

    @property
    def direction(self) -> Direction:
        """Which way is better."""
        return METRICS[self.metric].direction

    @property
    def column(self) -> str:
        """Attribute column that the values belong to: ``{context}[_{split}]_{metric}[_{unit}]``.

        Predicted values get a column of their own, ending in ``_predicted``.
        """
        parts = [self.context, self.split, self.metric, self.unit]
        if self.provenance == "predicted":
            parts.append("predicted")
        return "_".join(p for p in parts if p)


def spec_of_column(column: str, *, source: str = "") -> MeasurementSpec:
    """Return the spec that an attribute column's name stands for.

    Parameters
    ----------
    column : str
        ``{context}[_{split}]_{metric}[_{unit}][_predicted]``, e.g. ``"cifar10_valid_acc"``,
        ``"pi5_energy_mj"``.
    source : str
        Where the values come from.

    Raises
    ------
    ArgumentError
        If the name does not end in a known metric with its unit, or has no context.
    """
    column = str(column)
    measured = column.removesuffix("_predicted")
    provenance: Provenance = "measured" if measured == column else "predicted"
    for known in sorted(METRICS.values(), key=lambda m: -len(m.name)):
        ending = "_" + "_".join(p for p in (known.name, known.unit) if p)
        if measured.endswith(ending) and COLUMN_PATTERN.fullmatch(measured):
            context, _, split = measured[: -len(ending)].rpartition("_")
            if split not in SPLITS or not context:
                context, split = measured[: -len(ending)], ""
            return MeasurementSpec(known.name, context, split, provenance=provenance, source=source)
    endings = ", ".join("_".join(p for p in (m.name, m.unit) if p) for m in METRICS.values())
    raise ArgumentError(
        "expected a column {context}[_{split}]_{metric}[_{unit}] such as cifar10_valid_acc or pi5_energy_mj",
        got=column,
        fix=f"it ends in one of {endings}",
    )


def series_of(
    measurements: Mapping[str | MeasurementSpec, npt.ArrayLike] | None, source: str
) -> tuple[Series, ...]:
    """Return measurements that a user gives, by attribute column or by spec, as series.

    Raises
    ------
    ArgumentError
        If a column cannot be read, or values are no numbers.
    """
    series = []
    if measurements is not None and not isinstance(measurements, Mapping):
        raise ArgumentError("expected measurements as a mapping from column to values", got=measurements)
    for key, values in (measurements or {}).items():
        spec = key if isinstance(key, MeasurementSpec) else spec_of_column(str(key), source=source)
        try:
            series.append(Series(spec, np.asarray(values, dtype=np.float64)))
        except (TypeError, ValueError, OverflowError):
            raise ArgumentError(f"expected numbers for {spec.column}", got=values) from None
    return tuple(series)


@dataclass(frozen=True)
class Measurement:
    """One value of one architecture.

    Attributes
    ----------
    spec : MeasurementSpec
        What was measured.
    value : float
        The value in the spec's unit.
    """

    spec: MeasurementSpec
    value: float


@dataclass(frozen=True)
class Series:
    """One measurement over many architectures.

    Attributes
    ----------
    spec : MeasurementSpec
        What was measured.
    values : ndarray of float64, shape (n,)
        One value an architecture; NaN where it is missing.
    """

    spec: MeasurementSpec
    values: npt.NDArray[np.float64]


def check_range(series: Series) -> None:
    """Raise `ArgumentError` if a value is none that the metric can take, or infinite; NaN is missing."""
    kind = METRICS[series.spec.metric]
    endless = np.isinf(series.values)
    if endless.any():
        raise ArgumentError(
            f"expected finite values of {series.spec.column}, or NaN where missing",
            got=float(series.values[endless][0]),
        )
    wrong = (series.values < kind.low) | (series.values > kind.high)
    if wrong.any():
        bounds = f"from {kind.low:g} to {kind.high:g}"
        raise ArgumentError(
            f"expected values of {series.spec.column} {bounds}", got=float(series.values[wrong][0])
        )


def wide_columns(series: Iterable[Series]) -> dict[str, Series]:
    """Return one series per attribute column.

    Series that differ in nothing but the training seed are averaged over the values that are there, and the
    result says so in its ``aggregate``. What differs in more (source, epochs, device) is never averaged: of
    several such series the last one that has a value stands.

    Parameters
    ----------
    series : iterable of Series
        In the order in which they came in.

    Returns
    -------
    dict from str to Series
        By column name, in order of first appearance; the spec is that of the last series.
    """
    columns: dict[str, dict[MeasurementSpec, list[Series]]] = {}
    for one in series:
        columns.setdefault(one.spec.column, {}).setdefault(replace(one.spec, seed=None), []).append(one)
    return {column: _last([_mean(group) for group in groups.values()]) for column, groups in columns.items()}


def _mean(group: list[Series]) -> Series:
    if len(group) == 1:
        return group[0]
    stacked = np.stack([one.values for one in group])
    count = (~np.isnan(stacked)).sum(axis=0)
    total = np.nansum(stacked, axis=0)
    values = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return Series(replace(group[0].spec, seed=None, aggregate="mean"), values)


def _last(alternatives: list[Series]) -> Series:
    if len(alternatives) == 1:
        return alternatives[0]
    values = alternatives[0].values
    for one in alternatives[1:]:
        values = np.where(np.isnan(one.values), values, one.values)
    return Series(alternatives[-1].spec, values)
