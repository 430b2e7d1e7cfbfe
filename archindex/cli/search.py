"""The command ``search``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archindex.cli.command import AtVersion, IndexPath, Seed, Where, command
from archindex.cli.output import Document, Grid, Sink
from archindex.cli.progress import progress

if TYPE_CHECKING:
    from archindex.search.run import SearchResult


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    command(app, "search")(search)


def search(
    sink: Sink,
    path: IndexPath,
    objective: Annotated[str, typer.Option(metavar="COLUMN", help="Attribute column to search by.")],
    maximize: Annotated[
        bool | None,
        typer.Option(
            "--maximize/--minimize",
            help="Which way is better.  [default: as the metric says]",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[int, typer.Option(metavar="N", help="Architectures to evaluate.")] = 150,
    where: Where = None,
    strategy: Annotated[str, typer.Option(metavar="NAME", help="walk, random, evolution or local.")] = "walk",
    batch: Annotated[int, typer.Option(metavar="N", help="Architectures to ask for at once.")] = 1,
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Folder of the run; an unfinished one goes on.")
    ] = None,
    version: AtVersion = None,
) -> None:
    """Find the best architecture by a column, in few queries.

    The column stands for the training that each value would cost. Only what is asked is looked at.

    \b
    Examples:
      archindex search nb.index --objective cifar10_valid_acc --budget 100
      archindex search nb.index --objective cifar10_valid_acc --where "cifar10_latency_ms < 14" --out run1
      archindex search nb.index --objective cifar10_latency_ms --minimize --strategy evolution --seed 3
    """
    from archindex.api import open_index
    from archindex.evaluate.contest import within_table
    from archindex.search.oracle import ColumnOracle
    from archindex.search.pool import Pool
    from archindex.search.registry import make_strategy
    from archindex.search.run import run_search

    with open_index(path, version=version) as opened:
        pool = Pool(opened.snapshot, within_table(opened.schema, objective, where))
        searcher = make_strategy(strategy, pool, objective, seed=seed, maximize=maximize)
        oracle = ColumnOracle(opened.snapshot, searcher.objective)
        config = {
            "objective": objective,
            "maximize": searcher.objective.maximize,
            "where": where,
            "strategy": strategy,
            "seed": seed,
            "encoder": opened.info.fingerprint,
        }
        with progress(sink) as report:
            result = run_search(
                searcher, oracle, budget, batch=batch, folder=out, config=config, progress=report
            )
    sink.emit(_document(result, {"path": path, **config, "budget": budget, "batch": batch, "out": out}))


def _document(result: SearchResult, asked: dict[str, Any]) -> Document:
    best = None if result.best is None else str(result.best)
    steps = _improvements(result)
    lead = (
        "no architecture satisfies the constraint"
        if not len(result.asked)
        else f"{asked['strategy']} asked {len(result.asked)} architectures; each line is a new best one"
    )
    return Document(
        kind="search",
        fields={
            **asked,
            "queries": len(result.asked),
            "best": best,
            "value": result.value,
            "asked": [str(a) for a in result.asked],
            "values": result.values,
            "curve": result.curve,
        },
        grid=Grid(("query", str(asked["objective"]), "architecture"), steps, flexible="architecture"),
        quiet=[] if best is None else [best],
        lead=[lead],
        notes=[] if asked["out"] is None else [f"run folder {asked['out']}"],
    )


def _improvements(result: SearchResult) -> list[tuple[int, float, str]]:
    steps: list[tuple[int, float, str]] = []
    for i, (value, curve) in enumerate(zip(result.values.tolist(), result.curve.tolist(), strict=True)):
        if value == curve and (not steps or steps[-1][1] != curve):
            steps.append((i + 1, value, str(result.asked[i])))
    return steps
