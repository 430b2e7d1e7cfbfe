"""NAS-Bench-NLP from logs that the tests write in the official form."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archindex.core.errors import DataUnavailableError
from archindex.datasets import load
from archindex.datasets.folder import data_folder
from archindex.datasets.official import nasbench_nlp

needs_tables = pytest.mark.skipif(
    data_folder() is None, reason="ARCHINDEX_DATA does not name the folder of tables"
)


RECIPES = [
    {
        "node_0": {"op": "linear", "input": ["x", "h_prev_0"]},
        "h_new_0": {"op": "activation_tanh", "input": ["node_0"]},
    },
    {
        "node_0": {"op": "linear", "input": ["x", "h_prev_0"]},
        "h_new_0": {"op": "activation_sigm", "input": ["node_0"]},
    },
]


def log(recipe: Mapping[str, Any], seed: int, *, status: str = "OK", epochs: int = 50) -> dict[str, Any]:
    """What main_one_model_train.py dumps."""
    rng = np.random.default_rng(seed)
    losses = {part: rng.uniform(4, 7, epochs).tolist() for part in ("train", "val", "test")}
    if status != "OK":
        losses["val"][-1] = math.nan
    return {
        "data": "data/ptb",
        "recepie_id": seed,
        "cuda": True,
        "recepie": json.dumps(recipe),
        "experiment_id": 999_999_000 + seed,
        "init_time": "2020-05-01_12-00-00",
        "num_params": 20_000_000 + RECIPES.index(dict(recipe)),
        "wall_times": rng.uniform(30, 60, epochs).tolist(),
        **{f"{part}_losses": of for part, of in losses.items()},
        "status": status,
    }


def logs(folder: Path, **changes: Any) -> dict[str, Path]:
    """The three archives: the second repeats the first log, and one run broke off."""
    one, other = RECIPES
    content: dict[str, dict[str, Any]] = {
        "nas-bench-nlp-single-run.zip": {
            "a": log(one, 1),
            "b": log(other, 2, status="loss is nan!", epochs=7),
        },
        "nas-bench-nlp-multi-runs.zip": {"a": log(one, 1), "c": log(one, 3)},
        "nas-bench-nlp-wikitext-2.zip": {"d": log(other, 4)},
    }
    content["nas-bench-nlp-single-run.zip"].update(changes)
    paths = {}
    for name, of in content.items():
        paths[name] = folder / name
        with zipfile.ZipFile(paths[name], "w") as archive:
            for key, value in of.items():
                text = value if isinstance(value, (str, bytes)) else json.dumps(value)
                archive.writestr(f"logs/log_stats_model_{key}_2020.json", text)
            archive.writestr("logs/README.txt", "not a log")
    return paths


def test_runs_of_nasbench_nlp_are_seeds(
    tmp_path: Path, comes_back: Callable[..., Any], as_promised: Callable[..., Any]
) -> None:
    table = nasbench_nlp.convert(logs(tmp_path))
    as_promised(table.name, table.series)
    assert len(table) == 2
    by_spec = {(one.spec.column, one.spec.seed): one.values for one in table.series}
    for seed, made in ((0, log(RECIPES[0], 1)), (1, log(RECIPES[0], 3))):
        best = int(np.argmin(made["val_losses"]))
        for part, split in (("train", "train"), ("val", "valid"), ("test", "test")):
            assert by_spec[f"ptb_{split}_loss", seed][0] == made[f"{part}_losses"][best]
        total = by_spec["ptb_train_time_s", seed][0]
        assert total == pytest.approx(sum(made["wall_times"]), rel=1e-12)
    # The run that broke off has params, and nothing that was measured.
    assert np.isnan(by_spec["ptb_valid_loss", 0][1])
    assert by_spec["ptb_params_m", None].tolist() == [20.0, 20.000001]
    made = log(RECIPES[1], 4)
    assert by_spec["wikitext2_valid_loss", 0][1] == min(made["val_losses"])
    assert np.isnan(by_spec["wikitext2_valid_loss", 0][0])
    comes_back(table)


@needs_tables
def test_published_wikitext2_runs_are_those_of_the_table(
    tmp_path: Path, read_all: Callable[..., Any]
) -> None:
    rows = read_all("nb_nlp_wikitext2")
    paths = logs(tmp_path)
    for name in paths:
        with zipfile.ZipFile(paths[name], "w") as archive:
            if "wikitext" not in name:
                continue
            for i, recipe in enumerate(rows["recipe"]):
                finished = rows["status"][i] == "OK"
                valid, test = (
                    rows[key][i] if finished else 9.0 for key in ("best_val_loss", "test_loss_at_best_val")
                )
                made = {
                    "recepie": recipe,
                    "num_params": rows["num_params"][i],
                    "wall_times": [rows["mean_epoch_time_s"][i]] * 2,
                    "train_losses": [5.0, 5.0],
                    "val_losses": [valid, valid + 1],
                    "test_losses": [test, test - 1],
                    "status": rows["status"][i],
                }
                archive.writestr(f"log_stats_model_{i:04d}.json", json.dumps(made))
    ours, theirs = nasbench_nlp.convert(paths), load("nb_nlp_wikitext2")
    assert ours.natives == theirs.natives
    ours_by_spec = {(one.spec.column, one.spec.seed): one.values for one in ours.series}
    for one in theirs.series:
        if one.spec.metric in ("loss", "params"):
            np.testing.assert_allclose(
                ours_by_spec[one.spec.column, one.spec.seed], one.values, rtol=1e-12, err_msg=one.spec.column
            )


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "{",
        "[]",
        b"\xff",
        {},
        {**log(RECIPES[0], 5), "recepie": "{}"},
        {**log(RECIPES[0], 5), "recepie": 7},
        {**log(RECIPES[0], 5), "num_params": "many"},
        {**log(RECIPES[0], 5), "num_params": 7},
        {**log(RECIPES[0], 5), "val_losses": []},
        {**log(RECIPES[0], 5), "val_losses": [1.0]},
        {**log(RECIPES[0], 5), "val_losses": [math.nan] * 50},
        {**log(RECIPES[0], 5), "wall_times": [-1e9]},
    ],
)
def test_logs_of_another_form_are_told(tmp_path: Path, broken: Any) -> None:
    with pytest.raises(DataUnavailableError, match="single-run"):
        nasbench_nlp.convert(logs(tmp_path, z=broken))


def test_archives_without_logs_are_told(tmp_path: Path) -> None:
    paths = logs(tmp_path)
    single = paths["nas-bench-nlp-single-run.zip"]
    whole = single.read_bytes()
    for content in (b"", whole[: len(whole) // 2], whole[100:]):
        single.write_bytes(content)
        with pytest.raises(DataUnavailableError, match="single-run"):
            nasbench_nlp.convert(paths)
    for path in paths.values():
        with zipfile.ZipFile(path, "w"):
            pass
    with pytest.raises(DataUnavailableError, match="none"):
        nasbench_nlp.convert(paths)
