"""Indexes to harm: how they are built, and whether what is left of one is right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

import archindex as ax
from archindex.store import arrange
from archindex.store.names import read_names
from archindex.store.verify import verify
from benchmarks.faulting.answers import Asker, Tally
from benchmarks.faulting.ledger import COLUMNS, Ints, Operation, State, Universe, read_state

DATA: Final = ("nasbench201", "nasbench_graph")
WRITES: Final = ("add", "measure", "update", "drop", "remove")
QUERIES: Final = 12  # asked of an index that is checked


@contextmanager
def lists_from(rows: int) -> Iterator[None]:
    """Give indexes lists from so many rows on, for as long as the block runs."""
    with patch.object(arrange, "LISTED_ROWS", rows):
        yield


def build(path: Path, universe: Universe, rows: Ints, *, overwrite: bool = False) -> None:
    """Build an index of some rows."""
    ax.build(path, universe.tables(rows), engine="hnsw", overwrite=overwrite).close()


def draw(
    rng: np.random.Generator,
    state: State,
    kind: str,
    generation: int,
    most: int = 64,
    own: npt.NDArray[np.bool_] | None = None,
) -> Operation:
    """Draw an operation of a kind on at most `most` rows, of those that are one's `own` if that is given.

    ``add`` brings new rows (a quarter of them without a measurement), ``measure`` adds measurements of rows
    that are there or not, ``update`` of rows that are there, ``drop`` takes them away, ``remove`` takes rows
    out. A ``snapshot`` gets a name of its own. Any other kind changes no row.
    """
    if kind == "snapshot":
        return {"op": kind, "name": f"at-{generation}-{len(state.snapshots)}"}
    if kind not in ("add", "measure", "update", "drop", "remove"):
        return {"op": kind}
    rows = np.arange(len(state.ids)) if own is None else np.flatnonzero(own)
    there = state.ids[rows] >= 0
    n = int(rng.integers(1, most + 1))
    if kind == "add" and there.mean() > 0.9:
        kind = "remove"
    elif there.sum() < 2 * n:
        kind = "add"
    if kind in ("update", "drop", "remove"):
        rows = rng.choice(rows[there], size=n, replace=False)
        return {"op": kind, "rows": rows.tolist(), "generations": [generation] * len(rows)}
    pool = rows[~there] if kind == "add" else rows
    rows = rng.choice(pool, size=min(n, len(pool)), replace=False)
    generation = 0 if kind == "add" and rng.random() < 0.25 else generation
    return {"op": "add", "rows": rows.tolist(), "generations": [generation] * len(rows)}


def carry_out(universe: Universe, index: ax.Index, operation: Operation) -> Any:
    """Do an operation, and return what the index answers: row ids, or how many rows were removed."""
    kind = operation["op"]
    if kind == "publish":
        return index.publish().number
    if kind == "compact":
        return index.compact()
    if kind == "snapshot":
        return index.take_snapshot(operation["name"]).version
    addresses = universe.addresses(operation["rows"])
    if kind == "remove":
        return index.remove(addresses)
    if kind == "drop":
        return index.update(addresses, drop=COLUMNS).tolist()
    values = universe.values(operation["rows"], operation["generations"])
    if kind == "update":
        return index.update(addresses, values).tolist()
    return index.add(addresses, values if any(operation["generations"]) else None).tolist()


def is_right(operation: Operation, answer: Any, ids: list[int]) -> bool:
    """Return whether an index answered an operation as `State.apply` did."""
    if operation["op"] == "remove":
        return bool(answer == len(operation["rows"]))
    return "rows" not in operation or bool(answer == ids)


def check(
    universe: Universe, path: Path, legal: list[State], rng: np.random.Generator, tally: Tally
) -> State:
    """Read everything of an index, verify it, ask it, write to it, and read again; return its state.

    Parameters
    ----------
    universe : Universe
        All rows.
    path : Path
        The index.
    legal : list of State
        What it may hold.
    rng : Generator
        Of the queries and the write.
    tally : Tally
        What was asked.

    Raises
    ------
    AssertionError
        If something is wrong.
    ArchindexError
        If it cannot be opened or written to.
    """
    with ax.open(path) as index:
        seen, at = read_state(universe, index)
        names = set(read_names(path))
        alike = [state for state in legal if state.digest == seen.digest]
        expected = next((state for state in alike if set(state.snapshots) == names), None)
        if expected is None:
            assert not alike, f"lost: the snapshots are {sorted(names)}"
            lost = min(np.count_nonzero(state.ids != seen.ids) for state in legal)
            raise AssertionError(f"lost: {lost} rows and more are not as acknowledged")
        asker = Asker(universe, index, seen, at)
        for _ in range(QUERIES):
            asker.ask(rng, tally)
    for name, digest in expected.snapshots.items():
        with ax.open(path, version=name) as kept:
            assert read_state(universe, kept)[0].digest == digest, f"the snapshot {name} has changed"
    found = verify(path)
    assert found.ok, "; ".join(found.problems)
    state = expected.copy()
    operation = draw(rng, state, str(rng.choice(WRITES)), 1_000_000)
    told = state.apply(operation)
    with ax.open(path) as index:
        assert is_right(operation, carry_out(universe, index, operation), told), "a wrong answer"
    with ax.open(path) as index:
        seen, _ = read_state(universe, index)
    assert seen.digest == state.digest, "the write afterwards is not there as it should be"
    return state
