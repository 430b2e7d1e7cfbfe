"""Opening: a version is found, leased and read, while a writer may be publishing the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archindex.core.disk import reading
from archindex.core.errors import CorruptIndexError, UnknownNameError
from archindex.store.files import map_array
from archindex.store.folder import version_numbers
from archindex.store.lease import Lease
from archindex.store.log import Delta, replay
from archindex.store.manifest import current_version
from archindex.store.names import resolve
from archindex.store.version import VersionInfo, log_path, read_version, version_folder


@reading("the index")
def read_consistent(path: Path) -> tuple[VersionInfo, Delta, int, Lease]:
    """Read manifest, version and log that belong together, while a writer may be publishing.

    A version that was still the current one after the lease was taken stays for as long as the lease.

    Returns
    -------
    VersionInfo
        The current version.
    Delta
        What its log changes.
    int
        Bytes of whole records in the log.
    Lease
        Keeps the version.

    Raises
    ------
    IndexMissingError, IndexVersionError, CorruptIndexError, EncoderMismatchError
        If the folder cannot be opened.
    StorageError
        If the disk refuses.
    """
    for _ in range(20):
        number = current_version(path)
        lease = Lease(version_folder(path, number))
        try:
            info = read_version(path, number)
            delta, whole = replay(log_path(path, number), info.dim)
        except CorruptIndexError:
            lease.close()
            if current_version(path) == number:
                raise
            continue
        if current_version(path) == number:
            return info, delta, whole, lease
        lease.close()
    raise CorruptIndexError("expected to read the index between two writes", got="20 new versions meanwhile")


@reading("the index")
def read_published(path: Path, version: int | str) -> tuple[VersionInfo, Delta, int, Lease]:
    """Read a version, by number or name, as it was published, with nothing of its log.

    Returns
    -------
    VersionInfo, Delta, int, Lease
        As `read_consistent`.

    Raises
    ------
    IndexMissingError, IndexVersionError, CorruptIndexError, EncoderMismatchError
        If the folder cannot be opened.
    StorageError
        If the disk refuses.
    UnknownNameError
        If there is no such version (any more).
    """
    current, number = current_version(path), resolve(path, version)
    lease = Lease(version_folder(path, number))
    # After the lease was taken: from now on it stays.
    there = [one for one in version_numbers(path) if one <= current]
    if number not in there:
        lease.close()
        raise UnknownNameError(
            "expected a version that is still there",
            got=number,
            fix=f"there are {', '.join(map(str, there))}; a version with a name stays",
        )
    return read_version(path, number), Delta(), 0, lease


def load_array(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
    """Map an array of a version into memory.

    Raises
    ------
    CorruptIndexError
        If it is no array, or one of another shape or type.
    """
    array = map_array(path, empty=shape[0] == 0)
    if array.shape != shape or array.dtype != dtype:
        raise CorruptIndexError(
            f"expected {np.dtype(dtype)} of shape {shape} in {path.name}", got=array.shape
        )
    return array
