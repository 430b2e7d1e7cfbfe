"""Commands on search spaces: ``space ls``, ``show``, ``sample`` and ``draw``."""

from __future__ import annotations

import inspect
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from archindex.cli.command import Seed, command, new_app
from archindex.cli.output import Document, Grid, Sink
from archindex.core.errors import ArgumentError, StorageError

if TYPE_CHECKING:
    from archindex.spaces.base import Architecture, SearchSpace

app = new_app("List, show, sample and draw search spaces.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a search space.", show_default=False)]

DISTINCT: Final = {
    "nasbench101": 423_624,
    "nasbench201": 5_425,
    "nats_sss": 32_768,
    "transnas101_micro": 1_011,
    "transnas101_macro": 3_256,
    "nasbench_macro": 3_969,
    "pit": 4_320,
    "nasbench_graph": 26_206,
    "resnet_pooling": 36,
}
"""Number of arch_ids of the spaces that were counted out; the tests count the small ones again."""

LOOKED_AT: Final = 50
"""Architectures that ``show`` samples for the ops of a space."""

DRAWINGS: Final = (".svg", ".dot", ".gv")


@app.callback()
def _start() -> None:
    """List, show, sample and draw search spaces."""


def ls(sink: Sink) -> None:
    """List the search spaces.

    The size counts native strings, by_arch_id what differs in function. Open spaces have no size.

    \b
    Examples:
      archindex space ls
    """
    from archindex.spaces.registry import space, space_names

    known = [_facts(space(name)) for name in space_names()]
    sink.emit(
        Document(
            kind="space-list",
            fields={"spaces": known},
            grid=Grid(
                ("name", "size", "by_arch_id", "costs", "module", "what"),
                [
                    (
                        facts["name"],
                        _count(facts["size"]),
                        facts["by_arch_id"],
                        facts["costs"],
                        facts["module"],
                        facts["what"],
                    )
                    for facts in known
                ],
                flexible="what",
            ),
            quiet=[facts["name"] for facts in known],
        )
    )


def show(sink: Sink, name: Name) -> None:
    """Show what a search space is, its native strings and its ops.

    \b
    Examples:
      archindex space show nasbench201
    """
    from archindex.datasets import dataset_names, info
    from archindex.spaces.registry import space as space_named

    space = space_named(name)
    tables = [about for about in map(info, dataset_names()) if about.space == name]
    ops = _ops(space)
    about = {
        **_facts(space),
        "description": _description(space),
        "native": _paragraph(space, "Native string"),
        "example": _example(space),
        "datasets": list(getattr(space, "datasets", ())),
        "tables": [table.name for table in tables],
    }
    lead = {
        "name": name,
        "what": about["what"],
        "size": _readable(about["size"]) or "not known",
        "by arch_id": _readable(about["by_arch_id"]),
        "native": about["native"],
        "example": about["example"],
        "networks for": ", ".join(about["datasets"]),
        "measured by": ", ".join(
            f"{t.name} ({t.rows:,} rows{'' if t.available else ', not here'})" for t in tables
        ),
    }
    width = max(map(len, lead))
    notes = [about["description"]]
    if ops:
        notes.append(f"ops: in {LOOKED_AT} architectures sampled with seed 0")
    sink.emit(
        Document(
            kind="space",
            fields={**about, "ops": [{"op": op, "nodes": n} for op, n in ops.items()]},
            grid=Grid(("op", "nodes"), list(ops.items())),
            quiet=[name],
            lead=[f"{key:<{width}}  {value}" for key, value in lead.items() if value],
            notes=notes,
        )
    )


def sample(
    sink: Sink,
    name: Name,
    n: Annotated[int, typer.Option("-n", metavar="N", help="Number of architectures.")] = 5,
    seed: Seed = 0,
    dataset: Annotated[
        str | None,
        typer.Option(metavar="D", help="Data set of the networks that are counted; the space's first."),
    ] = None,
) -> None:
    """Draw architectures at random, with replacement.

    All native strings are equally likely, but in einspace, which draws by the probabilities of its grammar,
    and in nasbench_nlp, which draws as the official generator does.

    Params and FLOPs are computed where the space can, for the network of one data set.

    \b
    Examples:
      archindex space sample nasbench201
      archindex space sample nasbench201 -n 100 --seed 1 --format quiet > some.txt
    """
    from archindex.core.errors import UnknownNameError
    from archindex.spaces.base import Costed
    from archindex.spaces.registry import space as space_named

    space = space_named(name)
    costed = space if isinstance(space, Costed) else None
    known = costed.datasets if costed else ()
    if dataset is None and known:
        dataset = known[0]
    if dataset is not None and dataset not in known:
        raise UnknownNameError.of(f"data set of {name}", dataset, known)
    drawn = space.sample(n, seed)
    natives = [arch.native for arch in drawn]
    ids = space.arch_ids(natives).tolist() if natives else []
    params: list[int | None] = [None] * len(drawn)
    flops: list[int | None] = [None] * len(drawn)
    if costed and dataset and natives:
        costs = costed.costs(natives, dataset)
        params, flops = costs.params.tolist(), costs.flops.tolist()
    columns = ("architecture", "arch_id", *(("params", "flops") if costed else ()))
    rows = [row[: len(columns)] for row in zip(map(str, drawn), ids, params, flops, strict=True)]
    names = ("architecture", "arch_id", "params", "flops")
    sink.emit(
        Document(
            kind="space-sample",
            fields={
                "space": name,
                "seed": seed,
                "dataset": dataset,
                "architectures": [
                    dict(zip(names, row, strict=True))
                    for row in zip(map(str, drawn), ids, params, flops, strict=True)
                ],
            },
            grid=Grid(columns, rows, flexible="architecture"),
            quiet=[str(arch) for arch in drawn],
            notes=[f"params and flops: of the network for {dataset}"] if costed else [],
        )
    )


