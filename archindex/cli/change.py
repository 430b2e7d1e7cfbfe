"""Commands that write to an index: add, update and remove."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from archindex.cli.command import IndexPath, command
from archindex.cli.data import parse_mapping
from archindex.cli.output import Document, Grid, Sink
from archindex.core.errors import ArgumentError, TableError

if TYPE_CHECKING:
    import numpy.typing as npt

    from archindex.api import Index
    from archindex.core.metrics import MeasurementSpec
    from archindex.datasets import Table

NOT_MEASURED: Final = frozenset({"row_id", "space", "native", "arch_id", "n_ops", "depth"})
"""Columns that ``export`` writes and that no measurement is taken from."""

NAMED_IN_NOTE: Final = 8
"""Columns that the note on those left out names."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the app."""
    command(app, "add")(add)
    command(app, "update")(update)
    command(app, "remove")(remove)


def add(
    sink: Sink,
    path: IndexPath,
    archs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARCH]...", help="Native strings or space:native.", show_default=False),
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=VALUES", help="One value for each ARCH, with commas between; may be given again."
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="CSV, TSV or Parquet file of architectures.")
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(metavar="S", help="Search space of FILE; that of the index if it has one only."),
    ] = None,
    arch_column: Annotated[
        str, typer.Option(metavar="NAME", help="Column of FILE with the native strings.")
    ] = "native",
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="COLUMN=MEASURE",
            help="What a column of FILE holds, as in 'data import'; without it, columns named like attribute "
            "columns are taken, and no others.",
        ),
    ] = None,
) -> None:
    """Add architectures, or measurements of known ones.

    What was acknowledged is safe on disk. An empty value is a missing one. An arch_id must fit one row.

    \b
    Examples:
      archindex add nb.index "|none~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|"
      archindex add nb.index 10af7d5a09 2651fe324d --measure pi5_latency_ms=7.5,8.1
      archindex add nb.index --from timed.csv
      archindex add nb.index --from timed.csv --arch-column cell --map lat=pi5:latency@s
    """
    from archindex.api import open_index

    if not archs and file is None:
        raise ArgumentError(
            "expected architectures or --from FILE", got="neither", fix="archindex add --help"
        )
    ids: list[int] = []
    columns: dict[str, None] = {}
    with open_index(path) as opened:
        before = len(opened)
        table = None if file is None else _read(opened, file, space, arch_column, mapping or [])
        values = _values(measure or [], len(archs or []))
        if archs:
            ids += opened.add(archs, values, source="command line").tolist()
            columns.update(dict.fromkeys(str(column) for column in values))
        if table is not None:
            from archindex.spaces.registry import space as space_named

            home = space_named(table.space)
            series: dict[str | MeasurementSpec, npt.ArrayLike] = {s.spec: s.values for s in table.series}
            ids += opened.add([home.parse(native) for native in table.natives], series).tolist()
            columns.update(dict.fromkeys(s.spec.column for s in table.series))
        new = len(opened) - before
    sink.emit(
        Document(
            kind="add",
            fields={"path": path, "row_ids": ids, "added": new},
            grid=Grid(("row_id",), [(i,) for i in ids]),
            quiet=[str(i) for i in ids],
            lead=[
                f"{new} architectures added, {len(ids) - new} were there already",
                *([f"measurements stored in {', '.join(columns)}"] if columns else []),
            ],
        )
    )


