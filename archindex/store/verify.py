"""Verification: is every file as it was written, and does everything derived agree with the truth?"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from archindex.core.canonical import graph_sizes
from archindex.core.errors import ArchindexError, CorruptIndexError
from archindex.core.progress import Progress, silent
from archindex.encoders import load_encoder
from archindex.indexes import DISTANCE_ATOL, DISTANCE_RTOL, load_index, make_index
from archindex.queries.columns import Column
from archindex.spaces.registry import space
from archindex.store.catalog import Catalog
from archindex.store.columns import ColumnFolder, derive_columns, write_columns
from archindex.store.log import replay
from archindex.store.version import (
    VersionInfo,
    check_files,
    current_version,
    log_path,
    parse_version,
    publish,
    version_folder,
)
from archindex.store.writer import staging, writing

DERIVED: Final = ("columns/", "ann/")
"""What can be worked out again from the catalogue and the vectors."""

SIZES: Final = ("n_ops", "depth")
"""Columns that are worked out from the graphs."""


@dataclass(frozen=True)
class Report:
    """What a verification found.

    Attributes
    ----------
    checks : tuple of str
        What was checked.
    problems : tuple of str
        What is wrong; empty when all is well.
    repaired : tuple of str
        Problems that were repaired; a new version was published.
    """

    checks: tuple[str, ...]
    problems: tuple[str, ...]
    repaired: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong (any more)."""
        return not self.problems


def verify(path: Path, *, repair: bool = False, progress: Progress = silent) -> Report:
    """Check an index completely; with `repair`, work out again what is derived and damaged.

    Parameters
    ----------
    path : Path
        Folder of the index.
    repair : bool
        Whether to publish a repaired version. Catalogue, vectors and log are the truth: damage there is
        named and cannot be repaired.
    progress : Progress
        Told after each check.

    Returns
    -------
    Report

    Raises
    ------
    IndexMissingError, IndexVersionError
        If there is no index to check.
    CorruptIndexError
        If the manifest itself is damaged.
    """
    number = current_version(path)
    problems = _problems(path, number, progress)
    repaired: list[str] = []
    if repair and problems and all(name.startswith(DERIVED) for name, _ in problems):
        with writing(path):
            _rebuild(path, number)
        repaired = [text for _, text in problems]
        problems = _problems(path, current_version(path), progress)
    return Report(tuple(name for name, _ in _CHECKS), tuple(text for _, text in problems), tuple(repaired))


def _problems(path: Path, number: int, progress: Progress) -> list[tuple[str, str]]:
    """Return ``(file, what is wrong)``; the first check that finds something ends the verification."""
    folder = version_folder(path, number)
    try:
        info = parse_version(folder)
    except CorruptIndexError as error:
        return [("version.json", str(error))]
    for done, (name, check) in enumerate(_CHECKS):
        progress("verify", done, len(_CHECKS))
        try:
            found = list(check(path, folder, info))
        except (ArchindexError, OSError, ValueError, KeyError) as error:
            found = [("catalog.duckdb", f"{name}: {error}")]
        if found:
            return found
    progress("verify", len(_CHECKS), len(_CHECKS))
    return []


def _checksums(path: Path, folder: Path, info: VersionInfo) -> Iterator[tuple[str, str]]:
    for text in check_files(folder, info):
        yield text.split(" ")[0], text


def _arrays(path: Path, folder: Path, info: VersionInfo) -> Iterator[tuple[str, str]]:
    vectors, ids = _load(folder)
    if vectors.shape != (info.n_rows, info.dim) or vectors.dtype != np.float32:
        yield "vectors.npy", f"vectors.npy holds {vectors.dtype} {vectors.shape}"
    elif not np.isfinite(vectors).all():
        yield "vectors.npy", "vectors.npy holds entries that are not finite"
    if ids.shape != (info.n_rows,) or len(np.unique(ids)) != len(ids):
        yield "ids.npy", "ids.npy does not hold one distinct row id a row"
    elif len(ids) and ids.max() >= info.next_row_id:
        yield "ids.npy", f"ids.npy holds row id {ids.max()}, but {info.next_row_id} was to be the next"


def _catalogue(path: Path, folder: Path, info: VersionInfo) -> Iterator[tuple[str, str]]:
    catalog = Catalog(folder / "catalog.duckdb")
    rows = catalog.all_rows()
    catalog.close()
    if not np.array_equal(np.sort(_load(folder)[1]), rows["row_id"]):
        yield "catalog.duckdb", "catalog.duckdb and ids.npy hold different rows"
        return
    for name in np.unique(rows["space"].astype(str)):
        natives = rows["native"][rows["space"] == name].tolist()
        ids = rows["arch_id"][rows["space"] == name]
        wrong = np.flatnonzero(space(str(name)).arch_ids(natives) != ids.astype(str))
        if len(wrong):
            yield "catalog.duckdb", f"catalog.duckdb holds a wrong arch_id for {natives[wrong[0]]}"


