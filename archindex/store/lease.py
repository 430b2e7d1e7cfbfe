"""Leases: a reader's word that it still needs a version, kept by the operating system.

A reader opens the catalogue, the columns, the encoder and the engine of its version when they are first asked
for. Until it is closed it holds a shared lock on the version's ``version.json``; a writer takes old versions
away only where it gets the exclusive lock. The system drops the lock of a process that is killed.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl

    _LOCKS = True
except ImportError:  # Windows: an old version is kept until the publish after the next, and no longer.
    _LOCKS = False


class Lease:
    """Keeps a version on the disk until `close`, or until nobody holds this object.

    Where locks do not exist, or the version has no description, it keeps nothing.

    Parameters
    ----------
    folder : Path
        The version's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._close: weakref.finalize[..., Lease] | None = None
        if not _LOCKS:
            return
        with suppress(OSError):
            handle = os.open(folder / "version.json", os.O_RDONLY)
            # Closed and never unlocked: a forked child shares the lock, and its parent may need it still.
            self._close = weakref.finalize(self, os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_SH)

    def close(self) -> None:
        """Let the version go."""
        if self._close is not None:
            self._close()


@contextmanager
def unless_leased(folder: Path) -> Iterator[bool]:
    """Tell whether no reader holds a version; none can get a lease on it inside the block if so."""
    if not _LOCKS:
        yield True
        return
    try:
        # For writing, because network file systems demand it of an exclusive lock.
        handle = os.open(folder / "version.json", os.O_RDWR)
    except FileNotFoundError:
        yield True
        return
    except OSError:
        yield False
        return
    try:
        yield _lock(handle)
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # A file system without locks: no reader has one.
        return True
    return True
