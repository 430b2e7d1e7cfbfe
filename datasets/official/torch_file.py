"""Read what ``torch.save`` wrote, where it holds no tensors: as data, without torch.

Since PyTorch 1.6 such a file is a zip archive whose member ``*/data.pkl`` is the pickle. Before, it was a row
of pickles: a magic number, a protocol version, facts on the machine, the value, and keys of storages
(pytorch/pytorch, torch/serialization.py, ``_legacy_save`` and ``_save``).
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any, Final

from archindex.datasets.official.reading import damaged, reading
from archindex.datasets.unpickle import read_array_pickle

MAGIC: Final = 0x1950A86A20F9469CFC6C
VERSION: Final = 1001
MAX_BYTES: Final = 4 << 30
"""Largest pickle in an archive that is read."""


def read_torch_file(path: Path, expected: str) -> Any:
    """Return the value in a file of built-in values, ordered dicts and NumPy arrays that torch saved.

    Parameters
    ----------
    path : Path
        The file.
    expected : str
        What it should hold, for messages.

    Raises
    ------
    UnsafeDataError
        If the pickle names anything but data; nothing of it is run.
    DataUnavailableError
        If the file is damaged, holds tensors, or was not written by torch.
    """
    with reading(path, f"{expected} in a file that torch saved"):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                [info] = [one for one in archive.infolist() if one.filename.split("/")[1:] == ["data.pkl"]]
                if info.file_size > MAX_BYTES:
                    raise damaged(path, f"at most {MAX_BYTES} bytes", info.file_size)
                return read_array_pickle(path, stream=io.BytesIO(archive.read(info)))
        with path.open("rb") as file:
            if (
                read_array_pickle(path, stream=file) != MAGIC
                or read_array_pickle(path, stream=file) != VERSION
            ):
                raise damaged(path, "a file that torch saved", "another")
            read_array_pickle(path, stream=file)
            return read_array_pickle(path, stream=file)
