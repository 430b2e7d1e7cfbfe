"""Fixtures that several folders of tests share."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

import archindex as ax
from archindex.datasets import Table, load


@pytest.fixture(scope="session")
def nasbench201() -> Table:
    """The default data set, all 15,625 rows."""
    return load("nasbench201")


@pytest.fixture(scope="session")
def small_table(nasbench201: Table) -> Table:
    """400 rows of the default data set, drawn at random."""
    return nasbench201.take(np.random.default_rng(0).permutation(len(nasbench201))[:400])


@pytest.fixture(scope="session")
def built_index(small_table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of `small_table` with an HNSW engine. Shared: do not write to it."""
    path = tmp_path_factory.mktemp("shared") / "index"
    ax.build(path, small_table, engine="hnsw").close()
    return path


@pytest.fixture
def index_path(built_index: Path, tmp_path: Path) -> Path:
    """A copy of `built_index` to write to."""
    return Path(shutil.copytree(built_index, tmp_path / "index"))


def folder_digest(folder: Path) -> str:
    """Return a hash of all names and contents below `folder`, lock files left out."""
    digest = hashlib.sha256()
    for file in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock"):
        digest.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()
