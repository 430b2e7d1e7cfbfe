"""What a disk refuses, as a typed error that says what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from archindex.core.errors import ArchindexError, StorageError


@contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn what the disk refuses inside the block into `StorageError`."""
    try:
        yield
    except ArchindexError:
        raise
    except OSError as error:
        # NumPy says how many items it could not write, and gives no number of an error.
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, None)
        fix = (
            "free some space and run the same command again" if full else "check the disk and its permissions"
        )
        raise StorageError(f"expected the disk to take {doing}", got=str(error), fix=fix) from error


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn what the disk refuses to give inside the block, but for a missing file, into `StorageError`."""
    try:
        yield
    except (ArchindexError, FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise StorageError(
            f"expected the disk to give {what}", got=str(error), fix="check the disk and its permissions"
        ) from error
