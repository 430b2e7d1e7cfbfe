"""Attribute columns on disk: one ``.npy`` a column, memory-mapped, and a small schema beside them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archindex.core.errors import CorruptIndexError
from archindex.core.metrics import Series, wide_columns
from archindex.queries.columns import Column, Kind
from archindex.store.files import map_array


class ColumnFolder(Mapping[str, Column]):
    """The columns of a version by name; a column is read when it is first asked for.

    Parameters
    ----------
    folder : Path
        What `write_columns` wrote.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            self._schema: dict[str, dict[str, Any]] = json.loads((folder / "schema.json").read_bytes())
        except (OSError, ValueError):
            raise CorruptIndexError("expected columns with a schema", got=str(folder)) from None
        self._read: dict[str, Column] = {}

    @property
    def schema(self) -> dict[str, Kind]:
        """Type of each column."""
        return {name: entry["kind"] for name, entry in self._schema.items()}

    def __getitem__(self, name: str) -> Column:
        if name not in self._read:
            entry = self._schema[name]
            values = map_array(self._folder / f"{name}.npy")
            self._read[name] = Column(entry["kind"], values, None, tuple(entry["categories"]))
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._schema)

    def __len__(self) -> int:
        return len(self._schema)


def derive_columns(
    spaces: Iterable[str], sizes: Mapping[str, npt.NDArray[np.int64]], series: Iterable[Series]
) -> dict[str, Column]:
    """Return the attribute columns of rows: ``space``, the graph sizes, and the wide view of measurements."""
    columns = {"space": Column.of("VARCHAR", spaces)}
    columns.update({name: Column.bigint(values) for name, values in sizes.items()})
    columns.update({name: Column.double(one.values) for name, one in wide_columns(series).items()})
    return columns


def write_columns(folder: Path, columns: Mapping[str, Column]) -> None:
    """Write columns into `folder`. None of them has NULLs other than NaN and a code of -1."""
    folder.mkdir()
    for name, column in columns.items():
        np.save(folder / f"{name}.npy", np.asarray(column.values), allow_pickle=False)
    schema = {name: {"kind": c.kind, "categories": list(c.categories)} for name, c in columns.items()}
    (folder / "schema.json").write_text(json.dumps(schema))
