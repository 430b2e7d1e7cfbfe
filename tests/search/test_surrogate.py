"""The surrogate is the Gaussian process of the textbook, however it keeps its books."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import approx_fprime, minimize
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from archindex.search.surrogate import Surrogate, gaussianised

Floats = npt.NDArray[np.float64]
Groups = dict[str, npt.NDArray[np.float32]]

SEEN = (3, 17, 40, 8, 3, 25, 11, 59, 30, 17, 44, 2, 51, 36, 20, 6, 28, 13, 47, 55, 9, 33, 22, 0, 3)
"""Classes with labels; some have several."""


@pytest.fixture
def groups() -> Groups:
    """Three groups of different width and scale, one of them with columns of unequal units."""
    rng = np.random.default_rng(0)
    units = np.array([1, 50, 1e-3, 0])  # the last has no spread
    return {
        "narrow": rng.normal(size=(60, 2)).astype(np.float32),
        "wide": (7 * rng.normal(size=(60, 5)) + 3).astype(np.float32),
        "units": (rng.normal(size=(60, 4)) * units + 2).astype(np.float32),
    }


@pytest.fixture
def labels(groups: Groups) -> Floats:
    """Labels that depend on one group, with a little noise."""
    latent = np.sin(groups["narrow"][:, 0]) + 0.5 * groups["narrow"][:, 1]
    return gaussianised(latent[list(SEEN)] + 0.1 * np.random.default_rng(1).normal(size=len(SEEN)))


def observed(groups: Groups, n: int = len(SEEN)) -> Surrogate:
    surrogate = Surrogate(groups, {"units"})
    for c in SEEN[:n]:
        surrogate.observe(c)
    return surrogate


def textbook(surrogate: Surrogate, labels: Floats) -> tuple[Floats, Floats]:
    """Return mean and variance of scikit-learn's process with the hyperparameters that were fitted."""
    *relevances, amplitude, _ = surrogate._theta
    features = np.hstack(
        [f.astype(np.float64) * np.exp(r) for f, r in zip(surrogate.features, relevances, strict=True)]
    )
    process = GaussianProcessRegressor(
        ConstantKernel(np.exp(amplitude)) * Matern(nu=2.5), alpha=surrogate.noise, optimizer=None
    )
    process.fit(features[list(SEEN[: len(labels)])], labels)
    mean, deviation = process.predict(features, return_std=True)
    return mean, deviation**2


def test_the_posterior_is_that_of_scikit_learn(groups: Groups, labels: Floats) -> None:
    surrogate = observed(groups)
    posterior = surrogate.posterior(labels)
    assert np.abs(surrogate._theta - surrogate._prior).max() > 0.1  # it was fitted
    mean, variance = textbook(surrogate, labels)
    np.testing.assert_allclose(posterior.mean, mean, atol=2e-4)
    np.testing.assert_allclose(posterior.variance, variance, atol=2e-4)
    assert variance.max() - variance.min() > 0.05


def test_label_by_label_is_the_same_as_at_once(groups: Groups, labels: Floats) -> None:
    """Between two fits of the hyperparameters the factor is extended; labels may change in between."""
    surrogate = observed(groups, 20)
    surrogate.posterior(gaussianised(labels[:20]))
    surrogate._fitted_with = 10**9  # no further fit
    for i in range(20, len(SEEN)):
        surrogate.observe(SEEN[i])
        posterior = surrogate.posterior(gaussianised(labels[: i + 1]))
        mean, variance = textbook(surrogate, gaussianised(labels[: i + 1]))
        np.testing.assert_allclose(posterior.mean, mean, atol=2e-4)
        np.testing.assert_allclose(posterior.variance, variance, atol=2e-4)


