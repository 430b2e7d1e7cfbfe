"""The commands on encoders."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archindex.core.errors import ArgumentError
from archindex.datasets import Table
from archindex.encoders import ENCODERS, load_encoder, make_encoder, recipes
from archindex.encoders.fitting import fit_to
from archindex.encoders.train import TrainingPlan
from archindex.evaluate.comparison import Sample
from archindex.spaces.registry import space

Check = Callable[[dict[str, Any], str], None]
COMPUTED = ("structural", "motifs", "paths", "adjacency", "wl", "statistics")


@pytest.fixture(autouse=True)
def _small_table(small_table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archindex.datasets.nasbench201.load", lambda: small_table)


@pytest.fixture
def small_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the recipe universal train for a moment."""
    small = recipes.Recipe({"nasbench201": 40}, {}, TrainingPlan(epochs=2), edit_groups=2, width=16, layers=2)
    monkeypatch.setitem(recipes.RECIPES, "universal", lambda: small)


def test_ls_tells_all_encoders(cli: Any, check_json: Check) -> None:
    listed = cli("encoder", "ls", "--format", "json")
    assert (listed.code, listed.err) == (0, "")
    check_json(listed.json, "encoder-list")
    facts = {entry["name"]: entry for entry in listed.json["encoders"]}
    assert list(facts) == list(ENCODERS)
    assert {name for name, one in facts.items() if not one["learned"]} == set(COMPUTED)
    assert {name for name, one in facts.items() if one["fit"]} == {"gin", "vae"}
    assert {name for name, one in facts.items() if one["decodes"]} == {"vae"}
    for name, one in facts.items():
        assert one["what"]
        assert one["dim"] == make_encoder(name).dim
        if one["fit"]:
            with pytest.raises(ArgumentError):
                _ = make_encoder(name).fingerprint
        else:
            assert one["fingerprint"] == make_encoder(name).fingerprint
    assert cli("encoder", "ls", "--format", "quiet").lines == list(ENCODERS)
    rows = list(csv.DictReader(cli("encoder", "ls", "--format", "tsv").lines, delimiter="\t"))
    assert {row["name"]: row["fit"] for row in rows}["gin"] == "true"


@pytest.mark.parametrize("name", ENCODERS)
def test_show_tells_what_an_encoder_is(cli: Any, check_json: Check, name: str) -> None:
    shown = cli("encoder", "show", name, "--format", "json")
    assert (shown.code, shown.err) == (0, "")
    check_json(shown.json, "encoder")
    assert shown.json["name"] == name
    assert shown.json["description"]
    assert all(one["meaning"].endswith(".") for one in shown.json["options"])
    options = {one["option"]: one["value"] for one in shown.json["options"]}
    assert make_encoder(name, **options).dim == shown.json["dim"]
    text = cli("encoder", "show", name).out
    assert all(part in text for part in (name, shown.json["what"], *options))
    assert cli("encoder", "show", name, "--format", "quiet").lines == [name]


def test_show_tells_how_what_is_shipped_was_trained(cli: Any) -> None:
    shown = cli("encoder", "show", "universal", "--format", "json").json
    assert shown["learned"] and not shown["fit"]
    assert shown["bytes"] > 100_000
    assert shown["training"]["fingerprint"] == shown["fingerprint"]
    assert set(shown["training"]["recipe"]["cells"]) >= {"nasbench101", "nasbench201", "darts"}
    assert "seed" in cli("encoder", "show", "universal").out


def test_train_on_a_space_then_show_and_eval(
    cli: Any, check_json: Check, tmp_path: Path, small_table: Table
) -> None:
    out = tmp_path / "deep" / "encoder"
    arguments = ("encoder", "train", "--space", "nasbench201", "--n", "40", "--seed", "3")
    trained = cli(*arguments, "--out", out, "--format", "json")
    assert trained.code == 0
    check_json(trained.json, "encoder-train")
    cells = space("nasbench201")
    expected = make_encoder("gin")
    fit_to(expected, cells, [arch.native for arch in cells.sample(40, seed=3)], seed=3)
    assert trained.json["fingerprint"] == load_encoder(out).fingerprint == expected.fingerprint
    told = {key: trained.json[key] for key in ("encoder", "space", "recipe", "training")}
    assert told == {"encoder": "gin", "space": "nasbench201", "recipe": None, "training": None}

    shown = cli("encoder", "show", out, "--format", "json").json
    assert (shown["folder"], shown["fit"]) == (str(out), False)
    assert shown["bytes"] == (out / "weights.safetensors").stat().st_size
    assert shown["training"] is None

    # What was saved is taken as it is, and not fitted again.
    found = cli("encoder", "eval", out, "--data", "nasbench201", "-n", "100", "--format", "json")
    assert found.json["encoders"][0]["tau"] == Sample(small_table, n=100).measure(expected).tau
    again = cli(*arguments, "--out", out)
    assert (again.code, again.out) == (2, "")
    assert "expected a folder without an encoder" in again.err
    assert cli(*arguments, "--out", out / "encoder.json").code == 2


