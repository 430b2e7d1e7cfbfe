"""Is an answer right? Every hit and every count compared with the rows that the index is known to hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import archindex as ax
from archindex.hits import Hits
from archindex.indexes import DISTANCE_ATOL, DISTANCE_RTOL
from benchmarks.faulting.ledger import COLUMNS, STEP, Ints, State, Universe

Bools = npt.NDArray[np.bool_]
Columns = dict[str, npt.NDArray[Any]]

WAYS: Final = (
    ("exact", "auto"),
    ("balanced", "auto"),
    ("high", "auto"),
    ("balanced", "engine"),
    ("balanced", "lists"),
    ("exact", "lists"),
    ("balanced", "ids"),
    ("balanced", "exact"),
)
"""Recall and strategy of the queries."""


def draw_filter(rng: np.random.Generator) -> tuple[str | None, Callable[[Columns], Bools]]:
    """Draw a filter: as the index reads it, and as a function of the columns."""
    share = int(rng.integers(1, STEP))
    ops = int(rng.integers(2, 8))
    made: list[tuple[str | None, Callable[[Columns], Bools]]] = [
        (None, lambda c: np.ones(len(c["n_ops"]), dtype=bool)),
        (f"n_ops <= {ops}", lambda c: c["n_ops"] <= ops),
        (f"space = 'nasbench201' AND n_ops > {ops}", lambda c: c["own"] & (c["n_ops"] > ops)),
        (f"pi5_energy_mj < {STEP + share}", lambda c: c["energy"] < STEP + share),
        (f"pi5_latency_ms >= {STEP}", lambda c: c["energy"] / 2 >= STEP),
        ("pi5_energy_mj IS NULL", lambda c: np.isnan(c["energy"])),
        (
            f"pi5_energy_mj BETWEEN {STEP} AND {STEP + share // 8} OR depth < 2",
            lambda c: ((c["energy"] >= STEP) & (c["energy"] <= STEP + share // 8)) | (c["depth"] < 2),
        ),
        (
            f"NOT (space = 'nasbench201') AND pi5_latency_ms * 2 > {STEP + share} AND depth >= 3",
            lambda c: ~c["own"] & (c["energy"] > STEP + share) & (c["depth"] >= 3),
        ),
    ]
    return made[int(rng.integers(len(made)))]


@dataclass
class Tally:
    """What was asked and found, counted.

    Attributes
    ----------
    queries : Counter of str
        Queries by the strategy that ran.
    recalls : dict from str to list of float
        Share of the true nearest found, by what was asked for.
    """

    queries: Counter[str] = field(default_factory=Counter)
    recalls: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


class Asker:
    """Asks an index, and compares what it says with brute force over the rows that it has to hold.

    Parameters
    ----------
    universe : Universe
        All rows.
    index : Index
        The index.
    state : State
        What it has to hold.
    at : ndarray of int64, shape (n,)
        Number of the row at each position; see `read_state`, which has compared the vectors.
    """

    def __init__(self, universe: Universe, index: ax.Index, state: State, at: Ints) -> None:
        self._universe, self._index, self._state = universe, index, state
        self._rows: Ints = state.rows
        # As they are stored: the last bits of an encoding depend on its batch.
        self._vectors = np.asarray(index.snapshot.vectors)[np.argsort(at)].astype(np.float64)
        spaces = np.array(universe.spaces)[self._rows]
        self._columns: Columns = {name: sizes[self._rows] for name, sizes in universe.sizes.items()}
        self._columns["own"] = spaces == "nasbench201"
        self._columns["energy"] = universe.energies(self._rows, state.generations[self._rows])

    def ask(self, rng: np.random.Generator, tally: Tally) -> None:
        """Ask one random query.

        Raises
        ------
        AssertionError
            If the answer is wrong; a row missed by a search that proves nothing is counted, and not wrong.
        """
        where, function = draw_filter(rng)
        recall, strategy = WAYS[int(rng.integers(len(WAYS)))]
        if strategy == "lists" and self._index.snapshot.lists is None:
            strategy = "auto"
        k = int(rng.choice([1, 10, 40]))
        one = int(rng.integers(len(self._universe)))
        with np.errstate(invalid="ignore"):
            allowed = function(self._columns)
        point = self._universe.vectors[one] + rng.normal(0, 0.05, self._vectors.shape[1])
        point = point.astype(np.float32)
        like: Any = point
        if rng.random() < 0.3:
            like = self._universe.addresses([one])[0]
            place = int(np.searchsorted(self._rows, one))
            there = self._state.ids[one] >= 0
            point = self._vectors[place] if there else self._index.encode([like])[0]
        hits = self._index.query(like, k, where, recall=recall, strategy=strategy)
        asked = f"k={k} where={where} recall={recall} strategy={strategy}"
        share = self._check(hits, point, k, allowed, asked)
        tally.queries[hits.plan.strategy] += 1
        tally.recalls[f"{strategy} {recall}"].append(share)

    def _check(self, hits: Hits, point: npt.NDArray[Any], k: int, allowed: Bools, asked: str) -> float:
        """Compare one answer; return the share of the true nearest that it holds."""
        rows, universe, state = self._rows[allowed], self._universe, self._state
        distances = np.sqrt(((self._vectors[allowed] - point.astype(np.float64)) ** 2).sum(axis=1))
        nearest = np.sort(distances)[:k]
        assert len(hits) == len(nearest), f"{len(hits)} rows instead of {len(nearest)}: {asked}"
        found = np.array([universe.place[a.native] for a in hits.architectures], dtype=np.int64)
        assert len(np.unique(found)) == len(found), f"a row twice: {asked}"
        place = np.searchsorted(rows, found)
        fits = place < len(rows)
        fits[fits] = rows[place[fits]] == found[fits]
        assert fits.all(), f"a row that is not there or not let through: {asked}"
        assert np.array_equal(hits.ids, state.ids[found]), f"a row under another id: {asked}"
        shown = np.array(
            [np.nan if v is None else v for v in hits.attributes.get(COLUMNS[0], [np.nan] * len(hits))]
        )
        energies = universe.energies(found, state.generations[found])
        assert np.array_equal(shown, energies, equal_nan=True), f"a wrong attribute: {asked}"
        slack = DISTANCE_ATOL + DISTANCE_RTOL * nearest
        own = distances[place]
        assert (np.abs(hits.distances - own) <= DISTANCE_ATOL + DISTANCE_RTOL * own).all(), (
            f"a wrong distance: {asked}"
        )
        if hits.plan.proved:
            assert (np.abs(hits.distances - nearest) <= slack).all(), f"a proof of a wrong answer: {asked}"
        return float((own <= (nearest + slack)[-1]).mean()) if len(nearest) else 1.0
