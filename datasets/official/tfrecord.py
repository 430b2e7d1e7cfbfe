"""The framing of TFRecord files, without TensorFlow.

A record is its length (8 bytes, little-endian), the masked CRC-32C of these 8 bytes (4 bytes), the data, and
the masked CRC-32C of the data (4 bytes): tensorflow/tensorflow, tensorflow/core/lib/io/record_writer.h; the
mask is in tensorflow/core/lib/hash/crc32c.h (rotate right by 15 bits and add a constant).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from archindex.core.errors import DataUnavailableError
from archindex.datasets.official.reading import damaged

MAX_RECORD: Final = 16 << 20
"""Largest record that is read; a longer one means a damaged length that matches its checksum by chance."""

_HEADER: Final = struct.Struct("<QI")
_FOOTER: Final = struct.Struct("<I")
_BUFFER: Final = 1 << 20


def masked_crc(data: bytes) -> int:
    """Return the masked CRC-32C of `data`, as TFRecord files store it."""
    from google_crc32c import value

    crc: int = value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(path: Path) -> Iterator[bytes]:
    """Yield the records of a TFRecord file, one at a time.

    Raises
    ------
    DataUnavailableError
        If the file cannot be read, ends within a record, or a checksum differs; the message tells where.
    """
    try:
        with path.open("rb", buffering=_BUFFER) as file:
            at = 0
            while header := file.read(_HEADER.size):
                length = _length(path, at, header)
                data, footer = file.read(length), file.read(_FOOTER.size)
                if len(data) != length or len(footer) != _FOOTER.size:
                    raise damaged(path, "whole records", f"an end within the record at byte {at}")
                if _FOOTER.unpack(footer)[0] != masked_crc(data):
                    raise damaged(path, "records that match their checksums", f"another at byte {at}")
                yield data
                at += _HEADER.size + length + _FOOTER.size
    except OSError as error:
        raise DataUnavailableError(f"expected a readable file at {path}", got=str(error)) from error


def _length(path: Path, at: int, header: bytes) -> int:
    if len(header) != _HEADER.size:
        raise damaged(path, "whole records", f"an end within the header at byte {at}")
    length, crc = _HEADER.unpack(header)
    if crc != masked_crc(header[:8]) or length > MAX_RECORD:
        raise damaged(path, "a TFRecord file", f"no header of a record at byte {at}")
    return int(length)
