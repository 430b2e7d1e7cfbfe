"""What the planner searches, and what it asks of engines, lists and filters; it knows none of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_CLOSE = 4  # the greatest row id over the number of rows


class Answer(Protocol):
    """What an engine answers to m queries; rows may be short, padded with id -1 and infinite distance."""

    @property
    def ids(self) -> Ints:
        """Row ids, shape (m, k)."""

    @property
    def distances(self) -> Floats:
        """Distances, ascending, shape (m, k)."""

    @property
    def counts(self) -> Ints:
        """How many entries of each row are found rows, shape (m,)."""

    @property
    def distance_computations(self) -> int:
        """Distances computed for all queries together."""


class Capabilities(Protocol):
    """What the planner asks about an engine."""

    @property
    def filtered(self) -> bool:
        """Whether it searches among allowed rows itself."""


class SearchEngine(Protocol):
    """What the planner needs of an engine."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    def search(self, queries: Floats, k: int, allowed: Ints | None = None) -> Answer:
        """Return the k nearest rows of each query, among `allowed` if given."""


class RowFilter(Protocol):
    """A filter over rows by position; see `archindex.queries.filters.Filter`."""

    @property
    def possible(self) -> npt.NDArray[np.bool_]:
        """Which lists may hold a match."""

    @property
    def estimated(self) -> float:
        """Estimated matches in all."""

    @property
    def clustered(self) -> bool:
        """Whether the matches are known to lie side by side."""

    def judged(self, lists: Ints) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """Return which of some lists may hold a match, and the estimated matches of each."""

    @property
    def count(self) -> int | None:
        """The exact number of matches where it is at hand."""

    def positions(self) -> Ints:
        """Return the positions of all matches, ascending."""

    def selected(self, positions: Ints) -> npt.NDArray[np.bool_]:
        """Return which of the rows at some positions match."""

    def within(self, lists: Ints) -> tuple[Ints, int]:
        """Return the positions of all matches in some lists, and how many rows were looked at."""


class Reading(Protocol):
    """What a search of lists found for one query; see `archindex.indexes.probe.Reading`."""

    @property
    def ids(self) -> Ints:
        """Row ids, nearest first."""

    @property
    def distances(self) -> Floats:
        """Their distances."""

    @property
    def lists(self) -> int:
        """Lists read."""

    @property
    def rows(self) -> int:
        """Rows in them."""

    @property
    def compared(self) -> int:
        """Distances computed."""

    @property
    def missed(self) -> float:
        """Neighbours expected in what was not read."""


class ListReader(Protocol):
    """The lists of an index; see `archindex.indexes.probe.ListSearch`."""

    def begin(self, query: Floats, allowed: RowFilter | None) -> Any:
        """Return a search as far as it goes without reading rows, for `nearest` to go on with.

        Its `share` says about which share of the rows near the query is let through.
        """

    def nearest(
        self,
        query: Floats,
        k: int,
        allowed: RowFilter | None,
        *,
        recall: float,
        most: float = ...,
        begun: Any = ...,
    ) -> Reading | None:
        """Return the nearest rows that the filter lets through; None if more than `most` had to be read."""

    def among(self, query: Floats, k: int, positions: Ints) -> Reading:
        """Return the nearest of the rows at some positions."""

    def within(self, query: Floats, radius: float, allowed: RowFilter | None) -> Reading:
        """Return all rows within a distance that the filter lets through."""

    def effort(self, recall: float, k: int) -> int | None:
        """Return how hard the engine has to try for a recall of k; None if it does not reach it."""


@dataclass(frozen=True, eq=False)
class Searched:
    """What the planner searches.

    Attributes
    ----------
    engine : callable
        Gives the engine of the index: it is opened by the first search that needs it.
    exact : callable
        Gives an exact engine of the same rows.
    proves : bool
        Whether the engine of the index is exact, so that its answers are proved whatever recall is asked for.
    ids : ndarray of int64, shape (n,)
        Row id at each position, as filters count them.
    lists : ListReader or None
        The lists of the index; small ones have none.
    """

    engine: Callable[[], SearchEngine]
    exact: Callable[[], SearchEngine]
    proves: bool
    ids: Ints
    lists: ListReader | None = None

    def positions_of(self, ids: Ints) -> Ints:
        """Return the position of each of some row ids, all of them there."""
        found: Ints = self._places[ids] if self._order is None else self._order[self._sought(ids)]
        return found

    def _sought(self, ids: Ints) -> Ints:
        found: Ints = np.searchsorted(self.ids, ids, sorter=self._order)
        return found

    @cached_property
    def _order(self) -> Ints | None:
        """Positions by rising id; None where ids are close enough to be looked up."""
        close = int(self.ids.max(initial=0)) < _CLOSE * len(self.ids)
        return None if close else np.argsort(self.ids)

    @cached_property
    def _places(self) -> Ints:
        places = np.empty(int(self.ids.max(initial=0)) + 1, dtype=np.int64)
        places[self.ids] = np.arange(len(self.ids))
        return places
