"""PredictorCase: what every predictor must do, as tests to inherit.

::

    class TestMyPredictor(PredictorCase):
        def make(self):
            return MyPredictor()
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.stats import kendalltau

from archindex.core.errors import ArgumentError
from archindex.predict.base import Floats, Groups, Predictor
from archindex.predict.features import architecture_features
from archindex.spaces.nasbench201 import NASBench201

LABELLED = 60
TESTED = 400


@cache
def table() -> tuple[Groups, Floats]:
    """Return features of NAS-Bench-201 cells and their computed FLOPs (millions), with a curve to learn.

    The label is no feature: costs are left out of the groups, and the curve is not linear.
    """
    space = NASBench201()
    natives = [a.native for a in space.sample(LABELLED + TESTED, seed=0)]
    groups = architecture_features(space, natives, dataset="cifar10")
    labels = np.sqrt(space.costs(natives, "cifar10").flops / 1e6)
    return {name: groups[name] for name in ("flow", "walk_mixture", "pairs_walk", "reach")}, labels


def part(groups: Groups, start: int, stop: int) -> Groups:
    """Return rows ``start`` to ``stop - 1`` of every group."""
    return {name: values[start:stop] for name, values in groups.items()}


class PredictorCase:
    """Inherit, name the class ``Test...`` and override :meth:`make`."""

    @staticmethod
    def make() -> Predictor:
        """Return a new predictor with a small training budget."""
        raise NotImplementedError

    @classmethod
    @cache
    def fitted(cls) -> Predictor:
        """Return a predictor that was fitted once, for all tests that leave it as it is."""
        groups, labels = table()
        predictor = cls.make()
        predictor.fit(part(groups, 0, LABELLED), labels[:LABELLED], seed=0)
        return predictor

    def test_better_than_the_mean(self) -> None:
        """Architectures that were not labelled are put in order, and predicted better than by the mean."""
        groups, labels = table()
        believed = self.fitted().predict(part(groups, LABELLED, LABELLED + TESTED))
        rest = labels[LABELLED:]
        assert kendalltau(believed.mean, rest)[0] > 0.5
        assert np.mean((believed.mean - rest) ** 2) < 0.5 * np.mean((labels[:LABELLED].mean() - rest) ** 2)

    def test_shape_and_uncertainty(self) -> None:
        """Means are finite, standard deviations positive, and most labels lie within a few of them."""
        groups, labels = table()
        believed = self.fitted().predict(part(groups, LABELLED, LABELLED + TESTED))
        for values in (believed.mean, believed.std):
            assert values.shape == (TESTED,)
            assert values.dtype == np.float64
            assert np.isfinite(values).all()
        assert (believed.std > 0).all()
        inside = np.abs(believed.mean - labels[LABELLED:]) <= 1.645 * believed.std
        assert 0.75 <= inside.mean() <= 1.0
        assert self.fitted().name

    def test_predicting_has_no_memory(self) -> None:
        """A prediction does not depend on what is asked beside it."""
        groups, _ = table()
        together = self.fitted().predict(part(groups, LABELLED, LABELLED + 50))
        alone = self.fitted().predict(part(groups, LABELLED, LABELLED + 1))
        np.testing.assert_allclose(alone.mean[0], together.mean[0], rtol=1e-3)
        np.testing.assert_allclose(alone.std[0], together.std[0], rtol=1e-3)

    def test_nothing_asked(self) -> None:
        """No architectures, no predictions."""
        groups, _ = table()
        believed = self.fitted().predict(part(groups, 0, 0))
        assert believed.mean.shape == believed.std.shape == (0,)

    def test_seed_decides_and_a_new_fit_forgets(self) -> None:
        """The same seed and labels give the same, whatever was learned before."""
        groups, labels = table()
        first, second = self.make(), self.make()
        second.fit(part(groups, 20, 50), -labels[20:50], seed=5)
        for predictor in (first, second):
            predictor.fit(part(groups, 0, 40), labels[:40], seed=3)
        a, b = (p.predict(part(groups, LABELLED, LABELLED + 50)) for p in (first, second))
        np.testing.assert_array_equal(a.mean, b.mean)
        np.testing.assert_array_equal(a.std, b.std)

    def test_unit_of_the_labels_does_not_matter(self) -> None:
        """Labels in another unit give the same prediction in that unit."""
        groups, labels = table()
        plain, scaled = self.make(), self.make()
        plain.fit(part(groups, 0, 40), labels[:40], seed=1)
        scaled.fit(part(groups, 0, 40), 1000 * labels[:40] + 7, seed=1)
        a, b = (p.predict(part(groups, LABELLED, LABELLED + 50)) for p in (plain, scaled))
        np.testing.assert_allclose(b.mean, 1000 * a.mean + 7, rtol=1e-6)
        np.testing.assert_allclose(b.std, 1000 * a.std, rtol=1e-6)

    def test_two_labels_are_enough_and_equal_ones_do_no_harm(self) -> None:
        """The smallest and the dullest table give finite predictions."""
        groups, labels = table()
        for values in (labels[:2], np.full(12, 3.0)):
            predictor = self.make()
            predictor.fit(part(groups, 0, len(values)), values)
            believed = predictor.predict(part(groups, LABELLED, LABELLED + 10))
            assert np.isfinite(believed.mean).all()
            assert (believed.std > 0).all()

    def test_bad_arguments(self) -> None:
        """What cannot be used raises a typed error, before and after fitting."""
        groups, labels = table()
        few, new = part(groups, 0, 5), self.make()
        with pytest.raises(ArgumentError):
            new.predict(few)
        with pytest.raises(ArgumentError):
            new.fit(part(groups, 0, 1), labels[:1])
        with pytest.raises(ArgumentError):
            new.fit(few, labels[:4])
        with pytest.raises(ArgumentError):
            new.fit(few, np.array([1.0, 2.0, np.nan, 3.0, 4.0]))
        with pytest.raises(ArgumentError):
            new.fit({}, labels[:5])
        with pytest.raises(ArgumentError):
            self.fitted().predict({name: few[name] for name in list(few)[:-1]})
        with pytest.raises(ArgumentError):
            self.fitted().predict({**few, "flow": few["flow"][:, :-1]})
        with pytest.raises(ArgumentError):
            self.fitted().predict({**few, "flow": few["flow"][:-1]})
