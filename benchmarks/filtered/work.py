"""The work folder: what takes minutes to make is kept there, under a key that says what made it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

VARIABLE: Final = "ARCHINDEX_WORK"
"""Environment variable that names the work folder; unset: a temporary one, gone after the run."""

_MADE: Final = "made.json"


def kept(key: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
    """Return the folder with what `key` describes; `make` fills it if it is not there.

    Parameters
    ----------
    key : mapping
        All that the content depends on, as JSON; ``key["what"]`` names it.
    make : callable
        Is given the empty folder. Until it returned, the folder does not count as made.
    """
    text = json.dumps(key, sort_keys=True)
    folder = _work() / f"{key['what']}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if not (folder / _MADE).exists():
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        make(folder)
        (folder / _MADE).write_text(text + "\n")
    return folder


@cache
def _work() -> Path:
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    # Bound to the function, so that it lives as long as the process.
    _work.temporary = tempfile.TemporaryDirectory(prefix="archindex-")  # type: ignore[attr-defined]
    return Path(_work.temporary.name)  # type: ignore[attr-defined]
