"""docs/cli.md names every command and option, and its examples run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

import archindex as ax
from archindex.cli import demo
from archindex.cli.main import app
from archindex.datasets import Table
from archindex.encoders import make_encoder, recipes
from archindex.encoders.train import TrainingPlan

TEXT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, flags=re.DOTALL | re.MULTILINE))


def commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} ")
        else:
            yield prefix + name, command


COMMANDS = dict(commands(typer.main.get_command(app)))


def examples() -> list[str]:
    text = TEXT.replace("\\\n", " ")
    return re.findall(r"^\$ archindex (.*)$", text, flags=re.MULTILINE)


def test_every_command_has_a_section_and_no_other() -> None:
    assert set(SECTIONS) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_told_and_exists(name: str) -> None:
    options = {
        flag for p in COMMANDS[name].params for flag in (*p.opts, *p.secondary_opts) if flag.startswith("--")
    }
    told = set(re.findall(r"--[a-z][a-z-]*", SECTIONS[name]))
    general = {"--format", "--debug", "--help"}
    assert told - general <= options
    assert options - general <= told


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_one_line_and_examples(name: str) -> None:
    first, _, rest = COMMANDS[name].help.partition("\n")
    assert first.endswith(".")
    assert len(first) <= 66
    assert f"archindex {name}" in rest


def test_examples_run(cli: Any, tmp_path: Path, small_table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("archindex.datasets.nasbench201.load", lambda: small_table)
    monkeypatch.setattr(demo, "BUDGET", 8)
    monkeypatch.setattr(demo, "MARKS", (2, 4, 8))
    short = recipes.Recipe({"nasbench201": 40}, {}, TrainingPlan(epochs=1), edit_groups=2)
    monkeypatch.setitem(recipes.RECIPES, "universal", lambda: short)
    make_encoder("structural").save(tmp_path / "my.encoder")
    native = next(a.native for a in ax.space("nasbench201").sample(1, seed=0))
    (tmp_path / "timed.csv").write_text(f"cell,lat\n{native},0.5\n")
    np.save(tmp_path / "points.npy", np.zeros((1, 128), dtype=np.float32))
    assert len(examples()) >= 25
    for example in examples():
        result = cli(*shlex.split(example))
        # Slow commands may tell on stderr how far they are.
        assert (result.code, "error" in result.err) == (0, False), example
