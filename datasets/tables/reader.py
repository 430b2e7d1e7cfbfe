"""The one reader of the tables of ``ARCHINDEX_DATA``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArchitectureError, ArgumentError, DataUnavailableError, TableError
from archindex.core.metrics import MeasurementSpec, Series, check_range
from archindex.datasets.folder import data_files
from archindex.datasets.known import DatasetSpec
from archindex.datasets.mapping import parse_target
from archindex.datasets.parquet import column_types, read_parquet
from archindex.datasets.table import Table
from archindex.spaces.registry import space as space_named

Rows = Mapping[str, npt.NDArray[Any]]
"""Columns of a file by name, all of the same length."""

Repeats = Literal["once", "seeds", "same", "last"]


@dataclass(frozen=True)
class Column:
    """What a column of a file measures.

    Attributes
    ----------
    name : str
        Column of the file.
    measure : str
        What it holds, in the short form of `archindex.datasets.mapping`: ``"cifar10:valid:acc@fraction"``.
    where : mapping from str to collection
        Rows that it is taken from: those whose value in each of these columns is one of the collection.
    repeats : {"once", "seeds", "same", "last"}
        What several rows of one architecture are: not allowed; training seeds, numbered in the order of the
        rows; the same value again, which is checked; or later values that stand for earlier ones.
    epochs : int or None
        Training epochs behind the values.
    aggregate : str
        How several values became one.
    device : str
        Hardware.
    source : str
        Who published it; the table's source where it is empty.
    """

    name: str
    measure: str
    where: Mapping[str, Collection[object]] = field(default_factory=dict)
    repeats: Repeats = "once"
    epochs: int | None = None
    aggregate: str = ""
    device: str = ""
    source: str = ""

    def spec(self, source: str) -> MeasurementSpec:
        """Return the measurement; `source` is the table's."""
        return replace(
            parse_target(self.measure, self.source or source).spec,
            epochs=self.epochs,
            aggregate=self.aggregate,
            device=self.device,
        )

    @property
    def factor(self) -> float:
        """What values are multiplied with to be in the metric's unit."""
        return parse_target(self.measure).factor


def specs_of(columns: Iterable[Column], source: str) -> tuple[MeasurementSpec, ...]:
    """Return what the columns measure; `source` is the table's."""
    return tuple(column.spec(source) for column in columns)


def read_table(
    spec: DatasetSpec,
    columns: Iterable[Column],
    native: str | Callable[[Rows], Sequence[str]],
    source: str,
    *,
    chosen: Callable[[Rows], npt.NDArray[np.int64]] | None = None,
) -> Table:
    """Return a data set that is one file of ``ARCHINDEX_DATA``.

    Rows of the table are in the order in which the file names the architectures first.

    Parameters
    ----------
    spec : DatasetSpec
        The data set; its one file is read.
    columns : iterable of Column
        What is taken from it.
    native : str or callable
        Column of the native strings, or what makes them from the rows of the file.
    source : str
        Who published the values.
    chosen : callable, optional
        Returns the numbers of the rows that count, in the order in which they shall be read; all if None.

    Raises
    ------
    DataUnavailableError
        If the file is not there, is damaged or lacks a column.
    TableError
        If rows name no architecture, or values cannot be what they should be; the message names the first.
    """
    rows = raw_rows(spec)
    try:
        if chosen is not None:
            at = chosen(rows)
            rows = {name: values[at] for name, values in rows.items()}
        texts = rows[native].tolist() if isinstance(native, str) else native(rows)
        natives, row_of = grouped(canonical(spec.space, texts))
        series = [one for column in columns for one in _series(column, rows, row_of, len(natives), source)]
    except KeyError as error:
        raise DataUnavailableError(
            f"expected a column {error} in {spec.tables[0]}", got=sorted(rows), fix=spec.remedy
        ) from error
    return spec.table(natives, series)


def raw_rows(spec: DatasetSpec) -> Rows:
    """Return all columns of a data set's one file in ``ARCHINDEX_DATA``, as they are.

    Raises
    ------
    DataUnavailableError
        If the file is not there or is damaged.
    """
    [path] = data_files(spec)
    try:
        return read_parquet(path, column_types(path))
    except TableError as error:
        raise DataUnavailableError(f"expected the table {path.name}", got=error, fix=spec.remedy) from error


