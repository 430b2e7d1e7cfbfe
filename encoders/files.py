"""The files of an encoder: ``encoder.json`` says what it is, ``weights.safetensors`` what it learned."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.core.disk import disk_errors
from archindex.core.errors import (
    CorruptIndexError,
    EncoderMismatchError,
    IndexMissingError,
    IndexVersionError,
    StorageError,
)

FORMAT: Final = 1
"""Version of the layout of ``encoder.json``."""

DESCRIPTION: Final = "encoder.json"
WEIGHTS: Final = "weights.safetensors"

_REBUILD: Final = "build the index again"


def content_hash(
    name: str,
    version: int,
    config: Mapping[str, Any],
    weights: Mapping[str, npt.NDArray[Any]] | None = None,
) -> str:
    """Return 32 hexadecimal digits that change whenever kind, code version, options or weights do.

    Parameters
    ----------
    name : str
        Registered name of the encoder.
    version : int
        Version of the code that computes the vectors.
    config : mapping
        Options, as they go to JSON.
    weights : mapping from str to ndarray, optional
        What was learned.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([name, version, config], sort_keys=True).encode())
    for key, array in sorted((weights or {}).items()):
        digest.update(json.dumps([key, str(array.dtype), list(array.shape)]).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def write_description(
    folder: Path, *, name: str, version: int, config: Mapping[str, Any], fingerprint: str
) -> None:
    """Write ``encoder.json`` into `folder`, which is made if it is not there.

    Raises
    ------
    StorageError
        If the disk refuses.
    """
    content = {
        "format": FORMAT,
        "encoder": name,
        "code_version": version,
        "config": dict(config),
        "fingerprint": fingerprint,
    }
    with disk_errors(f"the encoder in {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DESCRIPTION).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_description(folder: Path) -> dict[str, Any]:
    """Return the content of ``encoder.json``, its fields checked for type.

    Raises
    ------
    IndexMissingError
        If it is not there.
    IndexVersionError
        If it has a newer format.
    CorruptIndexError
        If it is not what `write_description` writes.
    """
    path = folder / DESCRIPTION
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise IndexMissingError(f"expected an encoder in {folder}", got=f"no {DESCRIPTION}") from None
    except OSError as error:
        raise StorageError(f"cannot read {path}", got=str(error)) from error
    except (ValueError, RecursionError) as error:
        raise CorruptIndexError(f"expected JSON in {path}", got=str(error), fix=_REBUILD) from None
    if isinstance(content, dict) and isinstance(content.get("format"), int) and content["format"] > FORMAT:
        raise IndexVersionError(
            f"expected an encoder of format {FORMAT} in {path}", got=content["format"], fix="update archindex"
        )
    fields = {"format": int, "encoder": str, "code_version": int, "config": dict, "fingerprint": str}
    if not isinstance(content, dict) or any(
        not isinstance(content.get(key), kind) for key, kind in fields.items()
    ):
        raise CorruptIndexError(f"expected {', '.join(fields)} in {path}", got=content, fix=_REBUILD)
    return content


def check_description(content: Mapping[str, Any], folder: Path, *, name: str, version: int) -> None:
    """Refuse what this code would turn into other vectors.

    Raises
    ------
    EncoderMismatchError
        If `folder` holds an encoder of another kind, or of older code.
    IndexVersionError
        If it was written by newer code.
    """
    if content["encoder"] != name:
        raise EncoderMismatchError(f"expected the encoder {name!r} in {folder}", got=content["encoder"])
    if content["code_version"] > version:
        raise IndexVersionError(
            f"expected version {version} of the encoder {name!r} in {folder}",
            got=content["code_version"],
            fix="update archindex",
        )
    if content["code_version"] < version:
        raise EncoderMismatchError(
            f"expected version {version} of the encoder {name!r} in {folder}",
            got=content["code_version"],
            fix=_REBUILD,
        )


def check_fingerprint(content: Mapping[str, Any], folder: Path, found: str) -> None:
    """Compare the fingerprint on file with the one computed of what was loaded.

    Raises
    ------
    CorruptIndexError
        If they differ.
    """
    if content["fingerprint"] != found:
        raise CorruptIndexError(
            f"expected an encoder with fingerprint {content['fingerprint']} in {folder}",
            got=found,
            fix=_REBUILD,
        )