def test_fitting_raises_the_posterior_of_the_hyperparameters(
    groups: Groups, labels: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradient handed to the optimiser is that of the loss, and the loss that of scikit-learn."""
    losses: list[Callable[[Floats], tuple[float, Floats]]] = []

    def spy(loss: Callable[[Floats], tuple[float, Floats]], start: Floats, **options: Any) -> Any:
        losses.append(loss)
        return minimize(loss, start, **options)

    monkeypatch.setattr("archindex.search.surrogate.minimize", spy)
    surrogate = observed(groups)
    surrogate.posterior(labels)
    (loss,) = losses
    assert loss(surrogate._theta)[0] < loss(surrogate._prior)[0]
    rng = np.random.default_rng(2)
    for _ in range(5):
        theta = surrogate._prior + 0.7 * rng.normal(size=len(surrogate._prior))
        value, gradient = loss(theta)
        differences = approx_fprime(theta, lambda at: loss(at)[0], 1e-6)
        np.testing.assert_allclose(gradient, differences, rtol=1e-4, atol=1e-4)
        features = np.hstack(
            [f.astype(np.float64) * np.exp(r) for f, r in zip(surrogate.features, theta, strict=False)]
        )
        process = GaussianProcessRegressor(
            ConstantKernel(np.exp(theta[-2])) * Matern(nu=2.5), alpha=np.exp(theta[-1]) + 1e-6, optimizer=None
        ).fit(features[list(SEEN)], labels)
        off = theta - surrogate._prior
        likelihood = process.log_marginal_likelihood_value_ + 0.5 * len(SEEN) * np.log(2 * np.pi)
        assert value == pytest.approx(-likelihood + 0.5 * off @ off, rel=1e-4)


def test_relevance_goes_to_the_group_that_matters(groups: Groups, labels: Floats) -> None:
    surrogate = observed(groups)
    surrogate.posterior(labels)
    assert np.argmax(surrogate._theta[:3]) == 0


def test_believing_lowers_the_variance_alone(groups: Groups, labels: Floats) -> None:
    surrogate = observed(groups)
    posterior = surrogate.posterior(labels)
    mean = posterior.mean.copy()
    for c in (5, 12, 5):
        before = posterior.variance.copy()
        posterior.believe(c)
        np.testing.assert_array_equal(posterior.mean, mean)
        assert (posterior.variance <= before).all()
        assert posterior.variance[c] < before[c]
    # As if the labels had come back at the mean: the surrogate itself was told nothing.
    np.testing.assert_array_equal(surrogate.posterior(labels).mean, mean)
    surrogate._fitted_with = 10**9
    for c in (5, 12, 5):
        surrogate.observe(c)
    told = surrogate.posterior(np.append(labels, mean[[5, 12, 5]]))
    np.testing.assert_allclose(told.mean, mean, atol=1e-4)
    np.testing.assert_allclose(posterior.variance, told.variance, atol=1e-5)


def test_classes_that_come_later_are_as_good_as_the_first(groups: Groups, labels: Floats) -> None:
    """Mirrored about the mean, the late ones leave centre and scale as they are."""
    late = {name: 2 * group.mean(axis=0) - group for name, group in groups.items()}
    both = {name: np.concatenate([groups[name], late[name]]) for name in groups}
    early, grown = observed(both), observed(groups)
    first = early.posterior(labels)
    assert len(grown.posterior(labels).mean) == 60
    grown.add_classes(late)
    then = grown.posterior(labels)
    assert len(then.mean) == grown.n_classes == 120
    np.testing.assert_allclose(then.mean, first.mean, atol=2e-3)
    np.testing.assert_allclose(then.variance, first.variance, atol=2e-3)
    grown.observe(100)  # a late class has labels like any other
    labelled = grown.posterior(np.append(labels, 0.0))
    assert labelled.variance[100] < 0.5 * then.variance[100]


def test_each_group_has_a_mean_squared_distance_of_one(groups: Groups) -> None:
    surrogate = Surrogate(groups, {"units"})
    distances = np.stack([surrogate.distances(c) for c in range(60)])
    np.testing.assert_allclose(distances.mean(axis=(0, 2)), 1.0, rtol=1e-4)
    for group, name in enumerate(groups):
        true = ((surrogate.features[group][4] - surrogate.features[group]) ** 2).sum(axis=1)
        np.testing.assert_allclose(distances[4, group], true, atol=1e-5, err_msg=name)
    scaled = surrogate.features[2].var(axis=0)
    np.testing.assert_allclose(scaled, [1 / 6, 1 / 6, 1 / 6, 0], rtol=1e-4)


def test_features_without_spread_say_nothing() -> None:
    surrogate = Surrogate({"flat": np.full((5, 3), 7, dtype=np.float32)})
    surrogate.observe(0)
    surrogate.observe(1)
    posterior = surrogate.posterior(np.array([-1.0, 1.0]))
    np.testing.assert_allclose(posterior.mean, 0.0, atol=1e-4)
    assert np.ptp(posterior.variance) < 1e-6


def test_gaussianised_keeps_the_order_and_shares_ties() -> None:
    values = np.array([5.0, -1e9, 5.0, 7.0, 1e300])
    scores = gaussianised(values)
    np.testing.assert_allclose(scores, norm.ppf([2.0 / 5, 0.5 / 5, 2.0 / 5, 3.5 / 5, 4.5 / 5]), atol=1e-12)
    np.testing.assert_allclose(gaussianised(np.full(4, 3.0)), 0.0, atol=1e-12)
    np.testing.assert_array_equal(gaussianised(np.array([2.0])), [0.0])
    np.testing.assert_allclose(gaussianised(-values), -scores, atol=1e-12)