def draw(
    sink: Sink,
    arch: Annotated[
        str,
        typer.Argument(
            metavar="ARCH|NAME",
            help="A native string, space:native, or a space to draw from.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="A .svg, or a .dot for Graphviz; SPACE-ARCH_ID.svg if not given.",
        ),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Draw an architecture as SVG or Graphviz text.

    NAME alone draws an architecture sampled with the seed.

    \b
    Examples:
      archindex space draw nasbench201 --seed 3
      archindex space draw "nasbench101:conv3x3~0+maxpool3x3~01+output~02" -o cell.svg
    """
    from archindex.convert import to_dot, to_svg
    from archindex.spaces.registry import space, space_names
    from archindex.store.addresses import parse_anywhere

    if out is not None and out.suffix.lower() not in DRAWINGS:
        raise ArgumentError(
            f"expected a file that ends in {', '.join(DRAWINGS)}", got=str(out), fix="for example -o cell.svg"
        )
    drawn: Architecture = space(arch).sample(1, seed)[0] if arch in space_names() else parse_anywhere(arch)
    file = out or Path(f"{drawn.space.name}-{drawn.arch_id[:10]}.svg")
    text = to_svg(drawn) if file.suffix.lower() == ".svg" else to_dot(drawn)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"expected to write {file}", got=error.strerror, fix="give another FILE to -o"
        ) from error
    graph = drawn.graph
    sink.emit(
        Document(
            kind="space-draw",
            fields={
                "architecture": str(drawn),
                "arch_id": drawn.arch_id,
                "nodes": graph.n_nodes,
                "edges": len(graph.edges),
                "out": str(file),
            },
            grid=Grid(("architecture", "file"), [(str(drawn), str(file))], flexible="architecture"),
            quiet=[str(file)],
        )
    )


def _facts(space: SearchSpace[Any]) -> dict[str, Any]:
    """Return what `ls` tells about a space."""
    from archindex.spaces.base import Buildable, Costed

    return {
        "name": space.name,
        "what": what_of(space),
        "size": space.size,
        "by_arch_id": DISTINCT.get(space.name),
        "costs": isinstance(space, Costed),
        "module": isinstance(space, Buildable),
    }


def what_of(space: SearchSpace[Any]) -> str:
    """Return one line: the first of the module, or of the class where a module holds several spaces."""
    from archindex.spaces.registry import SPACES

    module = type(space).__module__
    alone = sum(place.startswith(f"{module}:") for place in SPACES.values()) == 1
    text = (sys.modules[module].__doc__ or "") if alone else inspect.getdoc(type(space)) or ""
    return " ".join(_plain(text).strip().split("\n\n")[0].split()).rstrip(".")


def _description(space: SearchSpace[Any]) -> str:
    """Return the class's docstring up to its first section, without the paragraph on native strings."""
    kept = [part for part in _paragraphs(space) if not part.startswith("Native string")]
    return "\n\n".join(kept)


def _paragraph(space: SearchSpace[Any], start: str) -> str:
    """Return the paragraph of the class's docstring that starts so, without these words."""
    found = next((part for part in _paragraphs(space) if part.startswith(start)), "")
    return " ".join(found.removeprefix(start).lstrip(": ").split())


def _paragraphs(space: SearchSpace[Any]) -> list[str]:
    text = re.split(r"\n[^\n]+\n-{3,}", _plain(inspect.getdoc(type(space)) or ""))[0]
    return [part.strip() for part in text.split("\n\n") if part.strip()]


def _plain(text: str) -> str:
    return text.replace("`", "")


def _example(space: SearchSpace[Any]) -> str:
    """Return a native string: one that is drawn, or that of a known model."""
    example = getattr(space, "example", None)
    return example if isinstance(example, str) else space.sample(1, seed=0)[0].native


def _ops(space: SearchSpace[Any]) -> dict[str, int]:
    """Return how many nodes of each op some architectures have; nothing where none can be drawn."""
    from archindex.spaces.registry import NAMED

    if space.name in NAMED:
        return {}
    counts = Counter(op for arch in space.sample(LOOKED_AT, seed=0) for op in arch.graph.ops)
    return dict(counts.most_common())


def _count(size: int | None) -> int | float | str | None:
    """Return a count as a table shows it best: in full, or as a power of ten."""
    if size is None or size < 10**9:
        return size
    return float(size) if size < 10**300 else _readable(size)


def _readable(size: int | None) -> str:
    """Return a count for people: ``15,625``, ``1.1e18``."""
    from decimal import Decimal

    if size is None:
        return ""
    return f"{size:,}" if size < 10**9 else f"{Decimal(size):.1e}".replace("e+", "e")


command(app, "ls")(ls)
command(app, "show")(show)
command(app, "sample")(sample)
command(app, "draw")(draw)
