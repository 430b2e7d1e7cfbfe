"""The commands on search spaces."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import archindex as ax
from archindex.cli import space as commands
from archindex.spaces.base import Costed, Enumerable
from archindex.spaces.registry import NAMED, SPACES

Check = Callable[[dict[str, Any], str], None]
ARCH = "nasbench101:conv3x3~0+maxpool3x3~01+output~02"


def test_ls_tells_all_spaces(cli: Any, check_json: Check) -> None:
    listed = cli("space", "ls", "--format", "json")
    assert (listed.code, listed.err) == (0, "")
    check_json(listed.json, "space-list")
    facts = {entry["name"]: entry for entry in listed.json["spaces"]}
    assert list(facts) == list(SPACES)
    assert facts["nasbench201"]["size"] == 15_625
    assert facts["nasbench101"]["by_arch_id"] == 423_624
    assert facts["timm"]["size"] is None
    assert all(entry["what"] for entry in facts.values())
    for name, entry in facts.items():
        assert entry["costs"] == isinstance(ax.space(name), Costed)
    assert cli("space", "ls", "--format", "quiet").lines == list(SPACES)
    rows = list(csv.DictReader(cli("space", "ls", "--format", "tsv").lines, delimiter="\t"))
    assert {row["name"]: row["size"] for row in rows}["nasbench201"] == "15625"


@pytest.mark.parametrize("name", SPACES)
def test_show_tells_what_a_space_is(cli: Any, check_json: Check, name: str) -> None:
    shown = cli("space", "show", name, "--format", "json")
    assert (shown.code, shown.err) == (0, "")
    check_json(shown.json, "space")
    assert shown.json["description"]
    assert shown.json["native"]
    assert ax.space(name).parse(shown.json["example"]).native == shown.json["example"]
    assert (shown.json["ops"] == []) == (name in NAMED)
    if name not in NAMED:
        counts = {entry["op"]: entry["nodes"] for entry in shown.json["ops"]}
        assert counts == commands._ops(ax.space(name))
        assert counts["output"] >= commands.LOOKED_AT
    for part in (name, shown.json["example"], shown.json["native"]):
        assert part in cli("space", "show", name).out


def test_show_names_the_tables_that_measure_a_space(cli: Any) -> None:
    shown = cli("space", "show", "nasbench201")
    assert "nasbench201 (15,625 rows)" in shown.out
    assert "nb201 (15,625 rows, not here)" in shown.out


@pytest.mark.parametrize("name", [name for name in SPACES if name not in NAMED])
def test_sample_draws_as_the_space_does(cli: Any, check_json: Check, name: str) -> None:
    arguments = ("space", "sample", name, "-n", "3", "--seed", "7", "--format")
    drawn = cli(*arguments, "json")
    assert (drawn.code, drawn.err) == (0, "")
    check_json(drawn.json, "space-sample")
    space = ax.space(name)
    expected = space.sample(3, seed=7)
    found = drawn.json["architectures"]
    assert [one["architecture"] for one in found] == [str(arch) for arch in expected]
    assert [one["arch_id"] for one in found] == [arch.arch_id for arch in expected]
    if isinstance(space, Costed):
        costs = space.costs([arch.native for arch in expected], space.datasets[0])
        assert [one["params"] for one in found] == costs.params.tolist()
        assert [one["flops"] for one in found] == costs.flops.tolist()
        assert drawn.json["dataset"] == space.datasets[0]
    else:
        assert {one["params"] for one in found} == {None}
    quiet = cli(*arguments, "quiet").lines
    assert quiet == [str(arch) for arch in expected]
    assert all(ax.space(name).parse(line.partition(":")[2]) for line in quiet)


def test_sample_counts_for_a_data_set(cli: Any) -> None:
    found = [
        cli("space", "sample", "nasbench201", "-n", 1, "--dataset", d, "--format", "json").json[
            "architectures"
        ][0]
        for d in ("cifar10", "cifar100")
    ]
    assert found[1]["params"] - found[0]["params"] == 90 * 64 + 90
    assert cli("space", "sample", "nasbench201", "-n", 0, "--format", "quiet").out == ""


@pytest.mark.parametrize("ending", ["svg", "dot", "GV"])
def test_draw_writes_the_file(cli: Any, check_json: Check, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"cell.{ending}"
    drawn = cli("space", "draw", ARCH, "--out", file, "--format", "json")
    assert (drawn.code, drawn.err) == (0, "")
    check_json(drawn.json, "space-draw")
    assert (drawn.json["nodes"], drawn.json["edges"], drawn.json["out"]) == (4, 5, str(file))
    text = file.read_text(encoding="utf-8")
    assert ElementTree.fromstring(text).tag.endswith("svg") if ending == "svg" else text.startswith("digraph")
    assert cli("space", "draw", ARCH, "-o", file, "--format", "quiet").lines == [str(file)]
    assert file.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", [name for name in SPACES if name not in NAMED])
def test_draw_samples_from_a_space(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    drawn = cli("space", "draw", name, "--seed", "2", "--format", "json")
    assert (drawn.code, drawn.err) == (0, "")
    arch = ax.space(name).sample(1, seed=2)[0]
    assert drawn.json["architecture"] == str(arch)
    file = tmp_path / f"{name}-{arch.arch_id[:10]}.svg"
    assert list(tmp_path.glob("*.svg")) == [file]
    titles = [t.text for t in ElementTree.parse(file).iter("{http://www.w3.org/2000/svg}title")]
    assert len(titles) == 1 + arch.graph.n_nodes


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("show", "nasbench2O1"), 2, "did you mean 'nasbench201'?"),
        (("sample", "nasbench201", "-n", "-1"), 2, "at least 0"),
        (("sample", "nasbench201", "--dataset", "cifar"), 2, "'cifar10"),
        (("sample", "timm"), 2, "list of named models"),
        (("draw", "nasbench201:|oops|"), 2, "oops"),
        (("draw", "no such thing"), 2, "space:native"),
        (("draw", ARCH, "-o", "cell.png"), 2, ".svg"),
        (("draw", ARCH, "-o", "/nonexistent/cell.svg"), 1, "No such file"),
        (("draw", "timm:no_such_model"), 1, "pip install"),
        (("ls", "nasbench201"), 2, "archindex space ls --help"),
    ],
)
def test_bad_input_is_told(cli: Any, arguments: tuple[str, ...], code: int, part: str) -> None:
    result = cli("space", *arguments)
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith("archindex: error: ")
    assert part in result.err


@pytest.mark.slow
@pytest.mark.parametrize("name", commands.DISTINCT)
def test_numbers_of_arch_ids_are_counted(name: str) -> None:
    space = ax.space(name)
    if space.size is None or space.size > 70_000 or not isinstance(space, Enumerable):
        pytest.skip("counted by a test of its own, or too large to count here")
    natives = [arch.native for arch in space.enumerate()]
    assert len(set(space.arch_ids(natives).tolist())) == commands.DISTINCT[name]


def test_draws_that_are_not_uniform_are_told(cli: Any) -> None:
    told = " ".join(cli("space", "sample", "--help").out.replace("│", " ").split())
    assert "einspace, which draws by the probabilities of its grammar" in told
    assert "nasbench_nlp, which draws as the official generator does" in told
    for name in ("einspace", "nasbench_nlp"):
        assert "not uniform" in " ".join(cli("space", "show", name).out.split())
