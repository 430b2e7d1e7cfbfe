"""What a folder is: an index, a damaged one, a build that was stopped, or something that is not ours."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, Final, Literal

from archindex.core.errors import CorruptIndexError
from archindex.store.files import read_json

FolderKind = Literal["nothing", "index", "damaged", "unfinished", "foreign"]

_OURS: Final = {
    "versions",
    "building",
    "snapshots",
    "writer.lock",
    "log",
    "manifest.json",
    "manifest.json.new",
}
_VERSION: Final = re.compile(r"\d{6}")
_LOG: Final = re.compile(r"\d{6}\.log(\.new)?")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]*\.json(\.new)?")


def folder_kind(path: Path) -> FolderKind:
    """Tell what is at `path`.

    Returns
    -------
    str
        ``"nothing"``: nothing, or an empty folder. ``"index"``: it has a manifest. ``"damaged"``: it has
        versions, and its manifest is lost or cannot be read. ``"unfinished"``: a first build that was
        stopped, and nothing else. ``"foreign"``: anything else; it is to be left alone.
    """
    if not path.is_dir():
        return "foreign" if path.exists() else "nothing"
    names = {entry.name for entry in path.iterdir()}
    if not names:
        return "nothing"
    if "manifest.json" in names and _read(path / "manifest.json") is not None:
        return "index"
    numbers = version_numbers(path)
    if numbers and not ("manifest.json" not in names and numbers == [1] and _is_first_build(path)):
        return "damaged"
    return "unfinished" if "manifest.json" not in names and only_ours(path) else "foreign"


def version_numbers(path: Path) -> list[int]:
    """Return the numbers of the versions that have a description, sound or not, rising."""
    found = (path / "versions").glob("*/version.json")
    return sorted(int(file.parent.name) for file in found if _VERSION.fullmatch(file.parent.name))


def only_ours(path: Path) -> bool:
    """Return whether a folder holds only what archindex wrote, as far as names tell."""
    return (
        all(entry.name in _OURS for entry in path.iterdir())
        and _all_match(path / "versions", re.compile(r"new|\d{6}"))
        and _all_match(path / "log", _LOG)
        and _all_match(path / "snapshots", _NAME)
        and is_our_work(path / "building")
    )


def is_our_work(work: Path) -> bool:
    """Return whether the folder of an unfinished build is one, or is not there."""
    if _read(work / "config.json") is not None:
        return True
    # Stopped before its first note was written.
    return _all_match(work, re.compile(r"config\.json\.new"))


def repair_command(path: Path) -> str:
    """Return what to type to repair the index at `path`."""
    return f"{verify_command(path)} --repair"


def verify_command(path: Path) -> str:
    """Return what to type to check the index at `path`."""
    return f"archindex verify {shlex.quote(str(path))}"


def _is_first_build(path: Path) -> bool:
    """Return whether version 1 was written by a build that was stopped just before it was published.

    A build makes the same version again. Nothing was acknowledged since: there would be a log.
    """
    config = _read(path / "building" / "config.json")
    return config is not None and config.get("first") is True and not any((path / "log").glob("*.log"))


def _all_match(folder: Path, pattern: re.Pattern[str]) -> bool:
    if not folder.exists():
        return True
    return folder.is_dir() and all(pattern.fullmatch(entry.name) for entry in folder.iterdir())


def _read(file: Path) -> dict[str, Any] | None:
    try:
        return read_json(file)
    except (OSError, CorruptIndexError):
        return None
