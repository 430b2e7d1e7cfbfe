"""Commands on an index as a whole: build, merge, info, verify, compact, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from archindex.cli.command import AtVersion, IndexPath, Seed, Where, command
from archindex.cli.output import Document, Grid, Sink
from archindex.cli.progress import progress
from archindex.core.sizes import parse_size

if TYPE_CHECKING:
    from archindex.api import Index
    from archindex.indexes.base import Metric


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the app."""
    command(app, "build")(build)
    command(app, "merge")(merge)
    command(app, "info")(info)
    command(app, "verify")(verify)
    command(app, "compact")(compact)
    command(app, "export")(export)


def build(
    sink: Sink,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder to make.", show_default=False)],
    data: Annotated[list[str], typer.Option(metavar="NAME", help="Data set to index; may be given again.")],
    encoder: Annotated[
        str, typer.Option(metavar="NAME", help="universal (comes trained), or another of encoder ls.")
    ] = "universal",
    engine: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="exact, hnsw, ivf, ivf_sq8, ivf_pq, ivf_opq, ivf_rabitq, spann, or auto to choose.",
        ),
    ] = "auto",
    metric: Annotated[str, typer.Option(metavar="NAME", help="l2 or cosine.")] = "l2",
    seed: Seed = 0,
    memory_limit: Annotated[
        str | None, typer.Option(metavar="SIZE", help="What the engine may take in memory, such as 200MB.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an index at PATH.")] = False,
) -> None:
    """Build an index of the architectures of data sets.

    A build that was stopped goes on where it was when the same command is run again.

    \b
    Examples:
      archindex build nb.index --data nasbench201
      archindex build nb.index --data nasbench201 --encoder gin --engine hnsw --seed 1
      archindex build all.index --data nasbench201 --data mine --metric cosine --overwrite
      archindex build nb101.index --data nasbench101 --memory-limit 50MB
    """
    from archindex.api import build as build_index

    with progress(sink) as report:
        made = build_index(
            path,
            data,
            encoder=encoder,
            engine=engine,
            metric=cast("Metric", metric),
            seed=seed,
            memory_limit=None if memory_limit is None else parse_size(memory_limit),
            overwrite=overwrite,
            progress=report,
        )
    with made:
        sink.emit(_index_document(made))


def merge(
    sink: Sink,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make.", show_default=False)],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Indexes.", show_default=False)],
) -> None:
    """Make one index of several that have the same encoder.

    Row ids of the first stay; where two have a value of the same measurement, the later one's stands.

    \b
    Examples:
      archindex merge all.index nb.index mine.index
    """
    from archindex.api import merge as merge_indexes

    with progress(sink) as report:
        made = merge_indexes(out, *paths, progress=report)
    with made:
        sink.emit(_index_document(made))


def info(sink: Sink, path: IndexPath, version: AtVersion = None) -> None:
    """Show what made an index, and the columns that filters can use.

    \b
    Examples:
      archindex info nb.index
      archindex info nb.index --format json
    """
    from archindex.api import open_index

    with open_index(path, version=version) as opened:
        sink.emit(_index_document(opened))


def verify(
    sink: Sink,
    path: IndexPath,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make again what can be derived from the rest.")
    ] = False,
) -> None:
    """Check every file of an index.

    The exit code is 1 if something is wrong.

    \b
    Examples:
      archindex verify nb.index
      archindex verify nb.index --repair
    """
    from archindex.store.verify import verify as verify_index

    with progress(sink) as bar:
        found = verify_index(path, repair=repair, progress=bar)
    rows = [("problem", text) for text in found.problems] + [("repaired", text) for text in found.repaired]
    sink.emit(
        Document(
            kind="verify",
            fields={
                "path": path,
                "ok": found.ok,
                "problems": found.problems,
                "repaired": found.repaired,
                "checks": found.checks,
            },
            grid=Grid(("what", "text"), rows),
            quiet=found.problems,
            lead=[f"{path}: {_count(len(found.problems))}; checked {', '.join(found.checks)}"],
            notes=[f"next: {found.next}"] if found.next else [],
        )
    )
    if not found.ok:
        raise typer.Exit(1)


