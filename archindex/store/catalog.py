"""The catalogue of an index version: architectures and measurements in one DuckDB file. It is the truth.

Attribute columns and engine files are derived from it and from the vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from archindex.core.disk import disk_errors
from archindex.core.errors import CorruptIndexError, StorageError
from archindex.core.metrics import MeasurementSpec, Series
from archindex.store.folder import verify_command
from archindex.store.rows import RowInfo, Rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SPEC_FIELDS: Final = tuple(f.name for f in fields(MeasurementSpec))

_TABLES: Final = """
CREATE TABLE architectures (row_id BIGINT, space VARCHAR NOT NULL, native VARCHAR NOT NULL,
                            arch_id VARCHAR NOT NULL);
CREATE TABLE series (series_id INTEGER, metric VARCHAR NOT NULL, context VARCHAR NOT NULL,
                     split VARCHAR NOT NULL, epochs INTEGER, seed INTEGER, aggregate VARCHAR NOT NULL,
                     device VARCHAR NOT NULL, provenance VARCHAR NOT NULL, source VARCHAR NOT NULL);
CREATE TABLE measurements (row_id BIGINT NOT NULL, series_id INTEGER NOT NULL, value DOUBLE NOT NULL);
"""


class Catalog:
    """Read access to a catalogue file.

    Parameters
    ----------
    path : Path
        The DuckDB file; it is opened read-only, with no access to any other file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: DuckDBPyConnection | None = None

    @contextmanager
    def _reading(self) -> Iterator[DuckDBPyConnection]:
        """Give the connection, opened when it is first needed; what DuckDB cannot read is damage."""
        import duckdb

        try:
            if self._opened is None:
                self._opened = duckdb.connect(
                    str(self._path), read_only=True, config={"enable_external_access": "false"}
                )
            yield self._opened
        except duckdb.Error as error:
            raise CorruptIndexError(
                "expected a catalogue",
                got=str(error),
                fix=verify_command(self._path.parents[2]),  # PATH/versions/000001/catalog.duckdb
            ) from None

    def close(self) -> None:
        """Let go of the file."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def find(self, natives: Sequence[str]) -> list[RowInfo]:
        """Return the rows with any of these native strings, one a space and string at most, by row id."""
        return self._rows("native IN (SELECT unnest(?::VARCHAR[]))", [list(natives)])

    def find_arch_id(self, prefix: str) -> list[RowInfo]:
        """Return the rows whose arch_id begins with `prefix`, by row id."""
        return self._rows("starts_with(arch_id, ?)", [prefix])

    def describe(self, ids: npt.NDArray[np.int64]) -> dict[int, RowInfo]:
        """Return what is known of the given row ids."""
        return {row.row_id: row for row in self._rows("row_id IN (SELECT unnest(?))", [ids.tolist()])}

    def all_rows(self) -> dict[str, npt.NDArray[Any]]:
        """Return all rows as arrays ``row_id``, ``space``, ``native``, ``arch_id``, by row id."""
        query = "SELECT row_id, space, native, arch_id FROM architectures ORDER BY row_id"
        with self._reading() as con:
            return {name: np.asarray(values) for name, values in con.execute(query).fetchnumpy().items()}

    def specs(self) -> list[MeasurementSpec]:
        """Return the spec of every series, in order of series id."""
        query = f"SELECT {', '.join(_SPEC_FIELDS)} FROM series ORDER BY series_id"
        with self._reading() as con:
            found = con.execute(query).fetchall()
        return [MeasurementSpec(**dict(zip(_SPEC_FIELDS, row, strict=True))) for row in found]

    def values(self, ids: npt.NDArray[np.int64]) -> dict[int, dict[MeasurementSpec, float]]:
        """Return all measurements of the given row ids."""
        specs = self.specs()
        found: dict[int, dict[MeasurementSpec, float]] = {int(i): {} for i in ids}
        query = (
            "SELECT row_id, series_id, value FROM measurements WHERE row_id IN (SELECT unnest(?)) "
            "ORDER BY series_id"
        )
        with self._reading() as con:
            rows = con.execute(query, [ids.tolist()]).fetchall()
        for row_id, series_id, value in rows:
            found[row_id][specs[series_id]] = value
        return found

    def series(self, ids: npt.NDArray[np.int64]) -> Iterator[Series]:
        """Yield every series over the given row ids (float64, NaN where missing), in order of series id."""
        order = np.argsort(ids)
        for series_id, spec in enumerate(self.specs()):
            query = "SELECT row_id, value FROM measurements WHERE series_id = ?"
            with self._reading() as con:
                found = con.execute(query, [series_id]).fetchnumpy()
            values = np.full(len(ids), np.nan)
            place = np.searchsorted(ids[order], found["row_id"])
            inside = place < len(ids)
            inside[inside] = ids[order][place[inside]] == found["row_id"][inside]
            values[order[place[inside]]] = found["value"][inside]
            yield Series(spec, values)

    def _rows(self, condition: str, values: list[Any]) -> list[RowInfo]:
        query = f"SELECT row_id, space, native, arch_id FROM architectures WHERE {condition} ORDER BY row_id"
        with self._reading() as con:
            return [RowInfo(*row) for row in con.execute(query, values).fetchall()]


def create_catalog(path: Path, rows: Rows, ids: npt.NDArray[np.int64]) -> None:
    """Write a new catalogue file.

    Raises
    ------
    StorageError
        If the disk refuses.
    """
    with _writing(path) as con:
        con.execute(_TABLES)
        _insert_rows(con, rows.spaces, rows.natives, rows.arch_ids, ids)
        for series_id, one in enumerate(rows.series):
            _insert_series(con, series_id, one.spec)
            batch = {"row_id": ids, "value": one.values}  # noqa: F841 - DuckDB reads it by its name
            con.execute(
                f"INSERT INTO measurements SELECT row_id, {series_id}, value FROM batch "
                "WHERE NOT isnan(value)"
            )


def amend_catalog(
    path: Path,
    added: Sequence[RowInfo],
    values: Mapping[int, Mapping[MeasurementSpec, float]],
    removed: Sequence[int],
) -> None:
    """Apply adds, new or changed measurements and removals to a catalogue file.

    Raises
    ------
    StorageError
        If the disk refuses.
    """
    known = Catalog(path)
    series_ids = {spec: i for i, spec in enumerate(known.specs())}
    known.close()
    with _writing(path) as con:
        con.execute("BEGIN")
        _insert_rows(
            con,
            [r.space for r in added],
            [r.native for r in added],
            [r.arch_id for r in added],
            np.array([r.row_id for r in added], dtype=np.int64),
        )
        triples: list[tuple[int, int, float]] = []
        for row_id, by_spec in values.items():
            for spec, value in by_spec.items():
                if spec not in series_ids:
                    series_ids[spec] = len(series_ids)
                    _insert_series(con, series_ids[spec], spec)
                triples.append((row_id, series_ids[spec], value))
        if triples:
            row, series, value_of = (np.array(column) for column in zip(*triples, strict=True))
            fresh = {"row_id": row, "series_id": series, "value": value_of}  # noqa: F841 - read by its name
            con.execute(
                "DELETE FROM measurements m USING fresh f "
                "WHERE m.row_id = f.row_id AND m.series_id = f.series_id"
            )
            # NaN: a measurement that was taken away. Its series stays.
            con.execute(
                "INSERT INTO measurements SELECT row_id, series_id, value FROM fresh WHERE NOT isnan(value)"
            )
        if removed:
            gone = {"row_id": np.array(sorted(removed), dtype=np.int64)}  # noqa: F841 - read by its name
            for table in ("measurements", "architectures"):
                con.execute(f"DELETE FROM {table} WHERE row_id IN (SELECT row_id FROM gone)")
        con.execute("COMMIT")


def rewrite_catalog(path: Path) -> None:
    """Write a catalogue file anew, without the room that removed rows left behind.

    Raises
    ------
    StorageError
        If the disk refuses.
    """
    beside = path.with_name("catalog.new")
    with _writing(beside) as con:
        old = str(path).replace("'", "''")
        con.execute(f"ATTACH '{old}' AS old (READ_ONLY)")
        con.execute(f"COPY FROM DATABASE old TO {beside.stem}")
        con.execute("DETACH old")
    with disk_errors("the catalogue"):
        beside.replace(path)


@contextmanager
def _writing(path: Path) -> Iterator[DuckDBPyConnection]:
    import duckdb

    try:
        with duckdb.connect(str(path)) as con:
            yield con
            con.execute("CHECKPOINT")
    except (duckdb.OperationalError, duckdb.FatalException) as error:  # fatal: a full disk at a checkpoint
        raise StorageError(
            "expected the disk to take the catalogue", got=str(error), fix="free some space and try again"
        ) from error


def _insert_rows(
    con: DuckDBPyConnection,
    spaces: Sequence[str],
    natives: Sequence[str],
    arch_ids: Sequence[str],
    ids: npt.NDArray[np.int64],
) -> None:
    if len(ids) == 0:
        return
    batch = {  # noqa: F841 - DuckDB reads it by its name
        "row_id": ids,
        "space": np.array(list(spaces), dtype=object),
        "native": np.array(list(natives), dtype=object),
        "arch_id": np.array([str(a) for a in arch_ids], dtype=object),
    }
    con.execute("INSERT INTO architectures SELECT row_id, space, native, arch_id FROM batch ORDER BY row_id")


def _insert_series(con: DuckDBPyConnection, series_id: int, spec: MeasurementSpec) -> None:
    values = asdict(spec)
    con.execute(
        f"INSERT INTO series VALUES ({', '.join('?' * (1 + len(_SPEC_FIELDS)))})",
        [series_id, *(values[name] for name in _SPEC_FIELDS)],
    )
