"""Every predictor in the conformance suite, and what is particular to some."""

from __future__ import annotations

import numpy as np
import pytest

from archindex.core.errors import ArgumentError, UnknownNameError
from archindex.predict.base import Predictor
from archindex.predict.gp import FEW, GaussianProcess, _gradient, _matern, _squared
from archindex.predict.ranked import folds
from archindex.predict.registry import PREDICTORS, make_predictor
from archindex.testing.predictor_case import PredictorCase


class TestGaussianProcess(PredictorCase):
    @staticmethod
    def make() -> Predictor:
        return make_predictor("gp", members=2)


class TestBoostedTrees(PredictorCase):
    @staticmethod
    def make() -> Predictor:
        return make_predictor("boosted_trees", members=1, rounds=40)


class TestNetworkEnsemble(PredictorCase):
    @staticmethod
    def make() -> Predictor:
        return make_predictor("ensemble", steps=150)


class TestPairwiseComparator(PredictorCase):
    @staticmethod
    def make() -> Predictor:
        return make_predictor("pairwise", steps=100, rivals=32)


class TestBlend(PredictorCase):
    @staticmethod
    def make() -> Predictor:
        return make_predictor()


@pytest.mark.parametrize("name", PREDICTORS)
def test_every_predictor_is_made_by_its_name(name: str) -> None:
    assert make_predictor(name).name == name


def test_unknown_names_and_options() -> None:
    with pytest.raises(UnknownNameError, match="'pairwise'"):
        make_predictor("pairwize")
    with pytest.raises(ArgumentError, match="depth"):
        make_predictor("gp", depth=3)
    with pytest.raises(ArgumentError, match="members"):
        make_predictor("gp", members=0)
    with pytest.raises(UnknownNameError, match="column"):
        make_predictor("gp", relevance="columns")


def test_gradient_of_the_marginal_likelihood() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 4)).astype(np.float32), rng.normal(size=12)
    group = np.array([0, 0, 1, 1])
    theta = np.array([-0.3, 0.1, 0.2, -0.1, 0.0, 0.3, 0.2, -2.0])

    def loss(at: np.ndarray) -> float:
        z = (x * np.exp(at[group] + at[2:6])).astype(np.float64)
        covariance = np.exp(at[6]) * _matern(_squared(z, z)) + (np.exp(at[7]) + 1e-4) * np.eye(12)
        return float(0.5 * y @ np.linalg.solve(covariance, y) + 0.5 * np.linalg.slogdet(covariance)[1])

    step = 1e-4
    numeric = [(loss(theta + step * e) - loss(theta - step * e)) / (2 * step) for e in np.eye(8)]
    np.testing.assert_allclose(_gradient(theta, x, group, y), numeric, rtol=0.02, atol=0.02)


def test_relevance_finds_the_column_that_counts() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 30)).astype(np.float32)
    y = x[:, 3].astype(np.float64)
    predicted = {}
    for relevance in ("column", "group"):
        predictor = make_predictor("gp", members=1, relevance=relevance)
        predictor.fit({"all": x[:80]}, y[:80])
        predicted[relevance] = np.corrcoef(predictor.predict({"all": x[80:]}).mean, y[80:])[0, 1]
    assert predicted["column"] > 0.97
    assert 1 - predicted["column"] < 0.5 * (1 - predicted["group"])


def test_many_labels_are_left_out_in_closed_form() -> None:
    rng = np.random.default_rng(0)
    n = FEW + 100
    x = rng.normal(size=(n + 300, 3)).astype(np.float32)
    y = np.sin(2 * x[:, 0]) + x[:, 1] + 0.3 * rng.normal(size=len(x))
    process = GaussianProcess()
    process.fit({"all": x[:n]}, y[:n])
    (model,) = process._models
    missed = model.left_out()
    without = np.delete(np.arange(n), 7)
    covariance = model._covariance(model._z).astype(np.float64) + model._hyper.noise * np.eye(n)
    scores = process._scale.scores
    alone = covariance[7, without] @ np.linalg.solve(covariance[np.ix_(without, without)], scores[without])
    np.testing.assert_allclose(missed[7], scores[7] - alone, atol=1e-4)  # the kernel is float32
    believed = process.predict({"all": x[n:]})
    assert 0.85 <= (np.abs(believed.mean - y[n:]) <= 1.645 * believed.std).mean() <= 0.95


def test_order_survives_the_way_back_to_labels() -> None:
    groups = {"all": np.arange(40, dtype=np.float32)[:, None]}
    labels = np.exp(np.arange(40) / 4.0)
    predictor = make_predictor("gp", members=1)
    predictor.fit(groups, labels)
    mean = predictor.predict(groups).mean
    assert (np.diff(mean) > 0).all()
    assert mean[-1] > 0.5 * labels[-1]


def test_folds_are_of_almost_equal_size() -> None:
    np.testing.assert_array_equal(np.sort(np.bincount(folds(10, 4, 0))), [2, 2, 3, 3])
    assert set(folds(2, 4, 0)) == {0, 1}
