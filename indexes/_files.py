"""The folder of a saved engine: its files, and a small JSON with what made them and their checksums."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archindex.core.errors import (
    ArgumentError,
    CorruptIndexError,
    IndexMissingError,
    IndexVersionError,
    StorageError,
)

FORMAT = 1
MANIFEST = "engine.json"


@dataclass(frozen=True)
class Manifest:
    """What a saved engine is.

    Attributes
    ----------
    engine : str
        Its name in the registry.
    arguments : dict of str to int or str or None
        What its constructor took.
    """

    engine: str
    arguments: dict[str, Any]


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Turn what the operating system refuses into StorageError."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"could not write {folder}: {error.strerror or error}", fix="check the space and the rights there"
        ) from error


def write_manifest(folder: Path, manifest: Manifest, names: Iterable[str]) -> None:
    """Write the JSON for the files `names`, which must be in `folder` already."""
    content = {
        "format": FORMAT,
        "engine": manifest.engine,
        "arguments": manifest.arguments,
        "files": {name: _digest(folder / name) for name in names},
    }
    (folder / MANIFEST).write_text(_seal(content), encoding="utf-8")


def read_manifest(folder: Path, engine: str | None = None) -> Manifest:
    """Return what is in `folder`, after every file was found to be as it was written.

    Parameters
    ----------
    folder : Path
    engine : str, optional
        The engine that is to be there; None: any.

    Raises
    ------
    ArgumentError
        If another engine is there.
    IndexMissingError, CorruptIndexError, IndexVersionError
        See :meth:`archindex.indexes.base.VectorIndex.load`.
    """
    if not folder.is_dir():
        raise IndexMissingError("expected the folder of a saved vector engine", got=str(folder))
    content = _read(folder / MANIFEST)
    for name, digest in content["files"].items():
        path = folder / name
        if not path.is_file():
            raise _damage(path, "missing")
        if _digest(path) != digest:
            raise _damage(path, "altered or truncated")
    if engine not in (None, content["engine"]):
        raise ArgumentError(
            f"expected a saved {engine} engine in {folder}", got=content["engine"], fix="use load_index"
        )
    return Manifest(content["engine"], content["arguments"])


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise _damage(path, "missing")
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
    except ValueError:
        raise _damage(path, "not JSON") from None
    if isinstance(content, dict) and isinstance(content.get("format"), int) and content["format"] > FORMAT:
        raise IndexVersionError(
            f"{path} is in format {content['format']}, this archindex reads up to {FORMAT}",
            fix="upgrade archindex",
        )
    if not isinstance(content, dict) or content.pop("sha256", None) is None or _seal(content) != text:
        raise _damage(path, "altered")
    return content


def _seal(content: Mapping[str, Any]) -> str:
    body = json.dumps(content, sort_keys=True)
    sealed = {**content, "sha256": hashlib.sha256(body.encode()).hexdigest()}
    return json.dumps(sealed, indent=1, sort_keys=True) + "\n"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damage(path: Path, what: str) -> CorruptIndexError:
    return CorruptIndexError(f"{path} is {what}", fix="build the engine again from the vectors")
