"""What an index has to hold, kept outside of it: a ledger of operations, and the rows that they imply.

All that a row says follows from its number in the universe and how often it was measured (its generation):
the native string, the vector, the graph sizes and both measurements. So whoever reads an index can tell by
itself whether a row is right, and the whole state of an index is two arrays.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import archindex as ax
from archindex.core.canonical import graph_sizes
from archindex.core.metrics import MeasurementSpec, Series
from archindex.datasets import Table, load
from archindex.encoders import make_encoder
from archindex.spaces.registry import space

ENERGY: Final = MeasurementSpec("energy", "pi5", source="ledger")
LATENCY: Final = MeasurementSpec("latency", "pi5", source="ledger")
COLUMNS: Final = (ENERGY.column, LATENCY.column)
STEP: Final = 1000  # energy = STEP * generation + a number of the row below STEP; latency is half of it
VECTOR_ATOL: Final = 1e-4  # encodings of one graph differ in their last bits from batch to batch

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Operation = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Universe:
    """Every row that an index may hold, in a fixed random order.

    Attributes
    ----------
    spaces, natives : tuple of str, length n
        The architectures.
    vectors : ndarray of float32, shape (n, dim)
        Their embeddings by the `universal` encoder.
    sizes : dict from str to ndarray of int64, shape (n,)
        ``n_ops`` and ``depth``.
    place : dict from str to int
        Number of each native string.
    """

    spaces: tuple[str, ...]
    natives: tuple[str, ...]
    vectors: npt.NDArray[np.float32]
    sizes: dict[str, Ints]
    place: dict[str, int]

    @classmethod
    def of(cls, names: Sequence[str], n: int | None = None, seed: int = 0) -> Universe:
        """Load some data sets and encode `n` of their architectures, drawn at random; None: all."""
        rows = [(table.space, native) for table in map(load, names) for native in table.natives]
        order = np.random.default_rng(seed).permutation(len(rows))[:n]
        spaces, natives = (tuple(part) for part in zip(*(rows[i] for i in order), strict=True))
        encoder = make_encoder("universal")
        vectors = np.empty((len(order), encoder.dim), dtype=np.float32)
        sizes = {name: np.empty(len(order), dtype=np.int64) for name in ("n_ops", "depth")}
        for name in dict.fromkeys(spaces):
            own = np.flatnonzero(np.array(spaces) == name)
            graphs = space(name).graphs([natives[i] for i in own])
            vectors[own] = encoder.encode(graphs)
            for size, values in graph_sizes(graphs).items():
                sizes[size][own] = values
        return cls(spaces, natives, vectors, sizes, {native: i for i, native in enumerate(natives)})

    def __len__(self) -> int:
        return len(self.natives)

    def energies(self, rows: Ints, generations: Ints) -> Floats:
        """Return what the energy column holds; generation 0 was never measured and is missing."""
        own = (rows * 7919) % STEP
        return np.where(generations > 0, STEP * generations + own, np.nan).astype(np.float64)

    def tables(self, rows: Ints) -> list[Table]:
        """Return some rows in generation 1, to build an index of; one table a space."""
        found = []
        for name in dict.fromkeys(self.spaces[i] for i in rows):
            own = np.array([i for i in rows if self.spaces[i] == name], dtype=np.int64)
            values = self.energies(own, np.ones(len(own), dtype=np.int64))
            series = (Series(ENERGY, values), Series(LATENCY, values / 2))
            found.append(Table(name, name, tuple(self.natives[i] for i in own), series))
        return found

    def addresses(self, rows: Sequence[int]) -> list[str]:
        """Return ``space:native`` of some rows."""
        return [f"{self.spaces[i]}:{self.natives[i]}" for i in rows]

    def values(self, rows: Sequence[int], generations: Sequence[int]) -> dict[str | MeasurementSpec, Floats]:
        """Return the measurements to add with some rows."""
        energies = self.energies(np.array(rows, dtype=np.int64), np.array(generations, dtype=np.int64))
        return {ENERGY: energies, LATENCY: energies / 2}


@dataclass(eq=False)
class State:
    """Row id (-1: not there) and generation of every row of a universe, shape (n,).

    `digest` is that of all rows; `snapshots` has those of the snapshots by name.
    """

    ids: Ints
    generations: Ints
    next_row_id: int = 0
    digest: int = 0
    snapshots: dict[str, int] = field(default_factory=dict)

    @classmethod
    def built(cls, universe: Universe, rows: Ints, first: int = 0) -> State:
        """Return the state after a build of these rows, in the order in which `Universe.tables` has them."""
        state = cls(np.full(len(universe), -1, dtype=np.int64), np.zeros(len(universe), dtype=np.int64))
        order = np.array([universe.place[n] for t in universe.tables(rows) for n in t.natives])
        state.ids[order] = first + np.arange(len(rows))
        state.generations[order] = 1
        state.next_row_id = first + len(rows)
        state.digest = state.digest_of(order)
        return state

    def copy(self) -> State:
        """Return a copy."""
        return replace(
            self, ids=self.ids.copy(), generations=self.generations.copy(), snapshots=dict(self.snapshots)
        )

    @property
    def rows(self) -> Ints:
        """Numbers of the rows that are there."""
        return np.flatnonzero(self.ids >= 0)

    def apply(self, operation: Operation) -> list[int]:
        """Apply an operation; return the row ids that it has to answer, if it answers any."""
        if operation["op"] == "snapshot":
            self.snapshots[operation["name"]] = self.digest
        if "rows" not in operation:
            return []
        rows = np.array(operation["rows"], dtype=np.int64)
        self.digest ^= self.digest_of(rows[self.ids[rows] >= 0])
        if operation["op"] == "remove":
            self.ids[rows] = -1
            self.generations[rows] = 0
            return []
        if operation["op"] == "drop":
            self.generations[rows] = 0
            self.digest ^= self.digest_of(rows)
            return [int(i) for i in self.ids[rows]]
        for row, generation in zip(operation["rows"], operation["generations"], strict=True):
            if self.ids[row] < 0:
                self.ids[row] = self.next_row_id
                self.next_row_id += 1
            self.generations[row] = generation or self.generations[row]
        self.digest ^= self.digest_of(rows)
        return [int(i) for i in self.ids[rows]]

    def digest_of(self, rows: Ints) -> int:
        """Return a checksum of some rows that are there; that of two sets of rows is the XOR of both."""
        return _mixed(rows, self.ids[rows], self.generations[rows])


def _mixed(rows: Ints, ids: Ints, generations: Ints) -> int:
    mixed = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for part in (ids, generations):
        mixed ^= part.astype(np.uint64) + np.uint64(0x517CC1B727220A95)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
    return int(np.bitwise_xor.reduce(mixed, initial=np.uint64(0)))


def read_state(universe: Universe, index: ax.Index) -> tuple[State, Ints]:
    """Read everything that an index shows, and the number of the row at each position.

    Raises
    ------
    AssertionError
        If a row is wrong in itself: its vector, its sizes, or measurements that do not belong together.
    """
    snapshot = index.snapshot
    rows = snapshot.all_rows()
    at = np.array([universe.place[native] for native in rows["native"].tolist()], dtype=np.int64)
    assert len(np.unique(at)) == len(at) == len(np.unique(snapshot.ids)), "a row is there twice"
    assert np.array_equal(rows["row_id"], snapshot.ids), "catalogue and row ids differ"
    assert rows["space"].tolist() == [universe.spaces[i] for i in at], "a row is in another space"
    away = np.abs(np.asarray(snapshot.vectors) - universe.vectors[at]).max(initial=0)
    assert away <= VECTOR_ATOL, f"a vector is off by {away}"
    for name, sizes in universe.sizes.items():
        assert np.array_equal(snapshot.columns[name].values, sizes[at]), f"column {name} is wrong"
    missing = np.full(len(at), np.nan)
    shown = [
        np.asarray(snapshot.columns[name].values, dtype=np.float64) if name in snapshot.schema else missing
        for name in COLUMNS
    ]
    generations = np.where(np.isnan(shown[0]), 0, np.nan_to_num(shown[0]) // STEP).astype(np.int64)
    energies = universe.energies(at, generations)
    assert np.array_equal(shown[0], energies, equal_nan=True), "an energy is not one of its row"
    assert np.array_equal(shown[1], energies / 2, equal_nan=True), "half of a write is there"
    state = State(
        np.full(len(universe), -1, dtype=np.int64),
        np.zeros(len(universe), dtype=np.int64),
        snapshot.next_row_id,
    )
    state.ids[at], state.generations[at] = snapshot.ids, generations
    state.digest = state.digest_of(at)
    return state, at


class Ledger:
    """A file of operations: each is told before it starts, and once more when it was acknowledged.

    Parameters
    ----------
    path : Path
        The file; it is made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._rest = b""
        self.issued: list[Operation] = []
        self.answers: list[Any] = []

    def tell(self, said: object) -> None:
        """Append one line: an operation, or the answer to the one before."""
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, json.dumps(said).encode() + b"\n")
        finally:
            os.close(handle)

    def look(self) -> None:
        """Read what has been told since."""
        if not self._path.exists():
            return
        with self._path.open("rb") as source:
            source.seek(self._read)
            new = source.read()
        self._read += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            said = json.loads(line)
            if isinstance(said, dict):
                self.issued.append(said)
            else:
                self.answers.append(said)
