"""OracleCase: what every oracle must do, as tests to inherit.

::

    class TestMyOracle(OracleCase):
        def make(self):
            return MyOracle()
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from archindex.search.oracle import Objective, Oracle
from archindex.spaces.base import Architecture
from archindex.spaces.nasbench201 import NASBench201


class OracleCase:
    """Inherit, name the class ``Test...`` and override :meth:`make`.

    Attributes
    ----------
    repeatable : bool
        Whether an architecture has the same value each time and whatever stands beside it. Where it is
        False, a new oracle must still give the same values to the same calls.
    """

    repeatable: ClassVar[bool] = True

    def make(self) -> Oracle:
        """Return a new oracle; the same each time, seed included."""
        raise NotImplementedError

    def architectures(self) -> list[Architecture]:
        """Return 8 to 30 different architectures that the oracle can evaluate, not all of one value."""
        return list(dict.fromkeys(NASBench201().sample(12, seed=1)))

    def values(self, oracle: Oracle, architectures: list[Architecture]) -> npt.NDArray[np.float64]:
        """Evaluate, and require the form that every answer has."""
        values = oracle.evaluate(architectures)
        assert isinstance(values, np.ndarray)
        assert values.shape == (len(architectures),)
        assert values.dtype == np.float64
        assert not np.isinf(values).any(), "a failure is NaN"
        return values

    def test_one_value_an_architecture(self) -> None:
        """A float64 for each, and not the same for all."""
        values = self.values(self.make(), self.architectures())
        assert len(np.unique(values[~np.isnan(values)])) > 1

    def test_one_and_none(self) -> None:
        """A single architecture is a batch, and so is no architecture."""
        oracle = self.make()
        assert len(self.values(oracle, [])) == 0
        self.values(oracle, self.architectures()[:1])

    def test_a_new_oracle_gives_the_same(self) -> None:
        """What is random has a seed."""
        architectures = self.architectures()
        one, two = self.make(), self.make()
        for batch in (architectures[:5], [], architectures[3:], architectures[:1]):
            np.testing.assert_array_equal(self.values(one, batch), self.values(two, batch))

    def test_company_and_order_do_not_matter(self) -> None:
        """A repeatable oracle says of an architecture what it said before, and says it twice if asked."""
        if not self.repeatable:
            pytest.skip("this oracle is not repeatable")
        oracle, architectures = self.make(), self.architectures()
        together = self.values(oracle, architectures)
        alone = [self.values(self.make(), [a])[0] for a in architectures]
        np.testing.assert_array_equal(together, alone)
        np.testing.assert_array_equal(self.values(oracle, architectures[::-1]), together[::-1])
        doubled = [a for a in architectures[:4] for _ in range(2)]
        np.testing.assert_array_equal(self.values(oracle, doubled), np.repeat(together[:4], 2))

    def test_answers_belong_to_the_caller(self) -> None:
        """Who writes to an answer does not change the next one."""
        architectures = self.architectures()
        oracle, twin = self.make(), self.make()
        self.values(oracle, architectures)[:] = -12345.0
        self.values(twin, architectures)
        np.testing.assert_array_equal(self.values(oracle, architectures), self.values(twin, architectures))

    def test_architectures_stay_as_they_are(self) -> None:
        """The list and what is in it are not changed; any sequence will do."""
        given, same = self.architectures(), self.architectures()
        before = list(given)
        values = self.values(self.make(), given)
        assert all(now is then for now, then in zip(given, before, strict=True))
        assert given == same
        assert [a.arch_id for a in given] == [a.arch_id for a in same]
        np.testing.assert_array_equal(self.make().evaluate(tuple(given)), values)

    def test_the_objective_stays(self) -> None:
        """It has a name, and evaluating does not change it."""
        oracle = self.make()
        before = oracle.objective
        assert isinstance(before, Objective)
        assert before.name
        self.values(oracle, self.architectures())
        assert oracle.objective == before == self.make().objective
