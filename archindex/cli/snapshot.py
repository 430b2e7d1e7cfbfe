"""Commands on the versions of an index: ``snapshot ls``, ``take`` and ``rm``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archindex.cli.command import IndexPath, command, new_app
from archindex.cli.output import Document, Grid, Sink

if TYPE_CHECKING:
    from archindex.store.names import NamedVersion

app = new_app("List, take and remove snapshots of an index.")

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A letter, then letters, digits, '.', '_' or '-'.", show_default=False
    ),
]


@app.callback()
def _start() -> None:
    """List, take and remove snapshots of an index."""


def ls(sink: Sink, path: IndexPath) -> None:
    """List the versions of an index that are there, and their names.

    \b
    Examples:
      archindex snapshot ls nb.index
    """
    from archindex.core.checks import check_path
    from archindex.store.history import versions

    found = versions(check_path(path))
    rows = [
        (v.info.number, ", ".join(v.names), v.info.n_rows, v.info.created, v.info.made_by, v.current)
        for v in found
    ]
    sink.emit(
        Document(
            kind="snapshot-list",
            fields={
                "path": path,
                "versions": [
                    {
                        "version": v.info.number,
                        "names": list(v.names),
                        "rows": v.info.n_rows,
                        "created": v.info.created,
                        "made_by": v.info.made_by,
                        "current": v.current,
                    }
                    for v in found
                ],
            },
            grid=Grid(("version", "names", "rows", "created", "made_by", "current"), rows),
            quiet=[name for v in found for name in v.names],
        )
    )


def take(sink: Sink, path: IndexPath, name: Name) -> None:
    """Keep what an index holds now under a name.

    The commands that read take the name with --version.

    \b
    Examples:
      archindex snapshot take nb.index before-sweep
    """
    from archindex.api import open_index

    with open_index(path) as opened:
        _tell(sink, path, opened.take_snapshot(name))


def rm(sink: Sink, path: IndexPath, name: Name) -> None:
    """Take a name away, and what was kept for its sake alone.

    \b
    Examples:
      archindex snapshot rm nb.index before-sweep
    """
    from archindex.core.checks import check_path
    from archindex.store.history import drop_snapshot

    _tell(sink, path, drop_snapshot(check_path(path), name))


def _tell(sink: Sink, path: Path, named: NamedVersion) -> None:
    facts = {"name": named.name, "version": named.version, "taken": named.taken}
    sink.emit(
        Document(
            kind="snapshot",
            fields={"path": path, **facts},
            grid=Grid(tuple(facts), [tuple(facts.values())]),
            quiet=[named.name],
        )
    )


command(app, "ls")(ls)
command(app, "take")(take)
command(app, "rm")(rm)
