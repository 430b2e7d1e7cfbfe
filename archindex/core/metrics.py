"""Metrics, units, measurements, and the attribute columns that filters see."""

from __future__ import annotations

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
    """

    name: str
    unit: str
    direction: Direction
    meaning: str


METRICS: Final[Mapping[str, Metric]] = {
    m.name: m
    for m in (
        Metric("acc", "", "maximize", "accuracy, percent"),
        Metric("top5_acc", "", "maximize", "top-5 accuracy, percent"),
        Metric("loss", "", "minimize", "loss"),
        Metric("perplexity", "", "minimize", "perplexity"),
        Metric("error", "", "minimize", "error, percent"),
        Metric("latency", "ms", "minimize", "time of one inference, milliseconds"),
        Metric("throughput", "ips", "maximize", "inferences per second"),
        Metric("energy", "mj", "minimize", "energy of one inference, millijoules"),
        Metric("power", "w", "minimize", "power, watts"),
        Metric("params", "m", "minimize", "parameters, millions"),
        Metric("flops", "m", "minimize", "floating point operations, millions (a multiply-add counts once)"),
        Metric("memory", "mb", "minimize", "memory, megabytes"),
        Metric("train_time", "s", "minimize", "training time, seconds"),
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
        ``{context}[_{split}]_{metric}[_{unit}]``, e.g. ``"cifar10_valid_acc"``, ``"pi5_energy_mj"``.
    source : str
        Where the values come from.

    Raises
    ------
    ArgumentError
        If the name does not end in a known metric with its unit, or has no context.
    """
    for known in sorted(METRICS.values(), key=lambda m: -len(m.name)):
        ending = "_" + "_".join(p for p in (known.name, known.unit) if p)
        if column.endswith(ending) and COLUMN_PATTERN.fullmatch(column):
            context, _, split = column[: -len(ending)].rpartition("_")
            if split not in SPLITS or not context:
                context, split = column[: -len(ending)], ""
            return MeasurementSpec(known.name, context, split, source=source)
    endings = ", ".join("_".join(p for p in (m.name, m.unit) if p) for m in METRICS.values())
    raise ArgumentError(
        "expected a column {context}[_{split}]_{metric}[_{unit}] such as cifar10_valid_acc or pi5_energy_mj",
        got=column,
        fix=f"it ends in one of {endings}",
    )


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


def wide_columns(series: Iterable[Series]) -> dict[str, Series]:
    """Return one series per attribute column.

    Several series of one column (training seeds) are averaged over the values that are there, and the
    result says so in its ``aggregate``.

    Returns
    -------
    dict from str to Series
        By column name, in order of first appearance.
    """
    groups: dict[str, list[Series]] = {}
    for one in series:
        groups.setdefault(one.spec.column, []).append(one)
    return {column: _mean(group) for column, group in groups.items()}


def _mean(group: list[Series]) -> Series:
    if len(group) == 1:
        return group[0]
    stacked = np.stack([one.values for one in group])
    count = (~np.isnan(stacked)).sum(axis=0)
    total = np.nansum(stacked, axis=0)
    values = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return Series(replace(group[0].spec, seed=None, aggregate="mean"), values)
