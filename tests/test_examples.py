"""The examples in docstrings and documents run and print what they say.

In documents, blocks marked ``python`` are run, and blocks marked ``pycon`` are compared with what they print;
the blocks of one document share their names and run in an empty folder. ``python no-run`` is only compiled.
"""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("archindex", "datasets", "encoders", "indexes", "queries")
BLOCK = re.compile(r"^```(python|pycon)( no-run)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def modules() -> list[str]:
    """Return the modules whose source shows an example."""
    found = set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            if re.search(r"^\s*>>> ", path.read_text(encoding="utf-8"), re.MULTILINE):
                parts = path.relative_to(ROOT).with_suffix("").parts
                name = ".".join(parts if folder == "archindex" else ("archindex", *parts))
                found.add(name.removesuffix(".__init__"))
    return sorted(found)


def documents() -> list[Path]:
    """Return the documents that show an example."""
    paths = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [path for path in paths if path.is_file() and BLOCK.search(path.read_text(encoding="utf-8"))]


def run_session(text: str, names: dict[str, Any], where: str) -> None:
    test = doctest.DocTestParser().get_doctest(text, names, where, where, 0)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    report: list[str] = []
    runner.run(test, out=report.append, clear_globs=False)
    names.update(test.globs)
    assert runner.failures == 0, "".join(report)


@pytest.mark.parametrize("name", modules())
def test_examples_of_docstrings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(importlib.import_module(name), optionflags=FLAGS).failed == 0


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_examples_of_documents(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = path.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "example"}
    for match in BLOCK.finditer(text):
        kind, only_compiled, block = match.groups()
        where = f"{path.name}, line {text[: match.start()].count(chr(10)) + 2}"
        if kind == "pycon":
            run_session(block, names, where)
        else:
            code = compile(block, where, "exec")
            if not only_compiled:
                exec(code, names)


def test_a_wrong_example_is_noticed() -> None:
    with pytest.raises(AssertionError, match="Expected"):
        run_session(">>> 1 + 1\n3\n", {}, "here")
