"""The records of the official NAS-Bench-101 tfrecords, packed into arrays while they stream by.

A record is a JSON list ``[module_hash, epochs, raw_adjacency, raw_operations, raw_metrics]``: the MD5 of the
cell in hexadecimal, the epochs of the training run, the adjacency matrix row by row as 0 and 1, the ops
separated by commas, and a base64 text of the protocol buffer ``ModelMetrics``. Each training run is a record
of its own, three for each cell and number of epochs. The metrics hold an evaluation before, halfway and after
training. Known from google-research/nasbench: nasbench/api.py (the constructor) and
nasbench/lib/model_metrics.proto.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice, product
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from archindex.datasets.official.reading import damaged, reading
from archindex.datasets.official.tfrecord import records
from archindex.spaces.nasbench101_cells import MAX_VERTICES, OPS

OP_NAMES: Final = tuple(f"{op}-bn-relu" if op.startswith("conv") else op for op in OPS)
"""The official name of each op of `archindex.spaces.nasbench101_cells.OPS`."""

VALUES: Final = ("training_time", "train_accuracy", "validation_accuracy", "test_accuracy")
"""What an evaluation holds: seconds of training so far, and accuracies as fractions."""

STAGES: Final = ("half", "final")
"""The evaluations that are kept: halfway through training, and after it."""

_CHUNK: Final = 1 << 16
_KINDS: Final = ["".join(digits) for n in range(MAX_VERTICES - 1) for digits in product("012", repeat=n)]
# Every list of ops that there can be, with its position in _KINDS.
_CODES: Final = {
    ",".join(["input", *(OP_NAMES[int(digit)] for digit in kinds), "output"]): code
    for code, kinds in enumerate(_KINDS)
}


@dataclass(frozen=True)
class Records:
    """Training runs in packed arrays, in the order of the file.

    Attributes
    ----------
    module : ndarray of void (16 bytes), shape (n,)
        MD5 of the cell.
    epochs : ndarray of int64, shape (n,)
        Epochs of the run.
    bits : ndarray of int64, shape (n,)
        Edges of the cell, as in `archindex.spaces.nasbench101_cells.PackedCells`.
    ops : ndarray of str, shape (n,)
        A digit for each interior vertex: its position in `OPS`.
    params : ndarray of int64, shape (n,)
        Trainable parameters.
    values : ndarray of float64, shape (n, 2, 4)
        `VALUES` at each of `STAGES`.
    """

    module: npt.NDArray[np.void]
    epochs: npt.NDArray[np.int64]
    bits: npt.NDArray[np.int64]
    ops: npt.NDArray[np.str_]
    params: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


_ROW: Final = np.dtype(
    [
        ("module", "V16"),
        ("epochs", "i8"),
        ("matrix", "i8"),
        ("code", "i4"),
        ("params", "i8"),
        ("values", "f8", (len(STAGES), len(VALUES))),
    ]
)


def read_records(path: Path) -> Records:
    """Read a tfrecord of the benchmark.

    Raises
    ------
    DataUnavailableError
        If the file is truncated or damaged, or a record is not of the official form.
    """
    stream = records(path)
    chunks: list[npt.NDArray[Any]] = []
    while True:
        rows = _chunk(path, islice(stream, _CHUNK), len(chunks) * _CHUNK)
        if not len(rows):
            break
        chunks.append(rows)
    if not chunks:
        raise damaged(path, "NAS-Bench-101 records", "none")
    whole = np.concatenate(chunks)
    chunks.clear()
    ops = np.array(_KINDS)[whole["code"]]
    return Records(
        whole["module"],
        whole["epochs"],
        _edge_bits(path, whole["matrix"], np.char.str_len(ops) + 2),
        ops,
        whole["params"],
        whole["values"],
    )


def _chunk(path: Path, stream: Iterator[bytes], first: int) -> npt.NDArray[Any]:
    """Return the next records as rows of a structured array."""
    rows = np.zeros(_CHUNK, dtype=_ROW)
    metrics_of = model_metrics().FromString
    n = 0
    for record in stream:
        with reading(path, f"a NAS-Bench-101 record at number {first + n}"):
            module, epochs, adjacency, operations, encoded = json.loads(record)
            metrics = metrics_of(base64.b64decode(encoded, validate=True))
            _, half, final = metrics.evaluation_data
            code, key = _CODES[operations], bytes.fromhex(module)
            if len(adjacency) != (len(_KINDS[code]) + 2) ** 2 or set(adjacency) - {"0", "1"}:
                raise ValueError(f"the adjacency {adjacency} for the ops {operations}")
            if len(key) != 16 or type(epochs) is not int:
                raise ValueError(f"the cell {module} at {epochs} epochs")
            evaluations = [[_present(at, name) for name in VALUES] for at in (half, final)]
            params = _present(metrics, "trainable_parameters")
            rows[n] = (key, epochs, int(adjacency, 2), code, params, evaluations)
        n += 1
    return rows[:n]


def _present(message: Any, field: str) -> Any:
    # A field that is not there would read as 0.
    if not message.HasField(field):
        raise ValueError(f"{field} is missing")
    return getattr(message, field)


def _edge_bits(
    path: Path, matrix: npt.NDArray[np.int64], n_vertices: npt.NDArray[Any]
) -> npt.NDArray[np.int64]:
    """Return adjacency matrices, given row by row as one number each, as edge bits."""
    bits = np.zeros(len(matrix), dtype=np.int64)
    for n in range(2, MAX_VERTICES + 1):
        rows = np.flatnonzero(n_vertices == n)
        left = matrix[rows]
        for y in range(1, n):
            for x in range(y):
                # The first entry is the highest bit.
                place = n * n - 1 - (x * n + y)
                bits[rows] |= ((left >> place) & 1) << (x + y * (y - 1) // 2)
                left &= ~(1 << place)
        if left.any():
            raise damaged(path, "edges that point forward", f"record {int(rows[left.argmax()])}")
    return bits


@cache
def model_metrics() -> Any:
    """Return the message class ``nasbench.ModelMetrics``, built from the official definition at run time."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="model_metrics.proto", package="nasbench", syntax="proto2")
    fields = {
        "ModelMetrics": [
            ("evaluation_data", kind.TYPE_MESSAGE),
            ("trainable_parameters", kind.TYPE_INT32),
            ("total_time", kind.TYPE_DOUBLE),
        ],
        "EvaluationData": [
            ("current_epoch", kind.TYPE_DOUBLE),
            ("training_time", kind.TYPE_DOUBLE),
            ("train_accuracy", kind.TYPE_DOUBLE),
            ("validation_accuracy", kind.TYPE_DOUBLE),
            ("test_accuracy", kind.TYPE_DOUBLE),
            ("checkpoint_path", kind.TYPE_STRING),
        ],
    }
    for message, described in fields.items():
        added = file.message_type.add(name=message)
        for number, (name, of) in enumerate(described, start=1):
            field = added.field.add(name=name, number=number, type=of, label=kind.LABEL_OPTIONAL)
            if of == kind.TYPE_MESSAGE:
                field.label, field.type_name = kind.LABEL_REPEATED, ".nasbench.EvaluationData"
    # A pool of its own: the default one may hold the definition of somebody else already.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("nasbench.ModelMetrics"))
