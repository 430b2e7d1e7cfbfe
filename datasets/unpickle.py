"""Read foreign pickles as data.

A pickle is a program: reading one with the standard library runs whatever it names. These readers look
nothing up. `read_plain_pickle` takes no name at all, so that a file can hold only numbers, strings, lists,
tuples, sets and dicts. `read_array_pickle` also takes the five names by which NumPy writes scalars and
arrays up to pickle protocol 4, and classes that the caller lists; each stands for a function or class of this
module, which checks what it is given. Anything else is refused before it runs.
"""

from __future__ import annotations

import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Collection
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

import numpy as np

from archindex.core.errors import DataUnavailableError, UnsafeDataError

DTYPE: Final = re.compile(r"[<>|=]?(?:[biufc][0-9]{1,2}|[SU][0-9]{1,6})", re.ASCII)
"""Types of numbers and texts; no objects, no records."""


_ARRAY: Final = object()
"""Stands for the class of arrays, which a pickle may name but not call."""


class Record:
    """What an instance of a listed class becomes: its attributes, and none of its code."""


def read_plain_pickle(path: Path) -> Any:
    """Return the value in a pickle file that holds only built-in values.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    UnsafeDataError
        If the pickle names a class or a function; nothing of it is run.
    DataUnavailableError
        If the file cannot be read or is damaged.
    """
    return _read(path, _PlainUnpickler)


def read_array_pickle(path: Path, records: Collection[str] = (), *, stream: BinaryIO | None = None) -> Any:
    """Return the value in a pickle file of built-in values, and NumPy scalars and arrays of numbers or text.

    Ordered dicts are taken too.

    Parameters
    ----------
    path : Path
        The file.
    records : collection of str
        Classes (``"module.Class"``) whose instances are taken as a `Record`; the classes are not imported.
    stream : binary file, optional
        Where the pickle is read from, if it is only a part of the file: one member of an archive. Its next
        pickle is read, so that several in a row can be.

    Raises
    ------
    UnsafeDataError
        If the pickle names anything else, or uses one of these names for something else.
    DataUnavailableError
        If the file cannot be read or is damaged.
    """

    class Reader(_PlainUnpickler):
        def find_class(self, module_name: str, global_name: str, /) -> Any:
            name = f"{module_name}.{global_name}"
            if name in records:
                return Record
            # NumPy 2 writes numpy._core where NumPy 1 wrote numpy.core.
            known = _KNOWN.get(name.replace("numpy._core.", "numpy.core.", 1))
            return super().find_class(module_name, global_name) if known is None else known

    return _read(path, Reader, stream)


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        _refuse(f"{module_name}.{global_name}")


def _read(path: Path, reader: Callable[..., pickle.Unpickler], stream: BinaryIO | None = None) -> Any:
    try:
        with nullcontext(stream) if stream else path.open("rb") as file:
            return reader(file).load()
    except UnsafeDataError:
        raise
    # A damaged pickle fails in as many ways as there are opcodes.
    except Exception as error:
        raise DataUnavailableError(
            f"expected a readable pickle at {path}",
            got=f"{type(error).__name__}: {error}",
            fix="the file is damaged: install or copy it again",
        ) from error


def _refuse(got: str) -> NoReturn:
    raise UnsafeDataError(
        "expected a pickle of plain built-in values",
        got=got,
        fix="the file asks for code and was not read further: get it again from its origin",
    )


class _Type:
    """Stands for ``numpy.dtype``: a type of numbers or text, made from its code and byte order alone."""

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or not DTYPE.fullmatch(code):
            _refuse(f"numpy.dtype({code!r})")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if order not in ("<", ">", "|", "="):
            _refuse(f"the byte order {order!r}")
        self.dtype = self.dtype.newbyteorder(order)


class _Array(np.ndarray[Any, Any]):
    """An array that takes a state of numbers or text only."""

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, raw = state
        dtype = _dtype(kind)
        if not isinstance(raw, bytes):
            _refuse("an array whose values are no bytes")
        # NumPy refuses a shape that does not fit the bytes.
        values = np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")
        whole: Any = (1, values.shape, dtype, bool(fortran), raw)
        super().__setstate__(whole)


def _dtype(kind: Any) -> np.dtype[Any]:
    if not isinstance(kind, _Type):
        _refuse(f"{kind!r} as a NumPy type")
    return kind.dtype


def _scalar(kind: Any, raw: Any) -> Any:
    if not isinstance(raw, bytes):
        _refuse("a NumPy scalar whose value is no bytes")
    return np.frombuffer(raw, _dtype(kind), count=1)[0]


def _reconstruct(subtype: Any, *_: Any) -> _Array:
    if subtype is not _ARRAY:
        _refuse("an array of another class")
    return _Array(0, np.int8)


def _encode(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        _refuse(f"_codecs.encode to {encoding!r}")
    return text.encode("latin1")


_KNOWN: Final[dict[str, Any]] = {
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.multiarray._reconstruct": _reconstruct,
    "numpy.dtype": _Type,
    "numpy.ndarray": _ARRAY,
    "_codecs.encode": _encode,
    "collections.OrderedDict": OrderedDict,
}
