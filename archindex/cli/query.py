"""The command ``query``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from archindex.cli.command import AtVersion, IndexPath, Where, command
from archindex.cli.output import Document, Format, Grid, Sink

if TYPE_CHECKING:
    from archindex.hits import Hits
    from archindex.queries.columns import Schema

SHOWN: Final = 4
"""Attribute columns that are shown when nobody says which."""

FIRST: Final = ("acc", "latency", "params", "flops", "energy", "score", "perplexity", "error", "loss")
"""Metrics from which those are chosen, most telling first."""

ID_DIGITS: Final = 10
"""Digits of an arch_id in a table; enough to name it by."""


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    command(app, "query")(query)


def query(
    sink: Sink,
    path: IndexPath,
    like: Annotated[
        str, typer.Option(metavar="ARCH", help="Native string, space:native, or arch_id (6 digits do).")
    ],
    k: Annotated[int, typer.Option("-k", metavar="N", help="How many to find.")] = 10,
    where: Where = None,
    select: Annotated[
        str | None, typer.Option(metavar="COLS", help="Columns to show, with commas between; '*' for all.")
    ] = None,
    strategy: Annotated[
        str, typer.Option(metavar="NAME", help="Way to force: engine, lists, ids or exact.")
    ] = "auto",
    recall: Annotated[
        str, typer.Option(metavar="LEVEL", help="fast (.90), balanced (.95), high (.99), exact, or a number.")
    ] = "balanced",
    explain: Annotated[bool, typer.Option("--explain", help="Show how the search was done.")] = False,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Give the search up after so long.")
    ] = None,
    version: AtVersion = None,
) -> None:
    """Find the architectures most like one, under a filter.

    Without --select, the columns of the filter and the most telling others are shown.

    \b
    Examples:
      archindex query nb.index --like "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|"
      archindex query nb.index --like 10af7d5a09 -k 5 --where "cifar10_latency_ms < 14" --explain
      archindex query nb.index --like 10af7d5a09 --select cifar10_valid_acc,n_ops --format tsv
    """
    from archindex.api import open_index

    with open_index(path, version=version) as opened:
        columns = choose_columns(opened.schema, where, select)
        hits = opened.query(
            like,
            k=k,
            where=where,
            select=columns,
            recall=recall_level(recall),
            strategy=strategy,
            timeout=timeout,
        )
        sink.emit(
            hits_document(
                hits,
                {"path": path, "like": like, "k": k, "where": where, "metric": opened.info.metric},
                short=sink.format is Format.TABLE,
                explain=explain,
            )
        )


def recall_level(text: str) -> str | float:
    """Return what ``--recall`` says: a level, or a number."""
    try:
        return float(text)
    except ValueError:
        return text


def hits_document(hits: Hits, asked: dict[str, Any], *, short: bool, explain: bool) -> Document:
    """Return the answer to a query as a document.

    Parameters
    ----------
    hits : Hits
        The answer.
    asked : dict
        What was asked, for JSON.
    short : bool
        Whether arch_ids are cut to `ID_DIGITS`, and the space is left out where all hits share it.
    explain : bool
        Whether the plan is told to people.
    """
    names = list(hits.attributes)
    # In a table the space goes without saying where there is one only.
    bare = short and len({a.space for a in hits.architectures}) == 1
    rows = [
        (
            h.row_id,
            h.distance,
            h.arch_id[: ID_DIGITS if short else None],
            h.architecture.native if bare else str(h.architecture),
            *h.attributes.values(),
        )
        for h in hits
    ]
    found = [
        {
            "row_id": h.row_id,
            "distance": h.distance,
            "arch_id": h.arch_id,
            "architecture": str(h.architecture),
            "attributes": dict(h.attributes),
        }
        for h in hits
    ]
    notes = [hits.plan.explain()] if explain else []
    if not rows:
        notes.insert(0, "no architecture satisfies the filter")
    return Document(
        kind="query",
        fields={**asked, "columns": names, "hits": found, "plan": hits.plan.to_dict()},
        grid=Grid(("row_id", "distance", "arch_id", "architecture", *names), rows, flexible="architecture"),
        quiet=[str(a) for a in hits.architectures],
        notes=notes,
    )


def choose_columns(schema: Schema, where: str | None, select: str | None) -> list[str]:
    """Return the attribute columns to show.

    Parameters
    ----------
    schema : mapping
        All columns.
    where : str or None
        The filter; its columns are shown first.
    select : str or None
        What the user named, in any case; an unknown name is left to the query to refuse.
    """
    if select is not None:
        named = [name.strip() for name in select.split(",") if name.strip()]
        return list(schema) if named == ["*"] else list(dict.fromkeys(named))
    used: Iterable[str] = ()
    if where is not None:
        from archindex.queries.relative import compile_relative

        used = compile_relative(where, schema).columns
    chosen = list(dict.fromkeys(used))
    seen = {_metric(name) for name in chosen}
    for metric in FIRST:
        fitting = [name for name in schema if _metric(name) == metric]
        if metric not in seen and fitting and len(chosen) < SHOWN:
            chosen.append(fitting[0])
    return chosen


def _metric(column: str) -> str:
    from archindex.core.errors import ArgumentError
    from archindex.core.metrics import spec_of_column

    try:
        return spec_of_column(column).metric
    except ArgumentError:
        return column
