"""Graphs of an index, packed for `contains` in a ``where``, and the columns that it makes of motifs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArgumentError, CorruptIndexError
from archindex.queries.columns import Column
from archindex.queries.contains import contains
from archindex.queries.motif import Motif, is_motif, motif_of
from archindex.queries.structures import ARRAYS, Structures
from archindex.spaces.registry import space
from archindex.store.catalog import Catalog

MOTIF_FOLDER: Final = "motifs"

_MAPPED: Final = 1 << 16
"""Bytes of a file from which it is mapped into memory instead of read."""

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class MotifColumns(Mapping[str, Column]):
    """Columns, and one for each motif, which is made when it is asked for.

    Parameters
    ----------
    columns : mapping of str to Column
        The columns.
    found : callable
        Says of a motif which rows contain it.
    """

    def __init__(self, columns: Mapping[str, Column], found: Callable[[Motif], Bools]) -> None:
        self._columns, self._found = columns, found

    def __getitem__(self, name: str) -> Column:
        if is_motif(name):
            return Column("BOOLEAN", self._found(motif_of(name)), None, ())
        return self._columns[name]

    def __contains__(self, name: object) -> bool:
        return (isinstance(name, str) and is_motif(name)) or name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


@dataclass(frozen=True, eq=False)
class Part:
    """Graphs of some rows.

    Attributes
    ----------
    structures : Structures
        The graphs.
    ids : ndarray of int64, shape (n,)
        Their row ids, rising.
    """

    structures: Structures
    ids: Ints

    @classmethod
    def of(cls, spaces: Sequence[str], natives: Sequence[str], ids: Ints) -> Part:
        """Pack the graphs that the search spaces give for some rows."""
        names, found, rows = np.array(spaces, dtype=object), [], []
        for name in dict.fromkeys(spaces):
            own = np.flatnonzero(names == name)
            found.append(Structures.of(space(name).graphs([natives[int(i)] for i in own])))
            rows.append(own)
        if not found:
            return cls(Structures.concat([]), np.empty(0, dtype=np.int64))
        whole = found[0] if len(found) == 1 else Structures.concat(found)
        return cls(whole, np.asarray(ids)[np.concatenate(rows)]).sorted()

    def sorted(self) -> Part:
        """Return the same by rising row id."""
        if (np.diff(self.ids) > 0).all():
            return self
        order = np.argsort(self.ids, kind="stable")
        return Part(self.structures.pick(order), self.ids[order])

    def keeping(self, ids: Ints) -> Part:
        """Return the rows of it that are among some ids."""
        kept = np.isin(self.ids, ids)
        return self if kept.all() else Part(self.structures.pick(np.flatnonzero(kept)), self.ids[kept])

    @classmethod
    def joined(cls, parts: Sequence[Part]) -> Part:
        """Put parts of different rows together."""
        held = [part for part in parts if len(part.ids)] or list(parts[:1])
        if len(held) == 1:
            return held[0].sorted()
        whole = Structures.concat([part.structures for part in held])
        return cls(whole, np.concatenate([part.ids for part in held])).sorted()


class Motifs:
    """What an index knows of motifs.

    Parameters
    ----------
    parts : sequence of Part
        The graphs of all rows, and it may be of some that are gone; each row in one part.
    ids : ndarray of int64, shape (n,)
        Row id at each position.

    Attributes
    ----------
    ops : set of str
        Names of the ops in them.
    """

    def __init__(self, parts: Sequence[Part], ids: Ints) -> None:
        self.parts = list(parts)
        known = np.concatenate([part.ids for part in parts])
        order = np.argsort(known, kind="stable")
        place = np.searchsorted(known, ids, sorter=order)
        if len(ids) and (not len(known) or (known[order[np.minimum(place, len(known) - 1)]] != ids).any()):
            raise CorruptIndexError("expected the graphs of all rows of the index", got="fewer")
        self._place = order[np.minimum(place, max(len(known) - 1, 0))] if len(ids) else ids[:0]
        self.ops = {name for part in parts for name in part.structures.ops}

    def found(self, motif: Motif) -> Bools:
        """Return for each position whether its row contains a motif.

        Raises
        ------
        UnknownNameError, FilterError
            As `archindex.queries.contains.contains`.
        """
        masks = [contains(part.structures, motif, self.ops) for part in self.parts]
        return np.concatenate(masks)[self._place]


def packed(catalog: Catalog) -> Part:
    """Pack the graphs of all rows of a catalogue."""
    rows = catalog.all_rows()
    return Part.of(rows["space"].tolist(), rows["native"].tolist(), rows["row_id"])


def packed_in(folder: Path) -> Part:
    """Pack the graphs of all rows of the catalogue of a version."""
    catalog = Catalog(folder / "catalog.duckdb")
    try:
        return packed(catalog)
    finally:
        catalog.close()


def write_motifs(folder: Path, part: Part) -> None:
    """Write the graphs of all rows of a version."""
    folder.mkdir()
    for name, array in {**part.structures.arrays(), "row_ids": part.ids}.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    (folder / "ops.json").write_text(json.dumps(list(part.structures.ops)))


def read_motifs(folder: Path) -> Part | None:
    """Read what `write_motifs` wrote; None if there is nothing, as in versions of before.

    Raises
    ------
    CorruptIndexError
        If it is damaged.
    """
    if not folder.exists():
        return None
    try:
        ops = json.loads((folder / "ops.json").read_bytes())
        arrays: dict[str, npt.NDArray[Any]] = {
            name: _array(folder / f"{name}.npy") for name in (*ARRAYS, "row_ids")
        }
        part = Part(Structures.of_arrays(ops, arrays), arrays["row_ids"])
        whole = len(part.ids) == len(part.structures) and bool((np.diff(part.ids) > 0).all())
    except (ArgumentError, OSError, ValueError, EOFError, TypeError, IndexError):
        whole = False
    if not whole:
        raise CorruptIndexError("expected packed graphs as they were written", got=str(folder))
    return part


def _array(file: Path) -> npt.NDArray[Any]:
    # What is small is read: an array without entries cannot be mapped.
    mode: Literal["r"] | None = "r" if file.stat().st_size > _MAPPED else None
    return np.asarray(np.load(file, mmap_mode=mode, allow_pickle=False))
