"""Recipes: how the encoder that comes with archindex was trained, so that anyone can make it again.

The encoders themselves know graphs only; a recipe names the search spaces that its graphs are drawn from.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from archindex.convert.expand import Expander
from archindex.core.batch import GraphBatch
from archindex.core.checks import check_int
from archindex.core.disk import disk_errors
from archindex.core.errors import ArgumentError, UnknownNameError
from archindex.core.progress import Progress, silent
from archindex.encoders.gin import EDITS
from archindex.encoders.learned import one_thread
from archindex.encoders.objectives import Objectives
from archindex.encoders.train import CHECKPOINT, TrainingPlan, train
from archindex.encoders.training_set import TrainingSet
from archindex.encoders.universal import UniversalEncoder
from archindex.spaces.base import Buildable
from archindex.spaces.registry import NAMED, SPACES, space

RECORD: Final = "training.json"
"""File beside the weights: the recipe, the seed, the loss after each epoch."""


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights of an encoder, apart from the seed.

    Attributes
    ----------
    cells : dict from str to int
        Architectures that are drawn of each search space, as the graphs of the space.
    networks : dict from str to int
        Architectures that are drawn of each search space, as whole networks.
    plan : TrainingPlan
        How long to train, and for what.
    edit_groups : int
        Groups of small graphs of each space that are compared by edit distance.
    dim, width, layers : int
        Sizes of the network.
    """

    cells: dict[str, int]
    networks: dict[str, int]
    plan: TrainingPlan = field(default_factory=TrainingPlan)
    edit_groups: int = 60
    dim: int = 64
    width: int = 64
    layers: int = 4

    def sources(self, seed: int, progress: Progress = silent) -> Iterator[GraphBatch]:
        """Draw the graphs, one batch for each space and level."""
        expander, done, total = Expander(), 0, len(self.cells) + len(self.networks)
        for name, n in self.cells.items():
            found = space(name)
            yield found.graphs([a.native for a in found.sample(n, seed=seed)])
            done += 1
            progress("draw architectures", done, total)
        for name, n in self.networks.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of torch about modules on meta tensors
                yield expander.graphs(space(name).sample(n, seed=seed))
            done += 1
            progress("draw architectures", done, total)


def _universal() -> Recipe:
    # Spaces of cells of few ops have most to tell about single edits; they are also the ones searched most.
    many = {"nasbench101": 16_000, "nasbench201": 16_000, "nasbench_graph": 4_000, "transnas101_micro": 4_000}
    cells = {name: many.get(name, 600) for name in SPACES if name not in NAMED}
    networks = {name: 24 for name in cells if isinstance(space(name), Buildable)}
    return Recipe(cells, networks, TrainingPlan(epochs=30, patience=30, objectives=Objectives(edits=EDITS)))


RECIPES: Final = {"universal": _universal}
"""What makes each recipe."""


def recipe(name: str) -> Recipe:
    """Return a recipe by name.

    Raises
    ------
    UnknownNameError
        If there is none of this name.
    """
    if name not in RECIPES:
        raise UnknownNameError.of("recipe", name, RECIPES)
    return RECIPES[name]()


def train_recipe(
    recipe: Recipe, folder: Path, *, seed: int = 0, resume: bool = False, progress: Progress = silent
) -> dict[str, Any]:
    """Train an encoder by a recipe and save it.

    A checkpoint lies in `folder` until training ends. The same recipe and seed give the same weights on the
    same machine, stopped and resumed or not.

    Parameters
    ----------
    recipe : Recipe
        What to train on and how.
    folder : Path
        Where encoder and record go.
    seed : int
        Decides all that is random.
    resume : bool
        Go on from the checkpoint in `folder`.
    progress : Progress
        Told of every step.

    Returns
    -------
    dict
        The record that is written beside the weights.

    Raises
    ------
    ArgumentError
        If there is a checkpoint and `resume` is not given, or it is of another training.
    StorageError
        If the disk refuses.
    """
    check_int("seed", seed, low=0)
    checkpoint = folder / CHECKPOINT
    if checkpoint.exists() and not resume:
        raise ArgumentError(
            f"expected no training in {folder}", got="a checkpoint", fix="resume it, or give another folder"
        )
    encoder = UniversalEncoder.untrained(dim=recipe.dim, width=recipe.width, layers=recipe.layers)
    with one_thread():
        sources = list(recipe.sources(seed, progress))
        data = TrainingSet.of(
            sources,
            most=max(recipe.cells.values()),
            edit_groups=recipe.edit_groups,
            seed=seed,
            progress=progress,
        )
        model = encoder.empty_model(seed)
        losses = train(model, data, recipe.plan, seed=seed, progress=progress, folder=folder)
    encoder.adopt(model)
    encoder.save(folder)
    record = {
        "recipe": asdict(recipe), "seed": seed, "graphs": len(data), "nodes": data.graphs.n_nodes,
        "losses": [round(loss, 6) for loss in losses], "fingerprint": encoder.fingerprint,
    }  # fmt: skip
    with disk_errors(f"the record in {folder}"):
        (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        checkpoint.unlink(missing_ok=True)
    return record
