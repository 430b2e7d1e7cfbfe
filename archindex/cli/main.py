"""The entry point: puts the commands together and turns what happens into an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from archindex.cli import change, data, demo, encoder, index, latent, query, relate, search, snapshot, space
from archindex.cli.command import new_app
from archindex.cli.errors import report
from archindex.cli.output import Format, Sink

app = new_app("A search engine for neural architectures.")
for _family in (index, query, relate, change, latent, search, demo):
    _family.register(app)
app.add_typer(snapshot.app, name="snapshot")
app.add_typer(data.app, name="data")
app.add_typer(space.app, name="space")
app.add_typer(encoder.app, name="encoder")


def _show_version(asked: bool) -> None:
    if asked:
        from archindex import __version__

        Sink(Format.TABLE).write(f"archindex {__version__}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """A search engine for neural architectures.

    \b
    archindex build nb.index --data nasbench201
    archindex query nb.index --like ARCH --where "cifar10_latency_ms < 14"
    archindex search nb.index --objective cifar10_valid_acc --budget 100
    archindex demo
    """
    if context.invoked_subcommand is None:
        Sink(Format.TABLE).write(context.get_help() + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line without the program; None: that of the process.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = typer.main.get_command(app).main(given, prog_name="archindex", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:
        return report(error, given)
    return code if isinstance(code, int) else 0
