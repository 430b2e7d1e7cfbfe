from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from archindex.core.errors import StorageError
from archindex.evaluate.plots import plot_curves, plot_map, principal_plane


def size_of(png: Path) -> tuple[int, int]:
    data = png.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    return width, height


@pytest.mark.parametrize("maximize", [True, False])
@pytest.mark.parametrize("seeds", [1, 4])
def test_curves(tmp_path: Path, maximize: bool, seeds: int) -> None:
    rng = np.random.default_rng(0)
    best = np.maximum.accumulate(rng.normal(size=(seeds, 30)), axis=1)
    curves = {"walk": best if maximize else -best, "random": best - 1 if maximize else 1 - best}
    plot_curves(
        tmp_path / "c.png", curves, optimum=3.0 if maximize else -3.0, objective="x", maximize=maximize
    )
    assert size_of(tmp_path / "c.png") == (1140, 690)


def test_map_leaves_missing_values_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=200)
    values[7] = np.nan
    plot_map(tmp_path / "m.png", rng.normal(size=(200, 5)), values, [3, 9, 1], [0, 2], objective="x")
    assert size_of(tmp_path / "m.png") == (1140, 900)


def test_the_plane_holds_the_largest_variances() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(500, 4)) * [0.1, 5.0, 2.0, 0.1] + 7
    points, shares = principal_plane(vectors)
    singular = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False)
    assert np.linalg.norm(points, axis=0) == pytest.approx(singular[:2])
    assert shares == pytest.approx(singular[:2] ** 2 / (singular**2).sum())
    assert abs(np.corrcoef(points[:, 0], vectors[:, 1])[0, 1]) > 0.99


def test_a_disk_that_refuses_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        plot_curves(tmp_path / "no" / "c.png", {"walk": np.ones((2, 3))}, optimum=1, objective="x")
