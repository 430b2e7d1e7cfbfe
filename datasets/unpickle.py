"""Read pickles that hold nothing but built-in values.

A pickle is a program: reading one with the standard library runs whatever it names. This reader resolves no
name at all, so that a file can hold only numbers, strings, lists, tuples, sets and dicts.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, NoReturn

from archindex.core.errors import DataUnavailableError, UnsafeDataError


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise UnsafeDataError(
            "expected a pickle of plain built-in values",
            got=f"{module_name}.{global_name}",
            fix="the file asks for code and was not read further: get it again from its origin",
        )


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
    try:
        with path.open("rb") as file:
            return _PlainUnpickler(file).load()
    except UnsafeDataError:
        raise
    # A damaged pickle fails in as many ways as there are opcodes.
    except Exception as error:
        raise DataUnavailableError(
            f"expected a readable pickle at {path}",
            got=f"{type(error).__name__}: {error}",
            fix="the file is damaged: install or copy it again",
        ) from error
