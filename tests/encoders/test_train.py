"""The trainer: exact resume, objectives that do what they say, recipes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from archindex.core.batch import GraphBatch
from archindex.core.errors import ArgumentError, CorruptIndexError, UnknownNameError
from archindex.encoders import objectives
from archindex.encoders.gin import GINEncoder
from archindex.encoders.gin_model import GINModel
from archindex.encoders.learned import one_thread
from archindex.encoders.objectives import Objectives
from archindex.encoders.recipes import Recipe, recipe, train_recipe
from archindex.encoders.train import CHECKPOINT, TrainingPlan, train
from archindex.encoders.training_set import GROUP, TrainingSet, edited
from archindex.evaluate.embedding import distance_agreement
from archindex.spaces.registry import space

EVERYTHING = Objectives(structure=1.0, edits=0.2, contrast=0.1, computed=0.1, labels=0.1)


@pytest.fixture(scope="module")
def data() -> TrainingSet:
    cells = space("nasbench201")
    batch = cells.graphs([a.native for a in cells.sample(400, seed=1)])
    labels = np.where(np.arange(400) % 4 == 0, np.arange(400.0), np.nan)
    return TrainingSet.of([batch], most=250, edit_groups=4, seed=0, labels=labels)


def model() -> GINModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return GINModel(16, 16, 2)


class StoppedError(Exception):
    """Stands for a killed process."""


def test_stopped_and_resumed_is_the_same_to_the_bit(data: TrainingSet, tmp_path: Path) -> None:
    plan = TrainingPlan(epochs=5, batch_size=64, objectives=EVERYTHING)

    def stop(stage: str, done: int, total: int) -> None:
        if done == 2:
            raise StoppedError

    with one_thread():
        straight, resumed = model(), model()
        losses = train(straight, data, plan, seed=3, progress=lambda *_: None)
        with pytest.raises(StoppedError):
            train(model(), data, plan, seed=3, progress=stop, folder=tmp_path)
        assert (tmp_path / CHECKPOINT).exists()
        again = train(resumed, data, plan, seed=3, progress=lambda *_: None, folder=tmp_path)
    assert again == losses
    for key, value in straight.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], value), key


def test_a_checkpoint_of_another_training_is_refused(data: TrainingSet, tmp_path: Path) -> None:
    plan = TrainingPlan(epochs=1)
    train(model(), data, plan, seed=3, progress=lambda *_: None, folder=tmp_path)
    with pytest.raises(ArgumentError, match="another seed"):
        train(model(), data, plan, seed=4, progress=lambda *_: None, folder=tmp_path)
    (tmp_path / CHECKPOINT).write_bytes(b"\x08" + bytes(40))
    with pytest.raises(CorruptIndexError, match="checkpoint"):
        train(model(), data, plan, seed=3, progress=lambda *_: None, folder=tmp_path)


def test_stress_is_zero_where_distances_are_right() -> None:
    points = torch.randn(6, 32, generator=torch.Generator().manual_seed(0))
    short = torch.cat([points[:, :8], torch.zeros(6, 24)], dim=1)  # all prefixes are equally far apart
    wanted = torch.cdist(short, short)
    assert float(objectives.stress(short, wanted)) < 1e-3
    assert float(objectives.stress(2 * short, wanted)) > 0.5
    assert float(objectives.disagreement(2 * short, wanted)) < 1e-3
    assert float(objectives.disagreement(points, wanted)) > float(objectives.disagreement(short, wanted))


def test_unknown_values_count_nothing() -> None:
    predicted, values = torch.tensor([[1.0], [2.0]]), torch.tensor([[float("nan")], [4.0]])
    assert float(objectives.told(predicted, values)) == 4.0
    weighted = objectives.told(predicted, torch.tensor([[1.5], [4.0]]), torch.tensor([0.0, 1.0]))
    assert float(weighted) == 4.0


def test_contrast_falls_when_copies_are_nearest() -> None:
    points = torch.randn(8, 16, generator=torch.Generator().manual_seed(1))
    near = objectives.contrast(points, points + 0.01)
    assert float(near) < float(objectives.contrast(points, points.flip(0)))


def test_edit_distances_are_learned(data: TrainingSet) -> None:
    a, b = np.triu_indices(GROUP, 1)
    agreement = {}
    for weight in (0.0, 1.0):
        trained = model()
        plan = TrainingPlan(epochs=8, batch_size=64, objectives=Objectives(edits=weight))
        with one_thread():
            train(trained, data, plan, seed=0, progress=lambda *_: None)
        encoder = GINEncoder(16, 16, 2)
        encoder.adopt(trained)
        found = encoder.encode(data.graphs.pick(data.groups[0]))
        agreement[weight] = distance_agreement(found, a, b, data.edits[0][a, b])
    assert agreement[1.0] > agreement[0.0] + 0.05


def test_an_edited_copy_differs_by_one_node() -> None:
    cells = space("nasbench101")
    batch = cells.graphs([a.native for a in cells.sample(30, seed=2)])
    copy = edited(batch, np.random.default_rng(0))
    same = (copy.op == batch.op) & (np.nan_to_num(copy.attrs) == np.nan_to_num(batch.attrs)).all(axis=1)
    changed = np.bincount(batch.node_graph[~same], minlength=30)
    assert changed.max() == 1
    assert changed.sum() > 5


def test_labels_are_learned_where_they_are() -> None:
    cells = space("nasbench201")
    natives = [a.native for a in cells.sample(300, seed=6)]
    batch = cells.graphs(natives)
    wanted = np.array([native.count("nor_conv_3x3") for native in natives], dtype=np.float64)
    labels = np.where(np.arange(300) < 200, wanted, np.nan)
    encoder = GINEncoder(16, 32, 3, epochs=10)
    encoder.fit(batch, labels=labels, weights=1 / (0.01 * 300 + np.arange(300.0)))
    assert np.isfinite(encoder.encode(batch)).all()
    with pytest.raises(ArgumentError, match="labels"):
        encoder.fit(batch, labels=labels[:10])


def test_a_recipe_is_resumed_and_recorded(tmp_path: Path) -> None:
    small = Recipe(
        {"nasbench201": 60, "bert": 30}, {"nasbench_macro": 4}, TrainingPlan(epochs=2), 1, 16, 16, 2
    )
    first = train_recipe(small, tmp_path / "a", seed=1)
    assert first == train_recipe(small, tmp_path / "b", seed=1)
    assert first["fingerprint"] != train_recipe(small, tmp_path / "c", seed=2)["fingerprint"]
    assert not (tmp_path / "a" / CHECKPOINT).exists()
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / CHECKPOINT).write_bytes(b"")
    with pytest.raises(ArgumentError, match="checkpoint"):
        train_recipe(small, tmp_path / "d")
    assert replace(small, dim=8) != small
    with pytest.raises(UnknownNameError):
        recipe("univresal")


def test_batches_hold_every_row_once_and_stay_small(data: TrainingSet) -> None:
    rows = np.arange(len(data))
    batches = data.batches(rows, 64, 0.25, np.random.default_rng(0))
    assert np.array_equal(np.sort(np.concatenate(batches)), rows)
    assert max(len(batch) for batch in batches) <= 64


def test_graphs_too_large_to_compare_are_left_out_of_groups() -> None:
    large = space("darts")
    batch = GraphBatch.concat([large.graphs([a.native for a in large.sample(60, seed=0)])])
    assert len(TrainingSet.of([batch], most=50, edit_groups=3, seed=0).groups) == 0
