"""Habits of the tree that no other tool checks."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("archindex", "datasets", "encoders", "indexes", "queries")
MOST_LINES = 400


def packages() -> set[str]:
    """Return all packages of the tree, under the names that they are installed by."""
    found = set()
    for folder in FOLDERS:
        for init in (ROOT / folder).rglob("__init__.py"):
            inside = init.parent.relative_to(ROOT)
            linked = any((ROOT / parent).is_symlink() for parent in (inside, *inside.parents))
            if not linked:
                parts = inside.parts if folder == "archindex" else ("archindex", *inside.parts)
                found.add(".".join(parts))
    return found


def test_every_package_is_listed() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert packages() == set(setuptools["packages"])
    # A sub-package of one of the outer folders follows the mapping of its parent.
    for folder in FOLDERS[1:]:
        assert setuptools["package-dir"][f"archindex.{folder}"] == folder


def test_every_folder_of_sources_is_a_package() -> None:
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            assert (path.parent / "__init__.py").is_file(), f"{path.parent} lacks an __init__.py"


def test_no_source_file_is_longer_than_400_lines() -> None:
    long = {}
    for folder in (*FOLDERS, "tests", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > MOST_LINES:
                long[str(path.relative_to(ROOT))] = lines
    assert long == {}
