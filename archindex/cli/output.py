"""The output sink: every command hands it one `Document`, and it alone writes to stdout."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TextIO

SCHEMA: Final = 1
"""Number of the JSON schema; it goes up when a field changes its meaning or goes away."""

NARROWEST: Final = 24
"""Characters to which a table may shorten its flexible column on a narrow terminal."""


class Format(StrEnum):
    """How a command writes its result."""

    TABLE = "table"
    JSON = "json"
    TSV = "tsv"
    QUIET = "quiet"


@dataclass(frozen=True)
class Grid:
    """Rows under named columns.

    Attributes
    ----------
    columns : tuple of str
        Names.
    rows : sequence of sequence
        Values: str, int, float, bool or None, one a column.
    flexible : str
        The column that a table may shorten when a terminal is too narrow; ``""`` for none.
    """

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    flexible: str = ""


@dataclass(frozen=True)
class Document:
    """The result of a command, for every format.

    Attributes
    ----------
    kind : str
        Its kind in the JSON schema.
    fields : mapping
        What JSON shows, beside schema number and kind.
    grid : Grid
        What TSV shows, and the table.
    quiet : sequence of str
        What ``quiet`` shows: the bare names that a script goes on with, one a line.
    lead, notes : sequence of str
        Lines above and below the table, for people.
    """

    kind: str
    fields: Mapping[str, Any]
    grid: Grid
    quiet: Sequence[str]
    lead: Sequence[str] = ()
    notes: Sequence[str] = field(default=())


class Sink:
    """Writes documents in one format.

    Parameters
    ----------
    format : Format
        The format.
    out : TextIO, optional
        Where to; stdout if None.
    """

    def __init__(self, format: Format, out: TextIO | None = None) -> None:
        self.format = format
        self._out = sys.stdout if out is None else out

    def emit(self, document: Document) -> None:
        """Write a document."""
        if self.format is Format.JSON:
            text = to_json(document)
        elif self.format is Format.TSV:
            text = to_tsv(document.grid)
        elif self.format is Format.QUIET:
            text = "\n".join(document.quiet)
        else:
            width = shutil.get_terminal_size().columns if self._out.isatty() else None
            text = to_text(document, width, bold=width is not None and "NO_COLOR" not in os.environ)
        if text:
            self.write(text + "\n")

    def write(self, text: str) -> None:
        """Write text as it is; a reader that has gone away ends the program without a word."""
        try:
            self._out.write(text)
            self._out.flush()
        except BrokenPipeError:
            # Python flushes stdout once more when it ends: let that go nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())
            raise SystemExit(141) from None


def to_json(document: Document) -> str:
    """Return the document as one JSON object; NaN and infinities become null."""
    content = {"archindex": SCHEMA, "kind": document.kind, **document.fields}
    return json.dumps(_plain(content), indent=2, allow_nan=False)


def to_tsv(grid: Grid) -> str:
    """Return a grid as tab-separated values with a header line; missing values are empty."""
    lines = [grid.columns, *([_exact(value) for value in row] for row in grid.rows)]
    return "\n".join("\t".join(line) for line in lines)


def to_text(document: Document, width: int | None, *, bold: bool = False) -> str:
    """Return the document for people.

    Parameters
    ----------
    document : Document
        The result.
    width : int or None
        Columns of the terminal; None when there is none: then nothing is shortened.
    bold : bool
        Whether the header is set in bold.
    """
    grid = document.grid
    cells = [_column(name, [row[i] for row in grid.rows]) for i, name in enumerate(grid.columns)]
    left = [any(isinstance(row[i], str) for row in grid.rows) for i in range(len(grid.columns))]
    hidden: list[str] = []
    if width is not None:
        cells, hidden = _fit(cells, grid, width)
    widths = [max(map(len, column)) for column in cells]
    lines = []
    for line in zip(*cells, strict=True):
        padded = [
            c.ljust(w) if to_left else c.rjust(w) for c, w, to_left in zip(line, widths, left, strict=False)
        ]
        lines.append("  ".join(padded).rstrip())
    if lines and bold:
        lines[0] = f"\033[1m{lines[0]}\033[0m"
    notes = list(document.notes)
    if hidden:
        notes.insert(0, f"not shown, the terminal is too narrow: {', '.join(hidden)}")
    parts = ["\n".join(part) for part in (document.lead, lines if grid.rows else [], notes) if part]
    return "\n\n".join(parts)


def _fit(cells: list[list[str]], grid: Grid, width: int) -> tuple[list[list[str]], list[str]]:
    """Shorten the flexible column, then leave out columns from the right, until a line fits."""
    names = list(grid.columns)
    place = names.index(grid.flexible) if grid.flexible else -1
    hidden: list[str] = []
    while True:
        widths = [max(map(len, column)) for column in cells]
        excess = sum(widths) + 2 * (len(widths) - 1) - width
        if excess <= 0:
            return cells, hidden
        if place >= 0 and widths[place] - excess >= min(NARROWEST, widths[place]):
            room = widths[place] - excess
            cells = [*cells]
            cells[place] = [_shortened(cell, room) for cell in cells[place]]
            return cells, hidden
        if len(cells) <= max(place + 1, 1):
            return cells, hidden
        cells = cells[:-1]
        hidden.insert(0, names[len(cells)])


def _shortened(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    head = (room - 1) // 2
    return f"{text[:head]}…{text[len(text) - (room - 1 - head) :]}"


def _column(name: str, values: list[Any]) -> list[str]:
    """Format a column: floats with as many decimals as make four digits of the largest.

    Where magnitudes differ too much for that, each value gets four digits of its own.
    """
    sizes = [abs(v) for v in values if isinstance(v, float) and math.isfinite(v) and v != 0]
    alike = bool(sizes) and max(sizes) < 1e4 * min(sizes)
    common = _four_digits(max(sizes)) if alike else None
    return [name, *(_shown(value, common) for value in values)]


def _four_digits(size: float) -> str:
    """Return the format that shows four digits of a number of this size."""
    if size == 0 or 1e-4 <= size < 1e7:
        return f".{max(0, 3 - math.floor(math.log10(size or 1.0)))}f"
    return ".3e"


def _shown(value: Any, common: str | None) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return format(value, common or _four_digits(abs(value))) if isinstance(value, float) else str(value)


def _exact(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(float(value))
    return str(value).replace("\t", " ").replace("\n", " ").replace("\r", " ")


def _plain(value: Any) -> Any:
    """Turn NumPy's numbers and arrays into those of Python, and what JSON cannot say into null or text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
