"""What importers share: members of archives, JSON, numbers, and the errors of damaged files."""

from __future__ import annotations

import json
import math
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
import numpy.typing as npt

from archindex.core.errors import (
    ArchindexError,
    ArchitectureError,
    ArgumentError,
    DataUnavailableError,
    TableError,
)
from archindex.core.metrics import MeasurementSpec, Series, check_range

MEMBER_BYTES: Final = 64 << 20
"""Largest file within an archive that is read: what is larger was not written by a benchmark's authors."""


def damaged(path: Path, expected: str, got: object = None) -> DataUnavailableError:
    """Return the error for a file that is not what it should be."""
    return DataUnavailableError(
        f"expected {expected} in {path}",
        got=got,
        fix="the file is damaged or of another format: get it again from its authors",
    )


@contextmanager
def reading(path: Path, expected: str) -> Iterator[None]:
    """Turn whatever goes wrong while a file is taken apart into a `DataUnavailableError` that names it.

    Errors of archindex itself pass, but those that say that a string is no architecture get the file's name.
    """
    try:
        yield
    except (ArchitectureError, TableError) as error:
        raise damaged(path, expected, str(error)) from error
    except ArchindexError:
        raise
    # Files of others fail in as many ways as there are steps: a missing key, a text for a number, ...
    except Exception as error:
        raise damaged(path, expected, f"{type(error).__name__}: {error}") from error


def members(path: Path, pattern: str) -> Iterator[tuple[str, bytes]]:
    """Yield the files of an archive or a folder whose base name matches, in the order of their names.

    Nothing is extracted to the disk, and names serve as labels only.

    Parameters
    ----------
    path : Path
        A folder, a ``.zip``, or a ``.tar`` (compressed or not).
    pattern : str
        A shell pattern for the base name, e.g. ``"result_*.json"``.

    Yields
    ------
    tuple of str and bytes
        Base name and content.

    Raises
    ------
    DataUnavailableError
        If it is none of these, is damaged, or a file in it is larger than `MEMBER_BYTES`.
    """
    with reading(path, "a folder or a zip or tar archive"):
        if path.is_dir():
            for file in sorted(p for p in path.rglob("*") if p.is_file() and fnmatch(p.name, pattern)):
                yield file.name, _sized(path, file.name, file.stat().st_size, file.read_bytes)
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for info in sorted(archive.infolist(), key=lambda one: one.filename):
                    name = Path(info.filename).name
                    if not info.is_dir() and fnmatch(name, pattern):
                        yield name, _sized(path, name, info.file_size, partial(archive.read, info))
        else:
            yield from _tar_members(path, pattern)


def _tar_members(path: Path, pattern: str) -> Iterator[tuple[str, bytes]]:
    # In the order of the archive: to sort a compressed one would read it once for every file.
    with tarfile.open(path) as archive:
        for member in archive:
            name = Path(member.name).name
            if member.isfile() and fnmatch(name, pattern):
                file = archive.extractfile(member)
                if file is not None:
                    yield name, _sized(path, name, member.size, file.read)
        # tarfile takes a damaged or missing header for the end: the real one is a block of zeros. What is
        # left is read too, as the checksum of a compressed archive stands behind it.
        rest = archive.fileobj
        assert rest is not None
        rest.seek(archive.offset)
        if rest.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise damaged(path, "a whole archive", f"no end of it at byte {archive.offset}")
        while rest.read(MEMBER_BYTES):
            pass


def _sized(path: Path, name: str, size: int, read: Callable[[], bytes]) -> bytes:
    if size > MEMBER_BYTES:
        raise damaged(path, f"files of at most {MEMBER_BYTES} bytes", f"{name} of {size}")
    return read()


def read_json(data: bytes) -> Any:
    """Return the value of a JSON text; ``NaN``, as Python writes it, is a number.

    Raises
    ------
    ValueError
        If it is no JSON, holds an infinity, or an object of it names a key twice.
    """
    return json.loads(data.decode("utf-8"), parse_constant=_constant, object_pairs_hook=_once)


def _constant(text: str) -> float:
    if text != "NaN":
        raise ValueError(f"expected a finite number or NaN, got {text}")
    return float(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for key, value in pairs:
        # The last value would stand, and nobody would know of the others.
        if key in read:
            raise ValueError(f"expected every key once, got {key!r:.80} again")
        read[key] = value
    return read


def number(value: object) -> float:
    """Return a plain number as float; None is missing (NaN).

    Raises
    ------
    TypeError
        If it is a text, a boolean or a container.
    """
    if value is None:
        return math.nan
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        _no_number(value)
    return float(value)


def _no_number(value: object) -> NoReturn:
    raise TypeError(f"expected a number, got {value!r:.80}")


def checked(path: Path, spec: MeasurementSpec, values: npt.NDArray[np.float64]) -> Series:
    """Return a series whose values can be of their metric; NaN is missing."""
    series = Series(spec, np.ascontiguousarray(values, dtype=np.float64))
    try:
        check_range(series)
    except ArgumentError as error:
        raise damaged(path, error.expected.removeprefix("expected "), error.got) from error
    return series


def repeats(row: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return, for each run, how many of the same row came before it; int64, shape of `row`."""
    order = np.argsort(row, kind="stable")
    ordered = row[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    within = np.arange(len(row)) - np.repeat(starts, np.diff(np.r_[starts, len(row)]))
    before = np.empty(len(row), dtype=np.int64)
    before[order] = within
    return before


def by_seed(
    path: Path, spec: MeasurementSpec, row: npt.NDArray[np.int64], n: int, values: npt.NDArray[np.float64]
) -> Iterator[Series]:
    """Yield the runs of each row as series of `n` values: the first run of every row is seed 0, and so on.

    Parameters
    ----------
    path : Path
        Where the values come from, for messages.
    spec : MeasurementSpec
        What they are, without a seed.
    row : ndarray of int64, shape (runs,)
        Row of each run.
    n : int
        Number of rows.
    values : ndarray of float64, shape (runs,)
        Values of the runs.
    """
    turn = repeats(row)
    for seed in range(int(turn.max(initial=0)) + 1):
        of_seed = np.full(n, np.nan)
        of_seed[row[turn == seed]] = values[turn == seed]
        yield checked(path, replace(spec, seed=seed), of_seed)
