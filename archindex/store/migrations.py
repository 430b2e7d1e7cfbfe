"""Formats of the index folder, and how what an older one wrote is read.

The manifest states the format of the folder as a whole, each version's description the format in which it
was written: a version is never changed, however old. An older folder is read as it lies; the next write puts
its manifest into the present format, so that an older archindex refuses it from then on.

Format 1
    A version's description says neither its format nor what made it.
Format 2
    Snapshots (``snapshots/``); measurements that the log takes away; descriptions with ``format_version`` and
    ``made_by``. A writer of format 1 would drop the versions of snapshots.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from archindex.core.errors import CorruptIndexError, IndexVersionError

FORMAT_VERSION: Final = 2
"""Number of the on-disk format that is written; a reader refuses higher ones."""

Content = dict[str, Any]


def _from_1(content: Content) -> Content:
    # The first versions of format 1 state neither the engine's arguments nor checksums of the data.
    return {"engine_arguments": {}, "data_digests": [], **content, "made_by": "unknown"}


MIGRATIONS: Final[Mapping[int, Callable[[Content], Content]]] = {1: _from_1}
"""By format: what turns a version's description of it into one of the next."""


def present_form(content: Content, file: Path) -> Content:
    """Return a version's description, of whatever format, as the present format writes it.

    Parameters
    ----------
    content : dict
        What the description holds; it is left as it is.
    file : Path
        Where it was read, for errors.

    Raises
    ------
    IndexVersionError
        If a newer archindex wrote it.
    CorruptIndexError
        If its format is not a number.
    """
    content = dict(content)
    written = check_format(content.pop("format_version", 1), file)
    for number in range(written, FORMAT_VERSION):
        content = MIGRATIONS[number](content)
    return content


def check_format(written: object, file: Path) -> int:
    """Return the number of a format that can be read.

    Raises
    ------
    IndexVersionError
        If a newer archindex wrote it.
    CorruptIndexError
        If it is no number of a format.
    """
    if not isinstance(written, int) or isinstance(written, bool) or written < 1:
        raise CorruptIndexError("expected the number of a format", got=f"{written!r} in {file}")
    if written > FORMAT_VERSION:
        raise IndexVersionError(
            f"expected an index of format {FORMAT_VERSION} or older",
            got=written,
            fix="pip install -U archindex",
        )
    return written