def update(
    sink: Sink,
    path: IndexPath,
    archs: Annotated[
        list[str],
        typer.Argument(
            metavar="ARCH...", help="Native strings, space:native or arch_ids.", show_default=False
        ),
    ],
    measure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=VALUES", help="One value for each ARCH, with commas between; may be given again."
        ),
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Take its measurements away first; may be given again."),
    ] = None,
) -> None:
    """Replace or take away measurements of architectures.

    Row ids stay. Architectures that are not in the index are refused. An empty value leaves what is there.

    \b
    Examples:
      archindex update nb.index 10af7d5a09 --measure pi5_latency_ms=7.4
      archindex update nb.index 10af7d5a09 --drop pi5_latency_ms
      archindex update nb.index 10af7d5a09 --drop cifar10_valid_acc --measure cifar10_valid_acc=91.2
    """
    from archindex.api import open_index

    if not measure and not drop:
        raise ArgumentError("expected --measure or --drop", got="neither", fix="archindex update --help")
    values = _values(measure or [], len(archs))
    with open_index(path) as opened:
        ids = opened.update(archs, values, drop=drop or [], source="command line").tolist()
    sink.emit(
        Document(
            kind="update",
            fields={
                "path": path,
                "row_ids": ids,
                "measured": [str(c) for c in values],
                "dropped": drop or [],
            },
            grid=Grid(("row_id",), [(i,) for i in ids]),
            quiet=[str(i) for i in ids],
        )
    )


def remove(
    sink: Sink,
    path: IndexPath,
    archs: Annotated[
        list[str],
        typer.Argument(
            metavar="ARCH...", help="Native strings, space:native or arch_ids.", show_default=False
        ),
    ],
) -> None:
    """Remove architectures.

    Those that are not in the index are passed over; an arch_id must fit one row.

    \b
    Examples:
      archindex remove nb.index "|none~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|"
    """
    from archindex.api import open_index

    with open_index(path) as opened:
        removed = opened.remove(archs)
        left = len(opened)
    sink.emit(
        Document(
            kind="remove",
            fields={"path": path, "asked": len(archs), "removed": removed, "left": left},
            grid=Grid(("asked", "removed", "left"), [(len(archs), removed, left)]),
            quiet=[str(removed)],
        )
    )


def _values(measures: list[str], n: int) -> dict[str | MeasurementSpec, npt.ArrayLike]:
    """Read ``column=value,value``: one value an architecture."""
    values: dict[str | MeasurementSpec, npt.ArrayLike] = {}
    for text in measures:
        column, equals, given = text.partition("=")
        try:
            numbers = [float(part) if part.strip() else float("nan") for part in given.split(",")]
        except ValueError:
            numbers = []
        if not equals or len(numbers) != n:
            raise ArgumentError(
                f"expected --measure as column=value with one number for each of {n} architectures",
                got=text,
                fix="for example --measure pi5_latency_ms=7.5",
            )
        if column in values:
            raise ArgumentError(
                "expected each --measure column once", got=column, fix="put commas between the values"
            )
        values[column] = numbers
    return values


def _read(opened: Index, file: Path, space: str | None, arch_column: str, mapping: list[str]) -> Table:
    from archindex.core.metrics import spec_of_column
    from archindex.datasets import import_table

    if space is None:
        if len(opened.spaces) != 1:
            raise ArgumentError(
                "expected --space for an index of several spaces",
                got=None,
                fix=f"one of {', '.join(opened.spaces)}",
            )
        space = opened.spaces[0]
    targets = parse_mapping(mapping)
    left_out = []
    if not targets:
        for column in _header(file):
            if column != arch_column and column not in NOT_MEASURED:
                try:
                    spec = spec_of_column(column)
                except ArgumentError:
                    left_out.append(column)
                    continue
                short = ":".join(part for part in (spec.context, spec.split, spec.metric) if part)
                targets[column] = f"{short}/{spec.provenance}"
    table = import_table(file, space, targets, arch_column=arch_column, bare=True)
    if left_out:
        more = ", ..." if len(left_out) > NAMED_IN_NOTE else ""
        typer.echo(
            f"archindex: left out of {file.name}, not named like attribute columns: "
            f"{', '.join(left_out[:NAMED_IN_NOTE])}{more}; --map says what a column holds",
            err=True,
        )
    return table


def _header(file: Path) -> list[str]:
    """Return the column names of a file; what is wrong with it the import itself will tell."""
    if file.suffix.lower() == ".parquet":
        from archindex.datasets.parquet import column_types

        return list(column_types(file))
    try:
        with file.open(encoding="utf-8-sig", newline="") as source:
            return next(csv.reader(source, delimiter="\t" if file.suffix.lower() == ".tsv" else ","), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"expected a readable table at {file}", got=str(error)) from error
