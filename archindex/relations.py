"""Relations: retrieval beyond nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from archindex.answers import Cover, Hops, Join, Within, filters_for, joined, nearest, row_ids
from archindex.core.checks import check_float, check_int
from archindex.core.deadline import time_limit
from archindex.core.errors import ArgumentError
from archindex.hits import Hits, check_results, selected
from archindex.retrieval import Retrieval
from archindex.spaces.base import Architecture
from archindex.store.addresses import Address, Query
from archindex.store.rows import RowInfo


class Relations(Retrieval):
    """A view of an index in which architectures are related: ranges, spread, cover, hops and joins."""

    def within(
        self,
        like: Address | npt.NDArray[Any],
        radius: float,
        where: str | None = None,
        *,
        limit: int = 1000,
        select: Sequence[str] | str | None = None,
        timeout: float | None = None,
    ) -> Within:
        """Return all architectures within a distance of one; bounds of the lists prove that it is all.

        Parameters
        ----------
        like : str, int, Architecture or ndarray of shape (dim,)
            As for `query`.
        radius : float
            Largest distance, in the index's metric.
        where : str, optional
            Filter, as for `query`.
        limit : int
            Most to return: the nearest, if there are more. The answer says how many there are.
        select : str or sequence of str, optional
            As for `query`.
        timeout : float, optional
            Seconds after which it is given up.

        Raises
        ------
        InputError
            If an argument cannot be used; the message says what was expected.
        QueryTimeoutError
            If the timeout has passed.
        """
        from archindex.queries.within import range_search

        with time_limit(timeout):
            names, (vector, row) = selected(select, self.schema), self._one(like)
            allowed = filters_for(self._snapshot, where, [row])[0][0]
            ranged = range_search(vector, radius, self._snapshot.searched, allowed, limit=limit)
            hits = Hits.of(self._snapshot, ranged.found, names, ranged.plan)[0]
            return Within(**vars(hits), radius=float(radius), total=int(ranged.totals[0]))

    def diverse(
        self,
        like: Address | npt.NDArray[Any],
        k: int = 10,
        where: str | None = None,
        *,
        diversity: float = 0.5,
        candidates: int | None = None,
        select: Sequence[str] | str | None = None,
        recall: str | float = "balanced",
        timeout: float | None = None,
    ) -> Hits:
        """Return architectures near one that are also unlike each other (maximal marginal relevance).

        Parameters
        ----------
        like, k, where, select, recall
            As for `query`, of one architecture or vector.
        diversity : float
            The trade-off. Each next hit has the largest ``diversity * (distance to the nearest hit before it)
            - (1 - diversity) * (distance to the query)``: 0 gives the nearest, 1 those farthest apart.
        candidates : int, optional
            How many of the nearest it chooses from; None: 20 times k, at least 200. More reach farther.
        timeout : float, optional
            Seconds after which it is given up.

        Returns
        -------
        Hits
            In the order of choice: the first is the nearest.

        Raises
        ------
        InputError
            If an argument cannot be used; the message says what was expected.
        QueryTimeoutError
            If the timeout has passed.

        References
        ----------
        Carbonell and Goldstein, "The Use of MMR", SIGIR 1998.
        """
        from archindex.queries.diverse import spread

        with time_limit(timeout):
            check_int("k", k, low=1)
            check_float("diversity", diversity, low=0.0, high=1.0)
            if candidates is not None:
                check_int("candidates", candidates, low=k)
            names, (vector, row) = selected(select, self.schema), self._one(like)
            width = max(20 * k, 200) if candidates is None else candidates
            near = nearest(self._snapshot, vector, [row], width, where, [], recall=recall)[0]
            vectors = self._snapshot.vectors_of(near.ids)
            chosen = spread(vectors, near.distances, near.ids, k, diversity, self.info.metric)
            return near.taken(self._snapshot, chosen, names)

    def cover(
        self,
        k: int = 10,
        where: str | None = None,
        *,
        select: Sequence[str] | str | None = None,
        seed: int = 0,
        timeout: float | None = None,
    ) -> Cover:
        """Return k architectures that stand for all, or for all that satisfy a filter.

        Parameters
        ----------
        k : int
            How many; fewer come back only where more would add nothing.
        where : str, optional
            Which rows are to be stood for, and chosen from.
        select : str or sequence of str, optional
            As for `query`.
        seed : int
            Of the sample on which they are chosen where there are many; `archindex.queries.diverse.cover`
            says how, and how good the choice is.
        timeout : float, optional
            Seconds after which it is given up.

        Raises
        ------
        InputError
            If an argument cannot be used, or no row satisfies the filter.
        QueryTimeoutError
            If the timeout has passed.
        """
        from archindex.queries.diverse import cover

        with time_limit(timeout):
            names = selected(select, self.schema)
            allowed = None if where is None else self._snapshot.filters.filter(where)
            places = np.arange(len(self)) if allowed is None else allowed.positions()
            if not len(places):
                raise ArgumentError("expected rows to stand for", got=f"none that satisfies {where!r}")
            covering = cover(
                self._snapshot.vectors[places], self._snapshot.ids[places], k, self.info.metric, seed=seed
            )
            return Cover.of(self._snapshot, places, covering, names)

    def hops(
        self,
        like: Address | npt.NDArray[Any],
        hops: int = 3,
        where: str | None = None,
        *,
        k: int = 8,
        limit: int = 1000,
        select: Sequence[str] | str | None = None,
        recall: str | float = "balanced",
        timeout: float | None = None,
    ) -> Hops:
        """Return what is reached from one in a few hops along nearest-neighbour edges, under a filter.

        Parameters
        ----------
        like : str, int, Architecture or ndarray of shape (dim,)
            Where to start, as for `query`; it need not satisfy the filter.
        hops : int
            Edges to follow at most.
        where : str, optional
            What every architecture on the way satisfies; ``query.NAME`` is a value of the start.
        k : int
            Edges of each: to its k nearest others that satisfy the filter.
        limit : int
            Most to reach; it bounds the work.
        select, recall
            As for `query`.
        timeout : float, optional
            Seconds after which it is given up.

        Returns
        -------
        Hops
            Each with the path that led to it, the shortest first.

        Raises
        ------
        InputError
            If an argument cannot be used; the message says what was expected.
        QueryTimeoutError
            If the timeout has passed.
        """
        from archindex.queries.hops import reach

        with time_limit(timeout):
            names, (vector, row) = selected(select, self.schema), self._one(like)
            snapshot, allowed = self._snapshot, filters_for(self._snapshot, where, [row])[0][0]
            reached = reach(
                vector[0], row, snapshot.vectors_of, snapshot.searched, allowed,
                hops=hops, k=k, limit=limit, recall=recall,
            )  # fmt: skip
            return Hops.of(snapshot, reached, names)

    def join(
        self,
        like: Query | None = None,
        k: int = 1,
        where: str | None = None,
        *,
        of: str | None = None,
        limit: int = 1000,
        select: Sequence[str] | str | None = None,
        recall: str | float = "balanced",
        timeout: float | None = None,
    ) -> Join:
        """Return for each of many the nearest others under a filter that may depend on it.

        ``index.join(of="cifar10_valid_acc > 91", where="cifar10_latency_ms < query.cifar10_latency_ms / 3")``
        looks for "like this one but three times cheaper" for each of the best.

        Parameters
        ----------
        like : batch, optional
            What to ask from, as for `query`; or give `of`.
        k : int
            How many for each.
        where : str, optional
            Filter over what is looked for; ``query.NAME`` in it is a value of the row asked from, NULL where
            it has none.
        of : str, optional
            Filter that says which rows to ask from, instead of `like`; by rising row id.
        limit : int
            Most rows to ask from; the answer says how many there were.
        select, recall
            As for `query`; the columns are those of both sides.
        timeout : float, optional
            Seconds after which it is given up.

        Raises
        ------
        InputError
            If an argument cannot be used; the message says what was expected.
        QueryTimeoutError
            If the timeout has passed.
        """
        with time_limit(timeout):
            check_int("k", k, low=1)
            check_int("limit", limit, low=1)
            names, snapshot = selected(select, self.schema), self._snapshot
            if (like is None) == (of is None):
                raise ArgumentError(
                    "expected either what to ask from or a filter `of` that says which rows do"
                )
            asked: Sequence[RowInfo | Architecture | None]
            if of is not None:
                matching = snapshot.matching(of)
                assert matching is not None
                ids = np.sort(matching)
                total, ids = len(ids), ids[:limit]
                vectors, asked = snapshot.vectors_of(ids), snapshot.describe(ids)
            else:
                assert like is not None
                vectors, asked = self._addresses.query_vectors(like)[0][:limit], self._addresses.asked(like)
                total, asked = len(asked), asked[:limit]
            check_results(k, len(vectors), len(self))
            hits = nearest(snapshot, vectors, row_ids(asked), k, where, names, recall=recall, others=True)
            return joined(snapshot, asked, hits, total, names)

    def _one(self, like: Address | npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], int | None]:
        """Return the vector of one query, shape (1, dim), and its row id if it is a row."""
        vectors, _ = self._addresses.query_vectors(like)
        if len(vectors) != 1:
            raise ArgumentError("expected one architecture or one vector", got=f"{len(vectors)} of them")
        return vectors, row_ids(self._addresses.asked(like))[0]