def _encoder(path: Path, folder: Path, info: VersionInfo) -> Iterator[tuple[str, str]]:
    encoder = load_encoder(folder / "encoder")
    if encoder.fingerprint != info.fingerprint:
        yield "encoder", "the encoder is not the one that made the vectors"


def _columns(path: Path, folder: Path, info: VersionInfo) -> Iterator[tuple[str, str]]:
    stored = ColumnFolder(folder / "columns")
    expected = _derive(folder)
    if set(stored) != set(expected):
        yield "columns/", f"columns/ lacks or adds {sorted(set(stored) ^ set(expected))}"
        return
    for name, column in expected.items():
        kept = stored[name]
        if kept.kind != column.kind or not _equal(kept, column):
            yield f"columns/{name}.npy", f"columns/{name}.npy differs from the catalogue"


def _engine(path: Path, folder: Path, info: VersionInfo) -> Iterator[tuple[str, str]]:
    if info.engine == "exact" or info.n_rows == 0:
        return
    vectors, ids = _load(folder)
    engine = load_index(folder / "ann")
    some = np.linspace(0, len(ids) - 1, min(100, len(ids))).astype(np.int64)
    found = engine.search(vectors[some], 1)
    distances = found.distances[:, 0]
    if not (
        np.isin(found.ids[:, 0], ids).all() and (distances <= DISTANCE_ATOL + DISTANCE_RTOL).mean() >= 0.9
    ):
        yield "ann/", "ann/ does not find the rows of the index"


def _log(path: Path, folder: Path, info: VersionInfo) -> Iterator[tuple[str, str]]:
    try:
        replay(log_path(path, info.number), info.dim)
    except CorruptIndexError as error:
        yield "log", str(error)


_CHECKS: Final[tuple[tuple[str, Callable[[Path, Path, VersionInfo], Iterator[tuple[str, str]]]], ...]] = (
    ("checksums of all files", _checksums),
    ("vectors and row ids", _arrays),
    ("catalogue against row ids and arch_ids", _catalogue),
    ("encoder", _encoder),
    ("attribute columns against the catalogue", _columns),
    ("engine against the vectors", _engine),
    ("log", _log),
)


def _load(folder: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    return (
        np.load(folder / "vectors.npy", mmap_mode="r", allow_pickle=False),
        np.load(folder / "ids.npy", allow_pickle=False),
    )


def _derive(folder: Path) -> dict[str, Column]:
    """Work the attribute columns out from the catalogue."""
    ids = _load(folder)[1]
    catalog = Catalog(folder / "catalog.duckdb")
    rows = catalog.all_rows()
    place = np.searchsorted(rows["row_id"], ids)
    spaces, natives = rows["space"][place].tolist(), rows["native"][place].tolist()
    sizes = {name: np.zeros(len(ids), dtype=np.int64) for name in SIZES}
    for name in dict.fromkeys(spaces):
        of_space = np.flatnonzero(np.array(spaces) == name)
        found = graph_sizes(space(name).graphs([natives[i] for i in of_space]))
        for size, values in found.items():
            sizes[size][of_space] = values
    columns = derive_columns(spaces, sizes, catalog.series(ids))
    catalog.close()
    return columns


def _equal(a: Column, b: Column) -> bool:
    if a.kind == "DOUBLE":
        # Means of training seeds: the last bits depend on the order in which the seeds were added up.
        x, y = (np.asarray(c.values, dtype=np.float64) for c in (a, b))
        return x.shape == y.shape and np.allclose(x, y, rtol=1e-12, atol=0, equal_nan=True)
    return a.categories == b.categories and np.array_equal(a.values, b.values)


def _rebuild(path: Path, number: int) -> None:
    """Publish the version again with its derived files made anew."""
    folder = version_folder(path, number)
    info = parse_version(folder)
    with staging(path) as staged:
        ignore = shutil.ignore_patterns("columns", "ann", "version.json")
        shutil.copytree(folder, staged, ignore=ignore, dirs_exist_ok=True)
        write_columns(staged / "columns", _derive(folder))
        if info.engine != "exact":
            vectors, ids = _load(folder)
            engine = make_index(info.engine, info.dim, info.metric, info.seed)
            engine.build(vectors, ids)
            engine.save(staged / "ann")
        log = log_path(path, number)
        publish(
            path,
            replace(info, number=number + 1, created=datetime.now(UTC).isoformat(timespec="seconds")),
            log=log.read_bytes() if log.exists() else b"",
        )
