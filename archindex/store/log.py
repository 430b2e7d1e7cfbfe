"""The write-ahead log of a version: what was acknowledged since it was published.

One record a line: a CRC-32 of the rest, a blank, JSON. A record is acknowledged once it is flushed to the
disk. A crash can leave a last line without its end; it was never acknowledged, and is ignored and cut off.
A whole line whose CRC does not fit is damage, and refused.
"""

from __future__ import annotations

import base64
import json
import math
import os
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archindex.core.disk import disk_errors
from archindex.core.errors import CorruptIndexError
from archindex.core.metrics import MeasurementSpec
from archindex.store.files import sync_folder
from archindex.store.rows import RowInfo


@dataclass(frozen=True)
class AddedRow:
    """One row that the log adds: its catalogue entry, vector (float32, shape (dim,)) and graph sizes."""

    info: RowInfo
    vector: npt.NDArray[np.float32]
    sizes: Mapping[str, int]


@dataclass
class Delta:
    """All that the log changes, replayed.

    Attributes
    ----------
    added : dict from int to AddedRow
        New rows by row id, in order.
    values : dict from int to dict from MeasurementSpec to float
        New and changed measurements by row id, of new rows and of old ones; NaN: taken away.
    removed : set of int
        Row ids taken out of the published version.
    next_row_id : int
        One more than the highest row id ever added here, also if it was removed again.
    """

    added: dict[int, AddedRow] = field(default_factory=dict)
    values: dict[int, dict[MeasurementSpec, float]] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)
    next_row_id: int = 0

    def __len__(self) -> int:
        return len(self.added) + len(self.values) + len(self.removed)

    def add(self, rows: Iterable[AddedRow], values: Mapping[int, Mapping[MeasurementSpec, float]]) -> None:
        """Add rows, and measurements of new or old rows; a measurement of the same spec is replaced."""
        for row in rows:
            self.added[row.info.row_id] = row
            self.next_row_id = max(self.next_row_id, row.info.row_id + 1)
        for row_id, by_spec in values.items():
            self.values.setdefault(row_id, {}).update(by_spec)

    def remove(self, ids: Iterable[int]) -> None:
        """Take rows out."""
        for row_id in ids:
            self.values.pop(row_id, None)
            if self.added.pop(row_id, None) is None:
                self.removed.add(row_id)


def encode_add(rows: Iterable[AddedRow], values: Mapping[int, Mapping[MeasurementSpec, float]]) -> bytes:
    """Return the log line of an add, or of new measurements alone; NaN takes one away."""
    specs = list(dict.fromkeys(spec for by_spec in values.values() for spec in by_spec))
    place = {spec: i for i, spec in enumerate(specs)}
    return _line(
        {
            "op": "add",
            "rows": [
                {
                    **asdict(row.info),
                    "vector": base64.b64encode(row.vector.astype("<f4").tobytes()).decode(),
                    "sizes": dict(row.sizes),
                }
                for row in rows
            ],
            "specs": [asdict(spec) for spec in specs],
            "values": [
                [i, place[spec], None if math.isnan(value) else value]
                for i, by_spec in values.items()
                for spec, value in by_spec.items()
            ],
        }
    )


def encode_remove(ids: Iterable[int]) -> bytes:
    """Return the log line of a removal."""
    return _line({"op": "remove", "ids": list(ids)})


def append(path: Path, line: bytes) -> None:
    """Append one line and flush it to the disk; on return it is acknowledged.

    If the disk refuses, the log is put back to what it was.

    Raises
    ------
    StorageError
        If the disk refuses.
    """
    with disk_errors("a record of the log"):
        path.parent.mkdir(exist_ok=True)
        # Unbuffered: a buffer would write the rest of a refused record on closing, after the cut.
        with path.open("ab", buffering=0) as out:
            before = out.tell()
            try:
                written = 0
                while written < len(line):
                    written += out.write(line[written:])
                os.fsync(out.fileno())
                if before == 0:  # its name, too, has to be on the disk
                    sync_folder(path.parent)
                    sync_folder(path.parent.parent)
            except OSError:
                os.ftruncate(out.fileno(), before)
                raise


def replay(path: Path, dim: int) -> tuple[Delta, int]:
    """Read a log.

    Returns
    -------
    Delta
        What it changes.
    int
        Bytes of whole records; what follows is a torn record.

    Raises
    ------
    CorruptIndexError
        If a whole record is damaged.
    """
    delta = Delta()
    data = path.read_bytes() if path.exists() else b""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        # A torn record lacks more than its end: one that is whole but for its last byte was damaged there.
        if end < 0 and not _fits(data[start:-1]):
            break
        line = data[start:end]
        if end < 0 or not _fits(line):
            raise CorruptIndexError(
                "expected a log of whole records",
                got=f"{path}, damaged at byte {start}",
                fix="restore it from a copy",
            )
        _apply(delta, json.loads(line.partition(b" ")[2]), dim)
        start = end + 1
    return delta, start


def highest_row_id(path: Path) -> int:
    """Return the highest row id that a log names, in damaged records too; -1 if there is none."""
    try:
        data = path.read_bytes()
    except OSError:
        return -1
    return max((int(digits) for digits in re.findall(rb'"row_id":(\d{1,18})', data)), default=-1)


def cut_torn_record(path: Path, whole: int) -> None:
    """Cut a torn last record off, so that the next one starts on a line of its own."""
    if path.exists() and path.stat().st_size > whole:
        with disk_errors("the log"), path.open("r+b") as log:
            log.truncate(whole)
            os.fsync(log.fileno())


def _fits(line: bytes) -> bool:
    """Return whether a line, without its end, has the CRC that it states."""
    crc, _, body = line.partition(b" ")
    return crc == b"%08x" % zlib.crc32(body)


def _apply(delta: Delta, record: dict[str, Any], dim: int) -> None:
    if record["op"] == "remove":
        delta.remove(record["ids"])
        return
    specs = [MeasurementSpec(**spec) for spec in record["specs"]]
    rows = []
    for row in record["rows"]:
        vector = np.frombuffer(base64.b64decode(row["vector"]), dtype="<f4").astype(np.float32)
        if len(vector) != dim:
            raise CorruptIndexError(f"expected vectors of {dim} dimensions in the log", got=len(vector))
        rows.append(
            AddedRow(
                RowInfo(row["row_id"], row["space"], row["native"], row["arch_id"]), vector, row["sizes"]
            )
        )
    values: dict[int, dict[MeasurementSpec, float]] = {}
    for row_id, place, value in record["values"]:
        values.setdefault(row_id, {})[specs[place]] = math.nan if value is None else value
    delta.add(rows, values)


def _line(record: dict[str, Any]) -> bytes:
    body = json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x " % zlib.crc32(body) + body + b"\n"
