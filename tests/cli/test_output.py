"""The sink: tables that fit, numbers in full for programs, progress that stays out of the way."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from archindex.cli.output import Document, Format, Grid, Sink, to_json, to_text, to_tsv
from archindex.cli.progress import progress

NATIVE = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_3x3~2|"
GRID = Grid(
    ("row_id", "distance", "architecture", "acc", "fast"),
    [(7, 0.0, NATIVE, 91.60666, True), (12345, 1.5775, NATIVE, None, False)],
    flexible="architecture",
)


def document(grid: Grid = GRID) -> Document:
    fields = {"value": float("nan"), "array": np.arange(2), "number": np.float32(0.5), "path": Path("x")}
    return Document("thing", fields, grid, ["a", "b"], lead=["above"], notes=["below"])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_json_has_number_and_kind_and_plain_values() -> None:
    assert json.loads(to_json(document())) == {
        "archindex": 1, "kind": "thing", "value": None, "array": [0, 1], "number": 0.5, "path": "x",
    }  # fmt: skip


def test_tsv_is_exact() -> None:
    assert to_tsv(GRID).split("\n") == [
        "row_id\tdistance\tarchitecture\tacc\tfast",
        f"7\t0.0\t{NATIVE}\t91.60666\ttrue",
        f"12345\t1.5775\t{NATIVE}\t\tfalse",
    ]


def test_without_a_terminal_nothing_is_shortened() -> None:
    out = io.StringIO()
    Sink(Format.TABLE, out).emit(document())
    lines = out.getvalue().splitlines()
    assert lines[0] == "above"
    assert lines[-1] == "below"
    assert lines[3].split() == ["7", "0.000", NATIVE, "91.61", "yes"]
    assert lines[4].split() == ["12345", "1.577", NATIVE, "-", "no"] or lines[4].split()[1] == "1.578"


@pytest.mark.parametrize("width", [70, 60, 56, 52])
def test_on_a_terminal_lines_fit(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    Sink(Format.TABLE, out).emit(document())
    table = out.getvalue().split("\n\n")[1].splitlines()
    assert all(len(line) <= width for line in table)
    assert "…" in table[1]
    assert ("not shown" in out.getvalue()) == (width < 54)


def test_a_wide_terminal_shows_everything_and_a_bold_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    Sink(Format.TABLE, out).emit(document())
    assert "\033[1mrow_id" in out.getvalue()
    assert NATIVE in out.getvalue()


def test_values_of_very_different_size_keep_four_digits() -> None:
    text = to_text(Document("t", {}, Grid(("x",), [(0.0123456,), (21000.6,), (3e-9,), (0.0,)]), ()), None)
    assert text.split() == ["x", "0.01235", "21001", "3.000e-09", "0.000"]


def test_quiet_shows_bare_names_and_nothing_for_none() -> None:
    out = io.StringIO()
    Sink(Format.QUIET, out).emit(document())
    assert out.getvalue() == "a\nb\n"
    empty = io.StringIO()
    Sink(Format.QUIET, empty).emit(Document("t", {}, GRID, ()))
    assert empty.getvalue() == ""


def test_progress_is_a_bar_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, shown in ((io.StringIO(), False), (Terminal(), True)):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress(Sink(Format.TABLE, io.StringIO())) as report:
            report("encode", 1, 2)
            report("encode", 2, 2)
        assert bool(stream.getvalue()) == shown


def test_progress_writes_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 3.0, 11.0, 11.0, 12.0])
    monkeypatch.setattr("archindex.cli.progress.time.monotonic", lambda: next(clock))
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress(Sink(Format.TSV, io.StringIO())) as report:
        for done in (1, 2, 3):
            report("encode", done, 3)
    assert stream.getvalue() == "archindex: encode 2 of 3\n"
    with progress(Sink(Format.QUIET, io.StringIO())) as report:
        report("encode", 1, 1)
    assert stream.getvalue() == "archindex: encode 2 of 3\n"
