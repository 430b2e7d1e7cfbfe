"""The wheel holds archindex, all of it and nothing else; four folders of it stand at the top of the tree."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import archindex

ROOT = Path(__file__).resolve().parent.parent
OUTER = ("datasets", "encoders", "indexes", "queries")
HEAVY = ("torch", "torch_geometric", "faiss", "hnswlib", "duckdb", "scipy", "matplotlib")


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True)


def copy_tree(to: Path, *, links: bool) -> Path:
    """Copy what a wheel is made of; leftovers of earlier builds stay behind."""
    ignored = shutil.ignore_patterns("__pycache__", *(() if links else OUTER))
    shutil.copytree(ROOT / "archindex", to / "archindex", symlinks=True, ignore=ignored)
    for folder in OUTER:
        shutil.copytree(ROOT / folder, to / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, to / file)
    return to


def wheel_of(tree: Path) -> dict[str, bytes]:
    """Build a wheel without the network and return its files."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet")
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--no-cache-dir")
    done = run(*pip, *offline, "--wheel-dir", tree / "out", tree, cwd=tree)
    assert done.returncode == 0, done.stderr
    (path,) = (tree / "out").glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return wheel_of(copy_tree(tmp_path_factory.mktemp("linked"), links=True))


def test_the_only_top_level_of_the_wheel_is_archindex(wheel: dict[str, bytes]) -> None:
    tops = {name.partition("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"archindex"}


def test_the_weights_of_the_universal_encoder_are_in_the_wheel(wheel: dict[str, bytes]) -> None:
    for path in (ROOT / "encoders" / "universal_weights").iterdir():
        assert wheel[f"archindex/encoders/universal_weights/{path.name}"] == path.read_bytes()


def test_every_source_file_is_in_the_wheel(wheel: dict[str, bytes]) -> None:
    sources = {
        f"archindex/{p.relative_to(ROOT)}": p for folder in OUTER for p in (ROOT / folder).rglob("*.py")
    }
    for path in (ROOT / "archindex").rglob("*.py"):
        inside = path.relative_to(ROOT)
        if inside.parts[1] not in OUTER:
            sources[str(inside)] = path
    assert len(sources) > 20
    assert {name for name in wheel if name.endswith(".py")} == set(sources)
    assert all(wheel[name] == path.read_bytes() for name, path in sources.items())
    assert "archindex/py.typed" in wheel


def test_a_tree_without_links_builds_the_same_wheel(wheel: dict[str, bytes], tmp_path: Path) -> None:
    without = wheel_of(copy_tree(tmp_path, links=False))
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
    code = {name: content for name, content in wheel.items() if ".dist-info/" not in name}
    assert {name: content for name, content in without.items() if ".dist-info/" not in name} == code


@pytest.mark.parametrize("folder", OUTER)
def test_the_folders_are_linked_into_archindex(folder: str) -> None:
    link = ROOT / "archindex" / folder
    assert link.is_symlink()
    assert link.readlink() == Path("..") / folder


@pytest.mark.parametrize("folder", OUTER)
def test_a_folder_imported_by_itself_says_what_to_import(folder: str) -> None:
    done = run(sys.executable, "-c", f"import {folder}", cwd=ROOT)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError:")
    assert f"import archindex.{folder}" in last


def test_importing_archindex_loads_nothing_heavy() -> None:
    code = f"import sys, archindex; print(sorted(set({HEAVY}) & set(sys.modules)))"
    done = run(sys.executable, "-W", "error", "-c", code, cwd=ROOT)
    assert done.stderr == ""
    assert done.stdout == "[]\n"


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.search(r"^## \[(\d[^\]]*)\]", changelog, re.MULTILINE)
    cited = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert released is not None
    assert cited is not None
    assert project["version"] == released[1] == cited[1]
    assert project["version"] == archindex.__version__


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = set(
        re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    )
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[<>=~! ]", requirement)[0] for requirement in wanted}
    pinned = {name.lower().replace("_", "-") for name in pins}
    assert {name.lower() for name in names} - pinned == set()
