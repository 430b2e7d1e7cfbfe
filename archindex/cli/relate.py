"""Commands beyond nearest neighbours: within, diverse, cover, hops and join."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archindex.cli.command import AtVersion, IndexPath, Seed, Where, command
from archindex.cli.output import Document, Format, Grid, Sink
from archindex.cli.query import ID_DIGITS, choose_columns, recall_level
from archindex.core.errors import ArgumentError

if TYPE_CHECKING:
    from archindex.hits import Hits

Like = Annotated[
    str, typer.Option(metavar="ARCH", help="Native string, space:native, or arch_id (6 digits do).")
]
Select = Annotated[
    str | None, typer.Option(metavar="COLS", help="Columns to show, with commas between; '*' for all.")
]
Limit = Annotated[int, typer.Option(metavar="N", help="Most to return; what it leaves out is told.")]
Recall = Annotated[
    str, typer.Option(metavar="LEVEL", help="fast (.90), balanced (.95), high (.99), exact, or a number.")
]

Timeout = Annotated[float | None, typer.Option(metavar="SECONDS", help="Give the search up after so long.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    for name, function in (
        ("within", within),
        ("diverse", diverse),
        ("cover", cover),
        ("hops", hops),
        ("join", join),
    ):
        command(app, name)(function)


def within(
    sink: Sink,
    path: IndexPath,
    like: Like,
    radius: Annotated[float, typer.Option(metavar="R", help="Largest distance.")],
    where: Where = None,
    limit: Limit = 1000,
    select: Select = None,
    timeout: Timeout = None,
    version: AtVersion = None,
) -> None:
    """Find all architectures within a distance of one.

    \b
    Examples:
      archindex within nb.index --like 10af7d5a09 --radius 0.5
      archindex within nb.index --like 10af7d5a09 --radius 2 --where "cifar10_latency_ms < 14" --limit 20
    """
    from archindex.api import open_index

    with open_index(path, version=version) as opened:
        names = choose_columns(opened.schema, where, select)
        found = opened.within(like, radius, where, limit=limit, select=names, timeout=timeout)
        notes = [f"{len(found):,} of {found.total:,} shown: raise --limit"] if found.cut else []
        asked = {"path": path, "like": like, "radius": radius, "where": where, "metric": opened.info.metric}
        sink.emit(_hits("within", sink, found, {**asked, "total": found.total, "cut": found.cut}, notes))


def diverse(
    sink: Sink,
    path: IndexPath,
    like: Like,
    k: Annotated[int, typer.Option("-k", metavar="N", help="How many to find.")] = 10,
    where: Where = None,
    diversity: Annotated[
        float,
        typer.Option(metavar="D", help="From 0, the nearest, to 1, those farthest apart."),
    ] = 0.5,
    candidates: Annotated[
        int | None, typer.Option(metavar="N", help="Of how many of the nearest to choose; 20 times -k.")
    ] = None,
    select: Select = None,
    recall: Recall = "balanced",
    timeout: Timeout = None,
    version: AtVersion = None,
) -> None:
    """Find architectures like one that are unlike each other.

    \b
    Examples:
      archindex diverse nb.index --like 10af7d5a09 -k 5 --diversity 0.7
      archindex diverse nb.index --like 10af7d5a09 --where "cifar10_latency_ms < 14" --candidates 1000
    """
    from archindex.api import open_index

    with open_index(path, version=version) as opened:
        found = opened.diverse(
            like,
            k,
            where,
            diversity=diversity,
            candidates=candidates,
            select=choose_columns(opened.schema, where, select),
            recall=recall_level(recall),
            timeout=timeout,
        )
        asked = {"path": path, "like": like, "k": k, "where": where, "diversity": diversity}
        sink.emit(_hits("diverse", sink, found, {**asked, "metric": opened.info.metric}, []))


def cover(
    sink: Sink,
    path: IndexPath,
    k: Annotated[int, typer.Option("-k", metavar="N", help="How many to choose.")] = 10,
    where: Where = None,
    select: Select = None,
    seed: Seed = 0,
    timeout: Timeout = None,
    version: AtVersion = None,
) -> None:
    """Choose a few architectures that stand for many.

    \b
    Examples:
      archindex cover nb.index -k 20
      archindex cover nb.index -k 5 --where "cifar10_latency_ms < 14 AND cifar10_valid_acc > 85"
    """
    from archindex.api import open_index

    with open_index(path, version=version) as opened:
        found = opened.cover(
            k, where, select=choose_columns(opened.schema, where, select), seed=seed, timeout=timeout
        )
    names = list(found.attributes)
    chosen: list[dict[str, Any]] = [
        {
            "row_id": int(row_id),
            "count": int(count),
            "arch_id": arch_id,
            "architecture": str(architecture),
            "attributes": {name: found.attributes[name][i] for name in names},
        }
        for i, (row_id, count, arch_id, architecture) in enumerate(
            zip(found.ids, found.counts, found.arch_ids, found.architectures, strict=True)
        )
    ]
    sink.emit(
        Document(
            kind="cover",
            fields={
                "path": path,
                "k": k,
                "where": where,
                "columns": names,
                "rows": found.rows,
                "mean_distance": found.mean_distance,
                "farthest": found.farthest,
                "sampled": found.sampled,
                "chosen": chosen,
            },
            grid=Grid(
                ("row_id", "stands_for", "arch_id", "architecture", *names),
                [
                    (c["row_id"], c["count"], _short(sink, c["arch_id"]), c["architecture"], *_values(c))
                    for c in chosen
                ],
                flexible="architecture",
            ),
            quiet=[str(a) for a in found.architectures],
            notes=[
                f"{found.rows:,} rows lie {found.mean_distance:.4g} from the one that stands for them in the "
                f"mean, {found.farthest:.4g} at most"
            ],
        )
    )


def hops(
    sink: Sink,
    path: IndexPath,
    like: Like,
    hops: Annotated[int, typer.Option(metavar="N", help="Edges to follow at most.")] = 3,
    where: Where = None,
    k: Annotated[int, typer.Option("-k", metavar="N", help="Edges of each: to its nearest others.")] = 8,
    limit: Limit = 1000,
    select: Select = None,
    recall: Recall = "balanced",
    timeout: Timeout = None,
    version: AtVersion = None,
) -> None:
    """Follow nearest-neighbour edges from one, under a filter.

    \b
    Examples:
      archindex hops nb.index --like 10af7d5a09 --hops 3 --where "cifar10_latency_ms < 5"
      archindex hops nb.index --like 10af7d5a09 -k 4 --where "cifar10_latency_ms < query.cifar10_latency_ms"
    """
    from archindex.api import open_index

    with open_index(path, version=version) as opened:
        names = choose_columns(opened.schema, where, select)
        found = opened.hops(
            like, hops, where, k=k, limit=limit, select=names, recall=recall_level(recall), timeout=timeout
        )
    rows: list[dict[str, Any]] = [
        {
            "row_id": one.row_id,
            "hops": one.hops,
            "path": list(one.path),
            "length": one.length,
            "arch_id": one.arch_id,
            "architecture": str(one.architecture),
            "attributes": dict(one.attributes),
        }
        for one in found
    ]
    sink.emit(
        Document(
            kind="hops",
            fields={
                "path": path,
                "like": like,
                "hops": hops,
                "k": k,
                "where": where,
                "columns": names,
                "cut": found.cut,
                "found": rows,
            },
            grid=Grid(
                ("row_id", "hops", "path", "length", "architecture", *names),
                [
                    (
                        row["row_id"],
                        row["hops"],
                        " ".join(map(str, one.path)),
                        row["length"],
                        row["architecture"],
                        *_values(row),
                    )
                    for row, one in zip(rows, found, strict=True)
                ],
                flexible="architecture",
            ),
            quiet=[str(one.architecture) for one in found],
            notes=["there may be more: raise --limit"] if found.cut else _empty(rows),
        )
    )


def join(
    sink: Sink,
    path: IndexPath,
    of: Annotated[
        str | None, typer.Option(metavar="EXPR", help="Filter that says for which rows to look.")
    ] = None,
    like: Annotated[
        list[str] | None, typer.Option(metavar="ARCH", help="For which to look, instead; may be repeated.")
    ] = None,
    k: Annotated[int, typer.Option("-k", metavar="N", help="How many to find for each.")] = 1,
    where: Where = None,
    limit: Limit = 1000,
    select: Select = None,
    recall: Recall = "balanced",
    timeout: Timeout = None,
    version: AtVersion = None,
) -> None:
    """Find for each of many the nearest others, under a filter.

    In the filter, query.NAME is the value of the row for which it looks.

    \b
    Examples:
      archindex join nb.index --of "cifar10_valid_acc > 91" \\
                     --where "cifar10_latency_ms < query.cifar10_latency_ms / 3"
      archindex join nb.index --like 10af7d5a09 --like 8f1c22 -k 3 --where "cifar10_latency_ms < 14"
    """
    from archindex.api import open_index

    if (of is None) == (not like):
        raise ArgumentError("expected either --of or --like", fix="archindex join --help")
    with open_index(path, version=version) as opened:
        names = choose_columns(opened.schema, where, select)
        found = opened.join(
            like or None,
            k,
            where,
            of=of,
            limit=limit,
            select=names,
            recall=recall_level(recall),
            timeout=timeout,
        )
    rows: list[dict[str, Any]] = [
        {
            "row_id": one.row_id,
            "architecture": str(one.architecture),
            "attributes": dict(one.attributes),
            "hits": _found(one.hits),
        }
        for one in found
    ]
    both = (column for name in names for column in (f"query.{name}", name))
    pairs = [(row, hit) for row in rows for hit in row["hits"]]
    alone = sum(not row["hits"] for row in rows)
    notes = [f"{len(found):,} of {found.total:,} rows were asked from: raise --limit"] if found.cut else []
    notes += [f"nothing was found for {alone:,} of {len(rows):,}"] if alone else []
    sink.emit(
        Document(
            kind="join",
            fields={
                "path": path,
                "of": of,
                "k": k,
                "where": where,
                "columns": names,
                "total": found.total,
                "cut": found.cut,
                "rows": rows,
            },
            grid=Grid(
                ("query_row_id", "row_id", "distance", "architecture", *both),
                [
                    (
                        row["row_id"],
                        hit["row_id"],
                        hit["distance"],
                        hit["architecture"],
                        *(v for n in names for v in (row["attributes"].get(n), hit["attributes"][n])),
                    )
                    for row, hit in pairs
                ],
                flexible="architecture",
            ),
            quiet=[hit["architecture"] for _, hit in pairs],
            notes=notes,
        )
    )


def _hits(kind: str, sink: Sink, hits: Hits, asked: Mapping[str, Any], notes: list[str]) -> Document:
    names, found = list(hits.attributes), _found(hits)
    return Document(
        kind=kind,
        fields={**asked, "columns": names, "hits": found},
        grid=Grid(
            ("row_id", "distance", "arch_id", "architecture", *names),
            [
                (h["row_id"], h["distance"], _short(sink, h["arch_id"]), h["architecture"], *_values(h))
                for h in found
            ],
            flexible="architecture",
        ),
        quiet=[h["architecture"] for h in found],
        notes=notes or _empty(found),
    )


def _found(hits: Hits) -> list[dict[str, Any]]:
    return [
        {
            "row_id": h.row_id,
            "distance": h.distance,
            "arch_id": h.arch_id,
            "architecture": str(h.architecture),
            "attributes": dict(h.attributes),
        }
        for h in hits
    ]


def _values(row: Mapping[str, Any]) -> list[Any]:
    return list(row["attributes"].values())


def _short(sink: Sink, arch_id: Any) -> str:
    return str(arch_id)[: ID_DIGITS if sink.format is Format.TABLE else None]


def _empty(rows: list[dict[str, Any]]) -> list[str]:
    return [] if rows else ["no architecture satisfies the filter"]
