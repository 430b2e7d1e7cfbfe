"""Verification: is every file as it was written, and does everything derived agree with the truth?"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from archindex.core.disk import reading
from archindex.core.errors import ArchindexError, CorruptIndexError
from archindex.core.progress import Progress, silent
from archindex.encoders import load_encoder
from archindex.indexes import DISTANCE_ATOL, DISTANCE_RTOL, load_index
from archindex.indexes.list_files import load_lists
from archindex.queries.columns import Column
from archindex.spaces.registry import space
from archindex.store.arrange import LISTED_FOLDER
from archindex.store.catalog import Catalog
from archindex.store.columns import ColumnFolder
from archindex.store.folder import repair_command, version_numbers
from archindex.store.log import replay
from archindex.store.manifest import current_version
from archindex.store.motifs import MOTIF_FOLDER, packed_in, read_motifs
from archindex.store.names import damaged_names, read_names
from archindex.store.repair import (
    can_be_made,
    derive,
    load_arrays,
    newest_sound_version,
    rebuild,
    restore_manifest,
)
from archindex.store.version import (
    VersionInfo,
    check_files,
    log_path,
    parse_version,
    version_folder,
)
from archindex.store.writer import writing


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes
    ----------
    file : str
        The file concerned.
    text : str
        What is wrong with it.
    repairable : bool
        Whether `verify` with `repair` makes it good.
    snapshot : str
        Name of the snapshot that it is in; ``""``: in the index as it is now.
    """

    file: str
    text: str
    repairable: bool
    snapshot: str = ""


@dataclass(frozen=True)
class Report:
    """What a verification found.

    Attributes
    ----------
    checks : tuple of str
        What was checked.
    found : tuple of Problem
        What is wrong; empty when all is well.
    repaired : tuple of str
        Problems that were repaired; a new version or a new manifest was published.
    next : str
        What to do about what is wrong; empty when all is well.
    """

    checks: tuple[str, ...]
    found: tuple[Problem, ...]
    repaired: tuple[str, ...]
    next: str

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, in words."""
        return tuple(problem.text for problem in self.found)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong (any more)."""
        return not self.found


@reading("the index")
def verify(path: Path, *, repair: bool = False, progress: Progress = silent) -> Report:
    """Check an index completely; with `repair`, make again what is derived and damaged.

    Parameters
    ----------
    path : Path
        Folder of the index.
    repair : bool
        Whether to publish a repaired version. Catalogue, vectors, learned encoders and the log are the
        truth: damage there is named and cannot be repaired.
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
        If there is a damaged manifest and no version beside it.
    StorageError
        If the disk refuses.
    """
    found = _examine(path, progress)
    repaired: tuple[str, ...] = ()
    if repair and found and all(problem.repairable for problem in found):
        with writing(path):
            repaired = tuple(_repair(path, progress))
        found = _examine(path, progress)
    checks = (*(name for name, _ in _CHECKS), "snapshots")
    return Report(checks, found, repaired, _next_step(path, found))


def _examine(path: Path, progress: Progress) -> tuple[Problem, ...]:
    """Return what is wrong with the index as it is now."""
    try:
        number = current_version(path)
    except CorruptIndexError as error:
        if not version_numbers(path):
            raise
        text = f"{error.expected}, got {error.got}"
        return (Problem("manifest.json", text, newest_sound_version(path) is not None),)
    return _problems(path, number, progress) or _snapshot_problems(path, number)


def _snapshot_problems(path: Path, current: int) -> tuple[Problem, ...]:
    """Return what is wrong with the versions that are kept under a name, and with the names."""
    lost = tuple(
        Problem(f"snapshots/{file.name}", f"snapshots/{file.name} was altered", False)
        for file in damaged_names(path)
    )
    if lost:
        return lost
    found = []
    for one in read_names(path).values():
        if one.version != current:
            found += [
                Problem(problem.file, f"snapshot {one.name}: {problem.text}", False, snapshot=one.name)
                for problem in _problems(path, one.version, silent)
            ]
    return tuple(found)


def _repair(path: Path, progress: Progress) -> Iterator[str]:
    """Repair what is wrong now and say what it was; call it inside `writing`.

    What was found before the lock was taken does not count: another process may have published since.
    """
    found = _examine(path, progress)
    newest = newest_sound_version(path)
    if newest is not None and [problem.file for problem in found] == ["manifest.json"]:
        restore_manifest(path, newest)
        passed_over = "; newer ones are damaged" if newest < version_numbers(path)[-1] else ""
        yield f"{found[0].text}: written again for version {newest}{passed_over}"
        found = _examine(path, progress)
    if found and all(problem.repairable for problem in found):
        rebuild(path, current_version(path))
        yield from (problem.text for problem in found)


