"""Retrieval: what users ask an index by similarity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from archindex.answers import nearest, row_ids
from archindex.core.checks import check_int, check_vectors
from archindex.core.deadline import time_limit
from archindex.hits import Hits, check_results, selected
from archindex.queries.relative import may_be_relative
from archindex.store.addresses import Address, Batch, Query
from archindex.store.snapshot import Snapshot
from archindex.view import View

if TYPE_CHECKING:
    from archindex.search.decode import Decoded
    from archindex.search.walk import Walk


class Retrieval(View):
    """A view of an index that is searched. `archindex.Index` is what users open."""

    @overload
    def query(
        self, like: Address, k: int = ..., where: str | None = ..., *,
        select: Sequence[str] | str | None = ..., recall: str | float = ..., strategy: str = ...,
        timeout: float | None = ...,
    ) -> Hits: ...  # fmt: skip

    @overload
    def query(
        self, like: Batch, k: int = ..., where: str | None = ..., *,
        select: Sequence[str] | str | None = ..., recall: str | float = ..., strategy: str = ...,
        timeout: float | None = ...,
    ) -> list[Hits]: ...  # fmt: skip

    @overload
    def query(
        self, like: list[float] | tuple[float, ...], k: int = ..., where: str | None = ..., *,
        select: Sequence[str] | str | None = ..., recall: str | float = ..., strategy: str = ...,
        timeout: float | None = ...,
    ) -> Hits: ...  # fmt: skip

    @overload
    def query(
        self, like: npt.NDArray[Any], k: int = ..., where: str | None = ..., *,
        select: Sequence[str] | str | None = ..., recall: str | float = ..., strategy: str = ...,
        timeout: float | None = ...,
    ) -> Hits | list[Hits]: ...  # fmt: skip

    def query(
        self,
        like: Query,
        k: int = 10,
        where: str | None = None,
        *,
        select: Sequence[str] | str | None = None,
        recall: str | float = "balanced",
        strategy: str = "auto",
        timeout: float | None = None,
    ) -> Hits | list[Hits]:
        """Return the architectures nearest to one or many.

        Parameters
        ----------
        like : str, int, Architecture, ndarray or a sequence of them
            Native string, ``space:native``, arch_id (6 digits do; of several rows the first counts), row id,
            architecture, or vector of shape (dim,). An array of shape (m, dim) is a batch, and so is a list
            of these; but a flat list of numbers is a vector, unless all are whole: these are row ids.
        k : int
            How many; fewer come back only where fewer rows satisfy `where`.
        where : str, optional
            Boolean SQL expression over the attribute columns, e.g. ``"cifar10_latency_ms < 14"``. Where
            `like` is a row of the index, ``query.NAME`` is its own value, as in
            ``"cifar10_latency_ms < 0.5 * query.cifar10_latency_ms"``.
        select : str or sequence of str, optional
            Attribute columns of the hits to read, in any case; None: all.
        recall : {"fast", "balanced", "high", "exact"} or float
            Share of the true nearest to be found, in the mean: .90, .95, .99, all with a proof, or a number.
        strategy : {"auto", "engine", "lists", "ids", "exact"}
            Way to force, of those that `archindex.queries.plan` describes.
        timeout : float, optional
            Seconds after which the search is given up.

        Returns
        -------
        Hits, or list of Hits for a batch

        Raises
        ------
        InputError
            If an argument cannot be used, or more than `archindex.hits.MOST_RESULTS` rows would come back;
            the message says what was expected.
        QueryTimeoutError
            If the time is over.
        """
        check_int("k", k, low=1)
        names = selected(select, self.schema)
        with time_limit(timeout):
            vectors, batched = self._addresses.query_vectors(like)
            check_results(k, len(vectors), len(self))
            if may_be_relative(where):
                rows = row_ids(self._addresses.asked(like))
                hits = nearest(
                    self._snapshot, vectors, rows, k, where, names, recall=recall, strategy=strategy
                )
            else:
                found, plan = self._snapshot.search(vectors, k, where, recall=recall, strategy=strategy)
                hits = Hits.of(self._snapshot, found, names, plan)
        return hits if batched else hits[0]

    def decode(self, vectors: npt.ArrayLike) -> list[Decoded]:
        """Return the valid architecture nearest to each vector that the index or its spaces can give.

        Parameters
        ----------
        vectors : array_like of float32, shape (n, dim) or (dim,)
            Points of the embedding space.

        Raises
        ------
        ArgumentError
            If the shape does not fit or an entry is not finite.
        """
        from archindex.search.decode import decode

        return decode(self._snapshot, check_vectors("vectors", vectors, dim=self.info.dim))

    def interpolate(self, a: Address, b: Address, steps: int = 5) -> list[Decoded]:
        """Decode `steps` points evenly spaced from `a` to `b`, both included.

        Raises
        ------
        InputError
            If `steps` is less than 2, or an architecture cannot be found.
        """
        check_int("steps", steps, low=2, high=1_000_000)
        ends = self._addresses.vectors([a, b])
        share = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
        return self.decode(ends[0] * (1 - share) + ends[1] * share)

    def walk(
        self,
        objective: str,
        where: str | None = None,
        seed: int = 0,
        *,
        maximize: bool | None = None,
    ) -> Walk:
        """Start a search around the best of what it is told; see `archindex.search.walk.Walk`.

        Parameters
        ----------
        objective : str
            Attribute column, or any name; whoever calls `tell` is the oracle.
        where : str, optional
            Constraint that every asked architecture satisfies.
        seed : int
            The same seed gives the same walk.
        maximize : bool, optional
            Which way is better; None: as the metric of the column says.
        """
        from archindex.search.pool import Pool
        from archindex.search.walk import Walk

        # A view of its own, which stays while this index is written to and refreshed.
        return Walk(Pool(Snapshot(self.path, self._version), where), objective, seed=seed, maximize=maximize)