@pytest.mark.usefixtures("small_recipe")
def test_train_by_recipe(cli: Any, check_json: Check, tmp_path: Path) -> None:
    out = tmp_path / "encoder"
    trained = cli(
        "encoder", "train", "--recipe", "universal", "--out", out, "--seed", "1", "--format", "json"
    )
    assert trained.code == 0
    check_json(trained.json, "encoder-train")
    assert trained.json["training"]["seed"] == 1
    assert trained.json["training"]["recipe"]["cells"] == {"nasbench201": 40}
    assert trained.json["fingerprint"] == load_encoder(out).fingerprint
    shown = cli("encoder", "show", out)
    assert "recipe cells nasbench201" in shown.out
    other = cli("encoder", "train", "--recipe", "universal", "--out", tmp_path / "b", "--format", "quiet")
    assert other.lines == [str(tmp_path / "b")]
    assert load_encoder(tmp_path / "b").fingerprint != trained.json["fingerprint"]


def test_eval_measures_encoders_side_by_side(cli: Any, check_json: Check, small_table: Table) -> None:
    arguments = (
        "encoder",
        "eval",
        "structural",
        "paths",
        "statistics",
        "--data",
        "nasbench201",
        "--n",
        "300",
    )
    found = cli(*arguments, "--format", "json")
    assert (found.code, found.err) == (0, "")
    check_json(found.json, "encoder-eval")
    sample = Sample(small_table, n=300)
    assert found.json["architectures"] == len(sample)
    assert found.json["objective"] == "cifar10_valid_acc"
    for one in found.json["encoders"]:
        measured = sample.measure(make_encoder(one["encoder"])).to_dict()
        assert {key: one[key] for key in measured} == pytest.approx(measured)
    tau = {one["encoder"]: one["tau"] for one in found.json["encoders"]}
    assert list(tau) == ["structural", "paths", "statistics"]
    assert cli(*arguments, "--format", "quiet").lines == sorted(tau, key=lambda name: -tau[name])
    told = cli(*arguments, "--objective", "cifar10_latency_ms", "--seed", "2").out
    assert "cifar10_latency_ms of" in told


def test_eval_without_edit_distances(cli: Any, tmp_path: Path) -> None:
    natives = [arch.native for arch in space("darts").sample(20, seed=0)]
    lines = [f"{native}\t{i}" for i, native in enumerate(natives)]
    (tmp_path / "mine.tsv").write_text("\n".join(["native\tacc", *lines]))
    imported = cli(
        "data", "import", tmp_path / "mine.tsv", "--name", "mine", "--space", "darts", "--map",
        "acc=cifar10:valid:acc",
    )  # fmt: skip
    assert imported.code == 0, imported.err
    assert "no edit distances" in cli("encoder", "eval", "wl", "--data", "mine").out
    assert (
        cli("encoder", "eval", "wl", "--data", "mine", "--format", "json").json["encoders"][0]["edits"]
        is None
    )


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("show", "structral"), "did you mean 'structural'?"),
        (("show", "/nonexistent"), "a saved one is named by its folder"),
        (("eval", "structural"), "--data"),
        (("eval", "--data", "nasbench201"), "NAME|FOLDER"),
        (("eval", "structural", "--data", "nasbench2O1"), "did you mean 'nasbench201'?"),
        (("eval", "structural", "--data", "nasbench201", "--objective", "cifar10_valid_ac"), "did you mean"),
        (("eval", "structural", "--data", "nasbench201", "--n", "3"), "at least 11"),
        (("train", "--space", "nasbench201"), "--out"),
        (("train", "--out", "x"), "either --recipe or --space"),
        (("train", "--out", "x", "--space", "nasbench201", "--recipe", "universal"), "either --recipe or"),
        (("train", "--out", "x", "--recipe", "universl"), "did you mean 'universal'?"),
        (("train", "--out", "x", "--space", "nasbench2O1"), "did you mean 'nasbench201'?"),
        (("train", "--out", "x", "--space", "nasbench201", "--encoder", "wl"), "--encoder gin"),
        (("train", "--out", "x", "--space", "nasbench201", "--resume"), "without --resume"),
        (("train", "--out", "x", "--space", "nasbench201", "--n", "1"), "at least 2"),
        (("ls", "structural"), "archindex encoder ls --help"),
    ],
)
def test_bad_input_is_told(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], part: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = cli("encoder", *arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("archindex: error: ")
    assert part in result.err
    assert not (tmp_path / "x").exists()


def test_a_damaged_record_is_told(cli: Any, tmp_path: Path) -> None:
    make_encoder("structural").save(tmp_path)
    for content in ("{", "[]"):
        (tmp_path / "training.json").write_text(content)
        result = cli("encoder", "show", tmp_path)
        assert (result.code, result.out) == (1, "")
        assert "training.json" in result.err
