"""The short form in which a user says what a column of a table holds.

::

    CONTEXT:[SPLIT:]METRIC[@UNIT][#SEED][/PROVENANCE]

``CONTEXT`` is a data set or a device (with its batch size), ``SPLIT`` one of ``train``, ``valid``, ``test``,
``METRIC`` a name of `archindex.core.metrics.METRICS`. Values in another unit than the metric's own are
converted; columns of one measurement with different training seeds are kept apart; values that were not
measured say so. Examples: ``cifar10:valid:acc``, ``cifar10:valid:acc@fraction#0``, ``jetson:latency@s``,
``jetson:energy/predicted``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, get_args

from archindex.core.errors import ArgumentError, UnknownNameError
from archindex.core.metrics import SPLITS, MeasurementSpec, Provenance, metric

UNITS: Final[dict[str, dict[str, float]]] = {
    "acc": {"percent": 1.0, "fraction": 100.0},
    "top5_acc": {"percent": 1.0, "fraction": 100.0},
    "auc": {"percent": 1.0, "fraction": 100.0},
    "map": {"percent": 1.0, "fraction": 100.0},
    "miou": {"percent": 1.0, "fraction": 100.0},
    "error": {"percent": 1.0, "fraction": 100.0},
    "epe": {"px": 1.0},
    "latency": {"ms": 1.0, "s": 1e3, "us": 1e-3},
    "throughput": {"ips": 1.0},
    "energy": {"mj": 1.0, "j": 1e3, "uj": 1e-3},
    "power": {"w": 1.0, "mw": 1e-3},
    "params": {"m": 1.0, "k": 1e-3, "g": 1e3, "count": 1e-6},
    "flops": {"m": 1.0, "k": 1e-3, "g": 1e3, "count": 1e-6},
    "memory": {"mb": 1.0, "kb": 1e-3, "gb": 1e3, "bytes": 1e-6},
    "train_time": {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0},
    "train_energy": {"kj": 1.0, "j": 1e-3, "mj": 1e-6, "kwh": 3600.0},
}
"""Units that values may come in, with the factor to the metric's own; other metrics have none."""

FORM: Final = "CONTEXT:[SPLIT:]METRIC[@UNIT][#SEED][/PROVENANCE]"
_PATTERN: Final = re.compile(
    r"(?P<context>[a-z][a-z0-9_]*):(?:(?P<split>[a-z]*):)?(?P<metric>[a-z0-9_]+)"
    r"(?:@(?P<unit>[a-z]+))?(?:#(?P<seed>[0-9]{1,9}))?(?:/(?P<provenance>[a-z]+))?",
    re.ASCII,
)


@dataclass(frozen=True)
class Target:
    """What a column of a user's table holds.

    Attributes
    ----------
    spec : MeasurementSpec
        The measurement.
    factor : float
        What values are multiplied with to be in the metric's unit.
    """

    spec: MeasurementSpec
    factor: float


def parse_target(text: str, source: str = "") -> Target:
    """Return what the short form says.

    Parameters
    ----------
    text : str
        For example ``"cifar10:valid:acc@fraction"``.
    source : str
        Where the values come from.

    Raises
    ------
    ArgumentError
        If `text` is not of the form, or the context cannot be part of a column name.
    UnknownNameError
        If there is no such split, metric, unit or provenance; the message names the nearest.
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ArgumentError(
            f"expected {FORM}", got=text, fix="for example cifar10:valid:acc or jetson:latency@s"
        )
    name = metric(match["metric"]).name
    split, unit, seed = match["split"] or "", match["unit"], match["seed"]
    if split and split not in SPLITS:
        raise UnknownNameError.of("split", split, SPLITS)
    units = UNITS.get(name, {})
    if unit is not None and unit not in units:
        raise UnknownNameError.of(f"unit of {name}", unit, units)
    provenance: Provenance = "measured"
    if match["provenance"] is not None:
        provenance = _provenance(match["provenance"])
    spec = MeasurementSpec(
        name,
        match["context"],
        split,
        seed=None if seed is None else int(seed),
        provenance=provenance,
        source=source,
    )
    return Target(spec, 1.0 if unit is None else units[unit])


def _provenance(text: str) -> Provenance:
    known: tuple[Provenance, ...] = get_args(Provenance)
    for provenance in known:
        if provenance == text:
            return provenance
    raise UnknownNameError.of("provenance", text, known)
