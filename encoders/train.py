"""The trainer of learned encoders: one loop for all objectives, stopped and resumed at will.

Everything random is drawn from the seed and the number of the epoch, so that a training that was stopped and
resumed ends with the same weights, to the bit, as one that was not.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import safetensors
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from archindex.core.disk import disk_errors
from archindex.core.errors import ArgumentError, CorruptIndexError
from archindex.core.progress import Progress
from archindex.core.rng import generator
from archindex.encoders import objectives
from archindex.encoders.gin_model import GINModel, GraphTensors
from archindex.encoders.objectives import Objectives
from archindex.encoders.training_set import GROUP, TrainingSet, edited

CHECKPOINT = "checkpoint.safetensors"
"""File of a training that has not ended, in the folder where the encoder will be."""

LEAST_STRESS = 1e-4
"""Stress below which a batch counts as learned."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TrainingPlan:
    """How long to train, and for what.

    Attributes
    ----------
    epochs : int
        At most so many passes.
    batch_size : int
        Graphs of a step.
    patience : int
        Stop after so many epochs without a better loss on the held-out graphs.
    learning_rate : float
        Peak of the learning rate, which rises over a twentieth of the steps and falls to zero along a cosine.
    mixed : float
        Share of the graphs that come in batches of all sources.
    objectives : Objectives
        What counts how much.
    """

    epochs: int = 30
    batch_size: int = 128
    patience: int = 8
    learning_rate: float = 1.5e-3
    mixed: float = 0.05
    objectives: Objectives = field(default_factory=Objectives)


class Learner(nn.Module):
    """A model with the linear layers that some objectives need; these are thrown away afterwards.

    Parameters
    ----------
    model : GINModel
        What is trained.
    targets : int
        Number of computed targets.
    """

    def __init__(self, model: GINModel, targets: int) -> None:
        super().__init__()
        self.model = model
        self.computed = nn.Linear(model.dim, targets)
        self.label = nn.Linear(model.dim, 1)


