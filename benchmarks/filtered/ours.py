"""The index under test over a set: lists, engine and what was learned, kept in the work folder."""

from __future__ import annotations

import hashlib
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import archindex.indexes
from archindex.indexes import ExactIndex, HnswIndex, VectorIndex
from archindex.indexes.calibrate import calibrate
from archindex.indexes.choose import choose_engine
from archindex.indexes.list_files import load_lists, save_lists
from archindex.indexes.lists import Lists
from archindex.indexes.probe import ListSearch
from archindex.indexes.registry import load_index, make_index
from archindex.queries import Filters, Found, Searched, filtered_search
from archindex.store.arrange import new_order
from benchmarks.filtered.cells import Conditions, text_of
from benchmarks.filtered.sets import Columns, Floats, Set
from benchmarks.filtered.work import kept

_LISTS: Final = "lists.npz"
_VERSION: Final = 1
"""Raised when lists or engine come out different."""

WAYS: Final[dict[str, dict[str, Any]]] = {
    **{f"planner {level}": {"recall": level} for level in ("fast", "balanced", "high", "exact")},
    "lists forced": {"strategy": "lists"},
    "ids forced": {"strategy": "ids"},
}
"""Arguments of `filtered_search` by the name that rows give them."""


class Ours:
    """Engine, lists where there are enough rows, and columns: what a version of an index holds.

    Parameters
    ----------
    vectors : float32[n, dim]
    columns : dict of str to Column
        Their attributes.
    made_of : dict
        What they are, for the key in the work folder.
    whole : bool
        Whether there are lists and HNSW however few the rows.

    Attributes
    ----------
    searched : Searched
        What the planner searches.
    columns : dict of str to Column
        Attributes in the order of the lists.
    starts : int64[n_lists + 1]
        Where the lists begin.
    engine : VectorIndex
    order : int64[n]
        Which row lies at each position.
    intrinsic_dimension : float
        Where there are lists.
    """

    def __init__(
        self, vectors: Floats, columns: Columns, made_of: dict[str, Any], *, whole: bool = False
    ) -> None:
        key: dict[str, Any] = {"what": f"{made_of['what']}-ours", "set": made_of, "version": _VERSION}

        def build(folder: Path) -> None:
            started = time.perf_counter()
            lists, order = Lists.of(vectors, "l2", seed=0) if whole else new_order(vectors, "l2", seed=0)
            took = time.perf_counter() - started
            arranged = np.ascontiguousarray(vectors[order])
            engine = HnswIndex(vectors.shape[1]) if whole else _engine_of(arranged)
            engine.build(arranged, order)
            np.save(folder / "order.npy", order)
            engine.save(folder / "engine")
            if lists is not None:
                parts = {part.name: getattr(lists, part.name) for part in fields(lists)}
                np.savez(folder / _LISTS, **parts)
            print(
                f"{key['what']}: lists in {took:.0f} s, all in {time.perf_counter() - started:.0f} s",
                flush=True,
            )

        folder = kept(key, build)
        order = np.load(folder / "order.npy")
        arranged = np.ascontiguousarray(vectors[order])
        arranged.flags.writeable = False
        engine = load_index(folder / "engine")
        exact = ExactIndex(vectors.shape[1])
        exact.build(arranged, order)
        self.engine = engine
        self.columns = {name: column.take(order) for name, column in columns.items()}
        self.searched = Searched(lambda: engine, lambda: exact, engine.capabilities.exact, order)
        self.starts = np.array([0, len(order)])
        self.order = order
        if not (folder / _LISTS).exists():
            return
        with np.load(folder / _LISTS) as stored:
            lists = Lists(
                **{part: stored[part] if stored[part].ndim else stored[part].item() for part in stored}
            )

        def learn(place: Path) -> None:
            save_lists(place, lists, calibrate(lists, arranged, order, engine))

        learned = load_lists(kept({**key, "what": f"{key['what']}-learned", "by": _library()}, learn))
        assert learned is not None
        self.intrinsic_dimension = learned[1].intrinsic_dimension
        self.starts = lists.starts
        search = ListSearch(lists, arranged, order, learned[1])
        self.searched = replace(self.searched, lists=search)

    @classmethod
    def over(cls, one: Set) -> Ours:
        """Return the index over a set."""
        return cls(one.vectors, one.columns, one.key, whole=True)

    def filters(self) -> Filters:
        """Return filters that have learned nothing yet."""
        return Filters(self.columns, self.starts)


class Way:
    """One way to search it, from the text of the filter to the rows, with filters of its own."""

    def __init__(self, name: str, ours: Ours) -> None:
        self.name, self._ours, self._filters = name, ours, ours.filters()
        self.taken = ""

    def prepare(self, conditions: Conditions) -> str | None:
        """Return the text of the filter."""
        return text_of(conditions)

    def search(self, query: Floats, k: int, where: str | None) -> npt.NDArray[np.floating]:
        """Return the distances of what was found."""
        allowed = None if where is None else self._filters.filter(where)
        found: Found
        found, plan = filtered_search(query, k, self._ours.searched, allowed, **WAYS[self.name])
        self.taken = plan.strategy
        return found.distances[0, : int(found.counts[0])]


def _engine_of(vectors: Floats) -> VectorIndex:
    """Return the engine that an index of these rows would have: HNSW, or exact where that is fast enough."""
    chosen = choose_engine(*vectors.shape)
    return make_index(chosen.name, vectors.shape[1], "l2", 0, **chosen.arguments)


def _library() -> str:
    """Return a digest of the sources that learning depends on: it is done anew when they change."""
    digest = hashlib.sha256()
    for path in sorted(Path(str(archindex.indexes.__file__)).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
