"""Commands on encoders: ``encoder ls``, ``show``, ``eval`` and ``train``."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from archindex.cli.command import Seed, command, new_app
from archindex.cli.output import Document, Grid, Sink
from archindex.cli.progress import progress
from archindex.core.errors import ArgumentError, CorruptIndexError, UnknownNameError

if TYPE_CHECKING:
    from archindex.core.progress import Progress
    from archindex.encoders import Encoder

app = new_app("List, show, train and compare encoders.")

NameOrFolder = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FOLDER", help="A registered encoder, or a folder of a saved one.", show_default=False
    ),
]

RECORD: Final = "training.json"
"""What a recipe writes beside the weights."""


@app.callback()
def _start() -> None:
    """List, show, train and compare encoders."""


def ls(sink: Sink) -> None:
    """List the encoders.

    Computed ones learn nothing; fit says which have to be trained on your architectures first; those that
    decode give architectures back for vectors.

    \b
    Examples:
      archindex encoder ls
    """
    from archindex.encoders import ENCODERS, make_encoder

    known = [_facts(make_encoder(name)) for name in ENCODERS]
    columns = ("name", "dim", "learned", "fit", "decodes", "fingerprint", "what")
    sink.emit(
        Document(
            kind="encoder-list",
            fields={"encoders": known},
            grid=Grid(columns, [[facts[key] for key in columns] for facts in known], flexible="what"),
            quiet=[facts["name"] for facts in known],
        )
    )


def show(sink: Sink, name: NameOrFolder) -> None:
    """Show what an encoder is, its options, and how it was trained.

    \b
    Examples:
      archindex encoder show structural
      archindex encoder show my.encoder
    """
    encoder, folder = _named(name)
    home = _home(encoder, folder)
    about = {
        **_facts(encoder),
        "description": _description(type(encoder)),
        "folder": None if folder is None else str(folder),
        "bytes": _bytes(home),
        "options": _options(encoder, folder),
        "training": _training(home),
    }
    yes = {True: "yes", False: "no"}
    lead = {
        "name": about["name"],
        "what": about["what"],
        "folder": about["folder"],
        "dim": about["dim"],
        "learned": yes[about["learned"]],
        "fit": "needed" if about["fit"] else "not needed",
        "decodes": yes[about["decodes"]],
        "fingerprint": about["fingerprint"],
        "weights": f"{about['bytes']:,} bytes" if about["bytes"] else None,
    }
    for key, text in _told(about["training"] or {}).items():
        lead.setdefault(key, text)
    width = max(map(len, lead))
    sink.emit(
        Document(
            kind="encoder",
            fields=about,
            grid=Grid(
                ("option", "value", "meaning"),
                [(one["option"], str(one["value"]), one["meaning"]) for one in about["options"]],
                flexible="meaning",
            ),
            quiet=[about["name"]],
            lead=[f"{key:<{width}}  {value}" for key, value in lead.items() if value is not None],
            notes=[about["description"]],
        )
    )


def evaluate(
    sink: Sink,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME|FOLDER...",
            help="Registered encoders, or folders of saved ones.",
            show_default=False,
        ),
    ],
    data: Annotated[str, typer.Option(metavar="NAME", help="Data set to compare them on.")],
    objective: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Column that near architectures should share; an accuracy."),
    ] = None,
    n: Annotated[int, typer.Option("--n", "-n", metavar="N", help="Architectures to draw.")] = 2_000,
    seed: Seed = 0,
) -> None:
    """Measure whether near means alike, for several encoders.

    Architectures are drawn from the data set, one for each arch_id. Encoders that have to be fitted are
    fitted on them, without the objective. tau: Kendall's tau of the objective with the mean of the 10
    nearest. ratio: their mean difference, as a share of that of random pairs. between: error along straight
    lines between random pairs, as a share of the difference of the ends. edits: Spearman's correlation of
    distances with graph edit distances, for cells of up to 6 ops.

    \b
    Examples:
      archindex encoder eval structural paths wl --data nasbench201
      archindex encoder eval gin my.encoder --data nasbench201 --objective cifar10_latency_ms --n 5000
    """
    import numpy as np

    from archindex.datasets import load
    from archindex.encoders.fitting import fit_to
    from archindex.evaluate.comparison import Sample
    from archindex.spaces.registry import space

    encoders = [(name, *_named(name)) for name in names]
    sample = Sample(load(data), objective, n=n, seed=seed)
    found = []
    with progress(sink) as report:
        for i, (_, encoder, folder) in enumerate(encoders):
            if folder is None:
                fit_to(encoder, space(sample.space), sample.natives, seed=seed, progress=report)
            found.append(sample.measure(encoder))
            report("compare", i + 1, len(encoders))
    results = [
        {"encoder": name, "dim": encoder.dim, **measures.to_dict()}
        for (name, encoder, _), measures in zip(encoders, found, strict=True)
    ]
    columns = ("encoder", "dim", "tau", "difference", "ratio", "between", "edits")
    best = sorted(zip(found, names, strict=True), key=lambda pair: -np.nan_to_num(pair[0].tau, nan=-2.0))
    notes = [
        f"{sample.objective} of {len(sample):,} architectures of {data}; "
        f"random pairs differ by {sample.random_difference:.4g}"
    ]
    if not sample.has_edits:
        notes.append("no edit distances: they are exact for graphs of one input, one output and up to 6 ops")
    sink.emit(
        Document(
            kind="encoder-eval",
            fields={
                "data": data,
                "space": sample.space,
                "objective": sample.objective,
                "architectures": len(sample),
                "seed": seed,
                "random_difference": sample.random_difference,
                "encoders": results,
            },
            grid=Grid(columns, [[one[key] for key in columns] for one in results]),
            quiet=[name for _, name in best],
            notes=notes,
        )
    )


def train(
    sink: Sink,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the encoder goes.")],
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME", help="Recipe to follow, such as universal.")
    ] = None,
    space: Annotated[
        str | None, typer.Option(metavar="NAME", help="Search space to draw architectures of, instead.")
    ] = None,
    encoder: Annotated[
        str, typer.Option(metavar="NAME", help="Encoder to train on --space: gin, or vae to decode.")
    ] = "gin",
    n: Annotated[
        int, typer.Option("--n", "-n", metavar="N", help="Architectures to draw of --space.")
    ] = 12_000,
    seed: Seed = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a recipe that was stopped.")] = False,
) -> None:
    """Train an encoder, by a recipe or on one search space.

    The recipe universal makes the encoder that comes with archindex again. The same seed gives the same
    weights on the same machine.

    \b
    Examples:
      archindex encoder train --recipe universal --out my.universal
      archindex encoder train --recipe universal --out my.universal --resume
      archindex encoder train --space nasbench201 --out my.encoder --seed 1
    """
    from archindex.encoders import load_encoder

    if (recipe is None) == (space is None):
        raise ArgumentError("expected either --recipe or --space", got="both" if recipe else "none of them")
    if (out / "encoder.json").exists() or (out.exists() and not out.is_dir()):
        raise ArgumentError(
            "expected a folder without an encoder", got=str(out), fix="give another folder to --out"
        )
    with progress(sink) as report:
        if recipe is not None:
            from archindex.encoders import recipes

            recipes.train_recipe(recipes.recipe(recipe), out, seed=seed, resume=resume, progress=report)
        else:
            _train_on(str(space), encoder, out, n=n, seed=seed, resume=resume, report=report)
    trained = load_encoder(out)
    sink.emit(
        Document(
            kind="encoder-train",
            fields={
                "out": str(out),
                "encoder": trained.name,
                "recipe": recipe,
                "space": space,
                "seed": seed,
                "dim": trained.dim,
                "fingerprint": trained.fingerprint,
                "training": _training(out),
            },
            grid=Grid(
                ("encoder", "dim", "fingerprint", "folder"),
                [(trained.name, trained.dim, trained.fingerprint, str(out))],
            ),
            quiet=[str(out)],
            notes=[f"next: archindex encoder eval {out} structural --data NAME"],
        )
    )


def _train_on(
    space: str, encoder: str, out: Path, *, n: int, seed: int, resume: bool, report: Progress
) -> None:
    """Train an encoder on architectures drawn of one space."""
    from archindex.core.checks import check_int
    from archindex.encoders import make_encoder
    from archindex.encoders.fitting import fit_to
    from archindex.spaces.registry import space as space_named

    if resume:
        raise ArgumentError(
            "expected --resume with --recipe", got=f"--space {space}", fix="start anew, without --resume"
        )
    trained, found = make_encoder(encoder), space_named(space)
    if not _facts(trained)["fit"]:
        raise ArgumentError("expected an encoder that is fitted", got=encoder, fix="give --encoder gin")
    natives = [arch.native for arch in found.sample(check_int("--n", n, low=2), seed)]
    fit_to(trained, found, natives, seed=seed, progress=report)
    trained.save(out)


def _named(text: str) -> tuple[Encoder, Path | None]:
    """Return a new encoder of a registered name, or the one saved in a folder, and the folder."""
    from archindex.encoders import ENCODERS, load_encoder, make_encoder

    if text in ENCODERS:
        return make_encoder(text), None
    if Path(text).exists():
        return load_encoder(text), Path(text)
    raise UnknownNameError.of("encoder", text, ENCODERS, fix="a saved one is named by its folder")


def _facts(encoder: Encoder) -> dict[str, Any]:
    """Return what `ls` tells about an encoder."""
    from archindex.encoders.base import Decoder
    from archindex.encoders.computed import ComputedEncoder

    try:
        fingerprint: str | None = encoder.fingerprint
    except ArgumentError:  # not fitted
        fingerprint = None
    return {
        "name": encoder.name,
        "what": _paragraphs(type(encoder))[0].rstrip("."),
        "dim": encoder.dim,
        "learned": not isinstance(encoder, ComputedEncoder),
        "fit": fingerprint is None,
        "decodes": isinstance(encoder, Decoder),
        "fingerprint": fingerprint,
    }


def _paragraphs(kind: type[Encoder]) -> list[str]:
    """Return the docstring of a class up to its first section, by paragraph."""
    text = re.split(r"\n[^\n]+\n-{3,}", inspect.getdoc(kind) or "")[0].replace("`", "")
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def _description(kind: type[Encoder]) -> str:
    """Return what the docstrings of a class and of its bases say below their first paragraphs."""
    from archindex.encoders import Encoder

    own = kind.__mro__[: kind.__mro__.index(Encoder)]
    return "\n\n".join(part for one in own for part in _paragraphs(one)[1:])


def _options(encoder: Encoder, folder: Path | None) -> list[dict[str, Any]]:
    """Return the options of an encoder: their values where it was saved, else the defaults."""
    from archindex.encoders.files import read_description

    saved = {} if folder is None else read_description(folder)["config"]
    meanings = _meanings(type(encoder))
    parameters = list(inspect.signature(type(encoder).__init__).parameters.values())[1:]
    return [
        {
            "option": one.name,
            "value": saved.get(one.name, one.default),
            "meaning": meanings.get(one.name, ""),
        }
        for one in parameters
        if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]


def _meanings(kind: type[Encoder]) -> dict[str, str]:
    """Return what the docstring of a class says of each parameter."""
    section = re.search(r"\nParameters\n-+\n(.*?)(?=\n\n\w+\n-+\n|\Z)", inspect.getdoc(kind) or "", re.DOTALL)
    found = re.findall(r"^(\w+) : [^\n]+\n((?:[ ]+[^\n]*\n?)+)", section[1] if section else "", re.MULTILINE)
    return {name: " ".join(text.replace("`", "").split()) for name, text in found}


def _home(encoder: Encoder, folder: Path | None) -> Path | None:
    """Return where an encoder's files lie, if there are any."""
    if folder is None and encoder.name == "universal":
        from archindex.encoders.universal import SHIPPED

        return SHIPPED
    return folder


def _bytes(home: Path | None) -> int:
    """Return the size of the weights on disk; 0 where there are none."""
    from archindex.encoders.files import WEIGHTS

    weights = None if home is None else home / WEIGHTS
    return weights.stat().st_size if weights is not None and weights.is_file() else 0


def _training(home: Path | None) -> dict[str, Any] | None:
    """Return the record of a training by recipe, if there is one."""
    file = None if home is None else home / RECORD
    if file is None or not file.is_file():
        return None
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptIndexError(f"expected JSON in {file}", got=str(error), fix="train it again") from None
    if not isinstance(record, dict):
        raise CorruptIndexError(f"expected a record in {file}", got=record, fix="train it again")
    return record


def _told(record: dict[str, Any]) -> dict[str, str]:
    """Return a training record as lines for people."""
    told: dict[str, str] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            told |= {f"{key} {name}": text for name, text in _told(value).items()}
        elif isinstance(value, list):
            told[key] = f"{value[0]} ... {value[-1]} ({len(value)})" if len(value) > 3 else str(value)
        else:
            told[key] = f"{value:,}" if isinstance(value, int) else str(value)
    return told


command(app, "ls")(ls)
command(app, "show")(show)
command(app, "eval")(evaluate)
command(app, "train")(train)
