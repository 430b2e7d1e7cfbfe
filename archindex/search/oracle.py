"""Oracles: what a search asks for the value of an architecture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archindex.core.checks import check_choice, check_float, check_int
from archindex.core.errors import ArgumentError, BudgetExhaustedError, UnknownNameError
from archindex.core.metrics import spec_of_column
from archindex.core.rng import generator
from archindex.spaces.base import Architecture
from archindex.store.snapshot import Snapshot


@dataclass(frozen=True)
class Objective:
    """What is searched for.

    Attributes
    ----------
    name : str
        Attribute column, or any name.
    maximize : bool
        Which way is better.
    """

    name: str
    maximize: bool

    @classmethod
    def of(cls, name: str, maximize: bool | None = None) -> Objective:
        """Build the objective of a column; with None its metric says which way is better.

        Raises
        ------
        ArgumentError
            If `maximize` is None and the name does not end in a known metric.
        """
        if maximize is None:
            try:
                maximize = spec_of_column(name).direction == "maximize"
            except ArgumentError:
                raise ArgumentError(
                    "expected a direction for an objective that is no metric column",
                    got=name,
                    fix="say maximize=True or maximize=False (--maximize or --minimize)",
                ) from None
        return cls(name, maximize)


class Oracle(ABC):
    """Gives architectures their values; subclasses train, simulate or look up."""

    @property
    @abstractmethod
    def objective(self) -> Objective:
        """What the values are of."""

    @abstractmethod
    def evaluate(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.float64]:
        """Return one value an architecture, shape (n,); NaN where the evaluation failed."""


class ColumnOracle(Oracle):
    """Looks values up in an attribute column of an index: a tabular benchmark.

    Parameters
    ----------
    snapshot : Snapshot
        The index.
    objective : Objective
        Its name is the column.

    Raises
    ------
    UnknownNameError
        If there is no such column.
    ArgumentError
        If the column does not hold numbers.
    """

    def __init__(self, snapshot: Snapshot, objective: Objective) -> None:
        check_choice("column", objective.name, snapshot.schema)
        column = snapshot.columns[objective.name]
        if column.kind not in ("DOUBLE", "BIGINT"):
            raise ArgumentError(
                "expected a column of numbers as objective", got=f"{objective.name} {column.kind}"
            )
        rows = snapshot.all_rows()
        self._objective = objective
        self._values: dict[str, dict[str, float]] = {}
        values = np.asarray(column.values, dtype=np.float64).tolist()
        for name, native, value in zip(rows["space"].tolist(), rows["native"].tolist(), values, strict=True):
            self._values.setdefault(name, {})[native] = value

    @property
    def objective(self) -> Objective:
        """The column."""
        return self._objective

    def evaluate(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.float64]:
        """Return the values of the column; NaN where it has none.

        Raises
        ------
        UnknownNameError
            If an architecture is not in the index.
        """
        values = np.empty(len(architectures))
        for i, architecture in enumerate(architectures):
            value = self._values.get(architecture.space.name, {}).get(architecture.native)
            if value is None:
                raise UnknownNameError(
                    "expected an architecture with a row in the index", got=str(architecture)
                )
            values[i] = value
        return values


class _Wrapper(Oracle):
    def __init__(self, inner: Oracle) -> None:
        self._inner = inner

    @property
    def objective(self) -> Objective:
        """That of the oracle inside."""
        return self._inner.objective


class Counting(_Wrapper):
    """Counts what is evaluated.

    Attributes
    ----------
    queries : int
        Evaluations so far.
    distinct : set of Architecture
        Every architecture evaluated so far; aliases count apart.
    """

    def __init__(self, inner: Oracle) -> None:
        super().__init__(inner)
        self.queries = 0
        self.distinct: set[Architecture] = set()

    def evaluate(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.float64]:
        """Evaluate and count."""
        values = self._inner.evaluate(architectures)
        self.queries += len(architectures)
        self.distinct.update(architectures)
        return values


class Cached(_Wrapper):
    """Evaluates an architecture once and remembers its value."""

    def __init__(self, inner: Oracle) -> None:
        super().__init__(inner)
        self._known: dict[Architecture, float] = {}

    def evaluate(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.float64]:
        """Evaluate what is new, each architecture once; look up the rest."""
        new = [a for a in dict.fromkeys(architectures) if a not in self._known]
        if new:
            self._known.update(zip(new, self._inner.evaluate(new).tolist(), strict=True))
        return np.array([self._known[a] for a in architectures], dtype=np.float64)


class Budgeted(_Wrapper):
    """Refuses evaluations beyond a query budget.

    Parameters
    ----------
    inner : Oracle
        What evaluates.
    budget : int
        Evaluations that are allowed altogether.
    """

    def __init__(self, inner: Oracle, budget: int) -> None:
        super().__init__(inner)
        self.left = check_int("budget", budget, low=0)

    def evaluate(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.float64]:
        """Evaluate, if the budget covers all of it.

        Raises
        ------
        BudgetExhaustedError
            If it does not; nothing was evaluated.
        """
        if len(architectures) > self.left:
            raise BudgetExhaustedError(
                f"expected at most {self.left} more evaluations",
                got=len(architectures),
                fix="raise the budget",
            )
        values = self._inner.evaluate(architectures)
        self.left -= len(architectures)
        return values


class Noisy(_Wrapper):
    """Adds Gaussian noise, a fresh draw each evaluation: to test a search under label noise.

    Parameters
    ----------
    inner : Oracle
        What evaluates.
    deviation : float
        Standard deviation of the noise, in the units of the values.
    seed : int
        The same seed and the same evaluations give the same values.
    """

    def __init__(self, inner: Oracle, deviation: float, *, seed: int = 0) -> None:
        super().__init__(inner)
        self._deviation = check_float("deviation", deviation, low=0)
        self._rng = generator(seed, "noisy")

    def evaluate(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.float64]:
        """Evaluate and add noise; a failure stays NaN."""
        values = self._inner.evaluate(architectures)
        return values + self._deviation * self._rng.standard_normal(len(architectures))