def _next_step(path: Path, found: Sequence[Problem]) -> str:
    if not found:
        return ""
    if all(problem.repairable for problem in found):
        return repair_command(path)
    if found[0].snapshot:
        drop = f"archindex snapshot rm {shlex.quote(str(path))} {found[0].snapshot}"
        return f"restore versions/ from a copy, or do without the snapshot: {drop}"
    if found[0].file.startswith("snapshots/"):
        return f"restore {found[0].file} from a copy, or remove it and the name with it"
    try:
        data = parse_version(version_folder(path, current_version(path))).data
    except ArchindexError:
        data = ()
    options = " ".join(f"--data {shlex.quote(name)}" for name in data or ("NAME",))
    build = f"archindex build {shlex.quote(str(path))} {options} --overwrite"
    return f"restore the index from a copy, or build it again: {build}"


def _problems(path: Path, number: int, progress: Progress) -> tuple[Problem, ...]:
    """Return what is wrong with a version; the first check that finds something ends the verification."""
    folder = version_folder(path, number)
    try:
        info = parse_version(folder)
    except CorruptIndexError as error:
        return (Problem("version.json", str(error), False),)
    for done, (name, check) in enumerate(_CHECKS):
        progress("verify", done, len(_CHECKS))
        try:
            found = list(check(path, folder, info))
        except (ArchindexError, OSError, ValueError, KeyError) as error:
            found = [("catalog.duckdb", f"{name}: {error}")]
        if found:
            return tuple(Problem(file, text, can_be_made(file, info)) for file, text in found)
    progress("verify", len(_CHECKS), len(_CHECKS))
    return ()


def _checksums(path: Path, folder: Path, info: VersionInfo) -> Iterator[tuple[str, str]]:
    yield from check_files(folder, info).items()


def _arrays(path: Path, folder: Path, info: VersionInfo) -> Iterator[tuple[str, str]]:
    vectors, ids = load_arrays(folder)
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
    if not np.array_equal(np.sort(load_arrays(folder)[1]), rows["row_id"]):
        yield "catalog.duckdb", "catalog.duckdb and ids.npy hold different rows"
        return
    for name in np.unique(rows["space"].astype(str)):
        natives = rows["native"][rows["space"] == name].tolist()
        ids = rows["arch_id"][rows["space"] == name]
        wrong = np.flatnonzero(space(str(name)).arch_ids(natives) != ids.astype(str))
        if len(wrong):
            yield "catalog.duckdb", f"catalog.duckdb holds a wrong arch_id for {natives[wrong[0]]}"


def _encoder(path: Path, folder: Path, info: VersionInfo) -> Iterator[tuple[str, str]]:
    try:
        fits = load_encoder(folder / "encoder").fingerprint == info.fingerprint
    except ArchindexError as error:
        yield "encoder", f"encoder: {error}"
        return
    if not fits:
        yield "encoder", "the encoder is not the one that made the vectors"


def _columns(path: Path, folder: Path, info: VersionInfo) -> Iterator[tuple[str, str]]:
    stored = ColumnFolder(folder / "columns")
    expected = derive(folder)
    if set(stored) != set(expected):
        yield "columns/", f"columns/ lacks or adds {sorted(set(stored) ^ set(expected))}"
        return
    for name, column in expected.items():
        kept = stored[name]
        if kept.kind != column.kind or not _equal(kept, column):
            yield f"columns/{name}.npy", f"columns/{name}.npy differs from the catalogue"


def _motifs(path: Path, folder: Path, info: VersionInfo) -> Iterator[tuple[str, str]]:
    try:
        kept = read_motifs(folder / MOTIF_FOLDER)
    except CorruptIndexError as error:
        yield "motifs/", f"motifs/: {error}"
        return
    if kept is not None:
        made = packed_in(folder)
        if not (np.array_equal(kept.ids, made.ids) and kept.structures.equals(made.structures)):
            yield "motifs/", "motifs/ does not hold the graphs of the index"


def _engine(path: Path, folder: Path, info: VersionInfo) -> Iterator[tuple[str, str]]:
    if info.engine == "exact" or info.n_rows == 0:
        return
    vectors, ids = load_arrays(folder)
    engine = load_index(folder / "ann")
    some = np.linspace(0, len(ids) - 1, min(100, len(ids))).astype(np.int64)
    found = engine.search(vectors[some], 1)
    distances = found.distances[:, 0]
    if not (
        np.isin(found.ids[:, 0], ids).all() and (distances <= DISTANCE_ATOL + DISTANCE_RTOL).mean() >= 0.9
    ):
        yield "ann/", "ann/ does not find the rows of the index"


def _lists(path: Path, folder: Path, info: VersionInfo) -> Iterator[tuple[str, str]]:
    found = load_lists(folder / LISTED_FOLDER)
    if found is not None and not found[0].hold(load_arrays(folder)[0]):
        yield "lists/", "lists/ does not hold the rows of the index where they lie"


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
    ("graphs against the catalogue", _motifs),
    ("engine against the vectors", _engine),
    ("lists against the vectors", _lists),
    ("log", _log),
)


def _equal(a: Column, b: Column) -> bool:
    if a.kind == "DOUBLE":
        # Means of training seeds: the last bits depend on the order in which the seeds were added up.
        x, y = (np.asarray(c.values, dtype=np.float64) for c in (a, b))
        return x.shape == y.shape and np.allclose(x, y, rtol=1e-12, atol=0, equal_nan=True)
    return a.categories == b.categories and np.array_equal(a.values, b.values)
