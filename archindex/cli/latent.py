"""Commands on the embedding space: decode and diff."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archindex.cli.command import AtVersion, IndexPath, command
from archindex.cli.output import Document, Grid, Sink
from archindex.core.errors import ArgumentError

if TYPE_CHECKING:
    import numpy.typing as npt


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the app."""
    command(app, "decode")(decode)
    command(app, "diff")(diff)


def decode(
    sink: Sink,
    path: IndexPath,
    vector: Annotated[
        Path | None, typer.Option(metavar="FILE.npy", help="Points to decode, of shape (n, dim) or (dim,).")
    ] = None,
    between: Annotated[
        tuple[str, str] | None, typer.Option(metavar="A B", help="Decode points evenly spaced from A to B.")
    ] = None,
    steps: Annotated[int, typer.Option(metavar="N", help="Points of --between, its ends included.")] = 5,
    version: AtVersion = None,
) -> None:
    """Find the architectures that points of the space stand for.

    \b
    Examples:
      archindex decode nb.index --vector points.npy
      archindex decode nb.index --between 10af7d5a09 8f1c22 --steps 7
    """
    from archindex.api import open_index

    if (vector is None) == (between is None):
        raise ArgumentError(
            "expected either --vector or --between",
            got="both" if vector else "neither",
            fix="archindex decode --help",
        )
    with open_index(path, version=version) as opened:
        if vector is not None:
            found = opened.decode(_read_points(vector))
        else:
            assert between is not None
            found = opened.interpolate(*between, steps=steps)
    sink.emit(
        Document(
            kind="decode",
            fields={
                "path": path,
                "points": [
                    {"architecture": str(d.architecture), "distance": d.distance, "row_id": d.row_id}
                    for d in found
                ],
            },
            grid=Grid(
                ("point", "distance", "row_id", "architecture"),
                [(i, d.distance, d.row_id, str(d.architecture)) for i, d in enumerate(found)],
                flexible="architecture",
            ),
            quiet=[str(d.architecture) for d in found],
        )
    )


def diff(
    sink: Sink,
    a: Annotated[
        str, typer.Argument(metavar="A", help="Native string, space:native, or arch_id.", show_default=False)
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="What to compare it with.", show_default=False)],
    index: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Index to take arch_ids, columns and embeddings from.")
    ] = None,
) -> None:
    """Show what differs between two architectures, and why.

    \b
    Examples:
      archindex diff --index nb.index 10af7d5a09 8f1c22
      archindex diff "|none~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|" \\
                     "|none~0|+|none~0|none~1|+|none~0|none~1|nor_conv_1x1~2|"
    """
    from archindex.evaluate.diff import compare, compare_in

    if index is None:
        from archindex.store.addresses import parse_anywhere

        found = compare(parse_anywhere(a), parse_anywhere(b))
    else:
        from archindex.api import open_index

        with open_index(index) as opened:
            found = compare_in(opened.snapshot, opened.architecture(a), opened.architecture(b))
    rows: list[tuple[str, str, Any, Any]] = [
        (part, name, left, right)
        for part, changes in (("cell", found.cell), ("live ops", found.live_ops), ("cost", found.costs))
        for name, left, right in changes
    ]
    rows += [("column", name, left, right) for name, left, right in found.columns]
    sink.emit(
        Document(
            kind="diff",
            fields=found.to_dict(),
            grid=Grid(
                ("part", "what", "a", "b"), [(p, w, _text(left), _text(right)) for p, w, left, right in rows]
            ),
            quiet=[what for _, what, _, _ in rows],
            lead=[f"a  {found.a}  {found.a.arch_id[:10]}", f"b  {found.b}  {found.b.arch_id[:10]}"],
            notes=found.explain(),
        )
    )


def _read_points(file: Path) -> npt.NDArray[Any]:
    import numpy as np

    try:
        points: npt.NDArray[Any] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ArgumentError(
            "expected a .npy file of numbers", got=f"{file}: {error}", fix="write it with numpy.save"
        ) from error
    return points


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
