"""A user's own table of architectures and measurements, from CSV, TSV or Parquet."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.core.errors import ArchitectureError, ArgumentError, TableError, UnknownNameError
from archindex.core.metrics import METRICS, Series
from archindex.datasets.mapping import Target, parse_target
from archindex.datasets.parquet import column_types, read_parquet
from archindex.datasets.table import Table
from archindex.spaces.registry import space as space_named

DELIMITERS: Final = {".csv": ",", ".tsv": "\t"}


def import_table(
    path: str | Path,
    space: str,
    mapping: Mapping[str, str],
    *,
    arch_column: str,
    name: str | None = None,
    licence: str = "",
    citation: str = "",
    description: str = "",
    bare: bool = False,
) -> Table:
    """Return a user's file of architectures and measurements as a table.

    Every row is checked, and all of the file or nothing is taken. An empty value, or NaN, is missing. Row
    numbers in messages count data rows from 1.

    Parameters
    ----------
    path : str or Path
        A ``.csv`` or ``.tsv`` file in UTF-8 with a header line, or a ``.parquet`` file.
    space : str
        Search space of the architectures.
    mapping : mapping from str to str
        What each column holds, in the short form of `archindex.datasets.mapping`, e.g.
        ``{"acc": "cifar10:valid:acc", "lat": "jetson:latency@s"}``; columns that are not named are left out.
    arch_column : str
        Column of the native strings.
    name : str, optional
        Name of the table; the file's stem by default.
    licence, citation, description : str
        Kept with the table.
    bare : bool
        Whether a table without any measurement will do.

    Raises
    ------
    UnknownNameError
        If the space or a column does not exist, or a mapping names an unknown metric, split or unit.
    ArgumentError
        If a mapping is malformed, or two columns are mapped to one measurement.
    TableError
        If the file or a row of it cannot be used; the message names the row, what was expected and what
        came.
    """
    path = Path(path)
    parse = space_named(space).parse
    if not mapping and not bare:
        raise ArgumentError(
            "expected at least one column with what it holds", fix="for example acc=cifar10:valid:acc"
        )
    targets = _targets(mapping, path.name)
    columns = _read(path, [arch_column, *targets])
    natives: list[str] = []
    first_row: dict[str, int] = {}
    for row, text in enumerate(columns[arch_column], start=1):
        try:
            native = parse(text).native
        except ArchitectureError as error:
            raise TableError(
                f"row {row}, column {arch_column}: {error.expected}", got=text, fix=error.fix
            ) from error
        if first_row.setdefault(native, row) != row:
            raise TableError(
                f"row {row}, column {arch_column}: expected every architecture once",
                got=native,
                fix=f"row {first_row[native]} has it already: keep one of the two",
            )
        natives.append(native)
    if not natives:
        raise TableError(f"expected at least one row in {path}", got="a table without rows")
    return Table(
        name=name or path.stem,
        space=space,
        natives=tuple(natives),
        series=tuple(
            Series(target.spec, _numbers(column, columns[column], target))
            for column, target in targets.items()
        ),
        licence=licence,
        citation=citation,
        homepage="",
        description=description or f"imported from {path.name}",
    )


def _targets(mapping: Mapping[str, str], source: str) -> dict[str, Target]:
    targets = {column: parse_target(text, source) for column, text in mapping.items()}
    seen: dict[tuple[str, int | None], str] = {}
    for column, target in targets.items():
        key = (target.spec.column, target.spec.seed)
        # A column without a seed would be averaged with those of the seeds.
        clash = seen.get(key) or seen.get((target.spec.column, None))
        if clash or (target.spec.seed is None and any(c == target.spec.column for c, _ in seen)):
            raise ArgumentError(
                f"expected one column for each measurement {target.spec.column}",
                got=[clash or "one with a seed", column],
                fix="drop one, or number the training seeds: #0, #1, ...",
            )
        seen[key] = column
    return targets


def _read(path: Path, names: Sequence[str]) -> dict[str, Sequence[Any]]:
    """Return the named columns of the file: text, numbers, or None where a value is missing."""
    if not path.is_file():
        raise TableError("expected a .csv, .tsv or .parquet file", got=str(path), fix="look at the path")
    kind = path.suffix.lower()
    if kind in DELIMITERS:
        return _read_csv(path, DELIMITERS[kind], names)
    if kind == ".parquet":
        types = column_types(path)
        _check_columns(path, names, list(types))
        return {name: values.tolist() for name, values in read_parquet(path, names).items()}
    raise TableError(
        "expected a .csv, .tsv or .parquet file", got=path.name, fix="save the table in one of these formats"
    )


def _read_csv(path: Path, delimiter: str, names: Sequence[str]) -> dict[str, Sequence[Any]]:
    # Not through DuckDB: its reader guesses the dialect, and skips rows from the top until the rest fits.
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, delimiter=delimiter, strict=True)
            header = next(lines, [])
            _check_columns(path, names, header)
            at = [header.index(name) for name in names]
            rows: list[list[str]] = []
            for fields in lines:
                if not fields:
                    continue
                if len(fields) != len(header):
                    raise TableError(
                        f"row {len(rows) + 1} (line {lines.line_num}): expected {len(header)} values",
                        got=len(fields),
                        fix="quote values that hold the delimiter",
                    )
                rows.append([fields[i] for i in at])
    except (csv.Error, UnicodeDecodeError) as error:
        raise TableError(
            f"expected {path.name} to be comma- or tab-separated text in UTF-8",
            got=str(error),
            fix=f"the trouble starts near line {lines.line_num + 1}",
        ) from error
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def _check_columns(path: Path, wanted: Sequence[str], there: Sequence[str]) -> None:
    for name in wanted:
        if name not in there:
            raise UnknownNameError.of(f"column of {path.name}", name, there)
        if there.count(name) > 1:
            raise TableError(f"expected one column {name} in {path.name}", got=f"{there.count(name)} of them")


def _numbers(column: str, values: Sequence[Any], target: Target) -> npt.NDArray[np.float64]:
    """Return the values in the metric's unit, NaN where they are missing."""
    low, high = METRICS[target.spec.metric].low, METRICS[target.spec.metric].high
    numbers = np.empty(len(values))
    for i, value in enumerate(values):
        number = _number(value)
        if number is None or not (math.isnan(number) or low <= number * target.factor <= high):
            bounds = f" from {low:g} to {high / target.factor:g}" if low == 0 else ""
            raise TableError(
                f"row {i + 1}, column {column}: expected a number{bounds} ({target.spec.metric})",
                got=value,
                fix="correct it, or leave it empty where it is missing",
            )
        numbers[i] = number * target.factor
    return numbers


def _number(value: Any) -> float | None:
    """Return the number, NaN for a missing value, None for what is no finite number."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return math.nan
    # Python reads 1_000 as a number; in a table it is more likely a slip.
    if isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isinf(number) else number