def train(
    model: GINModel,
    data: TrainingSet,
    plan: TrainingPlan,
    *,
    seed: int,
    progress: Progress,
    folder: Path | None = None,
) -> list[float]:
    """Train `model` in place and leave it with the weights of the best epoch.

    Parameters
    ----------
    model : GINModel
        Fresh model.
    data : TrainingSet
        What to learn from.
    plan : TrainingPlan
        Budget and objectives.
    seed : int
        Decides which graphs are held out, and in which order the others come.
    progress : Progress
        Told after each epoch.
    folder : Path, optional
        Keep a checkpoint here after each epoch; go on from the one that is here.

    Returns
    -------
    list of float
        Loss on the held-out graphs after each epoch.

    Raises
    ------
    ArgumentError
        If the checkpoint is of another training.
    CorruptIndexError
        If it is damaged.
    StorageError
        If the disk refuses.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        learner = Learner(model, data.computed.shape[1])
    optimiser = torch.optim.AdamW(learner.parameters(), lr=plan.learning_rate, weight_decay=1e-4)
    state = _State(learner, optimiser, _digest(plan, seed, data))
    if folder is not None:
        state.load(folder)
    rows, held_out = data.split(generator(seed, "held out"))
    checks = data.batches(held_out, plan.batch_size, plan.mixed, generator(seed, "checks"))
    each = 2 if len(data.groups) and plan.objectives.edits else 0  # groups of a step
    while state.epoch < plan.epochs and state.since < plan.patience:
        rng = generator(seed, "epoch", state.epoch)
        model.train()
        batches = data.batches(rows, plan.batch_size, plan.mixed, rng)
        for i, batch in enumerate(batches):
            passed = (state.epoch + i / len(batches)) / plan.epochs
            for group in optimiser.param_groups:
                group["lr"] = plan.learning_rate * min(passed * 20, (1 + math.cos(math.pi * passed)) / 2)
            optimiser.zero_grad()
            drawn = rng.integers(len(data.groups), size=each) if each else None
            _loss(learner, data, batch, drawn, plan.objectives, rng).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
            optimiser.step()
        model.eval()
        with torch.no_grad():
            rng = generator(seed, "check")
            losses = [float(_loss(learner, data, b, None, plan.objectives, rng)) for b in checks]
        state.note(float(np.average(losses, weights=[len(b) for b in checks])))
        if folder is not None:
            state.save(folder)
        progress("train", state.epoch, plan.epochs)
    model.load_state_dict(state.best)
    model.eval()
    return state.losses


def _loss(
    learner: Learner,
    data: TrainingSet,
    rows: Ints,
    groups: Ints | None,
    wanted: Objectives,
    rng: np.random.Generator,
) -> Tensor:
    graphs = data.graphs.pick(rows)
    vectors = learner.model(GraphTensors.of(graphs))
    near = torch.from_numpy(data.structure[rows])
    # The logarithm: sources whose distances are easy to hold would else count ever less against hard ones.
    loss = wanted.structure * torch.log(objectives.stress(vectors, torch.cdist(near, near)) + LEAST_STRESS)
    if groups is not None:
        members = data.graphs.pick(data.groups[groups].reshape(-1))
        grouped = learner.model(GraphTensors.of(members)).reshape(len(groups), GROUP, -1)
        loss = loss + wanted.edits * objectives.disagreement(grouped, torch.from_numpy(data.edits[groups]))
    if wanted.contrast:
        copies = learner.model(GraphTensors.of(edited(graphs, rng)))
        loss = loss + wanted.contrast * objectives.contrast(vectors, copies)
    if wanted.computed:
        known = torch.from_numpy(data.computed[rows])
        loss = loss + wanted.computed * objectives.told(learner.computed(vectors), known)
    if wanted.labels:
        values = torch.from_numpy(data.labels[rows])[:, None]
        weights = torch.from_numpy(data.weights[rows])
        loss = loss + wanted.labels * objectives.told(learner.label(vectors), values, weights)
    return loss


def _digest(plan: TrainingPlan, seed: int, data: TrainingSet) -> str:
    return json.dumps([asdict(plan), seed, len(data), int(data.graphs.n_nodes)], sort_keys=True)


class _State:
    """What a training knows after an epoch."""

    def __init__(self, learner: Learner, optimiser: torch.optim.Optimizer, digest: str) -> None:
        self._learner, self._optimiser, self._digest = learner, optimiser, digest
        self.epoch, self.since = 0, 0
        self.losses: list[float] = []
        self.best = _copied(learner.model.state_dict())

    def note(self, loss: float) -> None:
        """Count an epoch; keep its weights if they are the best so far."""
        if not self.losses or loss < min(self.losses):
            self.best, self.since = _copied(self._learner.model.state_dict()), 0
        else:
            self.since += 1
        self.losses.append(loss)
        self.epoch += 1

    def save(self, folder: Path) -> None:
        """Write all of it to one file, in one step."""
        tensors = {f"now.{k}": v for k, v in self._learner.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        for i, moments in self._optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{i}.{k}": torch.as_tensor(v) for k, v in moments.items()}
        notes = {"digest": self._digest, "since": self.since, "losses": self.losses}
        path = folder / CHECKPOINT
        with disk_errors(f"the checkpoint {path}"):
            folder.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".new").write_bytes(save(tensors, metadata={"training": json.dumps(notes)}))
            path.with_suffix(".new").replace(path)

    def load(self, folder: Path) -> None:
        """Take over what `save` wrote, if there is anything."""
        path = folder / CHECKPOINT
        if not path.exists():
            return
        try:
            with safe_open(path, framework="pt") as file:
                notes = json.loads(file.metadata()["training"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
            raise CorruptIndexError(
                f"expected a checkpoint in {path}", got=str(error), fix="delete it"
            ) from None
        if notes["digest"] != self._digest:
            raise ArgumentError(
                f"expected the checkpoint of this training in {path}",
                got="one with another seed, plan or data",
                fix="give another folder, or delete the file",
            )
        parts: dict[str, dict[str, Tensor]] = {"now": {}, "best": {}, "adam": {}}
        for key, tensor in tensors.items():
            part, _, rest = key.partition(".")
            parts[part][rest] = tensor
        self._learner.load_state_dict(parts["now"])
        self.best = parts["best"]
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in parts["adam"].items():
            number, _, name = key.partition(".")
            moments.setdefault(int(number), {})[name] = tensor
        full = self._optimiser.state_dict()
        self._optimiser.load_state_dict({"state": moments, "param_groups": full["param_groups"]})
        self.losses, self.since = list(notes["losses"]), int(notes["since"])
        self.epoch = len(self.losses)


def _copied(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in weights.items()}
