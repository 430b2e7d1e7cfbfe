"""Commands on data sets: ``data ls``, ``show``, ``get`` and ``import``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from archindex.cli.command import command, new_app
from archindex.cli.output import Document, Grid, Sink
from archindex.cli.progress import progress
from archindex.core.errors import ArgumentError, UnknownNameError

if TYPE_CHECKING:
    from archindex.core.metrics import MeasurementSpec, Series
    from archindex.datasets import DatasetInfo
    from archindex.datasets.known import OfficialFile

app = new_app("List, show, fetch and import tables of measurements.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a data set.", show_default=False)]


@app.callback()
def _start() -> None:
    """List, show, fetch and import tables of measurements."""


def ls(sink: Sink) -> None:
    """List all data sets, yours too, and the search spaces.

    \b
    Examples:
      archindex data ls
    """
    from archindex.cli.space import what_of
    from archindex.datasets import dataset_names, info
    from archindex.spaces.registry import space, space_names

    known = [info(name) for name in dataset_names()]
    missing = sum(not about.available for about in known)
    spaces = [(name, space(name).size, what_of(space(name))) for name in space_names()]
    sink.emit(
        Document(
            kind="data-list",
            fields={
                "datasets": [_facts(about) for about in known],
                "spaces": [
                    {
                        "name": name,
                        "what": what,
                        "size": size,
                        "datasets": [about.name for about in known if about.space == name],
                    }
                    for name, size, what in spaces
                ],
            },
            grid=Grid(
                ("kind", "name", "space", "size", "here", "measures", "licence"),
                [
                    *(
                        ("data", one.name, one.space, str(one.rows), one.available, one.measures, one.licence)
                        for one in known
                    ),
                    *(
                        ("space", name, name, readable(size), True, what, "definition only")
                        for name, size, what in spaces
                    ),
                ],
                flexible="measures",
            ),
            quiet=[about.name for about in known],
            notes=[f"{missing} data sets are not here; how to have one: archindex data show NAME"]
            if missing
            else [],
        )
    )


def readable(size: int | None) -> str:
    """Write the size of a space: exactly up to nine digits, then as 1.1e18; "" where nobody knows."""
    if size is None:
        return ""
    if size < 10**9:
        return str(size)
    digits = str(size)
    # Not through a float: sizes go beyond its range.
    mantissa, exponent = round(int(digits[:4]) / 1000, 1), len(digits) - 1
    return f"{mantissa:.1f}e{exponent}" if mantissa < 10 else f"1.0e{exponent + 1}"


def show(sink: Sink, name: Name) -> None:
    """Show what a data set holds, its licence and citation.

    \b
    Examples:
      archindex data show nasbench201
    """
    from archindex.datasets import dataset_names, info, measurements, promised
    from archindex.spaces.registry import space_names

    if name in space_names() and name not in dataset_names():
        raise UnknownNameError(
            "expected the name of a data set",
            got=name,
            fix=f"it is a search space: type archindex space show {name}",
        )
    about = info(name)
    if about.available:
        columns = _described(measurements(name))
    else:
        columns = [_column(spec) | dict.fromkeys(SEEN) | {"coverage": ""} for spec in promised(name)]
    facts = _facts(about)
    width = max(map(len, facts))
    sink.emit(
        Document(
            kind="data",
            fields={**facts, "files": _files(about), "columns": columns},
            grid=Grid(
                tuple(SHOWN),
                # Columns differ in kind: each number gets digits of its own.
                [
                    tuple(f"{v:.5g}" if isinstance(v := column[key], float) else v for key in SHOWN)
                    for column in columns
                ],
                flexible="source",
            ),
            quiet=[column["name"] for column in columns],
            lead=[
                *(f"{key:<{width}}  {_yes(value)}" for key, value in facts.items() if value != ""),
                *(f"{'file':<{width}}  {_manifest(file)}" for file in about.files),
            ],
        )
    )


SHOWN: Final = (
    "name",
    "unit",
    "better",
    "provenance",
    "split",
    "seeds",
    "coverage",
    "min",
    "median",
    "max",
    "source",
)
"""What a table shows of a column; JSON has more."""

SEEN: Final = ("seeds", "values", "min", "median", "max")
"""What only the data themselves tell of a column."""


def _column(spec: MeasurementSpec) -> dict[str, Any]:
    """Return what there is to say about a column without its values."""
    from archindex.core.metrics import METRICS

    return {
        "name": spec.column,
        "unit": spec.unit or ("%" if METRICS[spec.metric].high == 100 else ""),
        "better": "higher" if spec.direction == "maximize" else "lower",
        "provenance": spec.provenance,
        "split": spec.split,
        "epochs": spec.epochs,
        "aggregate": spec.aggregate,
        "device": spec.device,
        "source": spec.source,
    }


def _described(series: Sequence[Series]) -> list[dict[str, Any]]:
    """Return what there is to say about each attribute column."""
    import numpy as np

    from archindex.core.metrics import wide_columns

    described = []
    for name, one in wide_columns(series).items():
        values = one.values[~np.isnan(one.values)]
        low, median, high = np.quantile(values, (0, 0.5, 1)).tolist() if len(values) else (None,) * 3
        described.append(
            {
                **_column(one.spec),
                "seeds": sum(s.spec.column == name and s.spec.seed is not None for s in series) or None,
                "values": len(values),
                "coverage": f"{len(values)}/{len(one.values)}",
                "min": low,
                "median": median,
                "max": high,
            }
        )
    return described


def get(
    sink: Sink,
    name: Name,
    from_file: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="Official file that you have, or a folder of them, instead of a download; again for others.",
        ),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Fetch nothing.")] = False,
) -> None:
    """Make sure that a data set is on this machine.

    \b
    Examples:
      archindex data get nasbench201
      archindex data get nasbench101 --from-file nasbench_only108.tfrecord
    """
    from archindex.datasets import get as get_dataset

    with progress(sink) as bar:
        about = get_dataset(name, from_files=from_file or (), offline=offline, progress=bar)
    sink.emit(
        Document(
            kind="data",
            fields={**_facts(about), "files": _files(about), "columns": []},
            grid=Grid(("name", "place"), [(about.name, about.place)]),
            quiet=[about.place],
        )
    )


def import_file(
    sink: Sink,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .csv, .tsv or .parquet file.", show_default=False)
    ],
    name: Annotated[str, typer.Option(metavar="N", help="Name to keep the table under.")],
    space: Annotated[str, typer.Option(metavar="S", help="Search space of the architectures.")],
    mapping: Annotated[
        list[str],
        typer.Option(
            "--map",
            metavar="COLUMN=MEASURE",
            help="What a column holds: CONTEXT:[SPLIT:]METRIC[@UNIT][#SEED][/PROVENANCE]; again for others.",
        ),
    ],
    arch_column: Annotated[
        str, typer.Option(metavar="NAME", help="Column of the native strings.")
    ] = "native",
    licence: Annotated[str, typer.Option(metavar="TEXT", help="Terms of the data.")] = "",
    citation: Annotated[str, typer.Option(metavar="TEXT", help="What to cite.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Replace your table of that name.")] = False,
) -> None:
    """Import your own table, to build indexes from.

    All rows are checked first: the table is kept whole or not at all.

    \b
    Examples:
      archindex data import timed.csv --name mine --space nasbench201 --map lat=pi5:latency@s
      archindex data import runs.parquet --name runs --space nasbench201 --arch-column cell \\
        --map acc0=cifar10:valid:acc#0 --map acc1=cifar10:valid:acc#1
    """
    from archindex.datasets import import_table, info, save_table

    table = import_table(
        file,
        space,
        parse_mapping(mapping),
        arch_column=arch_column,
        name=name,
        licence=licence,
        citation=citation,
    )
    place = save_table(table, replace=replace)
    columns = list(table.columns())
    sink.emit(
        Document(
            kind="data-import",
            fields={**_facts(info(name)), "columns": columns},
            grid=Grid(
                ("name", "rows", "columns", "place"), [(name, len(table), ",".join(columns), str(place))]
            ),
            quiet=[name],
            notes=[f"next: archindex build PATH --data {name}"],
        )
    )


def parse_mapping(given: Sequence[str]) -> dict[str, str]:
    """Read ``COLUMN=MEASURE`` of every ``--map``.

    Raises
    ------
    ArgumentError
        If one has no equals sign, or two name the same column.
    """
    mapping: dict[str, str] = {}
    for text in given:
        column, equals, measure = text.partition("=")
        if not equals or not column or column in mapping:
            raise ArgumentError(
                "expected --map COLUMN=MEASURE, each column once",
                got=text,
                fix="for example --map acc=cifar10:valid:acc",
            )
        mapping[column] = measure
    return mapping


def _facts(about: DatasetInfo) -> dict[str, Any]:
    shown = ("name", "space", "rows", "measures", "description", "licence", "citation", "homepage")
    places = ("origin", "place", "remedy", "available")
    return {key: getattr(about, key) for key in (*shown, *places)}


def _files(about: DatasetInfo) -> list[dict[str, Any]]:
    return [
        {"name": file.name, "urls": list(file.urls), "sha256": file.sha256, "bytes": file.bytes}
        for file in about.files
    ]


def _manifest(file: OfficialFile) -> str:
    where = " or ".join(file.urls) or "no address for programs"
    return f"{file.name}: {where}, sha256 {file.sha256 or 'not published'}"


def _yes(value: object) -> object:
    return ("yes" if value else "no") if isinstance(value, bool) else value


command(app, "ls")(ls)
command(app, "show")(show)
command(app, "get")(get)
command(app, "import")(import_file)