def compact(sink: Sink, path: IndexPath) -> None:
    """Free what removed rows and older versions of an index take.

    Snapshots stay, and so do versions that another process has open.

    \b
    Examples:
      archindex compact nb.index
    """
    from archindex.api import open_index

    with open_index(path) as opened:
        freed = opened.compact()
        number, rows = opened.info.number, len(opened)
    sink.emit(
        Document(
            kind="compact",
            fields={"path": path, "version": number, "rows": rows, "freed_bytes": freed},
            grid=Grid(("version", "rows", "freed_bytes"), [(number, rows, freed)]),
            quiet=[str(freed)],
        )
    )


def export(
    sink: Sink,
    path: IndexPath,
    out: Annotated[
        Path, typer.Argument(metavar="OUT.{csv,parquet}", help="File to write.", show_default=False)
    ],
    where: Where = None,
    vectors: Annotated[
        bool, typer.Option("--vectors", help="Write the embeddings too, one column a dimension.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
    version: AtVersion = None,
) -> None:
    """Write architectures and columns to a CSV or Parquet file.

    \b
    Examples:
      archindex export nb.index all.csv
      archindex export nb.index fast.parquet --where "cifar10_latency_ms < 14" --vectors
    """
    from archindex.api import open_index
    from archindex.jobs.export import export_rows

    with open_index(path, version=version) as opened:
        columns, n = export_rows(opened.snapshot, out, where=where, vectors=vectors, overwrite=overwrite)
    sink.emit(
        Document(
            kind="export",
            fields={"path": path, "out": out, "rows": n, "columns": columns},
            grid=Grid(("out", "rows", "columns"), [(str(out), n, len(columns))]),
            quiet=[str(out)],
        )
    )


def _index_document(opened: Index) -> Document:
    described, lists = opened.info, opened.snapshot.lists
    facts: dict[str, Any] = {
        "path": str(opened.path),
        "rows": len(opened),
        "spaces": list(opened.spaces),
        "data": list(described.data),
        "encoder": described.encoder,
        "fingerprint": described.fingerprint,
        "dim": described.dim,
        "metric": described.metric,
        "engine": described.engine,
        "engine_reason": described.engine_reason,
        "lists": len(lists.lists) if lists is not None else 0,
        "intrinsic_dimension": round(lists.calibration.intrinsic_dimension, 1) if lists is not None else None,
        "seed": described.seed,
        "version": described.number,
        "unpublished_changes": len(opened.snapshot.delta),
        "created": described.created,
        "written_by": f"archindex {described.archindex}",
    }
    columns = [_column_facts(opened, name) for name in opened.schema]
    width = max(map(len, facts))
    return Document(
        kind="index",
        fields={**facts, "columns": columns},
        grid=Grid(
            ("column", "type", "values", "min", "max"),
            [(c["name"], c["type"], c["values"], c["min"], c["max"]) for c in columns],
        ),
        quiet=[facts["path"]],
        lead=[
            f"{name:<{width}}  {', '.join(v) if isinstance(v, list) else v}"
            for name, v in facts.items()
            if v is not None
        ],
    )


def _column_facts(opened: Index, name: str) -> dict[str, Any]:
    column = opened.snapshot.columns[name]
    present = [value for value in column.to_list() if value is not None]
    ordered = bool(present) and column.kind in ("DOUBLE", "BIGINT")
    return {
        "name": name,
        "type": column.kind,
        "values": len(present),
        "min": min(present) if ordered else None,
        "max": max(present) if ordered else None,
    }


def _count(problems: int) -> str:
    return "no problems" if problems == 0 else f"{problems} problem{'s' if problems > 1 else ''}"
