"""Read and write Parquet through DuckDB, which may touch that one file and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from archindex.core.errors import StorageError, TableError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def column_types(path: Path) -> dict[str, str]:
    """Return the columns of a Parquet file with their SQL types.

    Raises
    ------
    TableError
        If the file cannot be read as Parquet.
    """
    rows = _fetch(path, "DESCRIBE SELECT * FROM read_parquet($path)", "column_name", "column_type")
    return dict(zip(rows["column_name"].tolist(), rows["column_type"].tolist(), strict=True))


def read_parquet(path: Path, columns: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
    """Return columns of a Parquet file, in the order of its rows.

    Floating point numbers come with NaN where the file has none; other types come as masked arrays.

    Parameters
    ----------
    path : Path
        The file.
    columns : iterable of str
        Names of columns that it has.

    Raises
    ------
    TableError
        If the file cannot be read as Parquet, or lacks a column.
    """
    names = list(columns)
    picked = ", ".join(map(_identifier, names))
    fetched = _fetch(path, f"SELECT {picked} FROM read_parquet($path)", *names)
    return {name: _filled(values) for name, values in fetched.items()}


def write_parquet(path: Path, columns: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write columns to a new Parquet file; NaN becomes NULL.

    Raises
    ------
    StorageError
        If the disk refuses.
    """
    import duckdb

    picked = ", ".join(
        f"nullif({name}, 'nan'::DOUBLE) AS {name}" if kind == "f" else name
        for name, kind in ((_identifier(name), values.dtype.kind) for name, values in columns.items())
    )
    with closing(_connection(path)) as connection:
        connection.register("source", dict(columns))
        try:
            connection.execute(
                f"COPY (SELECT {picked} FROM source) TO '{_quoted(path)}' (FORMAT parquet, COMPRESSION zstd)"
            )
        except duckdb.Error as error:
            raise StorageError(f"expected to write {path}", got=_first_line(error)) from error


def _fetch(path: Path, query: str, *names: str) -> dict[str, npt.NDArray[Any]]:
    import duckdb

    with closing(_connection(path)) as connection:
        try:
            fetched = connection.execute(query, {"path": str(path)}).fetchnumpy()
        except duckdb.Error as error:
            raise TableError(
                f"expected a readable Parquet file at {path}",
                got=_first_line(error),
                fix="the file is missing, damaged or of another format",
            ) from error
    return {name: fetched[name] for name in names}


def _connection(path: Path) -> DuckDBPyConnection:
    """Return a database in memory that may read and write `path` only and fetches no extension."""
    import duckdb

    connection = duckdb.connect(
        ":memory:", config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    )
    # Without this, rows of a large file come in the order in which threads finish them.
    connection.execute("SET preserve_insertion_order = true")
    connection.execute(f"SET allowed_paths = ['{_quoted(path)}']")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _filled(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if values.dtype.kind == "f":
        floats: npt.NDArray[np.float64] = np.ma.filled(values.astype(np.float64), np.nan)
        return floats
    return values


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
