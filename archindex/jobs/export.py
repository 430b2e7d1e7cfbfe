"""The export job: the rows of an index as a CSV or Parquet file that other programs read."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.core.disk import disk_errors
from archindex.core.errors import ArgumentError
from archindex.datasets.parquet import write_parquet
from archindex.store.snapshot import Snapshot

SUFFIXES: Final = (".csv", ".parquet")


def export_rows(
    snapshot: Snapshot, out: Path, *, where: str | None = None, vectors: bool = False, overwrite: bool = False
) -> tuple[list[str], int]:
    """Write rows of an index to a file, which appears complete or not at all.

    Columns are ``row_id``, ``space``, ``native``, ``arch_id``, then the attribute columns, then, if asked
    for, ``v0``, ``v1``, ... of the embedding. Missing values are empty (CSV) or NULL (Parquet).

    Parameters
    ----------
    snapshot : Snapshot
        The index.
    out : Path
        A ``.csv`` or ``.parquet`` file.
    where : str, optional
        Which rows; None: all.
    vectors : bool
        Whether to write the embeddings.
    overwrite : bool
        Whether a file at `out` may be replaced.

    Returns
    -------
    list of str, int
        Names of the columns, and number of rows.

    Raises
    ------
    ArgumentError
        If `out` is of another type, or there already.
    FilterError, UnknownNameError
        If `where` cannot be used.
    StorageError
        If the disk refuses.
    """
    if out.suffix not in SUFFIXES:
        raise ArgumentError(f"expected a file ending in {' or '.join(SUFFIXES)}", got=str(out))
    if out.exists() and not overwrite:
        raise ArgumentError("expected a new file", got=str(out), fix="add --overwrite, or give another file")
    columns = _columns(snapshot, where, vectors)
    beside = out.with_name(f".{out.name}.new{out.suffix}")
    try:
        with disk_errors(str(out)):
            if out.suffix == ".csv":
                _write_csv(beside, columns)
            else:
                write_parquet(beside, columns)
            beside.replace(out)
    finally:
        beside.unlink(missing_ok=True)
    return list(columns), len(columns["row_id"])


def _columns(snapshot: Snapshot, where: str | None, vectors: bool) -> dict[str, npt.NDArray[Any]]:
    allowed = snapshot.matching(where)
    places = np.arange(len(snapshot)) if allowed is None else snapshot.positions(allowed)
    rows = snapshot.all_rows()
    columns = {name: rows[name][places] for name in ("row_id", "space", "native", "arch_id")}
    for name in snapshot.schema:
        if name not in columns:
            column = snapshot.columns[name].take(places)
            texts = column.kind == "VARCHAR"
            columns[name] = np.array(column.to_list(), dtype=object) if texts else np.asarray(column.values)
    if vectors:
        embeddings = np.asarray(snapshot.vectors[places])
        columns.update({f"v{i}": np.ascontiguousarray(embeddings[:, i]) for i in range(embeddings.shape[1])})
    return columns


def _write_csv(path: Path, columns: dict[str, npt.NDArray[Any]]) -> None:
    texts = []
    for values in columns.values():
        items = values.tolist()
        texts.append(["" if x is None or x != x else x for x in items])
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*texts, strict=True))
