"""Latency of a new device from few measurements: what it learns, how sure it is, what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import spearmanr

from archindex.core.errors import ArgumentError
from archindex.predict.latency import FEWEST_SAMPLES, FewShotLatency

Floats = npt.NDArray[np.float64]

N = 400
FEATURES = np.random.default_rng(0).random((N, 6)).astype(np.float32)
GROUPS = {"ops": FEATURES[:, :4], "costs": FEATURES[:, 4:]}


def device(seed: int, noise: float = 0.02) -> Floats:
    """A device of which each feature takes its time, on a log scale, like and unlike on others."""
    rng = np.random.default_rng(seed)
    weights = np.array([3.0, 1.0, 0.5, 0.2, 1.0, 0.0]) + rng.normal(0, 0.4, 6)
    logs = FEATURES @ weights + rng.normal(0, noise, N) + rng.normal(0, 2)
    return np.asarray(np.exp(logs), dtype=np.float64)


def at(rows: Any) -> dict[str, npt.NDArray[np.float32]]:
    return {name: group[rows] for name, group in GROUPS.items()}


@pytest.fixture(scope="module")
def model() -> FewShotLatency:
    fitted = FewShotLatency()
    fitted.fit(GROUPS, {f"d{seed}": device(seed) for seed in range(1, 7)})
    return fitted


def test_ten_measurements_rank_better_than_the_known_devices(model: FewShotLatency) -> None:
    new = device(20)
    rows = model.propose(10)
    predicted = model.adapt(at(rows), new[rows]).predict(GROUPS).mean
    rest = np.setdiff1d(np.arange(N), rows)
    of_known = max(spearmanr(device(seed)[rest], new[rest]).statistic for seed in range(1, 7))
    assert spearmanr(predicted[rest], new[rest]).statistic > max(of_known, 0.97)


def test_proposed_beat_random_ones_on_average(model: FewShotLatency) -> None:
    errors: dict[str, list[float]] = {"proposed": [], "random": []}
    for seed in range(20, 26):
        new = device(seed)
        drawn = np.random.default_rng(seed).choice(N, 5, replace=False)
        for kind, rows in (("proposed", model.propose(5)), ("random", drawn)):
            predicted = model.adapt(at(rows), new[rows]).predict(GROUPS).mean
            errors[kind].append(float(np.abs(np.log(predicted / new)).mean()))
    assert np.mean(errors["proposed"]) < np.mean(errors["random"])


def test_deviations_cover_what_they_should(model: FewShotLatency) -> None:
    inside = []
    for seed in range(20, 26):
        new = device(seed)
        rows = model.propose(10)
        predicted = model.adapt(at(rows), new[rows]).predict(GROUPS)
        inside.append(float((np.abs(predicted.mean - new) < 2 * predicted.std).mean()))
    assert np.mean(inside) > 0.8


def test_units_carry_over(model: FewShotLatency) -> None:
    new = device(21)
    rows = model.propose(10)
    in_ms = model.adapt(at(rows), new[rows]).predict(GROUPS)
    in_us = model.adapt(at(rows), 1000 * new[rows]).predict(GROUPS)
    np.testing.assert_allclose(in_us.mean, 1000 * in_ms.mean, rtol=1e-6)
    np.testing.assert_allclose(in_us.std, 1000 * in_ms.std, rtol=1e-6)


def test_one_measurement_gives_the_level(model: FewShotLatency) -> None:
    new = device(22)
    predicted = model.adapt(at([3]), new[[3]]).predict(at([3]))
    assert abs(np.log(predicted.mean[0] / new[3])) < 0.5


def test_more_measurements_leave_less_doubt(model: FewShotLatency) -> None:
    new = device(23)
    relative = []
    for n in (3, 10, 40):
        rows = model.propose(n)
        predicted = model.adapt(at(rows), new[rows]).predict(GROUPS)
        relative.append(float((predicted.std / predicted.mean).mean()))
    assert relative[0] > relative[1] > relative[2]


def test_devices_measured_on_different_architectures() -> None:
    known = {}
    for seed in range(1, 5):
        known[f"d{seed}"] = device(seed)
        known[f"d{seed}"][np.random.default_rng(seed).permutation(N)[:250]] = np.nan
    model = FewShotLatency()
    model.fit(GROUPS, known, families={"d1": "a", "d2": "a"})
    new = device(24)
    rows = model.propose(10)
    predicted = model.adapt(at(rows), new[rows]).predict(GROUPS).mean
    assert spearmanr(predicted, new).statistic > 0.95


def test_the_same_seed_gives_the_same() -> None:
    proposed, means = [], []
    for _ in range(2):
        model = FewShotLatency()
        model.fit(GROUPS, {f"d{s}": device(s) for s in range(1, 4)}, seed=5)
        proposed.append(model.propose(4))
        means.append(model.adapt(at(proposed[-1]), device(9)[proposed[-1]]).predict(GROUPS).mean)
    np.testing.assert_array_equal(proposed[0], proposed[1])
    np.testing.assert_array_equal(means[0], means[1])


def test_proposed_are_distinct_and_grow_one_by_one(model: FewShotLatency) -> None:
    ten = model.propose(10)
    assert len(set(ten.tolist())) == 10
    np.testing.assert_array_equal(model.propose(4), ten[:4])


def with_value(value: float) -> Floats:
    values = device(1)
    values[0] = value
    return values


@pytest.mark.parametrize(
    ("latencies", "families"),
    [
        ({"a": device(1)}, None),
        ({"a": device(1), "b": device(2)}, {"a": "x", "b": "x"}),
        ({"a": device(1), "b": with_value(0.0)}, None),
        ({"a": device(1), "b": with_value(-1.0)}, None),
        ({"a": device(1), "b": with_value(np.inf)}, None),
        ({"a": device(1), "b": device(2)[:-1]}, None),
        ({"a": device(1), "b": np.where(np.arange(N) < FEWEST_SAMPLES - 1, device(2), np.nan)}, None),
        ({}, None),
    ],
)
def test_fit_refuses(latencies: dict[str, Floats], families: dict[str, str] | None) -> None:
    with pytest.raises(ArgumentError):
        FewShotLatency().fit(GROUPS, latencies, families=families)


def test_groups_are_checked(model: FewShotLatency) -> None:
    known = {"a": device(1), "b": device(2)}
    for groups in ({}, {"ops": FEATURES[:, 0]}, {"ops": FEATURES, "costs": FEATURES[:3]}):
        with pytest.raises(ArgumentError, match="shape"):
            FewShotLatency().fit(groups, known)
    with pytest.raises(ArgumentError, match="finite"):
        FewShotLatency().fit({"ops": np.where(FEATURES > 0.5, np.nan, FEATURES)}, known)
    with pytest.raises(ArgumentError, match="groups of fit"):
        model.adapt({"ops": FEATURES[:5]}, device(1)[:5])
    with pytest.raises(ArgumentError, match="groups of fit"):
        model.adapt(at(slice(5)), device(1)[:5]).predict({"ops": FEATURES})


def test_adapt_and_propose_refuse(model: FewShotLatency) -> None:
    for bad in ([1.0, np.nan], [1.0, 0.0], [1.0], [[1.0, 2.0]]):
        with pytest.raises(ArgumentError):
            model.adapt(at([0, 1]), bad)
    with pytest.raises(ArgumentError):
        model.adapt(at([]), [])
    for n in (0, N + 1, 2.5):
        with pytest.raises(ArgumentError):
            model.propose(n)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="fitted"):
        FewShotLatency().propose(3)
    with pytest.raises(ArgumentError, match="fitted"):
        FewShotLatency().adapt(GROUPS, device(1))
