"""What every vector engine is: :class:`VectorIndex`, and what it answers: :class:`SearchResult`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

Metric = Literal["l2", "cosine"]
"""``l2``: Euclidean distance, not squared. ``cosine``: 1 - cosine similarity, 1 from a zero vector to all."""

METRICS: tuple[Metric, ...] = ("l2", "cosine")

DISTANCE_RTOL = 1e-5
"""Relative part of the tolerance of every distance returned, against float64 from the stored vectors."""

DISTANCE_ATOL = 1e-6
"""Absolute part of that tolerance: ``abs(got - true) <= DISTANCE_ATOL + DISTANCE_RTOL * true``."""


@dataclass(frozen=True)
class SearchResult:
    """The rows nearest to each of m queries, nearest first; equal distances by rising id.

    Attributes
    ----------
    ids : int64[m, k]
        Row ids; -1 where a query has fewer than k.
    distances : float32[m, k]
        Distances in the metric of the index; inf where a query has fewer than k.
    counts : int64[m]
        How many of the k are there.
    distance_computations : int
        Vectors compared for all m queries together, as well as the engine can tell; each engine says how.
    """

    ids: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int64]
    distance_computations: int


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do.

    Attributes
    ----------
    exact : bool
        Whether it always returns the k nearest.
    filtered : bool
        Whether it searches within `allowed` itself, so that k rows come back whenever k are allowed.
    removable : bool
        Whether rows can be removed without a new build.
    """

    exact: bool
    filtered: bool
    removable: bool


class VectorIndex(ABC):
    """Vectors under stable row ids, searched for the nearest.

    Engines are made by ``Engine(dim, metric="l2", *, seed=0, **parameters)``. An argument that cannot be
    used raises :class:`~archindex.core.errors.ArgumentError` and leaves the index as it was.
    """

    @abstractmethod
    def build(self, vectors: npt.ArrayLike, ids: npt.ArrayLike) -> None:
        """Hold exactly these rows; what was there before is gone.

        Parameters
        ----------
        vectors : float32[n, dim]
            Finite; n may be 0.
        ids : int64[n]
            Distinct, at least 0, in any order.
        """

    @abstractmethod
    def add(self, vectors: npt.ArrayLike, ids: npt.ArrayLike) -> None:
        """Add rows float32[n, dim] under `ids` int64[n], none of which may be there already."""

    @abstractmethod
    def remove(self, ids: npt.ArrayLike) -> int:
        """Remove the rows of `ids` int64[n] and return how many there were; unknown ids are passed over."""

    @abstractmethod
    def search(self, queries: npt.ArrayLike, k: int, allowed: npt.ArrayLike | None = None) -> SearchResult:
        """Return up to k nearest rows of each query.

        Parameters
        ----------
        queries : float32[m, dim]
            Finite; a single vector of shape (dim,) is one query.
        k : int
            At least 1; more than there are rows is legal.
        allowed : int64[a], optional
            Only these ids may be returned; unknown ones are passed over. None: all rows.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the index into `folder`, which is made if need be.

        Raises
        ------
        StorageError
            If the disk refuses.
        """

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        IndexMissingError
            If there is no such folder.
        CorruptIndexError
            If a file in it is missing, truncated or altered.
        IndexVersionError
            If it was written in a newer format.
        """

    @abstractmethod
    def memory_bytes(self) -> int:
        """Return the bytes of memory that searching takes: the engine's structures and the vectors it reads.

        Mapped files count like others where a search goes through them. Full vectors that stay in their file
        and are only looked up for a few candidates do not count.
        """

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this engine can do."""


@runtime_checkable
class Tunable(Protocol):
    """An approximate engine that finds more the harder it tries; what else it can do is `VectorIndex`.

    Attributes
    ----------
    efforts : tuple of int
        Efforts worth trying, rising.
    """

    efforts: ClassVar[tuple[int, ...]]

    @property
    def effort(self) -> int:
        """How hard a search tries; setting it holds for the searches that follow."""

    @effort.setter
    def effort(self, effort: int) -> None: ...

    def search(self, queries: npt.ArrayLike, k: int, allowed: npt.ArrayLike | None = None) -> SearchResult:
        """Return up to k nearest rows of each query; see `VectorIndex.search`."""


@runtime_checkable
class MemoryPlanned(Protocol):
    """An engine that says before it is built how much memory it will take."""

    def expected_memory(self, n: int) -> int:
        """Return what `VectorIndex.memory_bytes` will say of `n` rows, within 10 % if nothing else is said.

        It holds for an engine that was saved and loaded, as it is in an index. It does not know how many of
        the rows are equal, which saves some engines memory.
        """
