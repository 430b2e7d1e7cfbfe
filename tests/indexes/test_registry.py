"""Engines by name, and what importing the package costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import archindex.indexes as package
from archindex.core.errors import ArgumentError, CorruptIndexError, IndexVersionError, UnknownNameError
from archindex.indexes import ENGINES, load_index, make_index


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_is_made_saved_and_loaded_by_name(name: str, tmp_path: Path) -> None:
    index = make_index(name, 4, "cosine", 7)
    index.build(np.eye(4), np.arange(4))
    index.save(tmp_path)
    loaded = load_index(tmp_path)
    assert type(loaded) is type(index)
    assert loaded.search(np.eye(4), 1).ids[:, 0].tolist() == [0, 1, 2, 3]


def test_parameters_are_passed_checked_and_saved(tmp_path: Path) -> None:
    index = make_index("hnsw", 4, ef_search=33)
    index.save(tmp_path)
    arguments = json.loads((tmp_path / "engine.json").read_text())["arguments"]
    assert arguments["ef_search"] == 33
    assert arguments["dim"] == 4
    with pytest.raises(ArgumentError, match="links"):
        make_index("hnsw", 4, links=1)
    with pytest.raises(UnknownNameError, match="ef_search"):
        make_index("hnsw", 4, ef_serch=1)


def test_unknown_names_point_to_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'hnsw'"):
        make_index("hnws", 4)
    with pytest.raises(UnknownNameError, match="'cosine'"):
        make_index("exact", 4, "cosin")  # type: ignore[arg-type]


@pytest.mark.parametrize(("dim", "seed"), [(0, 0), (-1, 0), (2.5, 0), (4, -1)])
def test_bad_arguments_of_every_engine(dim: int, seed: int) -> None:
    for name in ENGINES:
        with pytest.raises(ArgumentError):
            make_index(name, dim, seed=seed)


def test_another_engine_is_refused_by_class(tmp_path: Path) -> None:
    make_index("ivf", 4).save(tmp_path)
    with pytest.raises(ArgumentError, match="load_index"):
        package.ExactIndex.load(tmp_path)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    make_index("exact", 4).save(tmp_path)
    path = tmp_path / "engine.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(IndexVersionError, match="upgrade"):
        load_index(tmp_path)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptIndexError, match="missing"):
        load_index(tmp_path)


def test_engines_are_imported_when_made_and_silently() -> None:
    script = (
        "import sys, archindex.indexes as x\n"
        "assert not {'faiss', 'hnswlib'} & set(sys.modules)\n"
        "x.make_index('exact', 2)\n"
        "assert not {'faiss', 'hnswlib'} & set(sys.modules)\n"
        "x.make_index('hnsw', 2)\n"
        "assert 'hnswlib' in sys.modules and 'faiss' not in sys.modules\n"
        "index = x.make_index('ivf', 2)\n"
        "index.build([[0, 1], [1, 0], [1, 1]], [0, 1, 2])\n"
        "assert x.IvfIndex is type(index)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_public_name_is_there() -> None:
    assert all(getattr(package, name) is not None for name in package.__all__)
    with pytest.raises(AttributeError):
        package.Nothing  # noqa: B018
