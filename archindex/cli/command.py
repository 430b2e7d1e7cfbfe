"""What all commands share: the options ``--format`` and ``--debug``, and the sink they write to."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer

from archindex.cli.output import Format, Sink

IndexPath = Annotated[Path, typer.Argument(metavar="PATH", help="Folder of the index.", show_default=False)]
Where = Annotated[
    str | None,
    typer.Option(metavar="EXPR", help="Filter over the attribute columns, e.g. 'cifar10_latency_ms < 14'."),
]
AtVersion = Annotated[
    str | None,
    typer.Option(
        "--version", metavar="V", help="Name of a snapshot, or number of a version, to look at instead."
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", help="Seed of everything random.")]

_FORMAT = inspect.Parameter(
    "format",
    inspect.Parameter.KEYWORD_ONLY,
    default=Format.TABLE,
    annotation=Annotated[Format, typer.Option("--format", help="How to write the result.")],
)
_DEBUG = inspect.Parameter(
    "debug",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")],
)


def new_app(help: str) -> typer.Typer:
    """Return an app for a group of commands, with plain help texts."""
    return typer.Typer(
        help=help,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )


def command(app: typer.Typer, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command.

    The function's first parameter is the `Sink`; the others become arguments and options, to which
    ``--format`` and ``--debug`` are added. Its docstring is the help text.

    Parameters
    ----------
    app : Typer
        What the command belongs to.
    name : str
        Name of the command.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        own = list(signature.parameters.values())[1:]
        for parameter in own:
            _refuse_empty_path(parameter.annotation)

        @wraps(function)
        def run(**options: Any) -> None:
            # `--debug` is read off the command line where errors are reported.
            del options["debug"]
            function(Sink(options.pop("format")), **options)

        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        run.__signature__ = signature.replace(parameters=[*parameters, _FORMAT, _DEBUG])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in [*parameters, _FORMAT, _DEBUG]}
        app.command(name)(run)
        return run

    return register


def _refuse_empty_path(annotation: Any) -> None:
    """Let an argument or option that is a path refuse an empty text."""
    kind, *details = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    if Path in (kind, *get_args(kind)):
        for detail in details:
            detail.parser = _path


def _path(text: str) -> Path:
    # An empty text would become the current folder: most likely a variable of a script that is not set.
    if not text:
        raise typer.BadParameter("expected a path, got an empty text")
    return Path(text)