def canonical(space: str, texts: Iterable[str]) -> list[str]:
    """Return native strings in the form that the space writes.

    Raises
    ------
    TableError
        If some are no architectures: how many, and the first with its row, counted from 1.
    """
    parse = space_named(space).parse
    natives: list[str] = []
    wrong: list[tuple[int, str, ArchitectureError]] = []
    total = 0
    for total, text in enumerate(texts, start=1):
        try:
            natives.append(parse(text).native)
        except ArchitectureError as error:
            wrong.append((total, text, error))
    if wrong:
        row, text, first = wrong[0]
        raise TableError(
            f"expected an architecture of {space} in each of {total} rows, {len(wrong)} hold none; "
            f"the first is row {row}: {first.expected}",
            got=text,
            fix=first.fix,
        )
    return natives


def picked(name: str, value: object) -> Callable[[Rows], npt.NDArray[np.int64]]:
    """Return what chooses the rows whose column `name` is `value`."""
    return lambda rows: np.flatnonzero(rows[name] == value)


def largest_input(rows: Rows, model: str) -> npt.NDArray[np.int64]:
    """Return the rows of each model's largest image size.

    A network at another input size is another network: of the sizes at which timm lists a model the largest
    is its test size, and the one that nearly all of its tables have.
    """
    _, own = np.unique(rows[model].astype(str), return_inverse=True)
    largest = np.zeros(own.max(initial=0) + 1, dtype=np.int64)
    np.maximum.at(largest, own, rows["img_size"].astype(np.int64))
    return np.flatnonzero(rows["img_size"] == largest[own])


def grouped(natives: Sequence[str]) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Return the distinct natives in order of appearance, and the position of each row's own among them."""
    place: dict[str, int] = {}
    row_of = np.array([place.setdefault(native, len(place)) for native in natives], dtype=np.int64)
    return tuple(place), row_of


def _series(
    column: Column, rows: Rows, row_of: npt.NDArray[np.int64], n: int, source: str
) -> Iterable[Series]:
    """Yield the series of one column: one, or one for each seed."""
    spec = column.spec(source)
    taken = np.ones(len(row_of), dtype=np.bool_)
    for name, allowed in column.where.items():
        taken &= np.fromiter((v in allowed for v in rows[name].tolist()), np.bool_, len(row_of))
    values = np.asarray(rows[column.name][taken], dtype=np.float64) * column.factor
    at, turn = row_of[taken], _turns(row_of[taken])
    runs = np.full((int(turn.max(initial=0)) + 1, n), np.nan)
    runs[turn, at] = values
    if column.repeats == "seeds":
        made = [Series(replace(spec, seed=seed), run.copy()) for seed, run in enumerate(runs)]
    else:
        made = [Series(spec, _one(column, runs))]
    for one in made:
        try:
            check_range(one)
        except ArgumentError as error:
            raise TableError(f"column {column.name}: {error}") from error
    yield from made


def _turns(row_of: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return for each row how many rows of its architecture come before it."""
    order = np.argsort(row_of, kind="stable")
    ordered = row_of[order]
    first = np.searchsorted(ordered, ordered)
    turns = np.empty(len(row_of), dtype=np.int64)
    turns[order] = np.arange(len(row_of)) - first
    return turns


def _one(column: Column, runs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return one value an architecture from those of all its rows; shape (n,) from (rows, n)."""
    value: npt.NDArray[np.float64] = runs[0].copy()
    for later in runs[1:]:
        again = ~np.isnan(later)
        if column.repeats == "once" and (again & ~np.isnan(value)).any():
            raise TableError(f"column {column.name}: expected one value an architecture ({column.measure})")
        if column.repeats == "same" and (again & ~np.isnan(value) & (later != value)).any():
            raise TableError(
                f"column {column.name}: expected the same value in all rows of an architecture",
                got=float(later[again & ~np.isnan(value) & (later != value)][0]),
            )
        value = np.where(again, later, value)
    return value
