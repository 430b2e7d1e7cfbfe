"""Encoders side by side: architectures of a table, and what each encoder's embedding of them is worth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.batch import GraphBatch
from archindex.core.checks import check_choice, check_int
from archindex.core.edit_distance import SmallGraphs
from archindex.core.errors import ArgumentError
from archindex.core.metrics import Series
from archindex.core.rng import generator
from archindex.datasets import Table
from archindex.encoders import Encoder
from archindex.evaluate.embedding import (
    NEIGHBOURS,
    distance_agreement,
    interpolation_error,
    nearest_others,
    neighbour_difference,
    neighbour_regression,
    random_difference,
)
from archindex.spaces.registry import space

PAIRS: Final = 2_000
"""Pairs of architectures whose edit distance is compared."""

TELLING: Final = ("acc", "score", "perplexity", "error", "loss", "latency", "params")
"""Metrics from which the objective is chosen when nobody says which, most telling first."""


@dataclass(frozen=True)
class Measures:
    """What an embedding is worth; see `archindex.evaluate.embedding`.

    Attributes
    ----------
    tau : float
        Kendall's tau of the objective with the mean of the 10 nearest others; NaN where that has no order.
    difference : float
        Mean absolute difference to these ten, in the unit of the objective.
    ratio : float
        That difference as a share of the one of random pairs; NaN where all values are equal.
    between : float
        Error along straight lines between random pairs, as a share of the difference of the ends.
    edits : float or None
        Spearman's correlation of distances with exact graph edit distances; None where graphs are too large.
    """

    tau: float
    difference: float
    ratio: float
    between: float
    edits: float | None

    def to_dict(self) -> dict[str, float | None]:
        """Return the measures by name."""
        return asdict(self)


class Sample:
    """Architectures of a table, one for each arch_id, with what encoders are compared by.

    Parameters
    ----------
    table : Table
        The table.
    objective : str, optional
        Column whose values near architectures should share; the most telling one if not given.
    n : int
        Architectures that are drawn; aliases among them are left out.
    seed : int
        Decides all that is drawn.

    Attributes
    ----------
    space : str
        Search space of the architectures.
    objective : str
        The column.
    natives : list of str
        The architectures.
    values : ndarray of float64, shape (len(natives),)
        Their values.
    batch : GraphBatch
        Their graphs.
    random_difference : float
        Mean absolute difference of the values over all pairs.
    has_edits : bool
        Whether all graphs are small enough for exact edit distances.

    Raises
    ------
    UnknownNameError
        If there is no such column.
    ArgumentError
        If there are not more than 10 architectures with a value, or no column says how good they are.
    """

    def __init__(self, table: Table, objective: str | None = None, *, n: int = 2_000, seed: int = 0) -> None:
        check_int("n", n, low=NEIGHBOURS + 1)
        columns = table.columns()
        self.space = table.space
        self.objective = (
            _telling(columns) if objective is None else check_choice("column", objective, columns)
        )
        self._seed = seed
        rng = generator(seed, "sample of encoders")
        values = columns[self.objective].values
        rows = rng.permutation(np.flatnonzero(np.isfinite(values)))[:n]
        if len(rows):
            ids = space(self.space).arch_ids([table.natives[i] for i in rows])
            rows = rows[np.sort(np.unique(ids, return_index=True)[1])]
        if len(rows) <= NEIGHBOURS:
            raise ArgumentError(
                f"expected more than {NEIGHBOURS} architectures with a value of {self.objective}",
                got=len(rows),
            )
        self.natives = [table.natives[i] for i in rows]
        self.values: npt.NDArray[np.float64] = values[rows]
        self.batch: GraphBatch = space(self.space).graphs(self.natives)
        self.random_difference = random_difference(self.values)
        graphs = SmallGraphs(self.batch)
        self.has_edits = bool(graphs.small.all())
        if self.has_edits:
            a = rng.integers(len(rows), size=PAIRS)
            b = (a + rng.integers(1, len(rows), size=PAIRS)) % len(rows)
            self._pairs = a, b, graphs.distances(a, b)

    def __len__(self) -> int:
        return len(self.natives)

    def measure(self, encoder: Encoder) -> Measures:
        """Return what the embedding of a fitted encoder is worth."""
        vectors = encoder.encode(self.batch)
        nearest = nearest_others(vectors, seed=self._seed)
        difference = neighbour_difference(nearest, self.values)
        return Measures(
            tau=neighbour_regression(nearest, self.values),
            difference=difference,
            ratio=difference / self.random_difference if self.random_difference else float("nan"),
            between=interpolation_error(vectors, self.values, seed=self._seed),
            edits=distance_agreement(vectors, *self._pairs) if self.has_edits else None,
        )


def _telling(columns: dict[str, Series]) -> str:
    for metric in TELLING:
        for name, series in columns.items():
            if series.spec.metric == metric:
                return name
    raise ArgumentError(
        "expected a column that says how good architectures are",
        got=list(columns),
        fix="say which one to compare by",
    )
