"""The command ``demo``: build, query and search on the default data set, end to end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from archindex.cli.command import command
from archindex.cli.output import Document, Format, Grid, Sink
from archindex.cli.progress import progress
from archindex.cli.query import choose_columns, hits_document

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from archindex.api import Index
    from archindex.core.progress import Progress
    from archindex.search.run import SearchResult

DATA: Final = "nasbench201"
OBJECTIVE: Final = "cifar10_valid_acc"
LIKE: Final = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
)
WHERE: Final = "cifar10_latency_ms < 14"
BUDGET: Final = 100
MARKS: Final = (32, 64, 100)
STRATEGIES: Final = ("walk", "evolution", "local", "random")


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    command(app, "demo")(demo)


def demo(
    sink: Sink,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the index and the pictures.")] = Path(
        "demo"
    ),
    seeds: Annotated[int, typer.Option(metavar="N", help="Seeds of each strategy.")] = 10,
) -> None:
    """Build, query and search NAS-Bench-201, and draw pictures.

    The walk is compared with the baselines over several seeds. An index that an earlier demo left in DIR
    is used again.

    \b
    Examples:
      archindex demo
      archindex demo --out results --seeds 30
    """
    from archindex.core.checks import check_int
    from archindex.core.disk import disk_errors
    from archindex.evaluate.contest import run_contest

    check_int("--seeds", seeds, low=1)
    with disk_errors("the folder of the demo"):
        out.mkdir(parents=True, exist_ok=True)
    # No bar is drawn while something is written to stdout.
    with progress(sink) as report:
        made = _index(out / f"{DATA}.index", report)
    with made as index:
        columns = choose_columns(index.schema, WHERE, None)
        hits = index.query(LIKE, k=5, where=WHERE, select=columns)
        asked = {"path": index.path, "like": LIKE, "k": 5, "where": WHERE, "metric": index.info.metric}
        answer = hits_document(hits, asked, short=sink.format is Format.TABLE, explain=True)
        if sink.format is Format.TABLE:
            lead = [f"Most like {LIKE}", f"among those with {WHERE}:"]
            sink.emit(Document(answer.kind, answer.fields, answer.grid, (), lead, answer.notes))
            sink.write("\n")
        with progress(sink) as report:
            results = run_contest(
                index.snapshot, OBJECTIVE, STRATEGIES, seeds=seeds, budget=BUDGET, progress=report
            )
        values = _values(index)
        pictures = _draw(index, values, results, out)
    sink.emit(_contest_document(results, float(values.max()), seeds, pictures, dict(answer.fields)))


def _index(path: Path, report: Progress) -> Index:
    from archindex.api import build, open_index

    if (path / "manifest.json").exists():
        return open_index(path)
    return build(path, DATA, progress=report)


def _values(index: Index) -> npt.NDArray[np.float64]:
    import numpy as np

    return np.asarray(index.snapshot.columns[OBJECTIVE].values, dtype=np.float64)


def _draw(
    index: Index, values: npt.NDArray[np.float64], results: dict[str, list[SearchResult]], out: Path
) -> list[Path]:
    import numpy as np

    from archindex.evaluate.contest import curves_of
    from archindex.evaluate.plots import plot_curves, plot_map

    curves, latent = out / "search_curves.png", out / "latent_map.png"
    title = "validation accuracy on CIFAR-10 (%)"
    plot_curves(
        curves,
        {name: curves_of(found, BUDGET) for name, found in results.items()},
        optimum=float(values.max()),
        objective=title,
    )
    first = results["walk"][0]
    rows = index.snapshot.all_rows()
    place = {
        (s, n): i
        for i, (s, n) in enumerate(zip(rows["space"].tolist(), rows["native"].tolist(), strict=True))
    }
    better = np.flatnonzero(np.diff(first.curve, prepend=-np.inf) > 0)
    plot_map(
        latent,
        index.snapshot.vectors,
        values,
        [place[a.space.name, a.native] for a in first.asked],
        better.tolist(),
        objective=title,
    )
    return [curves, latent]


def _contest_document(
    results: dict[str, list[SearchResult]],
    optimum: float,
    seeds: int,
    pictures: list[Path],
    query: dict[str, Any],
) -> Document:
    from archindex.evaluate.contest import curves_of
    from archindex.evaluate.curves import paired_difference, summarize

    curves = {name: curves_of(found, BUDGET) for name, found in results.items()}
    table, facts = [], []
    for name, values in curves.items():
        points = summarize(values, MARKS, optimum=optimum, maximize=True)
        ahead = None if name == "walk" else paired_difference(curves["walk"], values, MARKS[-1])
        facts.append(
            {
                "strategy": name,
                "points": [
                    {"queries": p.queries, "mean": p.mean, "error": p.error, "at_optimum": p.at_optimum}
                    for p in points
                ],
                "walk_ahead": None if ahead is None else {"mean": ahead[0], "error": ahead[1]},
            }
        )
        table.append(
            (
                name,
                *(_pm(p.mean, p.error) for p in points),
                f"{points[-1].at_optimum:.0%}",
                "" if ahead is None else _pm(*ahead),
            )
        )
    last = MARKS[-1]
    return Document(
        kind="demo",
        fields={
            "query": query,
            "objective": OBJECTIVE,
            "optimum": optimum,
            "seeds": seeds,
            "strategies": facts,
            "pictures": pictures,
        },
        grid=Grid(
            (
                "strategy",
                *(f"best after {n}" for n in MARKS),
                f"at optimum after {last}",
                f"walk ahead at {last}",
            ),
            table,
        ),
        quiet=[str(picture) for picture in pictures],
        lead=[
            f"{OBJECTIVE}: mean best so far over {seeds} seeds, with its standard error; "
            f"the best of all architectures has {optimum:.2f}"
        ],
        notes=[f"wrote {picture}" for picture in pictures],
    )


def _pm(mean: float, error: float) -> str:
    return f"{mean:.3f} +- {error:.3f}" if error == error else f"{mean:.3f}"
