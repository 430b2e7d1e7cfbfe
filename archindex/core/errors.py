"""The errors that archindex raises on purpose.

::

    ArchindexError
    ├── InputError                 what the caller gave cannot be used (exit code 2)
    │   ├── ArgumentError          a value out of range or of the wrong shape      (also ValueError)
    │   ├── ArchitectureError      a string or graph outside its search space      (also ValueError)
    │   ├── FilterError            a `where` expression that cannot be used        (also ValueError)
    │   ├── UnknownNameError       no space, data set, column, engine, ... of that name (also LookupError)
    │   ├── TableError             a table to import does not fit                  (also ValueError)
    │   ├── ModelFileError         a model to import is damaged, hostile or too large  (also ValueError)
    │   └── IndexFolderError       the folder given is not an index that can be opened
    │       ├── IndexMissingError      nothing there, or not an index              (also FileNotFoundError)
    │       ├── IndexExistsError       something is there already                  (also FileExistsError)
    │       ├── IndexVersionError      written by a newer archindex
    │       ├── ReadOnlyError          an older version, which is not written to
    │       └── EncoderMismatchError   made by another encoder
    ├── CorruptIndexError          a file of the index is damaged
    ├── IndexLockedError           another process is writing to the index
    ├── StorageError               the disk refused: full, read-only, failing  (also OSError)
    ├── DataUnavailableError       a data set's package or file is not on this machine
    ├── UnsafeDataError            a file asks for code to be run, and was refused
    ├── QueryTimeoutError          the time given to a query is over           (also TimeoutError)
    └── BudgetExhaustedError       the query budget of an oracle is spent

Every message says what was expected, what came, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ArchindexError(Exception):
    """Base of all errors of archindex.

    Parameters
    ----------
    expected : str
        What was expected, as a phrase or a sentence.
    got : object, optional
        What came instead; its ``repr`` is shown, shortened to 120 characters.
    fix : str, optional
        What to type or change next.
    """

    def __init__(self, expected: str, *, got: object = None, fix: str | None = None) -> None:
        self.expected = expected
        self.got = None if got is None else _short(got)
        self.fix = fix
        super().__init__(str(self))

    def __str__(self) -> str:
        text = self.expected
        if self.got is not None:
            text += f", got {self.got}"
        if self.fix:
            text += f"; {self.fix}"
        return text


class InputError(ArchindexError):
    """What the caller gave cannot be used; nothing was changed."""


class ArgumentError(InputError, ValueError):
    """An argument is out of range, of the wrong type or of the wrong shape."""


class ArchitectureError(InputError, ValueError):
    """A string or a graph does not denote an architecture of the search space."""


class FilterError(InputError, ValueError):
    """A ``where`` expression cannot be parsed or uses what is not allowed."""


class UnknownNameError(InputError, LookupError):
    """There is no such space, data set, column, engine, encoder, strategy or architecture."""

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str], fix: str | None = None) -> UnknownNameError:
        """Build the error for an unknown `name`, pointing to the nearest known one.

        Parameters
        ----------
        kind : str
            What was looked up, e.g. ``"column"``.
        name : str
            The name that is not known.
        known : iterable of str
            All names that are.
        fix : str, optional
            What to type next; the default names the nearest known name, or lists them all.
        """
        names = sorted(known)
        near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
        if near:
            hint = f"did you mean {near[0]!r}?"
        elif names:
            shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
            hint = f"known: {shown}"
        else:
            hint = f"there is no {kind} here"
        return cls(f"expected the name of a {kind}", got=name, fix=f"{hint} {fix}" if fix else hint)


class TableError(InputError, ValueError):
    """A table to import does not fit: a column is missing, a value is not a number, a row is malformed."""


class ModelFileError(InputError, ValueError):
    """A model to import is damaged, contradicts itself, is too large, or reaches outside its folder."""


class IndexFolderError(InputError):
    """The folder given cannot be used as an index."""


class IndexMissingError(IndexFolderError, FileNotFoundError):
    """There is no index at the path."""


class IndexExistsError(IndexFolderError, FileExistsError):
    """There is something at the path already."""


class IndexVersionError(IndexFolderError):
    """The index was written in a newer format than this archindex reads."""


class ReadOnlyError(IndexFolderError):
    """A version was opened by number or name; only the index as it is now is written to."""


class EncoderMismatchError(IndexFolderError):
    """The encoder given is not the one whose vectors the index holds."""


class CorruptIndexError(ArchindexError):
    """A file of the index is missing, truncated or altered."""


class IndexLockedError(ArchindexError):
    """Another process holds the index for writing."""


class StorageError(ArchindexError, OSError):
    """The disk refused to read or write."""


class DataUnavailableError(ArchindexError):
    """A data set's package or file is not on this machine."""


class UnsafeDataError(ArchindexError):
    """A file asks for code to be run when it is read, and was refused."""


class QueryTimeoutError(ArchindexError, TimeoutError):
    """The time that was given to a query is over; there is no answer, and nothing was changed."""


class BudgetExhaustedError(ArchindexError):
    """The query budget is spent."""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
