"""Commands on data sets: ``data ls``, ``show``, ``get`` and ``import``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archindex.cli.command import command, new_app
from archindex.cli.output import Document, Grid, Sink
from archindex.core.errors import ArgumentError

if TYPE_CHECKING:
    from archindex.datasets import DatasetInfo

app = new_app("List, show, fetch and import tables of measurements.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a data set.", show_default=False)]


@app.callback()
def _start() -> None:
    """List, show, fetch and import tables of measurements."""


def ls(sink: Sink) -> None:
    """List the data sets, those that you imported too.

    \b
    Examples:
      archindex data ls
    """
    from archindex.datasets import dataset_names, info

    known = [info(name) for name in dataset_names()]
    sink.emit(
        Document(
            kind="data-list",
            fields={"datasets": [_facts(about) for about in known]},
            grid=Grid(
                ("name", "space", "rows", "here", "origin"),
                [(about.name, about.space, about.rows, about.available, about.origin) for about in known],
                flexible="origin",
            ),
            quiet=[about.name for about in known],
            notes=[f"{about.name} is not here: {about.remedy}" for about in known if not about.available],
        )
    )


def show(sink: Sink, name: Name) -> None:
    """Show what a data set holds, its licence and citation.

    \b
    Examples:
      archindex data show nasbench201
    """
    from archindex.datasets import info, load

    about = info(name)
    columns: list[dict[str, Any]] = []
    if about.available:
        table = load(name)
        columns = [
            {
                "name": column,
                "values": int((one.values == one.values).sum()),
                "series": sum(s.spec.column == column for s in table.series),
                "provenance": one.spec.provenance,
                "source": one.spec.source,
            }
            for column, one in table.columns().items()
        ]
    facts = _facts(about)
    width = max(map(len, facts))
    sink.emit(
        Document(
            kind="data",
            fields={**facts, "columns": columns},
            grid=Grid(
                ("column", "values", "series", "provenance", "source"),
                [tuple(column.values()) for column in columns],
                flexible="source",
            ),
            quiet=[column["name"] for column in columns],
            lead=[f"{key:<{width}}  {_yes(value)}" for key, value in facts.items() if value != ""],
        )
    )


def get(
    sink: Sink,
    name: Name,
    from_file: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            help="Your copy of an official file, or a folder that holds them; again for others.",
            default_factory=list,
            show_default=False,
        ),
    ],
    offline: Annotated[
        bool, typer.Option("--offline", help="Fetch nothing; so does ARCHINDEX_OFFLINE=1.")
    ] = False,
) -> None:
    """Make sure that a data set is on this machine.

    Official files are fetched, checked and converted once. A download that was stopped goes on where it
    stopped.

    \b
    Examples:
      archindex data get nasbench101
      archindex data get nats_tss --from-file NATS-tss-v1_0-3ffb9-simple.tar
    """
    from archindex.cli.progress import progress
    from archindex.datasets import get as get_dataset

    with progress(sink) as report:
        about = get_dataset(name, from_files=from_file, offline=offline, progress=report)
    sink.emit(
        Document(
            kind="data",
            fields={**_facts(about), "columns": []},
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


def _yes(value: object) -> object:
    return ("yes" if value else "no") if isinstance(value, bool) else value


command(app, "ls")(ls)
command(app, "show")(show)
command(app, "get")(get)
command(app, "import")(import_file)
